import t from 'tap';
import { allocsFit } from '../../lib/scheduler/fit.js';
import { planCommand } from '../../lib/server/plan-apply.js';
import { checkPlan, isNoop } from '../../lib/server/plan-check.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Node } from '../../lib/structs/node.js';
import type { Plan } from '../../lib/structs/plan.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';
import { mockAlloc, mockAllocated, mockGroup, mockJob, mockNode } from '../scheduler/mock.js';

const job = mockJob();

const allocOf = (ID: string, NodeID: string, cpu: number, changes: Partial<Allocation> = {}): Allocation =>
  mockAlloc(job, { ID, NodeID, AllocatedResources: mockAllocated({ cpu, memory: 10, disk: 10 }), ...changes });

const stateOf = (nodes: Node[], allocs: Allocation[]) => ({
  index: 77,
  nodeById: (id: string) => nodes.find(({ ID }) => ID === id),
  allocById: (id: string) => allocs.find(({ ID }) => ID === id),
  allocsByNode: (nodeId: string) => allocs.filter(({ NodeID }) => NodeID === nodeId),
  jobById: () => job,
});

const planOf = (changes: Partial<Plan>): Plan => ({
  EvalID: 'e1',
  EvalToken: '',
  Priority: 50,
  AllAtOnce: false,
  Job: job,
  NodeUpdate: {},
  NodeAllocation: {},
  NodePreemptions: {},
  Deployment: null,
  DeploymentUpdates: [],
  Annotations: null,
  SnapshotIndex: 1,
  ...changes,
});

const [n1, n2] = [mockNode(1), mockNode(2)];

t.test('what fits is accepted whole', async (t) => {
  const plan = planOf({ NodeAllocation: { [n1.ID]: [allocOf('a', n1.ID, 4000)] } });
  const result = checkPlan(plan, stateOf([n1], []), []);
  t.same(result.RejectedNodes, []);
  t.equal(result.RefreshIndex, 0);
  t.equal(result.NodeAllocation, plan.NodeAllocation);
});

t.test(
  'a full node is refused with its stops, the others are not, and the scheduler is told how far to look',
  async (t) => {
    const held = allocOf('held', n1.ID, 2000);
    const plan = planOf({
      NodeUpdate: { [n1.ID]: [allocOf('old', n1.ID, 1)], [n2.ID]: [] },
      NodeAllocation: { [n1.ID]: [allocOf('a', n1.ID, 3000)], [n2.ID]: [allocOf('b', n2.ID, 3000)] },
    });
    const result = checkPlan(plan, stateOf([n1, n2], [held]), []);
    t.same(result.RejectedNodes, [n1.ID]);
    t.equal(result.RefreshIndex, 77);
    t.same(Object.keys(result.NodeAllocation), [n2.ID]);
    t.same(Object.keys(result.NodeUpdate), [n2.ID]);
  },
);

t.test('all_at_once: one refusal refuses everything', async (t) => {
  const plan = planOf({
    AllAtOnce: true,
    NodeAllocation: { [n1.ID]: [allocOf('a', n1.ID, 9000)], [n2.ID]: [allocOf('b', n2.ID, 10)] },
  });
  const result = checkPlan(plan, stateOf([n1, n2], []), []);
  t.ok(isNoop(result));
  t.ok(result.RefreshIndex > 0);
});

t.test('a plan may use the room that it frees itself', async (t) => {
  const held = allocOf('held', n1.ID, 4000);
  const places = { [n1.ID]: [allocOf('a', n1.ID, 4000)] };
  const state = stateOf([n1], [held]);
  t.same(checkPlan(planOf({ NodeAllocation: places }), state, []).RejectedNodes, [n1.ID]);
  for (const key of ['NodeUpdate', 'NodePreemptions'] as const) {
    t.same(checkPlan(planOf({ [key]: { [n1.ID]: [held] }, NodeAllocation: places }), state, []).RejectedNodes, []);
  }
});

t.test('plans in flight count as applied', async (t) => {
  const state = stateOf([n1], []);
  const first = checkPlan(planOf({ NodeAllocation: { [n1.ID]: [allocOf('a', n1.ID, 3000)] } }), state, []);
  const second = planOf({ NodeAllocation: { [n1.ID]: [allocOf('b', n1.ID, 3000)] } });
  t.same(checkPlan(second, state, [first]).RejectedNodes, [n1.ID]);
});

