import assert from 'node:assert/strict';
import t from 'tap';
import { RECONNECT_RULES } from '../../lib/scheduler/reconcile/reconnect.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { DisconnectStrategy, Job, ReschedulePolicy } from '../../lib/structs/job.js';
import type { Node, NodeStatus } from '../../lib/structs/node.js';
import { Harness } from './harness.js';
import { mockGroup, mockJob, mockNode, mockTask } from './mock.js';

const S = 1e9;
const MINUTE_MS = 60_000;

const strategy = (changes: Partial<DisconnectStrategy> = {}): DisconnectStrategy => ({
  LostAfter: 600 * S,
  StopOnClientAfter: null,
  Replace: true,
  Reconcile: 'best_score',
  ...changes,
});

/** A job of two that runs on two of four nodes. */
async function world(
  disconnect: DisconnectStrategy | null,
  type: Job['Type'] = 'service',
  reschedule: Partial<ReschedulePolicy> = { Delay: 0 },
): Promise<{ harness: Harness; job: Job; alloc: Allocation; become: (status: NodeStatus) => Promise<void> }> {
  const harness = new Harness();
  harness.addNode(...Array.from({ length: 4 }, (_, i) => mockNode(i, { ComputedClass: 'v1:a' })));
  const everywhere = type === 'system' || type === 'sysbatch';
  const policy = { ...(mockGroup().ReschedulePolicy as ReschedulePolicy), ...reschedule };
  const group = mockGroup({
    Count: everywhere ? 1 : 2,
    Disconnect: disconnect,
    ReschedulePolicy: everywhere ? null : policy,
    Tasks: [mockTask({ KillTimeout: 5 * S })],
  });
  const job = harness.register(mockJob({ Type: type, TaskGroups: [group] }));
  await harness.run(job);
  harness.settle();
  const alloc = harness.live(job).sort((a, b) => (a.Name < b.Name ? -1 : 1))[0];
  assert(alloc);
  const become = async (Status: NodeStatus): Promise<void> => {
    harness.addNode({ ...(harness.nodes.get(alloc.NodeID) as Node), Status });
    await harness.run(job, { TriggeredBy: 'node-update' });
  };
  return { harness, job, alloc, become };
}

const others = (harness: Harness, job: Job, { ID, Name }: Allocation): Allocation[] =>
  harness.live(job).filter((other) => other.Name === Name && other.ID !== ID);

t.test('what may outlast a silence becomes unknown, is replaced, and has its time', async (t) => {
  const { harness, job, alloc, become } = await world(strategy());
  await become('disconnected');
  const now = harness.allocs.get(alloc.ID);
  t.match(now, { ClientStatus: 'unknown', DesiredStatus: 'run', ClientDescription: /disconnected/ });
  const [replacement] = others(harness, job, alloc);
  t.match(replacement, { PreviousAllocation: alloc.ID, Name: alloc.Name });
  const at = new Date(harness.now + 10 * MINUTE_MS).toISOString();
  t.match(harness.created, [{ TriggeredBy: 'max-disconnect-timeout', WaitUntil: at, ID: now?.FollowupEvalID }]);
  const plans = harness.plans.length;
  await harness.run(job);
  t.equal(harness.plans.length, plans, 'once is enough');

  harness.now += 10 * MINUTE_MS;
  await harness.run(job, { TriggeredBy: 'max-disconnect-timeout', ID: now?.FollowupEvalID ?? '' });
  t.match(harness.allocs.get(alloc.ID), { ClientStatus: 'lost', DesiredStatus: 'stop' });
  t.equal(harness.live(job).length, 2);
});

