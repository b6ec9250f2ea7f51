import { read, written } from '../answer.js';
import { notFound } from '../errors.js';
import { stringField, stringsField } from '../fields.js';
import type { Exchange, Routes } from '../router.js';

export const evaluationRoutes: Routes = {
  '/v1/evaluations': { GET: list, DELETE: remove },
  '/v1/evaluations/count': { GET: count },
  '/v1/evaluation/:id': { GET: get },
  '/v1/evaluation/:id/allocations': { GET: allocations },
};

async function list(exchange: Exchange) {
  const job = exchange.query.get('job');
  const status = exchange.query.get('status');
  const args = {
    ...exchange.reading(),
    ...(job ? { FilterJobID: job } : {}),
    ...(status ? { FilterEvalStatus: status } : {}),
  };
  const reply = await exchange.rpc.call('Eval.List', args, exchange);
  return read(reply.Evaluations, reply);
}

async function remove(exchange: Exchange) {
  const body = await exchange.body();
  const args = {
    ...exchange.writing(),
    EvalIDs: stringsField(body, 'EvalIDs'),
    Filter: stringField(body, 'Filter', exchange.query.get('filter') ?? ''),
  };
  const reply = await exchange.rpc.call('Eval.Delete', args, exchange);
  return written({ Count: reply.Count }, reply.Index);
}

async function count(exchange: Exchange) {
  const reply = await exchange.rpc.call('Eval.Count', exchange.reading(), exchange);
  return read({ Count: reply.Count }, reply);
}

async function get(exchange: Exchange) {
  const args = { ...exchange.reading(), EvalID: exchange.params['id'] ?? '' };
  const reply = await exchange.rpc.call('Eval.GetEval', args, exchange);
  if (!reply.Eval) throw notFound('eval not found');
  return read(reply.Eval, reply);
}

async function allocations(exchange: Exchange) {
  const args = { ...exchange.reading(), EvalID: exchange.params['id'] ?? '' };
  const reply = await exchange.rpc.call('Eval.Allocations', args, exchange);
  return read(reply.Allocations, reply);
}
