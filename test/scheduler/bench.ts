// Placements per second of the scheduler alone, one thread: `node dist/test/scheduler/bench.js VARIANT N C` measures one cell;
// `npm run bench -- scheduler` all of them.
// The world is that of the targets: N nodes of 16,000 MHz, 32 GiB and 100 GiB in three datacenters with an attribute `rack`
// of ten values; one group of count C with cpu 100, memory 64, disk 10 and one dynamic port.
import type { HeapProfiler } from 'node:inspector/promises';
import { Session } from 'node:inspector/promises';
import { fileURLToPath } from 'node:url';
import type { StateReader } from '../../lib/scheduler/ports.js';
import { schedule } from '../../lib/scheduler/schedule.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Job, JobType } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import type { Plan } from '../../lib/structs/plan.js';
import { seededRandom } from '../../lib/util/random.js';
import { heapBytes } from '../simulation/cluster/heap-bytes.js';
import { Harness } from './harness.js';
import { mockEval, mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

export type Variant = 'service' | 'batch' | 'constraint' | 'affinity' | 'spread' | 'system';
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

/** One cell of the table, measured in a process of its own. */
export interface Cell {
  readonly perSecond: number;
  /** The same by the processor's time, the collector's included: what it would be if nothing else ran on the machine. */
  readonly perCpuSecond: number;
  readonly placed: number;
  /** Most memory the process had until its first evaluation was done, MiB. */
  readonly firstRssMib: number;
  /** Most memory it ever had, one evaluation following the other without a pause, MiB. */
  readonly peakRssMib: number;
  /** What a placement leaves behind beyond its plan, in bytes; 0 where no collector was at hand. */
  readonly garbageBytes: number;
}

async function measure(variant: Variant, n: number, c: number): Promise<Cell> {
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
  await once();
  const firstRssMib = process.resourceUsage().maxRSS / 1024;
  while (performance.now() < warmUntil) await once();
  const placed = Object.values((plan as Plan | null)?.NodeAllocation ?? {}).flat().length;
  let rounds = 0;
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  do {
    await once();
    rounds++;
  } while (performance.now() - began < ROUND_MS);
  const perSecond = (rounds * placed * 1000) / (performance.now() - began);
  const cpu = process.cpuUsage(cpuBefore);
  const perCpuSecond = (rounds * placed * 1e6) / (cpu.user + cpu.system);
  const peakRssMib = process.resourceUsage().maxRSS / 1024;
  const allocated = await allocatedBytes(once);
  const held = heapBytes();
  plan = null;
  const garbageBytes = allocated === 0 ? 0 : (allocated - (held - heapBytes())) / placed;
  return { perSecond, perCpuSecond, placed, firstRssMib, peakRssMib, garbageBytes };
}

const ROUNDS_SAMPLED = 5;

/**
 * All that one round allocates, as the engine samples it; 0 without --expose-gc. The size of the heap would tell little: it falls
 * behind and catches up with each collection.
 */
async function allocatedBytes(once: () => Promise<void>): Promise<number> {
  if (!globalThis.gc) return 0;
  const session = new Session();
  session.connect();
  const sampling = {
    samplingInterval: 4096,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  };
  await session.post('HeapProfiler.startSampling', sampling);
  for (let i = 0; i < ROUNDS_SAMPLED; i++) await once();
  const { profile } = await session.post('HeapProfiler.stopSampling');
  session.disconnect();
  const sizeOf = (node: HeapProfiler.SamplingHeapProfileNode): number =>
    node.children.reduce((sum, child) => sum + sizeOf(child), node.selfSize);
  return sizeOf(profile.head) / ROUNDS_SAMPLED;
}

// Called by test/bench/scheduler.ts, with a young generation that holds a whole round where garbage is to be measured.
const [variant, n, c] = process.argv.slice(2);
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await measure(variant as Variant, Number(n), Number(c))));
}
