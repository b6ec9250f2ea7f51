// Placements per second of the scheduler alone, one thread: `node --expose-gc dist/test/scheduler/bench.js [VARIANT…]`.
// The world is that of the targets: N nodes of 16,000 MHz, 32 GiB and 100 GiB in three datacenters with an attribute `rack`
// of ten values; one group of count C with cpu 100, memory 64, disk 10 and one dynamic port.
import type { StateReader } from '../../lib/scheduler/ports.js';
import { schedule } from '../../lib/scheduler/schedule.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Job, JobType } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import type { Plan } from '../../lib/structs/plan.js';
import { seededRandom } from '../../lib/util/random.js';
import { Harness } from './harness.js';
import { mockEval, mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

const VARIANTS = ['service', 'batch', 'constraint', 'affinity', 'spread', 'system'] as const;
type Variant = (typeof VARIANTS)[number];
const SIZES: readonly (readonly [number, number])[] = [
  [100, 100],
  [100, 10_000],
  [1000, 1000],
  [10_000, 100],
  [10_000, 10_000],
];
const ROUND_MS = 1500;

function benchNode(i: number): Node {
  const node = mockNode(i);
  const rack = `r${i % 10}`;
  const Datacenter = `dc${i % 3}`;
  return {
    ...node,
    Datacenter,
    ComputedClass: `v1:${rack}${Datacenter}`,
    Attributes: { ...node.Attributes, rack },
    NodeResources: {
      ...node.NodeResources,
      Cpu: { CpuShares: 16_000, TotalCpuCores: 8, ReservableCpuCores: null },
      Memory: { MemoryMB: 32 * 1024 },
      Disk: { DiskMB: 100 * 1024 },
    },
  };
}

function benchJob(variant: Variant, count: number): Job {
  const type: JobType = variant === 'batch' || variant === 'system' ? variant : 'service';
  const rack = { LTarget: '${attr.rack}', RTarget: 'r1', Operand: '=' };
  const targets = ['dc0', 'dc1', 'dc2'].map((Value, i) => ({ Value, Percent: i === 0 ? 34 : 33 }));
  const network = {
    Mode: '',
    Device: '',
    CIDR: '',
    IP: '',
    Hostname: '',
    MBits: null,
    DNS: null,
    CNI: null,
    ReservedPorts: null,
    DynamicPorts: [{ Label: 'http', Value: 0, To: 0, HostNetwork: 'default', IgnoreCollision: false }],
  };
  return mockJob({
    Type: type,
    Constraints: variant === 'constraint' ? [{ ...rack, RTarget: 'r0', Operand: '!=' }] : null,
    Affinities: variant === 'affinity' ? [{ ...rack, Weight: 100 }] : null,
    Spreads: variant === 'spread' ? [{ Attribute: '${node.datacenter}', Weight: 100, SpreadTarget: targets }] : null,
    TaskGroups: [
      mockGroup({
        Count: variant === 'system' ? 1 : count,
        Networks: [network],
        EphemeralDisk: { Sticky: false, SizeMB: 10, Migrate: false },
        Tasks: [mockTask({ Resources: mockResources({ CPU: 100, MemoryMB: 64 }) })],
      }),
    ],
  });
}

const NONE: readonly Allocation[] = [];

async function measure(variant: Variant, n: number, c: number): Promise<string> {
  const harness = new Harness();
  harness.addNode(...Array.from({ length: n }, (_, i) => benchNode(i)));
  const job = harness.register(benchJob(variant, c));
  const state: StateReader = { ...harness.snapshot(), allocsByNode: () => NONE, allocsByJob: () => NONE };
  let plan: Plan | null = null;
  const planner = {
    submitPlan: async (submitted: Plan) => {
      plan = submitted;
      return {
        result: { ...submitted, RejectedNodes: [], RefreshIndex: 0, AllocIndex: 1 },
        state: null,
      };
    },
    updateEval: async () => {},
    createEval: async () => {},
    reblockEval: async () => {},
  };
  const random = seededRandom(1);
  const once = (): Promise<void> => schedule(mockEval(job), { state, planner, now: 1e12, random });
  const warmUntil = performance.now() + ROUND_MS / 3;
  do await once();
  while (performance.now() < warmUntil);
  const count = Object.values((plan as Plan | null)?.NodeAllocation ?? {}).flat().length;
  plan = null;
  globalThis.gc?.();
  const before = process.memoryUsage();
  await once();
  const after = process.memoryUsage();
  const bytes = after.heapUsed + after.external - before.heapUsed - before.external;
  let rounds = 0;
  const began = performance.now();
  do {
    await once();
    rounds++;
  } while (performance.now() - began < ROUND_MS);
  const perSecond = (rounds * count * 1000) / (performance.now() - began);
  const memory = bytes > 0 ? `${Math.round(bytes / count)} B each` : '?';
  return `${variant.padEnd(10)} N=${n} C=${c}: ${Math.round(perSecond).toLocaleString('en')}/s, placed ${count}, ${memory}, rss ${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB`;
}

const wanted = process.argv.slice(2);
for (const variant of VARIANTS) {
  if (wanted.length > 0 && !wanted.includes(variant)) continue;
  for (const [n, c] of SIZES) {
    if (variant === 'system' && n !== c && !(n === 10_000 && c === 10_000)) continue;
    console.log(await measure(variant, n, c));
  }
}
