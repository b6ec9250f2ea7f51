import t from 'tap';
import { BROKER_LIMITS, EvalBroker, FAILED_QUEUE } from '../../lib/server/eval-broker.js';
import { newEval } from '../../lib/server/new-eval.js';
import type { Evaluation } from '../../lib/structs/evaluation.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';

const random = seededRandom(1);
let index = 10;

const evalOf = (JobID: string, more: Partial<Evaluation> = {}): Evaluation => {
  index++;
  return {
    ...newEval(
      { Namespace: 'default', Priority: 50, Type: 'service', TriggeredBy: 'job-register', JobID },
      { random, now: 0 },
    ),
    CreateIndex: index,
    ModifyIndex: index,
    ...more,
  };
};

const service = ['service'];

t.test('the higher priority goes first, then the older', async (t) => {
  const broker = new EvalBroker({ random });
  const [old, young, urgent] = [evalOf('a'), evalOf('b'), evalOf('c', { Priority: 90 })];
  for (const evaluation of [young, urgent, old]) broker.enqueue(evaluation, 0);
  const order = [1, 2, 3].map(() => broker.dequeue(service, 0)?.evaluation.JobID);
  t.same(order, ['c', 'a', 'b']);
  t.equal(broker.dequeue(service, 0), undefined);
});

t.test('a worker gets only the types it asks for', async (t) => {
  const broker = new EvalBroker({ random });
  broker.enqueue(evalOf('a', { Type: 'batch' }), 0);
  t.equal(broker.dequeue(service, 0), undefined);
  t.equal(broker.dequeue(['service', 'batch'], 0)?.evaluation.JobID, 'a');
});

t.test('one evaluation a job is out at a time, and of those that wait only the newest is done', async (t) => {
  const broker = new EvalBroker({ random });
  const [first, second, third] = [evalOf('a'), evalOf('a'), evalOf('a')];
  for (const evaluation of [first, second, third]) broker.enqueue(evaluation, 0);
  const delivery = broker.dequeue(service, 0);
  t.equal(delivery?.evaluation.ID, first.ID);
  t.equal(broker.dequeue(service, 0), undefined);
  t.ok(broker.ack(first.ID, delivery?.token ?? '', 0));
  t.equal(broker.dequeue(service, 0)?.evaluation.ID, third.ID);
  t.same(
    broker.takeCancelled().map(({ ID }) => ID),
    [second.ID],
  );
  t.same(broker.takeCancelled(), []);
});

t.test('jobs of the same name in two namespaces do not wait for each other', async (t) => {
  const broker = new EvalBroker({ random });
  broker.enqueue(evalOf('a'), 0);
  broker.enqueue(evalOf('a', { Namespace: 'other' }), 0);
  t.ok(broker.dequeue(service, 0));
  t.ok(broker.dequeue(service, 0));
});

t.test('enqueueing twice changes nothing', async (t) => {
  const broker = new EvalBroker({ random });
  const evaluation = evalOf('a');
  broker.enqueue(evaluation, 0);
  broker.enqueue(evaluation, 0);
  const delivery = broker.dequeue(service, 0);
  broker.ack(evaluation.ID, delivery?.token ?? '', 0);
  t.equal(broker.dequeue(service, 0), undefined);
});

t.test('an outstanding evaluation enqueued with its token comes again after the ack', async (t) => {
  const broker = new EvalBroker({ random });
  const evaluation = evalOf('a');
  broker.enqueue(evaluation, 0);
  const token = broker.dequeue(service, 0)?.token ?? '';
  broker.enqueue(evaluation, 0, token);
  t.equal(broker.dequeue(service, 0), undefined);
  broker.ack(evaluation.ID, token, 0);
  t.equal(broker.dequeue(service, 0)?.evaluation.ID, evaluation.ID);
});

t.test('only the holder of the token may answer', async (t) => {
  const broker = new EvalBroker({ random });
  const evaluation = evalOf('a');
  broker.enqueue(evaluation, 0);
  const token = broker.dequeue(service, 0)?.token ?? '';
  t.notOk(broker.ack(evaluation.ID, 'wrong', 0));
  t.notOk(broker.nack(evaluation.ID, 'wrong', 0));
  t.equal(broker.outstandingToken(evaluation.ID), token);
  t.ok(broker.ack(evaluation.ID, token, 0));
  t.notOk(broker.ack(evaluation.ID, token, 0));
});

