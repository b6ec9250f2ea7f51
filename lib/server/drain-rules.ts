import type { StateSnapshot } from '../state/store.js';
import type { Allocation } from '../structs/allocation.js';
import { groupOf } from '../structs/group-of.js';
import type { Node } from '../structs/node.js';
import type { Millis } from '../util/clock.js';
import { groupKey } from './group-tallies.js';
import { isTerminal } from './node-evals.js';

/** What a draining node needs next. */
export interface DrainStep {
  /** Allocations that must leave now. */
  migrate: string[];
  /** Nothing that the drain waits for is left. */
  done: boolean;
  /** When its patience ends; undefined: it has no deadline, or it is over. */
  dueMs: Millis | undefined;
  /** The deadline is over: whatever was left had to leave at once. */
  forced: boolean;
}

/** What a drain is judged by. */
export interface DrainWorld {
  readonly state: StateSnapshot;
  /** How many of a group (see `groupKey`) are healthy and not asked to leave, in this state; undefined: not counted yet. */
  readonly healthy: (group: string) => number | undefined;
  readonly now: Millis;
}

/**
 * One look at a draining node. Services leave as fast as their group's migrate.max_parallel allows, so that enough healthy
 * ones remain elsewhere; batch work may finish until the deadline; system jobs leave last (CSI plugins when nothing
 * is mounted by them any more), or stay if the drain says so.
 */
export function drainStep(node: Node, world: DrainWorld): DrainStep {
  const { state, now } = world;
  const strategy = node.DrainStrategy;
  if (!strategy) return { migrate: [], done: false, dueMs: undefined, forced: false };
  const deadline = deadlineMs(strategy);
  const forced = deadline !== undefined && deadline <= now;
  const live = state.allocsByNode(node.ID).filter((alloc) => !isTerminal(alloc));
  // Those asked to leave count until the client has stopped them: a node is not done while tasks still end on it.
  const leaving = state
    .allocsByNode(node.ID)
    .filter((alloc) => alloc.DesiredStatus !== 'run' && ['pending', 'running'].includes(alloc.ClientStatus));
  const isSystem = (alloc: Allocation): boolean => {
    const type = jobType(alloc, state);
    return type === 'system' || type === 'sysbatch';
  };
  const others = live.filter((alloc) => !isSystem(alloc));
  const system = strategy.IgnoreSystemJobs ? [] : live.filter(isSystem);
  const waiting = (alloc: Allocation): boolean => alloc.DesiredTransition.Migrate !== true;
  if (forced)
    return {
      migrate: ids([...others, ...system].filter(waiting)),
      done: others.length + system.length === 0,
      dueMs: undefined,
      forced,
    };
  if (others.length > 0) return { migrate: ids(nextServices(others, world)), done: false, dueMs: deadline, forced };
  if (leaving.some((alloc) => !isSystem(alloc))) return { migrate: [], done: false, dueMs: deadline, forced };
  if (system.length > 0) {
    const unmounting = new Set(pluginsInUse(node, state));
    const mayLeave = system.filter((alloc) => waiting(alloc) && !pluginsOf(alloc).some((id) => unmounting.has(id)));
    return { migrate: ids(mayLeave), done: false, dueMs: deadline, forced };
  }
  return { migrate: [], done: !leaving.length || strategy.IgnoreSystemJobs, dueMs: deadline, forced };
}

/** The CSI plugins by which a node has volumes still: without them nobody unmounts these, and no other node may have them. */
function* pluginsInUse({ ID }: Node, state: StateSnapshot): Generator<string> {
  for (const { Claims, PluginID } of state.claimedCsiVolumes())
    if (Object.values(Claims).some(({ NodeID }) => NodeID === ID)) yield PluginID;
}

const pluginsOf = ({ Job, TaskGroup }: Allocation): string[] =>
  groupOf(Job, TaskGroup)?.Tasks.flatMap(({ CSIPluginConfig }) => CSIPluginConfig?.ID ?? []) ?? [];

/** Undefined = as long as it takes; a negative deadline is over from the start. */
function deadlineMs(strategy: { Deadline: number; ForceDeadline: string }): Millis | undefined {
  if (strategy.Deadline < 0) return 0;
  if (strategy.Deadline === 0) return undefined;
  return Date.parse(strategy.ForceDeadline);
}

/** The service allocations of one node that may leave now, group by group. */
function nextServices(allocs: readonly Allocation[], { state, healthy }: DrainWorld): Allocation[] {
  const groups = new Map<string, Allocation[]>();
  for (const alloc of allocs) {
    if (jobType(alloc, state) !== 'service') continue;
    const key = groupKey(alloc);
    const known = groups.get(key);
    if (known) known.push(alloc);
    else groups.set(key, [alloc]);
  }
  return [...groups].flatMap(([key, group]) => {
    const candidates = group.filter(({ DesiredTransition }) => DesiredTransition.Migrate !== true);
    return candidates.slice(0, Math.max(0, allowance(group, state, healthy(key))));
  });
}

/** How many of a group may leave: what is healthy beyond count − max_parallel; none before that is known. */
function allowance(allocs: readonly Allocation[], state: StateSnapshot, healthy: number | undefined): number {
  const [first] = allocs;
  if (!first) return 0;
  const job = state.jobById(first.Namespace, first.JobID);
  const group = groupOf(job, first.TaskGroup);
  if (!group || job?.Stop) return allocs.length;
  if (healthy === undefined) return 0;
  return healthy - (group.Count - (group.Migrate?.MaxParallel ?? 1));
}

const jobType = (alloc: Allocation, state: StateSnapshot): string =>
  alloc.Job?.Type ?? state.jobById(alloc.Namespace, alloc.JobID)?.Type ?? 'service';

const ids = (allocs: readonly Allocation[]): string[] => allocs.map(({ ID }) => ID);
