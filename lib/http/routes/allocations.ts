import { read, written } from '../answer.js';
import { notFound } from '../errors.js';
import { withLegacyResources } from '../legacy-resources.js';
import { flag } from '../query.js';
import type { Exchange, Routes } from '../router.js';

export const allocationRoutes: Routes = {
  '/v1/allocations': { GET: list },
  '/v1/allocation/:id': { GET: get },
  '/v1/allocation/:id/stop': { PUT: stop },
};

async function list(exchange: Exchange) {
  const { query } = exchange;
  const args = {
    ...exchange.reading(),
    Resources: flag(query, 'resources'),
    // Task states are part of the list unless told otherwise.
    TaskStates: query.has('task_states') ? flag(query, 'task_states') : true,
  };
  const reply = await exchange.rpc.call('Alloc.List', args, exchange);
  return read(reply.Allocations, reply);
}

async function get(exchange: Exchange) {
  const args = { ...exchange.reading(), AllocID: exchange.params['id'] ?? '' };
  const reply = await exchange.rpc.call('Alloc.GetAlloc', args, exchange);
  if (!reply.Alloc) throw notFound('alloc not found');
  return read(withLegacyResources(reply.Alloc), reply);
}

async function stop(exchange: Exchange) {
  const reply = await exchange.rpc.call(
    'Alloc.Stop',
    {
      ...exchange.writing(),
      AllocID: exchange.params['id'] ?? '',
      NoShutdownDelay: flag(exchange.query, 'no_shutdown_delay'),
    },
    exchange,
  );
  return written(reply, reply.Index);
}
