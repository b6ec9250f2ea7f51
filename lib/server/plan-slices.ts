import type { Allocation } from '../structs/allocation.js';
import type { Plan, PlanResult } from '../structs/plan.js';
import { assert } from '../util/assert.js';

// A plan of 100,000 placements in one log entry would hold the thread for seconds: to be written, to be sent, to be applied, on
// every server. It is checked and committed in slices; what makes room on a node and what takes it there stay together. Were
// the leader lost in between, the evaluation would still be pending: whoever leads next goes on from what is there.

/** Allocations that one slice writes, unless those of one node that cannot be parted are more: some milliseconds of work. */
export const SLICE_MAX = 128;

const PARTS = ['NodeUpdate', 'NodeAllocation', 'NodePreemptions'] as const;
type Part = (typeof PARTS)[number];
/** Changes of one node that are committed together. */
type Unit = Partial<Record<Part, Allocation[]>>;

/** A plan in parts that may be committed one after the other; the deployment goes with the first. One, if all or nothing is wanted. */
export function slicesOf(plan: Plan): Plan[] {
  if (plan.AllAtOnce) return [plan];
  const slices: Plan[] = [];
  let left = 0;
  for (const nodeId of nodesOf(plan)) {
    for (const unit of unitsOf(plan, nodeId)) {
      const writes = PARTS.reduce((sum, part) => sum + writesOf(unit[part] ?? []), 0);
      if (slices.length === 0 || writes > left) {
        slices.push(emptySlice(plan, slices.length === 0));
        left = SLICE_MAX;
      }
      left -= writes;
      add(slices.at(-1) as Plan, nodeId, unit);
    }
  }
  return slices.length <= 1 ? [plan] : slices;
}

/** What became of the whole plan. */
export function joinResults(results: readonly PlanResult[]): PlanResult {
  const [first] = results;
  assert(first !== undefined, 'a plan has at least one slice');
  if (results.length === 1) return first;
  const joined: PlanResult = { ...first, NodeUpdate: {}, NodeAllocation: {}, NodePreemptions: {} };
  for (const result of results) {
    for (const nodeId of nodesOf(result)) add(joined, nodeId, unitOf(result, nodeId));
    joined.RefreshIndex = Math.max(joined.RefreshIndex, result.RefreshIndex);
    joined.AllocIndex = Math.max(joined.AllocIndex, result.AllocIndex);
  }
  joined.RejectedNodes = [...new Set(results.flatMap(({ RejectedNodes }) => RejectedNodes))];
  return joined;
}

/** Nodes that only give something up come first: what is replaced elsewhere stops before its successor starts. */
function nodesOf({ NodeUpdate, NodeAllocation, NodePreemptions }: Pick<Plan, Part>): Set<string> {
  const giving = Object.keys(NodeUpdate).filter((nodeId) => !NodeAllocation[nodeId]);
  return new Set([...giving, ...Object.keys(NodeAllocation), ...Object.keys(NodePreemptions)]);
}

/** A node's changes as a whole; one by one where nothing makes room for another. */
function unitsOf(plan: Plan, nodeId: string): Unit[] {
  const unit = unitOf(plan, nodeId);
  const { NodeUpdate = [], NodePreemptions = [], NodeAllocation = [] } = unit;
  if (NodePreemptions.length > 0 || (NodeUpdate.length > 0 && NodeAllocation.length > 0)) return [unit];
  return [
    ...NodeUpdate.map((alloc) => ({ NodeUpdate: [alloc] })),
    ...NodeAllocation.map((alloc) => ({ NodeAllocation: [alloc] })),
  ];
}

function unitOf(from: Pick<Plan, Part>, nodeId: string): Unit {
  const unit: Unit = {};
  for (const part of PARTS) {
    const allocs = from[part][nodeId];
    if (allocs) unit[part] = allocs;
  }
  return unit;
}

function add(to: Pick<Plan, Part>, nodeId: string, unit: Unit): void {
  for (const part of PARTS) {
    const known = to[part][nodeId];
    if (known) for (const alloc of unit[part] ?? []) known.push(alloc);
    else if (unit[part]) to[part][nodeId] = [...unit[part]];
  }
}

/** One that takes another's place is written into that one too. */
function writesOf(allocs: readonly Allocation[]): number {
  return allocs.reduce((sum, { PreviousAllocation }) => sum + (PreviousAllocation === '' ? 1 : 2), 0);
}

function emptySlice(plan: Plan, isFirst: boolean): Plan {
  return {
    ...plan,
    NodeUpdate: {},
    NodeAllocation: {},
    NodePreemptions: {},
    Deployment: isFirst ? plan.Deployment : null,
    DeploymentUpdates: isFirst ? plan.DeploymentUpdates : [],
  };
}
