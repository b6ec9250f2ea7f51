import { badRequest } from '../errors.js';
import { booleanField, objectField, stringField } from '../fields.js';
import { wholeNumber } from '../query.js';
import type { Exchange, Routes } from '../router.js';
import { catFile, readAt, streamFile, streamLogs } from '../stream.js';

export const clientRoutes: Routes = {
  '/v1/client/stats': { GET: stats },
  '/v1/client/metadata': { GET: metadata, PUT: applyMetadata },
  '/v1/client/power': { GET: sessions, PUT: power },
  '/v1/client/gc': { GET: collectAll, PUT: collectAll },
  '/v1/client/allocation/:id/stats': { GET: allocStats },
  '/v1/client/allocation/:id/restart': { PUT: restart },
  '/v1/client/allocation/:id/signal': { PUT: signal },
  '/v1/client/allocation/:id/gc': { GET: collect, PUT: collect },
  '/v1/client/fs/ls/:id': { GET: ls },
  '/v1/client/fs/stat/:id': { GET: stat },
  '/v1/client/fs/cat/:id': { GET: catFile },
  '/v1/client/fs/readat/:id': { GET: readAt },
  '/v1/client/fs/stream/:id': { GET: streamFile },
  '/v1/client/fs/logs/:id': { GET: streamLogs },
};

function allocId(exchange: Exchange): string {
  return exchange.params['id'] ?? '';
}

async function stats(exchange: Exchange) {
  const node = exchange.query.get('node_id') ?? '';
  return { value: await exchange.rpc.call('ClientStats.Stats', { ...exchange.reading(), NodeID: node }, exchange) };
}

async function metadata(exchange: Exchange) {
  const NodeID = exchange.query.get('node_id') ?? '';
  return { value: await exchange.rpc.call('NodeMeta.Read', { ...exchange.reading(), NodeID }, exchange) };
}

async function applyMetadata(exchange: Exchange) {
  const body = await exchange.body();
  const NodeID = stringField(body, 'NodeID') || (exchange.query.get('node_id') ?? '');
  const Meta = objectField(body, 'Meta');
  if (!Meta) throw badRequest('Meta is missing: an object of keys with their values, null to take one away');
  // The node itself looks at what is in it.
  const args = { ...exchange.reading(), NodeID, Meta: Meta as Record<string, string | null> };
  return { value: await exchange.rpc.call('NodeMeta.Apply', args, exchange) };
}

/** Who is at the tasks of a node: whoever puts machines to sleep asks first. */
async function sessions(exchange: Exchange) {
  const NodeID = exchange.query.get('node_id') ?? '';
  return { value: await exchange.rpc.call('ClientPower.Sessions', { ...exchange.reading(), NodeID }, exchange) };
}

/** For an autoscaler of its own process: the node goes to sleep, or wakes another machine beside it. */
async function power(exchange: Exchange) {
  const NodeID = exchange.query.get('node_id') ?? '';
  const body = await exchange.body();
  const action = stringField(body, 'Action');
  const args = { ...exchange.reading(), NodeID };
  switch (action) {
    case 'sleep':
      return { value: await exchange.rpc.call('ClientPower.Sleep', args, exchange) };
    case 'wake': {
      const MacAddress = stringField(body, 'MacAddress');
      return { value: await exchange.rpc.call('ClientPower.Wake', { ...args, MacAddress }, exchange) };
    }
    default:
      throw badRequest(`invalid action ${JSON.stringify(action)}: write "sleep" or "wake"`);
  }
}

async function collectAll(exchange: Exchange) {
  const node = exchange.query.get('node_id') ?? '';
  await exchange.rpc.call('Allocations.GarbageCollectAll', { ...exchange.reading(), NodeID: node }, exchange);
  return { value: null };
}

async function allocStats(exchange: Exchange) {
  const task = exchange.query.get('task');
  const args = { ...exchange.reading(), AllocID: allocId(exchange), ...(task ? { Task: task } : {}) };
  return { value: await exchange.rpc.call('Allocations.Stats', args, exchange) };
}

async function restart(exchange: Exchange) {
  const body = await exchange.body();
  await exchange.rpc.call(
    'Allocations.Restart',
    {
      ...exchange.reading(),
      AllocID: allocId(exchange),
      TaskName: stringField(body, 'TaskName'),
      AllTasks: booleanField(body, 'AllTasks'),
    },
    exchange,
  );
  return { value: {} };
}

async function signal(exchange: Exchange) {
  const body = await exchange.body();
  const name = stringField(body, 'Signal');
  if (name === '') throw badRequest('Signal is missing: name one, such as "SIGHUP"');
  await exchange.rpc.call(
    'Allocations.Signal',
    { ...exchange.reading(), AllocID: allocId(exchange), Task: stringField(body, 'Task'), Signal: name },
    exchange,
  );
  return { value: {} };
}

async function collect(exchange: Exchange) {
  await exchange.rpc.call(
    'Allocations.GarbageCollect',
    { ...exchange.reading(), AllocID: allocId(exchange) },
    exchange,
  );
  return { value: {} };
}

function path(exchange: Exchange): string {
  return exchange.query.get('path') ?? '/';
}

async function ls(exchange: Exchange) {
  const args = { ...exchange.reading(), AllocID: allocId(exchange), Path: path(exchange) };
  return { value: (await exchange.rpc.call('FileSystem.List', args, exchange)).Files };
}

async function stat(exchange: Exchange) {
  if (wholeNumber(exchange.query, 'offset') !== undefined) throw badRequest('stat takes no offset');
  if (!exchange.query.has('path')) throw badRequest('must provide a file path');
  const args = { ...exchange.reading(), AllocID: allocId(exchange), Path: path(exchange) };
  return { value: (await exchange.rpc.call('FileSystem.Stat', args, exchange)).Info };
}