t.test('what is out of reach is replaced when its reschedule block says so', async (t) => {
  const { harness, job, alloc, become } = await world(strategy(), 'service', { Delay: 30 * S });
  await become('disconnected');
  t.same(others(harness, job, alloc), [], 'not at once');
  const at = new Date(harness.now + 30_000).toISOString();
  const followup = harness.created.find(({ TriggeredBy }) => TriggeredBy === 'alloc-reschedule');
  t.equal(followup?.WaitUntil, at);
  t.not(harness.allocs.get(alloc.ID)?.FollowupEvalID, followup?.ID, 'that one is for its time-out');
  const created = harness.created.length;
  await harness.run(job);
  t.same(others(harness, job, alloc), [], 'nor by another evaluation');
  t.equal(harness.created.length, created, 'nor is it waited for twice');
  harness.now += 30_000;
  await harness.run(job, { TriggeredBy: 'alloc-reschedule', ID: followup?.ID ?? '' });
  const [replacement] = others(harness, job, alloc);
  t.match(replacement, { PreviousAllocation: alloc.ID, RescheduleTracker: { Events: [{ PrevAllocID: alloc.ID }] } });
  t.match(harness.allocs.get(alloc.ID), { ClientStatus: 'unknown', DesiredStatus: 'run' });

  const tried = await world(strategy(), 'service', { Unlimited: false, Attempts: 0 });
  await tried.become('disconnected');
  t.same(others(tried.harness, tried.job, tried.alloc), [], 'no attempts: it waits for its node');
  tried.harness.now += 10 * MINUTE_MS;
  await tried.harness.run(tried.job, { TriggeredBy: 'max-disconnect-timeout' });
  t.equal(others(tried.harness, tried.job, tried.alloc).length, 1, 'until it is lost');

  const early = await world(strategy(), 'service', { Delay: 30 * S });
  await early.become('disconnected');
  early.harness.patch(early.alloc.ID, { ClientStatus: 'running' });
  await early.become('ready');
  early.harness.now += 30_000;
  await early.harness.run(early.job, { TriggeredBy: 'alloc-reschedule' });
  t.same(others(early.harness, early.job, early.alloc), [], 'who is back in time is not replaced');
});

t.test('first rule that applies: what becomes of an allocation whose node is silent', async (t) => {
  const rows: [string, Partial<DisconnectStrategy> | null, NodeStatus, Allocation['ClientStatus'], string, number][] = [
    ['no disconnect block', null, 'disconnected', 'running', 'lost', 1],
    ['no lost_after', { LostAfter: null }, 'disconnected', 'running', 'lost', 1],
    ['no lost_after, not to be replaced', { LostAfter: null, Replace: false }, 'disconnected', 'running', 'unknown', 0],
    ['before it began', {}, 'disconnected', 'pending', 'lost', 1],
    ['lost_after', {}, 'disconnected', 'running', 'unknown', 1],
    ['lost_after, not to be replaced', { Replace: false }, 'disconnected', 'running', 'unknown', 0],
    ['down', {}, 'down', 'running', 'lost', 1],
    ['down, not to be replaced', { Replace: false }, 'down', 'running', 'unknown', 0],
    ['down before it began, not to be replaced', { Replace: false }, 'down', 'pending', 'lost', 1],
  ];
  for (const [name, block, status, before, after, replacements] of rows) {
    const { harness, job, alloc, become } = await world(block && strategy(block));
    harness.patch(alloc.ID, { ClientStatus: before });
    await become(status);
    t.equal(harness.allocs.get(alloc.ID)?.ClientStatus, after, name);
    t.equal(others(harness, job, alloc).length, replacements, `${name}: replacements`);
    await harness.run(job);
    t.equal(harness.allocs.get(alloc.ID)?.ClientStatus, after, `${name}: it stays so`);
  }
});

