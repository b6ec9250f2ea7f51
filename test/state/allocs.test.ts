import t from 'tap';
import type { Command, Placement } from '../../lib/state/commands.js';
import { copyOfParts } from '../../lib/state/drafts.js';
import type { TaskEvent, TaskState } from '../../lib/structs/allocation.js';
import type { Deployment, DeploymentState } from '../../lib/structs/deployment.js';
import type { ClientAllocUpdate } from '../../lib/structs/rpc.js';
import { mockEval, mockGroup, mockJob, mockNode } from '../scheduler/mock.js';
import { deployment, NOW, placement, planResults, report, World } from './world.js';

const clientUpdate = (id: string, changes: Partial<ClientAllocUpdate>): Command => ({
  type: 'allocs-client-update',
  allocs: [report({ ID: id }, changes)],
  evals: [],
  time: NOW + 5,
});

const healthy = (Healthy: boolean | null, Timestamp = '2023-11-14T22:13:30Z') => ({
  DeploymentStatus: { Healthy, Timestamp, Canary: false, ModifyIndex: 0 },
});

const stopOf = (ID: string, changes: object = {}) => ({
  ID,
  DesiredStatus: 'stop',
  DesiredDescription: 'alloc not needed',
  ClientStatus: '',
  FollowupEvalID: '',
  RescheduleTracker: null,
  ...changes,
});

/** A job with a running deployment d1 and the given placements, at index 2. */
function rollout(placements: Partial<Placement>[], canaries = 0): World {
  const world = new World();
  const job = world.register();
  const whole = deployment(job);
  const group = whole.TaskGroups['web'];
  if (group) group.DesiredCanaries = canaries;
  world.apply(
    planResults(
      job,
      placements.map((one) => placement(job, { DeploymentID: 'd1', ...one })),
      { deployment: whole },
    ),
  );
  return world;
}

t.test('a report changes its own group of a summary and of a deployment, and copies none of the others', async (t) => {
  const world = new World();
  const job = world.register({ TaskGroups: ['web', 'db'].map((Name) => mockGroup({ Name })) });
  const whole = deployment(job);
  const TaskGroups = { ...whole.TaskGroups, db: { ...(whole.TaskGroups['web'] as DeploymentState) } };
  world.apply(
    planResults(job, [placement(job, { ID: 'a1', DeploymentID: 'd1' })], { deployment: { ...whole, TaskGroups } }),
  );
  const seen = () => {
    const state = world.store.snapshot();
    const groups = state.deploymentById('d1')?.TaskGroups;
    const counts = state.jobSummary('default', job.ID)?.Summary;
    return { web: groups?.['web'], db: groups?.['db'], counted: counts?.['web'], others: counts?.['db'] };
  };
  const before = seen();
  const [told, counted] = [{ ...before.web }, { ...before.counted }];
  world.apply(clientUpdate('a1', healthy(true)));
  const after = seen();
  t.match(after, { web: { HealthyAllocs: 1 }, counted: { Running: 1 } });
  t.equal(after.db, before.db);
  t.equal(after.others, before.others);
  t.same(before.web, told, 'what was read before does not change');
  t.same(before.counted, counted);
});

t.test('a copy of parts is like the original, however many they are', async (t) => {
  for (const count of [3, 1_000]) {
    const parts: Record<string, object> = Object.fromEntries(Array.from({ length: count }, (_, i) => [`g${i}`, {}]));
    Object.defineProperty(parts, '__proto__', { value: {}, enumerable: true });
    const copy = copyOfParts(parts);
    t.not(copy, parts);
    t.equal(Object.getPrototypeOf(copy), Object.prototype);
    t.same(Object.keys(copy), Object.keys(parts));
    t.ok(Object.entries(copy).every(([name, part]) => part === Object.getOwnPropertyDescriptor(parts, name)?.value));
  }
});

t.test('a placement gets its job, its indexes and its times', async (t) => {
  const world = new World();
  world.apply({ type: 'node-register', node: mockNode(0), event: null, evals: [] });
  const job = world.register({}, mockEval(mockJob(), { ID: 'e1' }));
  world.apply(planResults(job, [placement(job, { ID: 'a1', EvalID: 'e1' })], { evalId: 'e1' }));
  const alloc = world.alloc('a1');
  t.match(alloc, { CreateIndex: 3, ModifyIndex: 3, AllocModifyIndex: 3, CreateTime: NOW, ModifyTime: NOW });
  t.equal(alloc.Job?.TaskGroups, world.job().TaskGroups, 'what does not change of the job is shared');
  t.notOk('JobVersion' in alloc);
  t.equal(world.eval('e1').ModifyIndex, 3, 'the evaluation tells which state its plan made');
});

