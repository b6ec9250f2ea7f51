import t from 'tap';
import { decodeCommand, encodeCommand, versionOfEncoded } from '../../lib/state/command-codec.js';
import { COMMANDS_VERSION_FIRST, versionFor } from '../../lib/state/command-versions.js';
import type { Command } from '../../lib/state/commands.js';
import { createStateMachine } from '../../lib/state/fsm.js';
import { createStore } from '../../lib/state/store.js';
import { mockEval, mockJob, mockNode } from '../scheduler/mock.js';
import { deployment, NOW, placement, planResults, report, World } from './world.js';

const EVENT = { Message: 'x', Subsystem: 'Cluster', Details: null, Timestamp: '2024-01-01T00:00:00Z', CreateIndex: 0 };

t.test('a command that refers to what is missing answers with an error, or passes over it', async (t) => {
  const job = mockJob({ CreateIndex: 1 });
  const update = { DeploymentID: 'no', Status: 'failed', StatusDescription: '' } as const;
  const to = { deploymentId: 'no', eval: null, time: NOW };
  const none = { evals: [], event: null };
  const refused: Command[] = [
    { type: 'job-deregister', namespace: 'default', id: 'no', purge: false, eval: null, time: NOW },
    { type: 'job-stability', namespace: 'default', id: 'no', version: 0, stable: true },
    { type: 'job-version-tag', namespace: 'default', id: 'no', version: 0, tag: null },
    { type: 'node-status', id: 'no', status: 'down', updatedAt: 1, ...none },
    { type: 'node-eligibility', id: 'no', eligibility: 'eligible', ...none },
    planResults(job, [placement(job)]),
    planResults(job, [placement(job)], { job: null }),
    { type: 'deployment-status', update, job: null, eval: null, time: NOW },
    { type: 'deployment-promote', groups: null, ...to },
    { type: 'deployment-alloc-health', healthy: [], unhealthy: [], timestamp: '', update: null, job: null, ...to },
  ];
  for (const command of refused) {
    const world = new World();
    t.match(world.apply(command), { ok: false, error: { code: 'E_NOT_FOUND' } }, command.type);
    t.equal(world.now.tableIndex('jobs', 'evals', 'allocs', 'nodes', 'deployments'), 1, 'and changes nothing');
  }
  const passed: Command[] = [
    { type: 'noop' },
    { type: 'job-batch-deregister', jobs: [{ namespace: 'default', id: 'no', purge: true }], evals: [], time: NOW },
    { type: 'evals-delete', evals: ['no'], allocs: ['no'] },
    { type: 'node-deregister', ids: ['no'], evals: [] },
    { type: 'allocs-client-update', allocs: [report({ ID: 'no' })], evals: [], time: NOW },
    { type: 'allocs-desired-transition', transitions: { no: { Migrate: true } }, evals: [], time: NOW },
    planResults(job, [], { preemptions: [{ ID: 'no', PreemptedByAllocation: 'x' }], deploymentUpdates: [update] }),
    { type: 'deployment-delete', ids: ['no'] },
    { type: 'evals-upsert', evals: [mockEval(job)] },
  ];
  for (const command of passed) t.ok(new World().apply(command).ok, command.type);
});

t.test('a command of a newer version stops the state machine', async (t) => {
  const store = createStore();
  const newer = { type: 'volume-claim' } as unknown as Command;
  t.throws(() => store.apply(1, newer), { code: 'E_NOT_SUPPORTED', message: /"volume-claim"/ });
  t.throws(() => store.apply(1, { type: 'batch', commands: [newer] }), { code: 'E_NOT_SUPPORTED' });
});

t.test('a command comes back from the log as it went in', async (t) => {
  const command: Command = { type: 'job-register', job: mockJob({ Name: 'ü🙂' }), eval: null, submission: null };
  t.same(decodeCommand(encodeCommand(command)), command);
  const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  t.throws(() => decodeCommand(bytes({ v: 99, c: command })), { code: 'E_NOT_SUPPORTED', message: /version 99/ });
  for (const garbage of [null, 7, {}, { v: 1 }, { v: 'x', c: command }, { c: command }, { v: 1, c: null }]) {
    t.throws(() => decodeCommand(bytes(garbage)), { code: 'E_STORAGE' }, JSON.stringify(garbage));
  }
  t.throws(() => decodeCommand(encodeCommand(command).subarray(3)), { code: 'E_STORAGE' });
});