t.test('a nacked evaluation comes back after 1 s, then after 20 s, then fails', async (t) => {
  const broker = new EvalBroker({ random });
  const evaluation = evalOf('a');
  broker.enqueue(evaluation, 0);
  let now = 0;
  for (const delayMs of [1_000, 20_000]) {
    broker.nack(evaluation.ID, broker.dequeue(service, now)?.token ?? '', now);
    t.equal(broker.dueMs(), now + delayMs);
    broker.advance(now + delayMs - 1);
    t.equal(broker.dequeue(service, now), undefined);
    now += delayMs;
    broker.advance(now);
  }
  broker.nack(evaluation.ID, broker.dequeue(service, now)?.token ?? '', now);
  t.equal(broker.dequeue(service, now), undefined);
  t.equal(broker.counts().failed, 1);
  t.equal(broker.dequeue([FAILED_QUEUE], now)?.evaluation.ID, evaluation.ID);
});

t.test('what cannot even be closed as failed is tried again after a delay', async (t) => {
  const broker = new EvalBroker({ random, limits: { ...BROKER_LIMITS, deliveryLimit: 1 } });
  const evaluation = evalOf('a');
  broker.enqueue(evaluation, 0);
  broker.nack(evaluation.ID, broker.dequeue(service, 0)?.token ?? '', 0);
  broker.nack(evaluation.ID, broker.dequeue([FAILED_QUEUE], 0)?.token ?? '', 0);
  t.equal(broker.dequeue([FAILED_QUEUE, ...service], 0), undefined);
  t.equal(broker.dueMs(), 20_000);
  broker.advance(20_000);
  t.equal(broker.dequeue(service, 20_000)?.evaluation.ID, evaluation.ID);
});

t.test('a silent worker loses its evaluation after the nack timeout', async (t) => {
  const broker = new EvalBroker({ random });
  const evaluation = evalOf('a');
  broker.enqueue(evaluation, 0);
  const token = broker.dequeue(service, 0)?.token ?? '';
  t.equal(broker.dueMs(), BROKER_LIMITS.nackTimeoutMs);
  broker.advance(BROKER_LIMITS.nackTimeoutMs);
  t.notOk(broker.ack(evaluation.ID, token, BROKER_LIMITS.nackTimeoutMs));
  broker.advance(BROKER_LIMITS.nackTimeoutMs + 1_000);
  t.ok(broker.dequeue(service, 0));
});

t.test('an evaluation with WaitUntil is not handed out before its time', async (t) => {
  const broker = new EvalBroker({ random });
  broker.enqueue(evalOf('a', { WaitUntil: new Date(5_000).toISOString() }), 0);
  t.equal(broker.dequeue(service, 4_999), undefined);
  t.equal(broker.dueMs(), 5_000);
  broker.advance(5_000);
  t.ok(broker.dequeue(service, 5_000));
});

t.test('whatever happens, every evaluation ends acknowledged, cancelled or failed, one a job at a time', async (t) => {
  for (let seed = 1; seed <= 60; seed++) {
    const chance = seededRandom(seed);
    const broker = new EvalBroker({ random: chance });
    const open = new Set<string>();
    const held = new Map<string, { id: string; token: string }>();
    let now = 0;
    const close = (id: string): void => {
      t.ok(open.delete(id), `seed=${seed}: ${id} ends once`);
    };
    for (let step = 0; step < 400; step++) {
      now += randomInt(chance, 3_000);
      broker.advance(now);
      for (const { ID } of broker.takeCancelled()) close(ID);
      // Whoever was taken back by time no longer holds it.
      for (const [job, { id, token }] of held) if (broker.outstandingToken(id) !== token) held.delete(job);
      const dice = chance.next();
      if (dice < 0.4 && step < 300) {
        const evaluation = evalOf(`job${randomInt(chance, 5)}`);
        open.add(evaluation.ID);
        broker.enqueue(evaluation, now);
      } else if (dice < 0.8) {
        const delivery = broker.dequeue([...service, FAILED_QUEUE], now);
        if (!delivery) continue;
        const job = delivery.evaluation.JobID;
        if (held.has(job)) t.fail(`seed=${seed}: two evaluations of ${job} are out`);
        held.set(job, { id: delivery.evaluation.ID, token: delivery.token });
      } else {
        const [job, delivery] = [...held][0] ?? [];
        if (!job || !delivery) continue;
        held.delete(job);
        if (chance.next() < 0.3) broker.nack(delivery.id, delivery.token, now);
        else if (broker.ack(delivery.id, delivery.token, now)) close(delivery.id);
      }
    }
    for (const { id, token } of held.values()) if (broker.ack(id, token, now)) close(id);
    for (let round = 0; round < 100 && open.size > 0; round++) {
      now += 120_000;
      broker.advance(now);
      for (let next = broker.dequeue([...service, FAILED_QUEUE], now); next; next = broker.dequeue(service, now)) {
        broker.ack(next.evaluation.ID, next.token, now);
        close(next.evaluation.ID);
      }
      for (const { ID } of broker.takeCancelled()) close(ID);
    }
    if (open.size > 0) t.fail(`seed=${seed}: ${open.size} evaluations were forgotten`);
  }
});
