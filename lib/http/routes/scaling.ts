import type { ScalingStanding } from '../../structs/rpc-scaling.js';
import { read } from '../answer.js';
import { badRequest, notFound } from '../errors.js';
import { stringField } from '../fields.js';
import type { Exchange, Routes } from '../router.js';

const REPORT_BYTES_MAX = 1024 * 1024;

export const scalingRoutes: Routes = {
  '/v1/scaling/policies': { GET: list },
  '/v1/scaling/policy/:id': { GET: get },
  '/v1/autoscaler/status': { GET: standing, PUT: report },
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

async function report(exchange: Exchange) {
  const body = await exchange.body(REPORT_BYTES_MAX);
  const Holder = stringField(body, 'Holder');
  const Policies = body['Policies'] ?? null;
  if (Policies !== null && !isStandings(Policies)) {
    throw badRequest('Policies must be what an autoscaler says of its policies, or null when it ends');
  }
  return { value: await exchange.rpc.call('Scaling.Report', { ...exchange.writing(), Holder, Policies }, exchange) };
}

/** As far as readers go by it. */
function isStandings(value: unknown): value is ScalingStanding[] {
  const isMap = (one: unknown): one is Record<string, unknown> => typeof one === 'object' && one !== null;
  const isList = (one: unknown, of: (item: unknown) => boolean): boolean => Array.isArray(one) && one.every(of);
  const isText = (one: unknown): boolean => typeof one === 'string';
  return isList(value, (one) => {
    if (!isMap(one) || !isMap(one['Target']) || !isMap(one['Target']['Config'])) return false;
    const last = one['Last'];
    return (
      [one['ID'], one['Type'], one['State'], one['Target']['Name']].every(isText) &&
      [one['Min'], one['Max'], one['CooldownUntilMs']].every((number) => typeof number === 'number') &&
      isList(one['Problems'], isText) &&
      isList(one['Notes'], (note) => isMap(note) && isText(note['Text']) && typeof note['AtMs'] === 'number') &&
      (last === null || (isMap(last) && isText(last['Result']) && isMap(last['Meta']) && isList(last['Checks'], isMap)))
    );
  });
}