t.test('a volume that one was promised, by the state or by a plan in flight, is not promised to another', async (t) => {
  const volume = (AccessMode: string, ReadOnly = false) =>
    ({
      data: { Name: 'data', Type: 'csi', Source: 'db', AccessMode, AttachmentMode: 'file-system', ReadOnly },
    }) as never;
  const user = (ID: string, NodeID: string, changes: { mode?: string; readOnly?: boolean; alloc?: object } = {}) => {
    const Volumes = volume(changes.mode ?? 'single-node-writer', changes.readOnly);
    const own = mockJob({ ID: `job-${ID}`, TaskGroups: [mockGroup({ Volumes })] });
    return { ...allocOf(ID, NodeID, 10, { JobID: own.ID, Name: `job-${ID}.web[0]` }), Job: own, ...changes.alloc };
  };
  const placing = (alloc: Allocation, changes: Partial<Plan> = {}) =>
    planOf({ NodeAllocation: { [alloc.NodeID]: [alloc] }, ...changes });
  const state = (...allocs: Allocation[]) => ({
    ...stateOf([n1, n2], allocs),
    allocsWithCsi: (namespace: string) => allocs.filter(({ Namespace }) => Namespace === namespace),
  });
  const refused = (plan: Plan, allocs: Allocation[], flying: Plan[] = []) => {
    const before = flying.map((one) => checkPlan(one, state(...allocs), []));
    return checkPlan(plan, state(...allocs), before).RejectedNodes;
  };
  const [a, b] = [user('a', n1.ID), user('b', n2.ID)];
  t.same(refused(placing(b), []), []);
  t.same(refused(placing(b), [a]), [n2.ID]);
  t.same(refused(placing(b), [], [placing(a)]), [n2.ID], 'in flight');
  t.same(refused(placing(b), [a], [planOf({ NodeUpdate: { [n1.ID]: [a] } })]), [], 'a stop in flight frees it');
  t.same(refused(placing(b, { NodePreemptions: { [n1.ID]: [a] } }), [a]), [], 'and so does the plan itself');
  t.same(refused(planOf({ NodeAllocation: { [n1.ID]: [a], [n2.ID]: [b] } }), []), [n2.ID], 'two in one plan');
  t.same(refused(placing(b), [{ ...a, ClientStatus: 'failed' }]), [], 'who has ended is not in the way');
  t.same(refused(placing(b), [a, b]), [], 'who runs already is not sent away');
  const heir = user('heir', n2.ID, { alloc: { JobID: a.JobID, Name: a.Name } });
  t.same(refused(placing(heir), [a]), [], 'a successor waits on its node');
  const elsewhere = user('c', n2.ID, { alloc: { Namespace: 'other' } });
  t.same(refused(placing(elsewhere), [a]), [], 'another namespace has another volume');
  const shared = (id: string, NodeID: string, readOnly: boolean) =>
    user(id, NodeID, { mode: 'multi-node-single-writer', readOnly });
  t.same(refused(placing(shared('d', n2.ID, true)), [shared('e', n1.ID, false)]), []);
  t.same(refused(placing(shared('d', n2.ID, false)), [shared('e', n1.ID, false)]), [n2.ID]);
});

t.test('a node takes placements as its status allows', async (t) => {
  const existing = allocOf('a', n1.ID, 10);
  const cases: [Partial<Node>, Allocation, boolean][] = [
    [{ Status: 'ready' }, allocOf('new', n1.ID, 10), true],
    [{ Status: 'down' }, allocOf('new', n1.ID, 10), false],
    [{ Status: 'initializing' }, allocOf('new', n1.ID, 10), false],
    [{ SchedulingEligibility: 'ineligible' }, allocOf('new', n1.ID, 10), false],
    [{ SchedulingEligibility: 'ineligible' }, existing, true],
    [{ Status: 'disconnected' }, allocOf('new', n1.ID, 10), false],
    [{ Status: 'disconnected' }, { ...existing, ClientStatus: 'unknown' }, true],
  ];
  for (const [changes, alloc, accepted] of cases) {
    const plan = planOf({ NodeAllocation: { [n1.ID]: [alloc] } });
    const result = checkPlan(plan, stateOf([{ ...n1, ...changes }], [existing]), []);
    t.equal(result.RejectedNodes.length === 0, accepted, JSON.stringify([changes, alloc.ID]));
  }
  const gone = checkPlan(planOf({ NodeAllocation: { gone: [existing] } }), stateOf([], []), []);
  t.same(gone.RejectedNodes, ['gone']);
});

