import type { Job, TaskGroup } from '../../../lib/structs/job.js';
import type { Node } from '../../../lib/structs/node.js';
import { type Random, randomInt, randomUuid } from '../../../lib/util/random.js';
import { mockGroup, mockJob, mockNode, mockResources, mockTask } from '../../scheduler/mock.js';

// A cluster as it might be: four datacenters of ten racks, two sizes of machines, and jobs of every kind that the
// scheduler treats in its own way.

const DATACENTERS = 4;
const RACKS = 10;
/** An allocation's share of a machine: what the fleet offers is half as much again as the workload asks for. */
const CPU_MHZ = 100;
const MEMORY_MB = 64;
const DISK_MB = 150;
const SPARE = 1.5;
/** So many of a hundred allocations are of batch jobs, of services and (nearly) of system jobs. */
const SHARE = { batch: 55, service: 40 };
const S = 1e9;

/** Machine `index` of `count`, with room for its part of `allocs`; every fourth has twice the room. */
export function simNode(index: number, fleet: { count: number; allocs: number }, random: Random): Node {
  const slots = Math.ceil(((fleet.allocs / fleet.count) * SPARE * (index % 4 === 0 ? 2 : 1)) / 1.25) + 4;
  const rack = `r${index % RACKS}`;
  const node = mockNode(index);
  return {
    ...node,
    ID: randomUuid(random),
    SecretID: randomUuid(random),
    Name: `machine-${index}`,
    Datacenter: `dc${index % DATACENTERS}`,
    NodeClass: index % 4 === 0 ? 'large' : 'small',
    ComputedClass: '',
    Attributes: { ...node.Attributes, rack },
    NodeResources: {
      ...node.NodeResources,
      Cpu: { CpuShares: slots * CPU_MHZ, TotalCpuCores: 64, ReservableCpuCores: null },
      Memory: { MemoryMB: slots * MEMORY_MB },
      Disk: { DiskMB: slots * DISK_MB },
    },
  };
}

/** Jobs that ask for `allocs` allocations in all, on `nodes` machines. */
export function simJobs(fleet: { nodes: number; allocs: number; jobSize: number }, random: Random): Job[] {
  const jobs: Job[] = [];
  let left = fleet.allocs;
  const system = Math.floor((fleet.allocs * (100 - SHARE.batch - SHARE.service)) / 100 / fleet.nodes);
  for (let i = 0; i < system; i++) {
    jobs.push(systemJob(`system-${i}`));
    left -= fleet.nodes;
  }
  for (let i = 0; left > 0; i++) {
    const count = Math.min(left, Math.max(1, Math.floor(fleet.jobSize * (0.2 + 1.6 * random.next()))));
    left -= count;
    const isBatch = randomInt(random, SHARE.batch + SHARE.service) < SHARE.batch;
    jobs.push(isBatch ? batchJob(`batch-${i}`, count) : serviceJob(`service-${i}`, count, i));
  }
  return jobs;
}

/** A new version of a service, which replaces all of its allocations, a fifth at a time. */
export function updatedJob(job: Job): Partial<Job> {
  const TaskGroups = job.TaskGroups.map((group) => ({
    ...group,
    Tasks: group.Tasks.map((task) => ({ ...task, Env: { VERSION: String(job.Version + 1) } })),
  }));
  return { ...job, TaskGroups, SubmitTime: 0 };
}

function group(changes: Partial<TaskGroup>): TaskGroup {
  return mockGroup({
    Name: 'main',
    EphemeralDisk: { Sticky: false, SizeMB: DISK_MB, Migrate: false },
    Tasks: [mockTask({ Name: 'main', Resources: mockResources({ CPU: CPU_MHZ, MemoryMB: MEMORY_MB }) })],
    ...changes,
  });
}

function batchJob(ID: string, Count: number): Job {
  const ReschedulePolicy = {
    Attempts: 1,
    Interval: 24 * 3600 * S,
    Delay: 5 * S,
    DelayFunction: 'constant',
    MaxDelay: 0,
    Unlimited: false,
  } as const;
  return mockJob({ ID, Name: ID, Type: 'batch', TaskGroups: [group({ Count, Migrate: null, ReschedulePolicy })] });
}

function systemJob(ID: string): Job {
  return mockJob({
    ID,
    Name: ID,
    Type: 'system',
    Priority: 80,
    TaskGroups: [group({ Count: 1, Migrate: null, ReschedulePolicy: null })],
  });
}

/** A service with a port; by turns with nothing else, a constraint, a spread, an affinity. */
function serviceJob(ID: string, Count: number, turn: number): Job {
  const parallel = Math.max(1, Math.ceil(Count / 5));
  const Update = {
    Stagger: 30 * S,
    MaxParallel: parallel,
    HealthCheck: 'task_states',
    MinHealthyTime: 1 * S,
    HealthyDeadline: 300 * S,
    ProgressDeadline: 600 * S,
    AutoRevert: false,
    AutoPromote: false,
    Canary: 0,
  } as const;
  const network = {
    ...{ Mode: '', Device: '', CIDR: '', IP: '', Hostname: '', MBits: null, DNS: null, CNI: null, ReservedPorts: null },
    DynamicPorts: [{ Label: 'http', Value: 0, To: 0, HostNetwork: 'default', IgnoreCollision: false }],
  };
  const migrate = {
    MaxParallel: parallel,
    HealthCheck: 'task_states',
    MinHealthyTime: 1 * S,
    HealthyDeadline: 300 * S,
  } as const;
  const targets = Array.from({ length: DATACENTERS }, (_, i) => ({ Value: `dc${i}`, Percent: 100 / DATACENTERS }));
  return mockJob({
    ID,
    Name: ID,
    Constraints: turn % 4 === 1 ? [{ LTarget: '${attr.rack}', RTarget: 'r0', Operand: '!=' }] : null,
    Spreads: turn % 4 === 2 ? [{ Attribute: '${node.datacenter}', Weight: 100, SpreadTarget: targets }] : null,
    Affinities: turn % 4 === 3 ? [{ LTarget: '${attr.rack}', RTarget: 'r1', Operand: '=', Weight: 50 }] : null,
    TaskGroups: [group({ Count, Networks: [network], Update, Migrate: migrate })],
  });
}