t.test('a command is written under the oldest version that can apply it', async (t) => {
  const old: Command = { type: 'job-register', job: mockJob({}), eval: null, submission: null };
  t.equal(versionOfEncoded(encodeCommand(old)), COMMANDS_VERSION_FIRST);
  const put = { type: 'volume-archive-put', archive: {}, ifIndex: 0, time: 0 } as unknown as Command;
  const restored = { ...put, csi: { volume: {}, replaces: null } } as unknown as Command;
  t.equal(versionFor(put), COMMANDS_VERSION_FIRST);
  t.equal(versionFor(restored), 11);
  t.equal(versionOfEncoded(encodeCommand({ type: 'batch', commands: [old, restored] })), 11, 'the newest of several');
  const release = (step: object) => ({ type: 'csi-claim-steps', steps: [{ step }], time: 0 }) as unknown as Command;
  t.equal(versionFor(release({ kind: 'release' })), COMMANDS_VERSION_FIRST);
  t.equal(versionFor(release({ kind: 'release', reason: 'it smells' })), 13);
  t.equal(versionFor({ type: 'summaries-correct', corrections: [] }), 14);
  t.equal(versionOfEncoded(new Uint8Array()), 0);
  t.equal(versionOfEncoded(new TextEncoder().encode('{"c":{},"v":14}')), 0);
});

t.test('entries are applied in the order of their indexes', async (t) => {
  const store = createStore();
  store.apply(4, { type: 'noop' });
  t.equal(store.index, 4);
  t.throws(() => store.apply(4, { type: 'noop' }), /applied in order/);
});

t.test('a batch applies each command, and a refused one undoes no other', async (t) => {
  const world = new World();
  const result = world.apply({
    type: 'batch',
    commands: [
      { type: 'job-register', job: mockJob(), eval: null, submission: null },
      { type: 'job-stability', namespace: 'default', id: 'web', version: 3, stable: true },
      { type: 'job-stability', namespace: 'default', id: 'web', version: 0, stable: true },
    ],
  });
  t.match(result, { ok: true, value: { results: [{ ok: true }, { ok: false }, { ok: true }] } });
  t.equal(world.job().Stable, true);
});

t.test('a success cancels the blocked evaluations of its job only', async (t) => {
  const world = new World();
  const job = world.register();
  const other = mockEval(mockJob({ ID: 'other' }), { ID: 'b2', Status: 'blocked' });
  world.apply({ type: 'evals-upsert', evals: [mockEval(job, { ID: 'b1', Status: 'blocked' }), other] });
  const failed = mockEval(job, { ID: 'e1', Status: 'complete', FailedTGAllocs: { web: {} as never } });
  world.apply({ type: 'evals-upsert', evals: [failed] });
  t.equal(world.eval('b1').Status, 'blocked', 'a group has no place yet');
  world.apply({ type: 'evals-upsert', evals: [mockEval(job, { ID: 'e2', Status: 'complete', FailedTGAllocs: {} })] });
  t.match(world.eval('b1'), { Status: 'canceled', StatusDescription: 'evaluation "e2" successful', ModifyIndex: 4 });
  t.equal(world.eval('b2').Status, 'blocked');
});

t.test('what is queued comes from evaluations and goes with placements', async (t) => {
  const world = new World();
  const job = world.register();
  world.apply({ type: 'evals-upsert', evals: [mockEval(job, { QueuedAllocations: { web: 3, gone: 1 } })] });
  t.equal(world.counts()?.Queued, 3);
  world.apply(planResults(job, [placement(job), placement(job)]));
  t.match(world.counts(), { Queued: 1, Starting: 2 });
  t.equal(world.now.jobSummary('default', 'web')?.ModifyIndex, 3);
});

t.test('a node keeps what was decided about it when it registers again', async (t) => {
  const world = new World();
  const node = mockNode(1, { ComputedClass: '' });
  const id = node.ID;
  world.apply({ type: 'node-register', node, event: EVENT, evals: [] });
  t.match(world.node(id).ComputedClass, /^v1:[0-9a-f]{16}$/);
  world.apply({ type: 'node-eligibility', id, eligibility: 'ineligible', event: null, evals: [] });
  world.apply({ type: 'node-register', node: mockNode(1, { NodeClass: 'big' }), event: EVENT, evals: [] });
  t.match(world.node(id), { NodeClass: 'big', SchedulingEligibility: 'ineligible', CreateIndex: 1, ModifyIndex: 3 });
  t.same(
    world.node(id).Events?.map(({ CreateIndex }) => CreateIndex),
    [1, 3],
  );
  for (let i = 0; i < 12; i++) {
    const evals = [mockEval(mockJob(), { ID: `n${i}` })];
    world.apply({ type: 'node-status', id, status: 'ready', updatedAt: i, event: EVENT, evals });
  }
  t.equal(world.node(id).Events?.length, 10, 'the last ten events are kept');
  t.equal(world.node(id).Events?.at(-1)?.CreateIndex, 15);
  t.equal(world.node(id).StatusUpdatedAt, 11);
  t.equal(world.eval('n11').CreateIndex, 15, 'evaluations ride along');
  world.apply({ type: 'node-deregister', ids: [id], evals: [] });
  t.equal(world.now.nodeById(id), undefined);
});