t.test('stops are accepted on any node', async (t) => {
  const plan = planOf({ NodeUpdate: { gone: [allocOf('a', 'gone', 10)] } });
  t.same(checkPlan(plan, stateOf([], []), []).RejectedNodes, []);
});

t.test('no order of plans overfills a node', async (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = seededRandom(seed);
    const allocs: Allocation[] = [];
    const state = stateOf([n1, n2], allocs);
    const flying: ReturnType<typeof checkPlan>[] = [];
    for (let step = 0; step < 60; step++) {
      const node = [n1, n2][randomInt(random, 2)] as Node;
      const places = [allocOf(`s${seed}-${step}`, node.ID, randomInt(random, 1500))];
      const running = allocs.filter(({ NodeID }) => NodeID === node.ID);
      const stops = random.next() < 0.3 ? running.slice(0, 1) : [];
      const plan = planOf({ NodeUpdate: { [node.ID]: stops }, NodeAllocation: { [node.ID]: places } });
      const result = checkPlan(plan, state, flying);
      if (!isNoop(result)) flying.push(result);
      if (random.next() < 0.5) apply(flying.shift(), allocs);
      for (const each of [n1, n2]) {
        if (!allocsFit(each, state.allocsByNode(each.ID)).fits)
          t.fail(`seed=${seed} step=${step}: ${each.ID} overfull`);
      }
    }
  }
});

function apply(result: ReturnType<typeof checkPlan> | undefined, allocs: Allocation[]): void {
  const gone = Object.values(result?.NodeUpdate ?? {}).flat();
  for (const { ID } of gone) {
    const at = allocs.findIndex((alloc) => alloc.ID === ID);
    if (at >= 0) allocs.splice(at, 1);
  }
  allocs.push(...Object.values(result?.NodeAllocation ?? {}).flat());
}

t.test('a canary that was refused is not waited for', async (t) => {
  const group = {
    ...{ AutoRevert: false, AutoPromote: false, ProgressDeadline: 0, RequireProgressBy: '', Promoted: false },
    ...{ DesiredCanaries: 2, DesiredTotal: 2, PlacedAllocs: 0, HealthyAllocs: 0, UnhealthyAllocs: 0 },
    PlacedCanaries: ['a', 'b'],
  };
  const Deployment = { ID: 'd1', TaskGroups: { web: group } } as unknown as NonNullable<Plan['Deployment']>;
  const plan = planOf({
    Deployment,
    NodeAllocation: { [n1.ID]: [allocOf('a', n1.ID, 9000)], [n2.ID]: [allocOf('b', n2.ID, 10)] },
  });
  const result = checkPlan(plan, stateOf([n1, n2], []), []);
  t.same(result.Deployment?.TaskGroups['web']?.PlacedCanaries, ['b']);
});

t.test('the log entry carries no job, and looks again at the jobs that had to make room', async (t) => {
  const victim = allocOf('victim', n1.ID, 10, { JobID: 'other', PreemptedByAllocation: 'a' });
  const plan = planOf({
    NodeAllocation: { [n1.ID]: [allocOf('a', n1.ID, 10)] },
    NodePreemptions: { [n1.ID]: [victim] },
  });
  const state = stateOf([n1], [victim]);
  const command = planCommand(plan, checkPlan(plan, state, []), state, 5, seededRandom(1));
  t.notOk('Job' in (command.placements[0] ?? {}));
  t.equal(command.placements[0]?.JobVersion, job.Version);
  t.same(command.preemptions, [{ ID: 'victim', PreemptedByAllocation: 'a' }]);
  t.same(
    command.preemptionEvals.map(({ JobID, TriggeredBy }) => [JobID, TriggeredBy]),
    [['other', 'preemption']],
  );
});
