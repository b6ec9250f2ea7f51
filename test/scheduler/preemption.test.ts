import t from 'tap';
import { maxParallelPenalty, preemptionDistance } from '../../lib/scheduler/preemption.js';
import { netPriority, preemptionScore } from '../../lib/scheduler/rank/fit-score.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Job, JobType } from '../../lib/structs/job.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';
import { Harness } from './harness.js';
import { mockAlloc, mockAllocated, mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

const world = (): Harness => {
  const harness = new Harness();
  harness.config = {
    ...harness.config,
    PreemptionConfig: {
      SystemSchedulerEnabled: true,
      SysBatchSchedulerEnabled: true,
      BatchSchedulerEnabled: true,
      ServiceSchedulerEnabled: true,
    },
  };
  return harness;
};
const asking = (id: string, Priority: number, cpu: number, memory: number, changes: Partial<Job> = {}): Job =>
  mockJob({
    ID: id,
    Priority,
    TaskGroups: [
      mockGroup({ Count: 1, Tasks: [mockTask({ Resources: mockResources({ CPU: cpu, MemoryMB: memory }) })] }),
    ],
    ...changes,
  });
const running = (job: Job, id: string, cpu: number, memory: number, rest: Parameters<typeof mockAllocated>[0] = {}) =>
  mockAlloc(job, {
    ID: id,
    ClientStatus: 'running',
    AllocatedResources: mockAllocated({ cpu, memory, ...rest }),
  });
const victims = (harness: Harness): string[] =>
  Object.values(harness.plans.at(-1)?.NodePreemptions ?? {})
    .flat()
    .map(({ ID }) => ID)
    .sort();

t.test('distance, penalty and score, computed by hand', async (t) => {
  for (const [needed, freed, distance] of [
    [[1000, 1000, 1000], [1000, 1000, 1000], 0],
    [[1000, 0, 0], [500, 9999, 9999], 0.5],
    [[400, 300, 0], [100, 0, 7], 1.25],
    [[100, 100, 100], [300, 100, 100], 2],
  ] as const) {
    t.equal(preemptionDistance(needed, freed), distance, `${freed} for ${needed}`);
  }
  for (const [count, max, penalty] of [
    [1, 1, 0],
    [2, 1, 50],
    [4, 2, 100],
    [9, 0, 0],
  ] as const) {
    t.equal(maxParallelPenalty(count, max), penalty, `${count} of a group that allows ${max}`);
  }
  t.equal(netPriority([20, 40, 40]), 40 + 100 / 40);
  t.equal(netPriority([0]), 0);
  const score = (...priorities: number[]): number =>
    preemptionScore(priorities.map((Priority) => ({ Job: { Priority } })));
  t.equal(score(50).toFixed(6), (1 / (1 + Math.E ** (0.0048 * (51 - 2048)))).toFixed(6));
  t.ok(score(20) > score(20, 20) && score(20, 20) > score(60), 'fewer and less important ones are better');
});

t.test('less important work makes room only if nothing else does, and only by ten points', async (t) => {
  for (const [name, priority, enabled, wanted] of [
    ['ten less', 40, true, ['low']],
    ['nine less', 41, true, []],
    ['as important', 50, true, []],
    ['not enabled', 10, false, []],
  ] as const) {
    const harness = world();
    if (!enabled) harness.config = new Harness().config;
    harness.addNode(mockNode(0));
    harness.addAlloc(running(harness.register(asking('low', priority, 0, 0)), 'low', 3000, 1000));
    const job = harness.register(asking('high', 50, 2000, 256));
    const evaluation = await harness.run(job);
    t.same(victims(harness), wanted, name);
    t.equal(harness.live(job).length, wanted.length, `${name}: placed`);
    t.equal(evaluation.FailedTGAllocs === null, wanted.length > 0, `${name}: failed`);
  }
  const roomy = world();
  roomy.addNode(mockNode(0), mockNode(1));
  roomy.addAlloc(running(roomy.register(asking('low', 10, 0, 0)), 'low', 3000, 1000));
  const job = roomy.register(asking('high', 50, 2000, 256));
  await roomy.run(job);
  t.same(victims(roomy), [], 'the other node has room');
  t.equal(roomy.live(job)[0]?.NodeID, 'node-00001');
});

t.test('victims and the one they leave for know of each other', async (t) => {
  const harness = world();
  harness.addNode(mockNode(0));
  harness.addAlloc(running(harness.register(asking('low', 20, 0, 0)), 'low', 3900, 1000));
  const job = harness.register(asking('high', 70, 2000, 256));
  await harness.run(job, { AnnotatePlan: true });
  const [placed] = harness.live(job);
  const low = harness.allocs.get('low');
  t.same(placed?.PreemptedAllocations, ['low']);
  t.equal(low?.PreemptedByAllocation, placed?.ID);
  t.equal(low?.DesiredStatus, 'evict');
  t.equal(low?.DesiredDescription, `Preempted by alloc ID ${placed?.ID}`);
  const parts = placed?.Metrics?.ScoreMetaData?.[0];
  t.equal(parts?.Scores['preemption'], preemptionScore([{ Job: { Priority: 20 } }]));
  t.equal(parts?.NormScore, ((parts?.Scores['binpack'] ?? 0) + (parts?.Scores['preemption'] ?? 0)) / 2);
  const annotations = harness.plans.at(-1)?.Annotations;
  t.equal(annotations?.DesiredTGUpdates['web']?.Preemptions, 1);
  t.equal(annotations?.PreemptedAllocs?.length, 1);
});

t.test('who must go: the least important first, then what fits best, and no more than needed', async (t) => {
  const low = asking('low', 20, 0, 0);
  const mid = asking('mid', 30, 0, 0);
  const rolling = asking('rolling', 20, 0, 0);
  const group = rolling.TaskGroups[0];
  const gentle: Job = {
    ...rolling,
    TaskGroups: group
      ? [{ ...group, Migrate: { MaxParallel: 1, HealthCheck: 'checks', MinHealthyTime: 0, HealthyDeadline: 0 } }]
      : [],
  };
  for (const [name, allocs, cpu, wanted] of [
    ['priority before fit', [running(low, 'a', 2000, 10), running(mid, 'b', 1000, 10)], 1900, ['a']],
    ['the closest', [running(low, 'a', 2500, 10), running(low, 'b', 1100, 10)], 1000, ['b']],
    [
      'a small one that a big one makes superfluous',
      [running(low, 'a', 300, 10), running(mid, 'b', 3500, 10)],
      3600,
      ['b'],
    ],
    [
      'not two of a group that allows one',
      [running(gentle, 'a', 1000, 10), running(gentle, 'b', 1000, 10), running(low, 'c', 1900, 10)],
      1900,
      ['c'],
    ],
  ] as const) {
    const harness = world();
    harness.addNode(mockNode(0));
    for (const job of [low, mid, gentle]) harness.register(job);
    harness.addAlloc(...allocs);
    await harness.run(harness.register(asking('high', 60, cpu, 10)));
    t.same(victims(harness), wanted, name);
  }
});

t.test('who holds a static port makes room for it, unless one of them is too important', async (t) => {
  const fixed = (id: string, priority: number): Job => {
    const job = asking(id, priority, 100, 10);
    const port = { Label: 'http', Value: 8080, To: 0, HostNetwork: 'default', IgnoreCollision: false };
    const network = { Mode: '', Device: '', CIDR: '', IP: '', Hostname: '', MBits: null, DNS: null, CNI: null };
    const groups = job.TaskGroups.map((group) => ({
      ...group,
      Networks: [{ ...network, ReservedPorts: [port], DynamicPorts: null }],
    }));
    return { ...job, TaskGroups: groups };
  };
  for (const [priority, wanted] of [
    [20, 1],
    [55, 0],
  ] as const) {
    const harness = world();
    harness.addNode(mockNode(0));
    const low = harness.register(fixed('low', priority));
    await harness.run(low);
    t.equal(harness.live(low).length, 1);
    const high = harness.register(fixed('high', 60));
    await harness.run(high);
    t.equal(harness.live(high).length, wanted, `against priority ${priority}`);
    t.equal(harness.live(low).length, 1 - wanted);
  }
});

t.test('a system job takes its place on every node', async (t) => {
  const harness = world();
  harness.addNode(...Array.from({ length: 5 }, (_, i) => mockNode(i)));
  const low = harness.register(asking('low', 20, 0, 0));
  for (let i = 0; i < 5; i++) {
    harness.addAlloc({ ...running(low, `low${i}`, i < 3 ? 3900 : 100, 10), NodeID: `node-0000${i}` });
  }
  const type: JobType = 'system';
  const job = harness.register(asking('sys', 80, 500, 10, { Type: type }));
  await harness.run(job);
  t.equal(harness.live(job).length, 5);
  t.same(victims(harness), ['low0', 'low1', 'low2']);
});

t.test('whatever has to go: the node holds the rest, and nobody goes who need not or must not', async (t) => {
  for (let seed = 1; seed <= 150; seed++) {
    const random = seededRandom(seed);
    const harness = world();
    harness.addNode(...Array.from({ length: 3 }, (_, i) => mockNode(i)));
    for (let n = 0; n < 12; n++) {
      const job = harness.register(asking(`j${n}`, 10 + randomInt(random, 70), 0, 0));
      const alloc = running(job, `a${seed}-${n}`, 200 + randomInt(random, 900), 100 + randomInt(random, 1800));
      harness.addAlloc({ ...alloc, NodeID: `node-0000${n % 3}` });
    }
    if (harness.overfull().length > 0) continue;
    const high = harness.register(asking('high', 60, 500 + randomInt(random, 3000), 500 + randomInt(random, 6000)));
    await harness.run(high);
    const gone = victims(harness).map((id) => harness.allocs.get(id) as Allocation);
    const [placed] = harness.live(high);
    t.same(harness.overfull(), [], `seed ${seed}: fits`);
    t.ok(
      gone.every(({ Job, NodeID }) => (Job?.Priority ?? 99) <= 50 && NodeID === placed?.NodeID),
      `seed ${seed}: on its node, and less important`,
    );
    for (const alloc of gone) harness.addAlloc({ ...alloc, DesiredStatus: 'run' });
    if (gone.length > 0) t.not(harness.overfull().length, 0, `seed ${seed}: they were in the way`);
  }
});