t.test('a drain makes a node ineligible until it ends', async (t) => {
  const world = new World();
  const node = mockNode(1);
  const id = node.ID;
  world.apply({ type: 'node-register', node, event: null, evals: [] });
  const strategy = { Deadline: 1, IgnoreSystemJobs: false, ForceDeadline: '', StartedAt: '' };
  const drain = (changes: object): Command => ({
    type: 'node-drain',
    updates: { [id]: { strategy: null, markEligible: false, event: null, ...changes } },
    at: '2024-01-01T00:00:00Z',
    evals: [],
  });
  t.same(world.apply(drain({ strategy, meta: { why: 'disk' } })), { ok: true, value: { unknown: [] } });
  t.match(world.node(id), { Drain: true, SchedulingEligibility: 'ineligible', LastDrain: { Status: 'draining' } });
  const eligible = { type: 'node-eligibility', id, eligibility: 'eligible', event: null, evals: [] } as const;
  t.match(world.apply(eligible), { ok: false, error: { code: 'E_CONFLICT' } });
  world.apply(drain({ outcome: 'complete' }));
  t.match(world.node(id), { Drain: false, SchedulingEligibility: 'ineligible' });
  t.match(world.node(id).LastDrain, { Status: 'complete', Meta: { why: 'disk' } });
  world.apply(drain({ strategy }));
  world.apply(drain({ markEligible: true }));
  t.match(world.node(id), { SchedulingEligibility: 'eligible', LastDrain: { Status: 'canceled', Meta: null } });
  const unknown = { ...drain({}), updates: { no: { strategy, markEligible: false, event: null } } } as Command;
  t.same(world.apply(unknown), { ok: true, value: { unknown: ['no'] } });
});

t.test('the scheduler configuration is replaced, if wanted only where it is known', async (t) => {
  const world = new World();
  t.equal(world.now.schedulerConfig().SchedulerAlgorithm, 'binpack');
  const config = { ...world.now.schedulerConfig(), SchedulerAlgorithm: 'spread' } as const;
  t.same(world.apply({ type: 'scheduler-config', config, casModifyIndex: 9 }), { ok: true, value: { updated: false } });
  t.same(world.apply({ type: 'scheduler-config', config }), { ok: true, value: { updated: true } });
  t.match(world.now.schedulerConfig(), { SchedulerAlgorithm: 'spread', CreateIndex: 2, ModifyIndex: 2 });
  t.equal(world.now.tableIndex('scheduler_config'), 2);
});

t.test(
  'the configuration of autopilot is replaced, survives a snapshot, and compares an index if asked to',
  async (t) => {
    const world = new World();
    t.equal(world.now.autopilotConfig().MaxVoters, 5);
    const config = { ...world.now.autopilotConfig(), MaxVoters: 3 };
    t.same(world.apply({ type: 'autopilot-config', config }), { ok: true, value: { updated: true } });
    t.same(world.apply({ type: 'autopilot-config', config, casModifyIndex: 9 }), {
      ok: true,
      value: { updated: false },
    });
    const other = createStore();
    await other.restore(world.now.stream(), world.now.index);
    t.match(other.snapshot().autopilotConfig(), { MaxVoters: 3, CreateIndex: 1, ModifyIndex: 1 });
  },
);

t.test('the port of the consensus host holds a snapshot while entries go on', async (t) => {
  const store = createStore();
  const machine = createStateMachine(store);
  machine.apply(1, { type: 'job-register', job: mockJob(), eval: null, submission: null });
  const stream = machine.snapshot();
  machine.apply(2, { type: 'deployment-delete', ids: [] });
  machine.apply(3, { type: 'job-register', job: mockJob({ ID: 'later' }), eval: null, submission: null });
  const other = createStore();
  await createStateMachine(other).restore(stream(), 1);
  t.equal(other.index, 1);
  t.same(
    [...other.snapshot().jobs()].map(({ ID }) => ID),
    ['web'],
  );
  const jobs = other.snapshot();
  t.equal(jobs.jobById('default', 'web'), jobs.jobByVersion('default', 'web', 0), 'a job is kept once');
});

t.test('the deployment of a purged job can be collected', async (t) => {
  const world = new World();
  const job = world.register();
  world.apply(planResults(job, [], { deployment: deployment(job) }));
  world.apply({ type: 'deployment-delete', ids: ['d1'] });
  t.same([...world.now.deployments()], []);
  t.same(world.now.deploymentsByJob('default', 'web'), []);
});
