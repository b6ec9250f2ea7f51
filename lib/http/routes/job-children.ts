import { read, written } from '../answer.js';
import { badRequest, notFound } from '../errors.js';
import { booleanField, numberField, objectField, stringField } from '../fields.js';
import type { Exchange, Routes } from '../router.js';

const JOB_ROOT = '/v1/job/*id';

/** Jobs made of jobs, and the counts of groups. These come before the routes of a job: an id may have slashes. */
export const jobChildrenRoutes: Routes = {
  [`${JOB_ROOT}/dispatch/payload`]: { GET: payload },
  [`${JOB_ROOT}/dispatch`]: { PUT: dispatch },
  [`${JOB_ROOT}/periodic/force`]: { PUT: force },
  [`${JOB_ROOT}/scale`]: { GET: scaleStatus, PUT: scale },
};

const jobId = (exchange: Exchange): string => exchange.params['id'] ?? '';

/** What is refused as a value of the wrong kind is refused here: a dispatch is read by people's tools. */
function texts(body: Record<string, unknown>, name: string): Record<string, string> {
  const values = objectField(body, name) ?? {};
  for (const [key, value] of Object.entries(values)) {
    if (typeof value !== 'string') throw badRequest(`${name}.${key} must be a string`);
  }
  return values as Record<string, string>;
}

async function dispatch(exchange: Exchange) {
  const body = await exchange.body();
  const id = stringField(body, 'JobID', jobId(exchange)) || jobId(exchange);
  if (id !== jobId(exchange)) throw badRequest('Job ID does not match');
  const reply = await exchange.rpc.call(
    'Job.Dispatch',
    {
      ...exchange.writing(),
      JobID: id,
      Payload: stringField(body, 'Payload'),
      Meta: texts(body, 'Meta'),
      IdempotencyToken: exchange.query.get('idempotency_token') ?? '',
      IdPrefixTemplate: stringField(body, 'IdPrefixTemplate'),
      Priority: numberField(body, 'Priority'),
    },
    exchange,
  );
  return written(reply, reply.Index);
}

async function payload(exchange: Exchange) {
  const reply = await exchange.rpc.call('Job.GetJob', { ...exchange.reading(), JobID: jobId(exchange) }, exchange);
  if (!reply.Job) throw notFound('job not found');
  return read({ Payload: reply.Job.Payload ?? '' }, reply);
}

async function force(exchange: Exchange) {
  const reply = await exchange.rpc.call('Periodic.Force', { ...exchange.writing(), JobID: jobId(exchange) }, exchange);
  return written(reply, reply.Index);
}

async function scaleStatus(exchange: Exchange) {
  const args = { ...exchange.reading(), JobID: jobId(exchange) };
  const reply = await exchange.rpc.call('Job.ScaleStatus', args, exchange);
  if (!reply.JobScaleStatus) throw notFound('job not found');
  return read(reply.JobScaleStatus, reply);
}

async function scale(exchange: Exchange) {
  const body = await exchange.body();
  const count = body['Count'];
  const reply = await exchange.rpc.call(
    'Job.Scale',
    {
      ...exchange.writing(),
      JobID: jobId(exchange),
      Target: texts(body, 'Target'),
      Count: count === undefined || count === null ? null : numberField(body, 'Count'),
      Message: stringField(body, 'Message'),
      Error: booleanField(body, 'Error'),
      Meta: objectField(body, 'Meta'),
      EnforceIndex: booleanField(body, 'EnforceIndex'),
      JobModifyIndex: numberField(body, 'JobModifyIndex'),
    },
    exchange,
  );
  return written(reply, reply.Index);
}