t.test('what is replaced is written once: that it stops and by whom it is followed', async (t) => {
  const world = rollout([{ ID: 'a1' }, { ID: 'a2' }]);
  const written: (string | undefined)[] = [];
  world.store.onCommit(({ changes }) => {
    for (const { table, after } of changes) if (table === 'allocs') written.push(after?.ID);
  });
  const placements = ['a1', 'gone'].map((PreviousAllocation, i) =>
    placement(world.job(), { ID: `b${i}`, PreviousAllocation, DeploymentID: 'd1' }),
  );
  const told = { DesiredDescription: 'told twice', ClientStatus: 'lost' };
  const stops = [stopOf('a1'), stopOf('a2'), stopOf('gone'), stopOf('a2', told)];
  world.apply(planResults(world.job(), placements, { stops, time: NOW + 1 }));
  t.same(written, ['a1', 'a2', 'b0', 'b1']);
  t.match(world.alloc('a1'), { DesiredStatus: 'stop', NextAllocation: 'b0', ModifyIndex: 3, ModifyTime: NOW + 1 });
  t.match(world.alloc('a2'), { DesiredStatus: 'stop', NextAllocation: '', ...told });
  t.match(world.counts(), { Starting: 3, Lost: 1 });
});

t.test('a placement for a job that was purged and registered anew is refused', async (t) => {
  const world = new World();
  const old = world.register();
  world.apply({ type: 'job-deregister', namespace: 'default', id: 'web', purge: true, eval: null, time: NOW });
  const job = world.register();
  t.match(world.apply(planResults(old, [placement(old)])), { ok: false, error: { code: 'E_NOT_FOUND' } });
  t.ok(world.apply(planResults(job, [placement(job)])).ok);
  t.ok(world.apply(planResults(old, [])).ok, 'stops need no job');
});

t.test('an allocation may stay on a version that is no longer kept', async (t) => {
  const world = new World();
  const first = world.register();
  world.apply(planResults(first, [placement(first, { ID: 'a1' })]));
  for (let i = 0; i < 8; i++) world.register({ Priority: 60 + i });
  t.equal(world.now.jobByVersion('default', 'web', 0), undefined);
  t.ok(world.apply(planResults(world.job(), [placement(first, { ID: 'a1', FollowupEvalID: 'f' })])).ok);
  t.match(world.alloc('a1'), { FollowupEvalID: 'f', Job: { Version: 0 }, CreateIndex: 2 });
});

t.test('an update in place keeps what the client reported', async (t) => {
  const world = new World();
  const job = world.register();
  world.apply(planResults(job, [placement(job, { ID: 'a1' })]));
  world.apply(
    clientUpdate('a1', {
      ClientDescription: 'fine',
      NetworkStatus: { InterfaceName: 'e', Address: '', AddressIPv6: '', DNS: null },
    }),
  );
  const next = world.register({ Meta: { a: 'b' } });
  world.apply(planResults(next, [placement(next, { ID: 'a1', ClientStatus: 'pending' })]));
  t.match(world.alloc('a1'), {
    ClientStatus: 'running',
    ClientDescription: 'fine',
    Job: { Version: 1 },
    CreateIndex: 2,
  });
  t.match(world.alloc('a1').NetworkStatus, { InterfaceName: 'e' });
  world.apply(planResults(next, [placement(next, { ID: 'a1', ClientStatus: 'unknown' })]));
  t.equal(world.alloc('a1').ClientStatus, 'unknown', 'what is out of reach is the server’s to say');
  t.match(world.counts(), { Running: 0, Starting: 0, Unknown: 1 });
  world.apply(clientUpdate('a1', { ClientStatus: 'running' }));
  t.equal(world.alloc('a1').ClientStatus, 'running', 'until its client is heard again');
});

t.test('a client changes its own fields only, and never what it pulls by', async (t) => {
  const world = new World();
  const job = world.register();
  world.apply(planResults(job, [placement(job, { ID: 'a1' })]));
  world.apply({ type: 'allocs-desired-transition', transitions: { a1: { Migrate: true } }, evals: [], time: NOW });
  t.match(world.alloc('a1'), { AllocModifyIndex: 3, ModifyIndex: 3 });
  world.apply(planResults(job, [], { stops: [stopOf('a1')] }));
  const late = { ...report({ ID: 'a1' }), DesiredStatus: 'run', NodeID: 'x', Job: null } as ClientAllocUpdate;
  world.apply({ type: 'allocs-client-update', allocs: [late], evals: [mockEval(job, { ID: 'e9' })], time: NOW + 5 });
  const alloc = world.alloc('a1');
  t.match(alloc, { DesiredStatus: 'stop', DesiredDescription: 'alloc not needed', NodeID: 'node-00000' });
  t.match(alloc, { ModifyIndex: 5, AllocModifyIndex: 4, ModifyTime: NOW + 5, ClientStatus: 'running' });
  t.equal(alloc.DesiredTransition.Migrate, true);
  t.ok(alloc.Job);
  t.equal(world.eval('e9').CreateIndex, 5);
});

