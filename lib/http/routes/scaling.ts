import { read } from '../answer.js';
import { notFound } from '../errors.js';
import type { Exchange, Routes } from '../router.js';

export const scalingRoutes: Routes = {
  '/v1/scaling/policies': { GET: list },
  '/v1/scaling/policy/:id': { GET: get },
  '/v1/autoscaler/status': { GET: standing },
};

async function list(exchange: Exchange) {
  const { query } = exchange;
  const args = { ...exchange.reading(), Job: query.get('job') ?? '', Type: query.get('type') ?? '' };
  const reply = await exchange.rpc.call('Scaling.ListPolicies', args, exchange);
  return read(reply.Policies, reply);
}

async function get(exchange: Exchange) {
  const args = { ...exchange.reading(), ID: exchange.params['id'] ?? '' };
  const reply = await exchange.rpc.call('Scaling.GetPolicy', args, exchange);
  if (!reply.Policy) throw notFound('policy not found');
  return read(reply.Policy, reply);
}

async function standing(exchange: Exchange) {
  return { value: await exchange.rpc.call('Scaling.Standing', exchange.reading(), exchange) };
}
