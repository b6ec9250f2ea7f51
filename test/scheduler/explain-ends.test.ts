// What a job says of itself that is done, that no node is meant for, or that only makes other jobs.
import t from 'tap';
import { explainAlloc, explainJob } from '../../lib/scheduler/explain/explain.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Evaluation } from '../../lib/structs/evaluation.js';
import type { Job } from '../../lib/structs/job.js';
import type { Why } from '../../lib/structs/why.js';
import { atOnce } from './at-once.js';
import { Harness } from './harness.js';
import { mockAlloc, mockEval, mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

const why = (harness: Harness, job: Job, evals: Evaluation[] = []): Why =>
  atOnce(explainJob(job, { state: harness.snapshot(), evals, deployments: [] }));

const worldOf = (nodes: number, fields: Partial<Job>): { harness: Harness; job: Job } => {
  const harness = new Harness();
  for (let i = 1; i <= nodes; i++) harness.addNode(mockNode(i));
  const job = harness.register(
    mockJob({ ID: 'own', Constraints: null, TaskGroups: [mockGroup({ Count: 1 })], ...fields }),
  );
  return { harness, job };
};

const placed = (harness: Harness, job: Job, fields: Partial<Allocation>): void =>
  harness.addAlloc(mockAlloc(job, { NodeID: [...harness.nodes.keys()][0] ?? '', TaskGroup: 'web', ...fields }));

t.test('a job for each node that none is meant for is told as such, and what refuses it', async (t) => {
  for (const Type of ['system', 'sysbatch'] as const) {
    const Constraints = [{ LTarget: '${meta.x}', Operand: '=', RTarget: '1' }];
    const { harness, job } = worldOf(2, { Type, Constraints });
    const { Summary, Groups } = why(harness, job);
    t.equal(Summary, 'Job "own" runs on no node.');
    t.equal(Groups[0]?.Summary, 'Group "web" runs on no node: none of 2 nodes is what it asks for.');
    t.match(Groups[0], { Wanted: 0, Unplaced: 1, Refusals: [{ Rule: '${meta.x} = 1', Nodes: 2 }] });
  }
  const { harness, job } = worldOf(0, { Type: 'system' });
  t.equal(why(harness, job).Groups[0]?.Summary, 'Group "web" runs on no node: there is none.');
});

t.test('work that is done is told as done; that of an older version does not count', async (t) => {
  for (const Type of ['batch', 'sysbatch'] as const) {
    const { harness, job } = worldOf(1, { Type });
    placed(harness, job, { ClientStatus: 'complete' });
    const ended = { ...job, Status: 'dead' as const };
    t.equal(why(harness, ended).Summary, 'Job "own" is done.');
    t.equal(why(harness, ended).Groups[0]?.Summary, 'Group "web": all done, 1 of 1.');
    const next = harness.register({ ...job, Priority: 60 });
    t.match(why(harness, next), { Summary: /is short of one allocation/, Groups: [{ Wanted: 1, Placed: 0 }] });
  }
});

t.test('of a sysbatch job that failed no reschedule block is told, for it has none', async (t) => {
  const { harness, job } = worldOf(1, { Type: 'sysbatch', TaskGroups: [mockGroup({ ReschedulePolicy: null })] });
  placed(harness, job, { ClientStatus: 'failed' });
  t.match(why(harness, job).Groups[0]?.Summary, /1 failed and is not tried again: a sysbatch job runs once on each/);
});

t.test('a job that only makes other jobs says so', async (t) => {
  const Periodic = {
    Enabled: true,
    Spec: '',
    Specs: ['@daily'],
    SpecType: 'cron',
    ProhibitOverlap: false,
    TimeZone: '',
  };
  const ParameterizedJob = { Payload: 'optional' as const, MetaRequired: null, MetaOptional: null };
  const told = (fields: Partial<Job>): Why => {
    const { harness, job } = worldOf(1, { Type: 'batch', ...fields });
    return why(harness, job);
  };
  t.match(told({ Periodic }), { Summary: /^Job "own" itself runs nothing: the clock makes jobs of it/, Groups: [] });
  t.match(told({ Periodic: { ...Periodic, Enabled: false } }).Summary, /enabled = false/);
  t.match(told({ ParameterizedJob }), {
    Summary: /itself runs nothing: each "meshnomad job dispatch own"/,
    Groups: [],
  });
  t.match(told({ ParameterizedJob, Stop: true }).Summary, /was stopped: no more jobs/);
});

t.test('the story of a job does not tell of one that had its id and was purged', async (t) => {
  const { harness, job } = worldOf(1, {});
  const evalAt = (CreateIndex: number): Evaluation =>
    mockEval(job, { ID: `e${CreateIndex}`, CreateIndex, CreateTime: CreateIndex, TriggeredBy: 'job-register' });
  const { Story } = why(harness, job, [evalAt(job.CreateIndex - 1), evalAt(job.CreateIndex)]);
  t.equal(Story.filter(({ Text }) => /looked at/.test(Text)).length, 1);
});

t.test('what its node starts again is not told as yet to be started', async (t) => {
  const { harness, job } = worldOf(1, {});
  const state = {
    State: 'pending',
    Failed: false,
    Restarts: 2,
    LastRestart: null,
    StartedAt: null,
    FinishedAt: null,
    Events: [],
  };
  placed(harness, job, { ClientStatus: 'pending', TaskStates: { web: state } as never });
  t.match(why(harness, job).Groups[0]?.Summary, /1 has ended or failed there and waits to be started again \(restart/);
});

t.test('one that failed or was lost is told as that, also when it was told to stop', async (t) => {
  const { harness, job } = worldOf(1, {});
  const told = (fields: Partial<Allocation>): string => {
    const alloc = mockAlloc(job, {
      Name: 'own.web[0]',
      NodeName: 'n1',
      DesiredStatus: 'stop',
      TaskGroup: 'web',
      ...fields,
    });
    return atOnce(explainAlloc(alloc, { state: harness.snapshot(), evals: [], deployments: [] })).Summary;
  };
  const NextAllocation = 'next';
  t.equal(
    told({ ClientStatus: 'failed', NextAllocation }),
    'Allocation own.web[0] failed on node n1; allocation next took its place.',
  );
  t.equal(told({ ClientStatus: 'lost' }), 'Allocation own.web[0] is lost: node n1 went away with it.');
});

t.test('the MHz of whole cores count; a node too small also when empty is told as that', async (t) => {
  const harness = new Harness();
  const node = mockNode(1);
  const Cpu = { CpuShares: 4000, TotalCpuCores: 2, ReservableCpuCores: [0, 1] };
  const ReservedResources = { ...node.ReservedResources, Cpu: { CpuShares: 500 } };
  harness.addNode({ ...node, ReservedResources, NodeResources: { ...node.NodeResources, Cpu } });
  const asks = (Resources: ReturnType<typeof mockResources>): Why =>
    why(
      harness,
      harness.register(
        mockJob({
          ID: 'own',
          Constraints: null,
          TaskGroups: [mockGroup({ Count: 1, Tasks: [mockTask({ Resources })] })],
        }),
      ),
    );
  t.match(asks(mockResources({ CPU: 0, Cores: 2 })).Groups[0], {
    NodesWithRoom: 0,
    Refusals: [
      {
        Sentence: '1 of 1 node has 500 MHz less than is asked for, also when empty (cpu)',
        Change: 'ask for less, or add a larger node',
      },
    ],
  });
  t.match(asks(mockResources({ CPU: 3600 })).Groups[0]?.Refusals, [
    { Change: 'lower resources.cpu from 3600 to 3500 MHz in all, or add a larger node' },
  ]);
  t.match(asks(mockResources({ CPU: 0, Cores: 1 })).Groups[0], { NodesWithRoom: 1 });
});
