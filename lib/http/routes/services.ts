import type { ServiceRegistration } from '../../structs/service.js';
import { read, written } from '../answer.js';
import { badRequest } from '../errors.js';
import { flag } from '../query.js';
import type { Exchange, Routes } from '../router.js';
import { targetGroups } from '../service-targets.js';

export const serviceRoutes: Routes = {
  '/v1/services': { GET: list },
  '/v1/service/:name': { GET: get },
  '/v1/service/:name/:id': { DELETE: remove },
  '/v1/allocation/:id/services': { GET: ofAlloc },
  '/v1/allocation/:id/checks': { GET: checks },
  '/v1/client/allocation/:id/checks': { GET: checks },
};

const param = (exchange: Exchange, name: string): string => exchange.params[name] ?? '';

async function list(exchange: Exchange) {
  const args = { ...exchange.reading(), All: flag(exchange.query, 'all') };
  const format = exchange.query.get('format');
  if (format !== null && format !== '' && format !== 'prometheus') {
    throw badRequest(`unknown format ${JSON.stringify(format)}: leave it out, or write format=prometheus`);
  }
  const reply = await exchange.rpc.call('ServiceRegistration.List', args, exchange);
  if (!format) return read(reply.Services, reply);
  const names = reply.Services.flatMap(({ Namespace, Services }) =>
    Services.map(({ ServiceName }) => ({ Namespace, ServiceName })),
  );
  const alike = { ...args, MinQueryIndex: 0, Prefix: '', Filter: '', NextToken: '', PerPage: 0 };
  const instances: ServiceRegistration[] = [];
  for (const name of names) {
    const { Services } = await exchange.rpc.call('ServiceRegistration.GetService', { ...alike, ...name }, exchange);
    instances.push(...Services);
  }
  return { value: targetGroups(instances) };
}

async function get(exchange: Exchange) {
  const choose = exchange.query.get('choose');
  const args = {
    ...exchange.reading(),
    ServiceName: param(exchange, 'name'),
    All: flag(exchange.query, 'all'),
    ...(choose === null ? {} : { Choose: choose }),
  };
  const reply = await exchange.rpc.call('ServiceRegistration.GetService', args, exchange);
  return read(reply.Services, reply);
}

async function remove(exchange: Exchange) {
  const args = { ...exchange.writing(), ServiceName: param(exchange, 'name'), ID: param(exchange, 'id') };
  const reply = await exchange.rpc.call('ServiceRegistration.DeleteByID', args, exchange);
  return written(null, reply.Index);
}

async function ofAlloc(exchange: Exchange) {
  const args = { ...exchange.reading(), AllocID: param(exchange, 'id') };
  const reply = await exchange.rpc.call('Alloc.GetServiceRegistrations', args, exchange);
  return read(reply.Services, reply);
}

async function checks(exchange: Exchange) {
  const args = { ...exchange.reading(), AllocID: param(exchange, 'id') };
  return { value: (await exchange.rpc.call('Allocations.Checks', args, exchange)).Checks };
}
