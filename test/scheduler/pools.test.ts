import t from 'tap';
import { schedule } from '../../lib/scheduler/schedule.js';
import { emptyPool, type NodePool } from '../../lib/structs/node-pool.js';
import { Harness } from './harness.js';
import { mockAlloc, mockAllocated, mockEval, mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

async function placed(settings: NodePool['SchedulerConfiguration'], oversubscription: boolean) {
  const harness = new Harness();
  harness.config = { ...harness.config, MemoryOversubscriptionEnabled: oversubscription };
  harness.addNode(mockNode(0, { NodePool: 'gpu' }), mockNode(1, { NodePool: 'gpu' }));
  harness.addAlloc(mockAlloc(harness.register(mockJob({ ID: 'other' })), { AllocatedResources: mockAllocated() }));
  const Resources = mockResources({ MemoryMB: 100, MemoryMaxMB: 400 });
  const job = harness.register(
    mockJob({ NodePool: 'gpu', TaskGroups: [mockGroup({ Count: 1, Tasks: [mockTask({ Resources })] })] }),
  );
  const pool = { ...emptyPool('gpu', 1), SchedulerConfiguration: settings };
  const state = { ...harness.snapshot(), nodePoolByName: (name: string) => (name === 'gpu' ? pool : undefined) };
  const { now, random } = harness;
  await schedule(mockEval(job), { state, planner: harness, now, random });
  const [alloc] = harness.live(job);
  return { node: alloc?.NodeID, memory: alloc?.AllocatedResources.Tasks['web']?.Memory };
}

t.test('a pool schedules as it is configured, and else as all do', async (t) => {
  const [full, empty] = ['node-00000', 'node-00001'];
  const plain = { MemoryMB: 100, MemoryMaxMB: 0 };
  const most = { MemoryMB: 100, MemoryMaxMB: 400 };
  for (const [name, settings, oversubscription, wanted] of [
    ['nothing set', null, false, { node: full, memory: plain }],
    ['nothing set, but for all', null, true, { node: full, memory: most }],
    [
      'spread',
      { SchedulerAlgorithm: 'spread', MemoryOversubscriptionEnabled: null },
      true,
      { node: empty, memory: most },
    ],
    [
      'oversubscribed here alone',
      { SchedulerAlgorithm: '', MemoryOversubscriptionEnabled: true },
      false,
      { node: full, memory: most },
    ],
    [
      'not oversubscribed here',
      { SchedulerAlgorithm: '', MemoryOversubscriptionEnabled: false },
      true,
      { node: full, memory: plain },
    ],
  ] as const) {
    t.same(await placed(settings, oversubscription), wanted, name);
  }
});
