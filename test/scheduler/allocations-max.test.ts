import t from 'tap';
import { allocsFit } from '../../lib/scheduler/index.js';
import { hasRoom } from '../../lib/server/node-room.js';
import type { Job } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import { Harness } from './harness.js';
import { mockAlloc, mockAllocated, mockGroup, mockJob, mockNode } from './mock.js';

const limited = (i: number, NodeMaxAllocs: number): Node => ({ ...mockNode(i), NodeMaxAllocs });
const asking = (ID: string, Count: number, changes: Partial<Job> = {}): Job =>
  mockJob({ ID, TaskGroups: [mockGroup({ Count })], ...changes });
const onNode = (harness: Harness, job: Job, id: string): number =>
  harness.live(job).filter(({ NodeID }) => NodeID === id).length;

t.test('a node gets no more allocations than it may have, however small, and says so', async (t) => {
  const harness = new Harness();
  harness.addNode(limited(0, 2), limited(1, 1));
  const job = harness.register(asking('many', 5));
  const evaluation = await harness.run(job);
  t.equal(onNode(harness, job, 'node-00000'), 2);
  t.equal(onNode(harness, job, 'node-00001'), 1);
  t.match(evaluation.FailedTGAllocs?.['web']?.DimensionExhausted, { allocations: 2 });

  harness.addNode(mockNode(2));
  const again = await harness.run(job);
  t.equal(again.FailedTGAllocs, null, 'a node without a limit takes the others');
  t.equal(onNode(harness, job, 'node-00002'), 2);
});

t.test('what is there already may be changed in place, and be replaced', async (t) => {
  const harness = new Harness();
  harness.addNode(limited(0, 2));
  const job = harness.register(asking('all', 2));
  await harness.run(job);
  const changed = harness.register({ ...job, Meta: { a: 'b' } });
  t.equal((await harness.run(changed)).FailedTGAllocs, null);
  t.equal(onNode(harness, changed, 'node-00000'), 2);
});

t.test('less important work makes room on a node that is full in number', async (t) => {
  const harness = new Harness();
  const PreemptionConfig = { ...harness.config.PreemptionConfig, ServiceSchedulerEnabled: true };
  harness.config = { ...harness.config, PreemptionConfig };
  harness.addNode(limited(0, 2));
  const [low, mid] = [harness.register(asking('low', 0, { Priority: 10 })), harness.register(asking('mid', 0))];
  for (const [job, ID] of [
    [low, 'low'],
    [mid, 'mid'],
  ] as const)
    harness.addAlloc(mockAlloc(job, { ID, ClientStatus: 'running', AllocatedResources: mockAllocated({ cpu: 1 }) }));
  const job = harness.register(asking('high', 1, { Priority: 90 }));
  await harness.run(job);
  t.equal(onNode(harness, job, 'node-00000'), 1);
  t.equal(harness.allocs.get('low')?.DesiredStatus, 'evict');
  t.equal(harness.allocs.get('mid')?.DesiredStatus, 'run');
});

t.test('a plan that was made on old news is refused', async (t) => {
  const harness = new Harness();
  const node = limited(0, 2);
  harness.addNode(node);
  const job = harness.register(asking('two', 2));
  await harness.run(job);
  const [plan] = harness.plans;
  if (!plan) throw new Error('no plan');
  const more = asking('more', 1);
  const alloc = mockAlloc(more, { ID: 'one-more', AllocatedResources: mockAllocated({ cpu: 1 }) });
  const late = { ...plan, NodeAllocation: { [node.ID]: [alloc] }, NodeUpdate: {}, NodePreemptions: {} };
  const state = { ...harness.snapshot(), usageByNode: () => [0, 0, 0, 0] as const };
  t.notOk(hasRoom(node, [late], state));
  t.ok(hasRoom({ ...node, NodeMaxAllocs: 3 }, [late], state));
  t.match(allocsFit(node, [...harness.allocs.values(), alloc]), { fits: false, dimension: 'allocations' });
});

t.test('services that this cluster lists go to nodes that may list them', async (t) => {
  const harness = new Harness();
  const silent = mockNode(0);
  harness.addNode({ ...silent, Attributes: { ...silent.Attributes, 'nomad.service_discovery': 'false' } });
  const Services = [{ Name: 'web', Provider: 'nomad' }] as unknown as Job['TaskGroups'][0]['Services'];
  const job = harness.register(mockJob({ ID: 'listed', TaskGroups: [mockGroup({ Count: 1, Services })] }));
  const evaluation = await harness.run(job);
  t.match(evaluation.FailedTGAllocs?.['web']?.ConstraintFiltered, { '${attr.nomad.service_discovery} = true': 1 });
  const plain = harness.register(asking('plain', 1));
  await harness.run(plain);
  t.equal(harness.live(plain).length, 1);
});
