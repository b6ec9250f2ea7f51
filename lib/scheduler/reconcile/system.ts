import type { Allocation } from '../../structs/allocation.js';
import type { DesiredUpdates } from '../../structs/evaluation.js';
import type { Job, TaskGroup } from '../../structs/job.js';
import { isTerminal } from '../usage.js';
import type { NodeFate } from './filters.js';
import type { UpdateKind } from './group.js';
import { noUpdates, STOP_REASON, type Stop } from './result.js';

/** Where a node stands with a system job. */
export type NodeRole =
  /** Ready, in the job's datacenters and pool: runs one allocation of each group. */
  | 'wanted'
  /** In reach but ineligible or draining: keeps what it has, gets nothing new. */
  | 'resting'
  /** Out of reach: runs nothing of the job. */
  | 'foreign';

/** What a system job needs to run once on each wanted node. */
export interface SystemReconciliation {
  readonly place: { readonly nodeId: string; readonly group: TaskGroup; readonly previous: Allocation | null }[];
  readonly destructive: { readonly alloc: Allocation; readonly group: TaskGroup }[];
  readonly inPlace: Allocation[];
  readonly stop: Stop[];
  readonly desired: Record<string, DesiredUpdates>;
}

/** Everything the comparison looks at. */
export interface SystemInput {
  readonly job: Job | null;
  readonly allocs: readonly Allocation[];
  /** Ids of the wanted nodes. */
  readonly nodes: Iterable<string>;
  readonly roleOf: (nodeId: string) => NodeRole;
  readonly nodeFate: (nodeId: string) => NodeFate;
  readonly updateKind: (alloc: Allocation, group: TaskGroup) => UpdateKind;
}

type Verdict = { stop: string; lost: boolean } | 'keep';

const RULES: readonly [(alloc: Allocation, input: SystemInput) => boolean, Verdict][] = [
  [(alloc, { nodeFate }) => nodeFate(alloc.NodeID) !== 'well', { stop: STOP_REASON.lost, lost: true }],
  [(alloc, { job }) => !isRequired(job, alloc.TaskGroup), { stop: STOP_REASON.notNeeded, lost: false }],
  [(alloc) => alloc.DesiredTransition.Migrate === true, { stop: STOP_REASON.nodeTainted, lost: false }],
  [(alloc, { roleOf }) => roleOf(alloc.NodeID) === 'foreign', { stop: STOP_REASON.notNeeded, lost: false }],
  [() => true, 'keep'],
];

/** Compares a system job with its allocations, node by node. Pure. */
export function reconcileSystem(input: SystemInput): SystemReconciliation {
  const { job } = input;
  const groups = job && !job.Stop ? job.TaskGroups.filter(({ Count }) => Count > 0) : [];
  const desired: Record<string, DesiredUpdates> = {};
  const counts = (group: string): DesiredUpdates => {
    const known = desired[group] ?? noUpdates();
    desired[group] = known;
    return known;
  };
  for (const { Name } of job?.TaskGroups ?? []) counts(Name);
  const result: SystemReconciliation = { place: [], destructive: [], inPlace: [], stop: [], desired };
  /** The live allocation of a node and group; the last ended one, for its lineage. */
  const live = new Set<string>();
  const ended = new Map<string, Allocation>();
  const key = (nodeId: string, group: string): string => `${nodeId}\n${group}`;

  for (const alloc of input.allocs) {
    const place = key(alloc.NodeID, alloc.TaskGroup);
    if (isTerminal(alloc)) {
      if ((ended.get(place)?.CreateIndex ?? -1) < alloc.CreateIndex) ended.set(place, alloc);
      continue;
    }
    const verdict = live.has(place) ? { stop: STOP_REASON.notNeeded, lost: false } : verdictOn(alloc, input);
    if (verdict !== 'keep') {
      result.stop.push({ alloc, description: verdict.stop, clientStatus: verdict.lost ? 'lost' : null });
      counts(alloc.TaskGroup).Stop++;
      continue;
    }
    live.add(place);
    const group = groups.find(({ Name }) => Name === alloc.TaskGroup) as TaskGroup;
    sortUpdate(input, result, alloc, group, counts(group.Name));
  }
  for (const nodeId of input.nodes) {
    for (const group of groups) {
      const place = key(nodeId, group.Name);
      if (live.has(place)) continue;
      result.place.push({ nodeId, group, previous: ended.get(place) ?? null });
      counts(group.Name).Place++;
    }
  }
  return result;
}

function verdictOn(alloc: Allocation, input: SystemInput): Verdict {
  for (const [applies, verdict] of RULES) if (applies(alloc, input)) return verdict;
  return 'keep';
}

function sortUpdate(
  { updateKind, roleOf }: SystemInput,
  result: SystemReconciliation,
  alloc: Allocation,
  group: TaskGroup,
  counts: DesiredUpdates,
): void {
  const kind = updateKind(alloc, group);
  if (kind === 'in-place') {
    counts.InPlaceUpdate++;
    result.inPlace.push(alloc);
  } else if (kind === 'destructive' && roleOf(alloc.NodeID) === 'wanted') {
    result.destructive.push({ alloc, group });
  } else {
    counts.Ignore++;
  }
}

function isRequired(job: Job | null, group: string): boolean {
  return job !== null && !job.Stop && job.TaskGroups.some(({ Name, Count }) => Name === group && Count > 0);
}