t.test('which of the two goes on when a client comes back', async (t) => {
  const score = (alloc: Allocation, NormScore: number) => ({
    Metrics: {
      ...(alloc.Metrics as NonNullable<Allocation['Metrics']>),
      ScoreMetaData: [{ NodeID: alloc.NodeID, NormScore, Scores: {} }],
    },
  });
  const since = (minutes: number): Partial<Allocation> => {
    const StartedAt = new Date(1_700_000_000_000 + minutes * MINUTE_MS).toISOString();
    const state = { State: 'running', StartedAt, FinishedAt: '', Failed: false, Events: [] };
    return { TaskStates: { web: state } as unknown as Allocation['TaskStates'] };
  };
  type Patch = (alloc: Allocation) => Partial<Allocation>;
  const better: [Patch, Patch] = [(a) => score(a, 0.1), (a) => ({ ...score(a, 0.9), ClientStatus: 'running' })];
  const rows: [string, DisconnectStrategy['Reconcile'], Patch, Patch, 'original' | 'replacement'][] = [
    ['keep_original', 'keep_original', ...better, 'original'],
    ['keep_replacement', 'keep_replacement', (a) => score(a, 0.9), (a) => score(a, 0.1), 'replacement'],
    ['best_score: the same', 'best_score', (a) => score(a, 0.5), (a) => score(a, 0.5), 'original'],
    ['best_score: the new is better', 'best_score', ...better, 'replacement'],
    [
      'best_score: better, but not up',
      'best_score',
      better[0],
      (a) => ({ ...score(a, 0.9), ClientStatus: 'pending' }),
      'original',
    ],
    ['longest_running: the old', 'longest_running', () => since(0), () => since(5), 'original'],
    ['longest_running: the new', 'longest_running', () => since(9), () => since(5), 'replacement'],
    ['one that failed meanwhile', 'keep_original', () => ({ ClientStatus: 'failed' }), () => ({}), 'replacement'],
    [
      'one that is to leave its node',
      'keep_original',
      (a) => ({ DesiredTransition: { ...a.DesiredTransition, Migrate: true } }),
      () => ({}),
      'replacement',
    ],
  ];
  for (const [name, reconcile, ofOriginal, ofReplacement, winner] of rows) {
    const { harness, job, alloc, become } = await world(strategy({ Reconcile: reconcile }));
    await become('disconnected');
    const [replacement] = others(harness, job, alloc);
    assert(replacement, name);
    harness.patch(replacement.ID, { ClientStatus: 'running' });
    harness.patch(replacement.ID, ofReplacement(replacement));
    await become('ready');
    t.equal(others(harness, job, alloc).length, 1, `${name}: nothing is decided before its client has spoken`);
    harness.patch(alloc.ID, { ClientStatus: 'running' });
    harness.patch(alloc.ID, ofOriginal(alloc));
    await harness.run(job, { TriggeredBy: 'reconnect' });
    const [wins, loses] = winner === 'original' ? [alloc, replacement] : [replacement, alloc];
    t.equal(harness.allocs.get(wins.ID)?.DesiredStatus, 'run', name);
    t.equal(harness.allocs.get(loses.ID)?.DesiredStatus, 'stop', name);
    t.equal(harness.live(job).length, 2, `${name}: as many as wanted`);
    const plans = harness.plans.length;
    await harness.run(job);
    t.equal(harness.plans.length, plans, `${name}: decided once`);
  }
  t.equal(RECONNECT_RULES.length, 7);
});

t.test('a newer version of the job wins over one that comes back', async (t) => {
  const { harness, alloc, become, job: first } = await world(strategy({ Reconcile: 'keep_original' }));
  await become('disconnected');
  const job = harness.register({ ...first, Meta: { v: '2' } });
  for (let round = 0; round < 4; round++) {
    await harness.run(job);
    harness.settle();
  }
  harness.patch(alloc.ID, { ClientStatus: 'unknown' });
  t.equal(harness.allocs.get(alloc.ID)?.DesiredStatus, 'run');
  harness.addNode({ ...(harness.nodes.get(alloc.NodeID) as Node), Status: 'ready' });
  harness.patch(alloc.ID, { ClientStatus: 'running' });
  await harness.run(job, { TriggeredBy: 'reconnect' });
  t.equal(harness.allocs.get(alloc.ID)?.DesiredStatus, 'stop');
  t.ok(harness.live(job).every((other) => other.Job === job));
  t.equal(harness.live(job).length, 2);
});