t.test('a task keeps its last ten events', async (t) => {
  const world = new World();
  const job = world.register();
  world.apply(planResults(job, [placement(job, { ID: 'a1' })]));
  const Events = Array.from({ length: 14 }, (_, Time) => ({ Type: 'Started', Time }) as TaskEvent);
  world.apply(clientUpdate('a1', { TaskStates: { web: { State: 'running', Events } as TaskState } }));
  const kept = world.alloc('a1').TaskStates?.['web']?.Events.map(({ Time }) => Time);
  t.same(kept, [4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
});

t.test('a replacement is linked from what it replaces', async (t) => {
  const world = new World();
  const job = world.register();
  world.apply(planResults(job, [placement(job, { ID: 'a1' })]));
  const stops = [stopOf('a1', { ClientStatus: 'lost', FollowupEvalID: 'f1' })];
  world.apply(planResults(job, [placement(job, { ID: 'a2', PreviousAllocation: 'a1' })], { stops }));
  t.match(world.alloc('a1'), {
    NextAllocation: 'a2',
    DesiredStatus: 'stop',
    ClientStatus: 'lost',
    FollowupEvalID: 'f1',
  });
  t.match(world.counts(), { Lost: 1, Starting: 1 });
});

t.test('an allocation that makes room is evicted, and its job looked at again', async (t) => {
  const world = new World();
  const job = world.register();
  world.apply(planResults(job, [placement(job, { ID: 'a1' })]));
  const preemptions = [{ ID: 'a1', PreemptedByAllocation: 'a2' }];
  world.apply(planResults(job, [], { preemptions, preemptionEvals: [mockEval(job, { ID: 'e1' })] }));
  t.match(world.alloc('a1'), { DesiredStatus: 'evict', PreemptedByAllocation: 'a2', AllocModifyIndex: 3 });
  t.equal(world.eval('e1').Status, 'pending');
});

t.test('allocations of one group share what is equal', async (t) => {
  const world = new World();
  const job = world.register();
  const command = JSON.parse(
    JSON.stringify(planResults(job, [placement(job, { ID: 'a1' }), placement(job, { ID: 'a2' })])),
  );
  world.apply(command as Command);
  t.equal(world.alloc('a1').AllocatedResources, world.alloc('a2').AllocatedResources);
});

t.test('an old job’s allocation does not count for the new one', async (t) => {
  const world = new World();
  const old = world.register();
  world.apply(planResults(old, [placement(old, { ID: 'a1' })]));
  world.apply({ type: 'job-deregister', namespace: 'default', id: 'web', purge: true, eval: null, time: NOW });
  world.register();
  world.apply(clientUpdate('a1', { ClientStatus: 'complete' }));
  t.match(world.counts(), { Complete: 0, Starting: 0 });
});

t.test('a deployment counts placements and health, and its deadline moves with them', async (t) => {
  const world = rollout([{ ID: 'a1' }, { ID: 'a2' }]);
  const group = () => world.now.deploymentById('d1')?.TaskGroups['web'];
  t.match(group(), { PlacedAllocs: 2, HealthyAllocs: 0, RequireProgressBy: '2023-11-14T22:23:20.000Z' });
  world.apply(clientUpdate('a1', healthy(true)));
  t.match(group(), { HealthyAllocs: 1, UnhealthyAllocs: 0, RequireProgressBy: '2023-11-14T22:23:30.000Z' });
  world.apply(clientUpdate('a1', healthy(true, '2024-01-01T00:00:00Z')));
  t.match(group(), { HealthyAllocs: 1, RequireProgressBy: '2023-11-14T22:23:30.000Z' }, 'health is told once');
  world.apply(clientUpdate('a2', healthy(false)));
  t.match(group(), { HealthyAllocs: 1, UnhealthyAllocs: 1, RequireProgressBy: '2023-11-14T22:23:30.000Z' });
  world.apply(clientUpdate('a1', healthy(false)));
  t.match(group(), { HealthyAllocs: 0, UnhealthyAllocs: 2 });
  t.equal(world.now.deploymentById('d1')?.ModifyIndex, 6);
});

t.test('success makes the job version stable', async (t) => {
  const world = rollout([]);
  const update = { DeploymentID: 'd1', Status: 'successful', StatusDescription: 'ok' } as const;
  world.apply({ type: 'deployment-status', update, job: null, eval: mockEval(world.job(), { ID: 'e1' }), time: NOW });
  t.match(world.now.deploymentById('d1'), { Status: 'successful', StatusDescription: 'ok' });
  t.match(world.job(), { Stable: true, Version: 0 });
  t.equal(world.eval('e1').CreateIndex, 3);
  t.match(world.apply({ type: 'deployment-status', update, job: null, eval: null, time: NOW }), {
    ok: false,
    error: { code: 'E_CONFLICT' },
  });
});

t.test('a failed deployment takes its job back in the same step', async (t) => {
  const world = rollout([]);
  const old = world.job();
  world.register({ Priority: 99 });
  const update = { DeploymentID: 'd1', Status: 'failed', StatusDescription: '' } as const;
  world.apply({ type: 'deployment-status', update, job: old, eval: mockEval(old, { ID: 'e1' }), time: NOW });
  t.match(world.job(), { Priority: 50, Version: 2, JobModifyIndex: 4 });
  t.equal(world.eval('e1').JobModifyIndex, 4);
});

t.test('canaries take over once enough of them are healthy', async (t) => {
  const canary = { DeploymentStatus: { Healthy: null, Timestamp: '', Canary: true, ModifyIndex: 0 } };
  const world = rollout([{ ID: 'a1', ...canary }, { ID: 'a2', ...canary }, { ID: 'a3' }], 2);
  const promote = { type: 'deployment-promote', deploymentId: 'd1', groups: null, eval: null, time: NOW } as const;
  t.same(world.now.deploymentById('d1')?.TaskGroups['web']?.PlacedCanaries, ['a1', 'a2']);
  const marks = {
    type: 'deployment-alloc-health',
    deploymentId: 'd1',
    timestamp: '2024-01-01T00:00:00Z',
    time: NOW,
  } as const;
  const rest = { update: null, job: null, eval: null };
  world.apply({ ...marks, healthy: ['a1', 'a3'], unhealthy: [], ...rest });
  t.match(world.apply(promote), { ok: false, error: { message: /group "web" has 1\/2 healthy canaries/ } });
  world.apply({ ...marks, healthy: ['a2'], unhealthy: [], ...rest });
  t.match(world.apply({ ...promote, groups: ['other'] }), { ok: false, error: { message: 'no canaries to promote' } });
  t.ok(world.apply(promote).ok);
  t.match(world.now.deploymentById('d1')?.TaskGroups['web'], { Promoted: true, HealthyAllocs: 3 });
  t.match(world.alloc('a1'), { DeploymentStatus: { Canary: false, Healthy: true }, AllocModifyIndex: 7 });
  t.equal(world.alloc('a3').ModifyIndex, 3, 'others are left alone');
  t.match(world.apply({ ...marks, healthy: ['zz'], unhealthy: [], ...rest }), {
    ok: false,
    error: { code: 'E_BAD_REQUEST' },
  });
});

t.test('a deployment that is handed in again keeps its counters', async (t) => {
  const world = rollout([{ ID: 'a1' }]);
  const job = world.job();
  const again = deployment(job, { StatusDescription: 'more' });
  again.TaskGroups['db'] = { ...deploymentGroup(again), DesiredTotal: 4 };
  world.apply(planResults(job, [], { deployment: again }));
  const { TaskGroups, CreateIndex, StatusDescription } = world.now.deploymentById('d1') ?? {};
  t.same([CreateIndex, StatusDescription, TaskGroups?.['web']?.PlacedAllocs], [2, 'more', 1]);
  t.equal(TaskGroups?.['db']?.DesiredTotal, 4);
});

t.test('two groups of a job are counted apart', async (t) => {
  const world = new World();
  const job = world.register({ TaskGroups: [mockGroup(), mockGroup({ Name: 'db' })] });
  world.apply(
    planResults(job, [placement(job), placement(job, { TaskGroup: 'db' }), placement(job, { TaskGroup: 'db' })]),
  );
  t.same([world.counts('web', 'web')?.Starting, world.counts('web', 'db')?.Starting], [1, 2]);
});

function deploymentGroup(of: Deployment): DeploymentState {
  const group = of.TaskGroups['web'];
  if (group === undefined) throw new Error('no group web');
  return group;
}
