import type { DrainStrategy } from '../../structs/node.js';
import { read, written } from '../answer.js';
import { badRequest, notFound } from '../errors.js';
import { booleanField, numberField, objectField, stringField } from '../fields.js';
import { withLegacyResources } from '../legacy-resources.js';
import { flag } from '../query.js';
import type { Exchange, Routes } from '../router.js';

export const nodeRoutes: Routes = {
  '/v1/nodes': { GET: list },
  '/v1/node/:id': { GET: get },
  '/v1/node/:id/allocations': { GET: allocations },
  '/v1/node/:id/evaluate': { PUT: evaluate },
  '/v1/node/:id/drain': { PUT: drain },
  '/v1/node/:id/eligibility': { PUT: eligibility },
  '/v1/node/:id/purge': { PUT: purge },
};

function nodeId(exchange: Exchange): string {
  return exchange.params['id'] ?? '';
}

async function list(exchange: Exchange) {
  const args = { ...exchange.reading(), Resources: flag(exchange.query, 'resources'), Os: flag(exchange.query, 'os') };
  const reply = await exchange.rpc.call('Node.List', args, exchange);
  return read(reply.Nodes, reply);
}

async function get(exchange: Exchange) {
  const reply = await exchange.rpc.call('Node.GetNode', { ...exchange.reading(), NodeID: nodeId(exchange) }, exchange);
  if (!reply.Node) throw notFound('node not found');
  return read(reply.Node, reply);
}

async function allocations(exchange: Exchange) {
  const reply = await exchange.rpc.call(
    'Node.GetAllocs',
    { ...exchange.reading(), NodeID: nodeId(exchange) },
    exchange,
  );
  return read(reply.Allocs.map(withLegacyResources), reply);
}

async function evaluate(exchange: Exchange) {
  const reply = await exchange.rpc.call('Node.Evaluate', { ...exchange.writing(), NodeID: nodeId(exchange) }, exchange);
  return written(reply, reply.Index);
}

async function drain(exchange: Exchange) {
  const body = await exchange.body();
  const spec = objectField(body, 'DrainSpec');
  const meta = objectField(body, 'Meta');
  const strategy: DrainStrategy | null = spec && {
    Deadline: numberField(spec, 'Deadline'),
    IgnoreSystemJobs: booleanField(spec, 'IgnoreSystemJobs'),
    ForceDeadline: '0001-01-01T00:00:00Z',
    StartedAt: '0001-01-01T00:00:00Z',
  };
  const reply = await exchange.rpc.call(
    'Node.UpdateDrain',
    {
      ...exchange.writing(),
      NodeID: nodeId(exchange),
      DrainStrategy: strategy,
      MarkEligible: booleanField(body, 'MarkEligible'),
      ...(meta ? { Meta: Object.fromEntries(Object.entries(meta).map(([key, value]) => [key, String(value)])) } : {}),
    },
    exchange,
  );
  return written(reply, reply.Index);
}

async function eligibility(exchange: Exchange) {
  const wanted = stringField(await exchange.body(), 'Eligibility');
  if (wanted !== 'eligible' && wanted !== 'ineligible') {
    throw badRequest(`invalid scheduling eligibility ${JSON.stringify(wanted)}: write "eligible" or "ineligible"`);
  }
  const args = { ...exchange.writing(), NodeID: nodeId(exchange), Eligibility: wanted } as const;
  const reply = await exchange.rpc.call('Node.UpdateEligibility', args, exchange);
  return written(reply, reply.Index);
}

async function purge(exchange: Exchange) {
  const reply = await exchange.rpc.call('Node.Purge', { ...exchange.writing(), NodeID: nodeId(exchange) }, exchange);
  return written(reply, reply.Index);
}
