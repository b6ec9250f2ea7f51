import type { SchedulerConfiguration } from '../../structs/rpc.js';
import { read, written } from '../answer.js';
import { badRequest } from '../errors.js';
import { booleanField, numberField, objectField, stringField } from '../fields.js';
import { wholeNumber } from '../query.js';
import type { Exchange, Routes } from '../router.js';

export const operatorRoutes: Routes = {
  '/v1/status/leader': { GET: async ({ rpc }) => ({ value: (await rpc.call('Status.Leader', {})).Leader }) },
  '/v1/status/peers': { GET: async ({ rpc }) => ({ value: (await rpc.call('Status.Peers', {})).Peers }) },
  '/v1/system/gc': { PUT: collect },
  '/v1/system/reconcile/summaries': { PUT: reconcile },
  '/v1/operator/scheduler/configuration': { GET: getScheduler, PUT: setScheduler },
};

async function collect(exchange: Exchange) {
  const reply = await exchange.rpc.call('System.GarbageCollect', exchange.writing(), exchange);
  return written(null, reply.Index);
}

async function reconcile(exchange: Exchange) {
  const reply = await exchange.rpc.call('System.ReconcileJobSummaries', exchange.writing(), exchange);
  return written(null, reply.Index);
}

async function getScheduler(exchange: Exchange) {
  const reply = await exchange.rpc.call('Operator.SchedulerGetConfiguration', exchange.reading(), exchange);
  return read(
    { SchedulerConfig: reply.SchedulerConfig, Index: reply.Index, LastContact: 0, KnownLeader: reply.KnownLeader },
    reply,
  );
}

async function setScheduler(exchange: Exchange) {
  const body = await exchange.body();
  const algorithm = stringField(body, 'SchedulerAlgorithm', 'binpack') || 'binpack';
  if (algorithm !== 'binpack' && algorithm !== 'spread') {
    throw badRequest(`invalid scheduler algorithm ${JSON.stringify(algorithm)}: write "binpack" or "spread"`);
  }
  const preemption = objectField(body, 'PreemptionConfig') ?? {};
  const config: SchedulerConfiguration = {
    SchedulerAlgorithm: algorithm,
    PreemptionConfig: {
      SystemSchedulerEnabled: booleanField(preemption, 'SystemSchedulerEnabled'),
      SysBatchSchedulerEnabled: booleanField(preemption, 'SysBatchSchedulerEnabled'),
      BatchSchedulerEnabled: booleanField(preemption, 'BatchSchedulerEnabled'),
      ServiceSchedulerEnabled: booleanField(preemption, 'ServiceSchedulerEnabled'),
    },
    MemoryOversubscriptionEnabled: booleanField(body, 'MemoryOversubscriptionEnabled'),
    RejectJobRegistration: booleanField(body, 'RejectJobRegistration'),
    PauseEvalBroker: booleanField(body, 'PauseEvalBroker'),
    NodeLimitForFeasibilityChecks: numberField(body, 'NodeLimitForFeasibilityChecks'),
    CreateIndex: 0,
    ModifyIndex: numberField(body, 'ModifyIndex'),
  };
  const cas = wholeNumber(exchange.query, 'cas');
  const args = {
    ...exchange.writing(),
    Config: config,
    ...(cas === undefined ? {} : { Cas: true, ModifyIndex: cas }),
  };
  const reply = await exchange.rpc.call('Operator.SchedulerSetConfiguration', args, exchange);
  return written({ Updated: reply.Updated, Index: reply.Index }, reply.Index);
}
