import type { Allocation } from '../../lib/structs/allocation.js';
import type { NodeListStub } from '../../lib/structs/rpc.js';
import type { NodesConfig, SelectorStrategy } from './config.js';

// Which nodes a policy is about, how each stands, and which of them rest first. Pure.

/** What keeps a node from being given rest, by its id. */
export type Protected = ReadonlyMap<string, string>;

/** Set on nodes that were given rest, with their drain: told from those that a person drained. */
export const ASLEEP = 'autoscaler_asleep';

export function inPool(node: NodeListStub, { pool, nodeClass, datacenter }: NodesConfig): boolean {
  return (
    (pool === null || node.NodePool === pool) &&
    (nodeClass === null || node.NodeClass === nodeClass) &&
    (datacenter === null || node.Datacenter === datacenter)
  );
}

/** 'asleep': at rest, and may be taken back. 'other': of no account, as a person or a failure has left it. */
export type Standing = 'awake' | 'draining' | 'asleep' | 'starting' | 'other';

/** How a node of the pool stands. `switched`: nodes at rest are switched off, so that one which is up has been woken. */
export function standingOf(node: NodeListStub, { switched }: { switched: boolean }): Standing {
  if (node.Drain) return 'draining';
  if (node.Status === 'initializing') return 'starting';
  const isUp = node.Status === 'ready';
  if (node.SchedulingEligibility === 'eligible') return isUp ? 'awake' : 'other';
  // Once it takes work again its sleep is over, whatever becomes of it.
  if (!wasPutToSleep(node)) return 'other';
  if (isUp === switched) return isUp ? 'starting' : 'other';
  return 'asleep';
}

function wasPutToSleep({ LastDrain }: Pick<NodeListStub, 'LastDrain'>): boolean {
  return (LastDrain as { Meta?: Record<string, string> | null } | null)?.Meta?.[ASLEEP] === 'true';
}

/** When its last drain began or ended; NaN when it had none. */
export const drainedAtMs = ({ LastDrain }: Pick<NodeListStub, 'LastDrain'>): number =>
  Date.parse((LastDrain as { UpdatedAt?: string } | null)?.UpdatedAt ?? '');

/** What runs on a node and is to be moved before it rests. */
export function liveAllocs(allocs: readonly Allocation[]): Allocation[] {
  return allocs.filter(
    ({ DesiredStatus, ClientStatus }) =>
      DesiredStatus === 'run' && ['pending', 'running', 'unknown'].includes(ClientStatus),
  );
}

const isSystem = ({ Job: job }: Allocation): boolean => job?.Type === 'system' || job?.Type === 'sysbatch';

/** What cannot be moved now: who uses a volume of this machine, or is in the middle of a roll-out. */
export function heldBy(allocs: readonly Allocation[]): string | undefined {
  const young = liveAllocs(allocs).find(
    ({ DeploymentID, DeploymentStatus }) => DeploymentID !== '' && (DeploymentStatus?.Healthy ?? null) === null,
  );
  if (young)
    return `job "${young.JobID}" is being rolled out there: allocation ${young.ID.slice(0, 8)} is not yet healthy`;
  const holder = liveAllocs(allocs).find(({ Job: job, TaskGroup }) => {
    const volumes = job?.TaskGroups.find(({ Name }) => Name === TaskGroup)?.Volumes ?? {};
    return Object.keys(volumes).length > 0;
  });
  return holder && `allocation ${holder.ID.slice(0, 8)} of job "${holder.JobID}" has a volume there`;
}

/** Up to `count` of these nodes to be given rest, in the order of the strategy. */
export function selectToRest(
  nodes: readonly NodeListStub[],
  options: {
    count: number;
    strategy: SelectorStrategy;
    allocs: ReadonlyMap<string, readonly Allocation[]>;
    protectedNodes: Protected;
  },
): NodeListStub[] {
  const { count, strategy, allocs, protectedNodes } = options;
  const live = (node: NodeListStub): Allocation[] => liveAllocs(allocs.get(node.ID) ?? []);
  const free = nodes.filter(({ ID }) => !protectedNodes.has(ID));
  const choose = (): NodeListStub[] => {
    switch (strategy) {
      case 'newest_create_index':
        return free.sort((a, b) => b.CreateIndex - a.CreateIndex);
      case 'oldest_create_index':
        return free.sort((a, b) => a.CreateIndex - b.CreateIndex);
      case 'empty':
        return free.filter((node) => live(node).length === 0);
      case 'empty_ignore_system':
        return free.filter((node) => live(node).every(isSystem));
      default:
        return free.sort((a, b) => busyness(live(a)) - busyness(live(b)));
    }
  };
  return choose().slice(0, count);
}

/** CPU and memory that is taken, in one number that only orders. */
function busyness(allocs: readonly Allocation[]): number {
  let sum = 0;
  for (const { AllocatedResources } of allocs) {
    for (const { Cpu, Memory } of Object.values(AllocatedResources.Tasks)) sum += Cpu.CpuShares + Memory.MemoryMB;
  }
  return sum;
}
