import type { Allocation } from '../../lib/structs/allocation.js';
import type { NodeListStub } from '../../lib/structs/rpc.js';
import type { PowerConfig, SelectorStrategy } from './config.js';

// Which machines a policy is about, and which of them are put to sleep first. Pure.

/** What keeps a node from being put to sleep, by its id. */
export type Protected = ReadonlyMap<string, string>;

/** Set on nodes that were put to sleep, with their drain: they are machines still, and not to be forgotten. */
export const ASLEEP = 'autoscaler_asleep';

export function inPool(node: NodeListStub, { pool, nodeClass, datacenter }: PowerConfig): boolean {
  return (
    (pool === null || node.NodePool === pool) &&
    (nodeClass === null || node.NodeClass === nodeClass) &&
    (datacenter === null || node.Datacenter === datacenter)
  );
}

export type Standing = 'awake' | 'draining' | 'asleep' | 'starting' | 'other';

/** How a node of the pool stands. */
export function standingOf(node: NodeListStub): Standing {
  if (node.Drain) return 'draining';
  if (node.Status === 'initializing') return 'starting';
  // Once it takes work again its sleep is over, whatever becomes of it.
  const slept = node.SchedulingEligibility === 'ineligible' && wasPutToSleep(node);
  if (node.Status !== 'ready') return slept ? 'asleep' : 'other';
  if (node.SchedulingEligibility === 'eligible') return 'awake';
  return slept ? 'starting' : 'other';
}

function wasPutToSleep({ LastDrain }: Pick<NodeListStub, 'LastDrain'>): boolean {
  return (LastDrain as { Meta?: Record<string, string> | null } | null)?.Meta?.[ASLEEP] === 'true';
}

/**
 * A machine that is up, and still kept from work by its last sleep: a person switched it on, or the leader that woke it or put it to
 * sleep is gone. One that may only just be falling asleep is not meant.
 */
export function isForgotten(node: NodeListStub, { sleepTimeoutMs }: PowerConfig, nowMs: number): boolean {
  if (node.Status !== 'ready' || standingOf(node) !== 'starting') return false;
  const sinceMs = drainedAtMs(node);
  return Number.isNaN(sinceMs) || nowMs - sinceMs > sleepTimeoutMs || sinceMs > nowMs + sleepTimeoutMs;
}

const drainedAtMs = ({ LastDrain }: Pick<NodeListStub, 'LastDrain'>): number =>
  Date.parse((LastDrain as { UpdatedAt?: string } | null)?.UpdatedAt ?? '');

/** Watt-hours that a machine which sleeps has not used since it was drained; 0 when `watts` is not given. An estimate. */
export function savedBy({ LastDrain }: Pick<NodeListStub, 'LastDrain'>, { watts }: PowerConfig, nowMs: number): number {
  const since = drainedAtMs({ LastDrain });
  return Number.isNaN(since) ? 0 : (watts * Math.max(0, nowMs - since)) / 3_600_000;
}

/** What runs on a node and is to be moved before it sleeps. */
export function liveAllocs(allocs: readonly Allocation[]): Allocation[] {
  return allocs.filter(
    ({ DesiredStatus, ClientStatus }) =>
      DesiredStatus === 'run' && ['pending', 'running', 'unknown'].includes(ClientStatus),
  );
}

const isSystem = ({ Job: job }: Allocation): boolean => job?.Type === 'system' || job?.Type === 'sysbatch';

/** A volume on this machine cannot come along: who uses one stays. */
export function heldBy(allocs: readonly Allocation[]): string | undefined {
  const holder = liveAllocs(allocs).find(({ Job: job, TaskGroup }) => {
    const volumes = job?.TaskGroups.find(({ Name }) => Name === TaskGroup)?.Volumes ?? {};
    return Object.keys(volumes).length > 0;
  });
  return holder && `allocation ${holder.ID.slice(0, 8)} of job "${holder.JobID}" has a volume there`;
}

/** Up to `count` nodes to be put to sleep, in the order of the strategy. */
export function selectToSleep(
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
  const free = nodes.filter((node) => standingOf(node) === 'awake' && !protectedNodes.has(node.ID));
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