t.test('one that was not replaced is taken back, and may be lost sight of again', async (t) => {
  const { harness, job, alloc, become } = await world(strategy({ Replace: false }));
  for (let round = 0; round < 2; round++) {
    await become('disconnected');
    t.equal(harness.allocs.get(alloc.ID)?.ClientStatus, 'unknown');
    await become('ready');
    harness.patch(alloc.ID, { ClientStatus: 'running' });
    await harness.run(job, { TriggeredBy: 'reconnect' });
    t.match(harness.allocs.get(alloc.ID), { ClientStatus: 'running', DesiredStatus: 'run', FollowupEvalID: '' });
    harness.now += MINUTE_MS;
  }
  t.equal(harness.ofJob(job).length, 2, 'there never was another');
  t.same(
    harness.allocs.get(alloc.ID)?.AllocStates?.map(({ Value }) => Value),
    ['unknown', 'running', 'unknown', 'running'],
  );
});

t.test('one that came back failed, and was not replaced, is tried again', async (t) => {
  const { harness, job, alloc, become } = await world(strategy({ Replace: false }));
  await become('disconnected');
  await become('ready');
  harness.patch(alloc.ID, { ClientStatus: 'failed' });
  await harness.run(job, { TriggeredBy: 'reconnect' });
  t.match(others(harness, job, alloc), [{ PreviousAllocation: alloc.ID }]);
});

t.test('what is lost waits for its client when that stops it by itself', async (t) => {
  const { harness, job, alloc, become } = await world(strategy({ LostAfter: null, StopOnClientAfter: 30 * S }));
  harness.patch(alloc.ID, { ModifyTime: harness.now * 1e6 });
  await become('down');
  const lost = harness.allocs.get(alloc.ID);
  t.match(lost, { ClientStatus: 'lost', DesiredStatus: 'stop' });
  t.same(others(harness, job, alloc), [], 'it may still run');
  const WaitUntil = new Date(harness.now + 35_000).toISOString();
  t.match(harness.created, [{ ID: lost?.FollowupEvalID, WaitUntil }], 'stop_on_client_after and its kill_timeout');
  harness.now += 10_000;
  await harness.run(job);
  t.same(others(harness, job, alloc), [], 'nor does another evaluation hurry it');
  harness.now += 25_000;
  await harness.run(job, { ID: lost?.FollowupEvalID ?? '' });
  t.equal(others(harness, job, alloc).length, 1);
});

t.test('a replacement that finds no room waits for it, beside the follow-up', async (t) => {
  const { harness, job, alloc, become } = await world(strategy());
  for (const node of [...harness.nodes.values()]) {
    if (node.ID !== alloc.NodeID) harness.addNode({ ...node, SchedulingEligibility: 'ineligible' });
  }
  await become('disconnected');
  t.same(harness.created.map(({ Status }) => Status).sort(), ['blocked', 'pending']);
  for (const node of [...harness.nodes.values()]) harness.addNode({ ...node, SchedulingEligibility: 'eligible' });
  await harness.run(job);
  t.match(others(harness, job, alloc), [{ PreviousAllocation: alloc.ID }]);
});

for (const type of ['system', 'sysbatch'] as const) {
  t.test(`${type}: what is out of reach is unknown until it is back or its time is over`, async (t) => {
    const { harness, job, alloc, become } = await world(strategy(), type);
    await become('disconnected');
    t.equal(harness.allocs.get(alloc.ID)?.ClientStatus, 'unknown');
    t.match(harness.created, [{ TriggeredBy: 'max-disconnect-timeout' }]);
    t.equal(harness.live(job).length, 4);
    await become('ready');
    harness.patch(alloc.ID, { ClientStatus: 'running' });
    await harness.run(job, { TriggeredBy: 'reconnect' });
    t.same(
      harness.allocs.get(alloc.ID)?.AllocStates?.map(({ Value }) => Value),
      ['unknown', 'running'],
    );
    await become('disconnected');
    harness.now += 10 * MINUTE_MS;
    await harness.run(job, { TriggeredBy: 'max-disconnect-timeout' });
    t.match(harness.allocs.get(alloc.ID), { ClientStatus: 'lost', DesiredStatus: 'stop' });
    await become('ready');
    t.equal(harness.live(job).length, 4, 'it starts anew on a node that is back');
  });
}
