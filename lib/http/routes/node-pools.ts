import type { NodePool, NodePoolSchedulerConfiguration } from '../../structs/node-pool.js';
import { read, written } from '../answer.js';
import { badRequest, notFound } from '../errors.js';
import { objectField, stringField } from '../fields.js';
import type { Exchange, Routes } from '../router.js';

export const nodePoolRoutes: Routes = {
  '/v1/node/pools': { GET: list, PUT: upsert },
  '/v1/node/pool/:name': { GET: get, PUT: upsert, DELETE: remove },
  '/v1/node/pool/:name/nodes': { GET: nodes },
  '/v1/node/pool/:name/jobs': { GET: jobs },
};

const nameOf = (exchange: Exchange): string => exchange.params['name'] ?? '';

async function list(exchange: Exchange) {
  const reply = await exchange.rpc.call('NodePool.List', exchange.reading(), exchange);
  return read(reply.NodePools, reply);
}

async function get(exchange: Exchange) {
  const args = { ...exchange.reading(), Name: nameOf(exchange) };
  const reply = await exchange.rpc.call('NodePool.GetNodePool', args, exchange);
  if (!reply.NodePool) throw notFound('node pool not found');
  return read(reply.NodePool, reply);
}

async function nodes(exchange: Exchange) {
  const reply = await exchange.rpc.call(
    'NodePool.ListNodes',
    { ...exchange.reading(), Name: nameOf(exchange) },
    exchange,
  );
  return read(reply.Nodes, reply);
}

async function jobs(exchange: Exchange) {
  const reply = await exchange.rpc.call(
    'NodePool.ListJobs',
    { ...exchange.reading(), Name: nameOf(exchange) },
    exchange,
  );
  return read(reply.Jobs, reply);
}

async function upsert(exchange: Exchange) {
  const body = await exchange.body();
  const name = stringField(body, 'Name', nameOf(exchange));
  if (exchange.params['name'] !== undefined && name !== nameOf(exchange)) {
    throw badRequest('Node pool name does not match request path');
  }
  const pool: Partial<NodePool> = {
    Name: name,
    Description: stringField(body, 'Description'),
    Meta: objectField(body, 'Meta') as NodePool['Meta'],
    SchedulerConfiguration: objectField(body, 'SchedulerConfiguration') as NodePoolSchedulerConfiguration | null,
  };
  const reply = await exchange.rpc.call('NodePool.Upsert', { ...exchange.writing(), NodePool: pool }, exchange);
  return written(null, reply.Index);
}

async function remove(exchange: Exchange) {
  const reply = await exchange.rpc.call('NodePool.Delete', { ...exchange.writing(), Name: nameOf(exchange) }, exchange);
  return written(null, reply.Index);
}
