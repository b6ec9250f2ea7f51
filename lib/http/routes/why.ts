import { notFound } from '../errors.js';
import type { Answer, Exchange, Routes } from '../router.js';

/** Extensions, which Nomad's API does not have: why something is where it is, and what would be better. */
export const whyRoutes: Routes = {
  '/v1/job/*id/why': { GET: whyJob },
  '/v1/allocation/:id/why': { GET: whyAlloc },
  '/v1/operator/rebalance': { GET: rebalance },
};

async function whyJob(exchange: Exchange): Promise<Answer> {
  const args = { ...exchange.reading(), JobID: exchange.params['id'] ?? '' };
  const reply = await exchange.rpc.call('Job.Why', args, exchange);
  if (!reply.Why) throw notFound('job not found');
  return { value: reply.Why, index: reply.Index, lastContactMs: reply.LastContactMs, knownLeader: reply.KnownLeader };
}

async function whyAlloc(exchange: Exchange): Promise<Answer> {
  const args = { ...exchange.reading(), AllocID: exchange.params['id'] ?? '' };
  const reply = await exchange.rpc.call('Alloc.Why', args, exchange);
  if (!reply.Why) throw notFound('alloc not found');
  return { value: reply.Why, index: reply.Index, lastContactMs: reply.LastContactMs, knownLeader: reply.KnownLeader };
}

async function rebalance(exchange: Exchange): Promise<Answer> {
  const reply = await exchange.rpc.call('Operator.Rebalance', exchange.reading(), exchange);
  return {
    value: reply.Rebalance,
    index: reply.Index,
    lastContactMs: reply.LastContactMs,
    knownLeader: reply.KnownLeader,
  };
}
