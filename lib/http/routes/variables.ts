import { read, written } from '../answer.js';
import { badRequest, notFound } from '../errors.js';
import { objectField, stringField } from '../fields.js';
import { flag, wholeNumber } from '../query.js';
import type { Answer, Exchange, Routes } from '../router.js';

export const variableRoutes: Routes = {
  '/v1/vars': { GET: list },
  '/v1/var/*path': { GET: get, PUT: put, DELETE: remove },
  '/v1/operator/keyring/keys': { GET: keys },
  '/v1/operator/keyring/key/:id': { DELETE: removeKey },
  '/v1/operator/keyring/rotate': { PUT: rotate },
  '/v1/operator/keyring/open': { PUT: openAll },
  '/.well-known/jwks.json': { GET: publicKeys },
};

const pathOf = (exchange: Exchange): string => exchange.params['path'] ?? '';

async function list(exchange: Exchange) {
  const reply = await exchange.rpc.call('Variables.List', exchange.reading(), exchange);
  return read(reply.Variables, reply);
}

async function get(exchange: Exchange) {
  const reply = await exchange.rpc.call('Variables.Read', { ...exchange.reading(), Path: pathOf(exchange) }, exchange);
  if (!reply.Variable) throw notFound('variable not found');
  return read(reply.Variable, reply);
}

async function put(exchange: Exchange): Promise<Answer> {
  refuseLocks(exchange);
  const body = await exchange.body();
  const path = pathOf(exchange);
  const named = stringField(body, 'Path', path);
  if (named !== path) throw badRequest(`the variable's Path ${JSON.stringify(named)} does not match the request's`);
  const args = {
    ...exchange.writing(),
    Path: path,
    Items: (objectField(body, 'Items') ?? {}) as Record<string, string>,
  };
  const reply = await exchange.rpc.call('Variables.Put', { ...args, ...casOf(exchange) }, exchange);
  if (!reply.Variable) return { status: 409, value: reply.Conflict, index: reply.Index };
  return written({ ...reply.Variable, Items: args.Items }, reply.Index);
}

async function remove(exchange: Exchange): Promise<Answer> {
  const args = { ...exchange.writing(), Path: pathOf(exchange), ...casOf(exchange) };
  const reply = await exchange.rpc.call('Variables.Delete', args, exchange);
  if (reply.Conflict) return { status: 409, value: reply.Conflict, index: reply.Index };
  return written(null, reply.Index);
}

function casOf({ query }: Exchange): { CAS?: number } {
  const CAS = wholeNumber(query, 'cas');
  return CAS === undefined ? {} : { CAS };
}

/** Locks are not there yet: taking one for held that is not would be worse than none. */
function refuseLocks({ query }: Exchange): void {
  for (const name of ['lock-acquire', 'lock-renew', 'lock-release']) {
    if (query.has(name) || flag(query, name))
      throw badRequest(`${name}: variables have no locks yet; use cas to keep writers apart`);
  }
}

async function keys(exchange: Exchange) {
  const reply = await exchange.rpc.call('Keyring.List', exchange.reading(), exchange);
  return read(reply.Keys, reply);
}

async function publicKeys(exchange: Exchange) {
  const reply = await exchange.rpc.call('Keyring.ListPublic', exchange.reading(), exchange);
  return read({ keys: reply.Keys }, reply);
}

async function rotate(exchange: Exchange) {
  const reply = await exchange.rpc.call('Keyring.Rotate', exchange.writing(), exchange);
  return written({ Key: reply.Key, Index: reply.Index }, reply.Index);
}

async function openAll(exchange: Exchange) {
  const body = await exchange.body();
  const args = { ...exchange.writing(), Code: stringField(body, 'Code') ?? '' };
  const reply = await exchange.rpc.call('Keyring.Open', args, exchange);
  return written({ Keys: reply.Keys, Index: reply.Index }, reply.Index);
}

async function removeKey(exchange: Exchange) {
  const args = { ...exchange.writing(), KeyID: exchange.params['id'] ?? '' };
  const reply = await exchange.rpc.call('Keyring.Delete', args, exchange);
  return written(null, reply.Index);
}
