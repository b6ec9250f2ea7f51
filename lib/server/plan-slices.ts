import type { Allocation } from '../structs/allocation.js';
import type { Plan, PlanResult } from '../structs/plan.js';
import { assert } from '../util/assert.js';

// A plan of 100,000 placements in one log entry would hold the thread for seconds: to be written, to be sent, to be applied, on
// every server. It is checked and committed in slices; what makes room on a node and what takes it there stay together. Were
// the leader lost in between, the evaluation would still be pending: whoever leads next goes on from what is there.

/** Allocations that one slice writes, unless victims and those they give way to on one node are more: some milliseconds of work. */
export const SLICE_MAX = 128;

const PARTS = ['NodeUpdate', 'NodeAllocation', 'NodePreemptions'] as const;
type Part = (typeof PARTS)[number];
const NONE: readonly Allocation[] = [];

/**
 * A plan in parts that may be committed one after the other; the deployment goes with the first. One, if all or nothing is wanted. Made as
 * they are asked for: to sort 100,000 allocations takes longer than others should have to wait. Of a node that has refused a part, which the
 * caller notes in `refused`, no further ones are made: what is left waits for the next plan, and there the node is whole.
 */
export function* slicesOf(plan: Plan, refused: ReadonlySet<string>): Generator<Plan, void, void> {
  if (plan.AllAtOnce) {
    yield plan;
    return;
  }
  let slice = emptySlice(plan, true);
  let left = SLICE_MAX;
  for (const nodeId of nodesOf(plan)) {
    const writes = writesOn(plan, nodeId);
    // As it is, if all of it goes in, or if it should not be parted: lists of the plan are never changed.
    const isWhole = writes <= left || refused.has(nodeId) || staysTogether(plan, nodeId, writes);
    if (isWhole) {
      if (writes > left && left < SLICE_MAX) {
        yield slice;
        slice = emptySlice(plan, false);
        left = SLICE_MAX;
      }
      left -= writes;
      for (const part of PARTS) {
        const allocs = plan[part][nodeId];
        if (allocs && allocs.length > 0) slice[part][nodeId] = allocs;
      }
      continue;
    }
    const stopped: Allocation[] = [];
    for (const together of partsOn(plan, nodeId)) {
      const own = together.reduce((sum, { alloc }) => sum + writesFor(alloc), 0);
      if (own > left && left < SLICE_MAX) {
        yield slice;
        slice = emptySlice(plan, false);
        left = SLICE_MAX;
        if (refused.has(nodeId)) break;
        slice.StoppedBefore = { [nodeId]: stopped.slice() };
      }
      left -= own;
      for (const { part, alloc } of together) {
        add(slice[part], nodeId, alloc);
        if (part === 'NodeUpdate') stopped.push(alloc);
      }
    }
  }
  yield slice;
}

/** What became of the whole plan. */
export function joinResults(plan: Plan, results: readonly PlanResult[]): PlanResult {
  const [first] = results;
  assert(first !== undefined, 'a plan has at least one slice');
  if (results.length === 1) return first;
  const RefreshIndex = Math.max(...results.map((result) => result.RefreshIndex));
  const AllocIndex = Math.max(...results.map((result) => result.AllocIndex));
  const RejectedNodes = [...new Set(results.flatMap((result) => result.RejectedNodes))];
  const joined: PlanResult = { ...first, RejectedNodes, RefreshIndex, AllocIndex };
  // Where nothing was refused, all of it was taken.
  const parts = RejectedNodes.length === 0 ? plan : joinParts(results);
  for (const part of PARTS) joined[part] = parts[part];
  return joined;
}

function joinParts(results: readonly PlanResult[]): Pick<Plan, Part> {
  const joined: Pick<Plan, Part> = { NodeUpdate: {}, NodeAllocation: {}, NodePreemptions: {} };
  for (const result of results) {
    for (const part of PARTS) {
      for (const nodeId in result[part])
        for (const alloc of result[part][nodeId] ?? []) add(joined[part], nodeId, alloc);
    }
  }
  return joined;
}

/** Nodes that only give something up come first: what is replaced elsewhere stops before its successor starts. */
function nodesOf({ NodeUpdate, NodeAllocation, NodePreemptions }: Pick<Plan, Part>): Set<string> {
  const giving = Object.keys(NodeUpdate).filter((nodeId) => !NodeAllocation[nodeId]);
  return new Set([...giving, ...Object.keys(NodeAllocation), ...Object.keys(NodePreemptions)]);
}

/**
 * Whether all that a plan does to a node is one: what makes room there goes with what takes it. Unless that is more than a slice may be: then
 * each that stops goes with its successor. Victims have no such order.
 */
function staysTogether({ NodeUpdate, NodeAllocation, NodePreemptions }: Plan, nodeId: string, writes: number): boolean {
  if (has(NodePreemptions[nodeId])) return true;
  return writes <= SLICE_MAX && has(NodeUpdate[nodeId]) && has(NodeAllocation[nodeId]);
}

/** Something that a plan does. */
interface Act {
  readonly part: Part;
  readonly alloc: Allocation;
}

/**
 * What a plan does to a node, in its smallest parts. What only stops comes first, and then who is placed, in the order of the scheduler, each
 * right after whom it replaces: it has found room for them in that order. Where there is none yet, for what goes last was counted on, the check
 * refuses the part.
 */
function* partsOn(plan: Plan, nodeId: string): Generator<readonly Act[], void, void> {
  const placed = plan.NodeAllocation[nodeId] ?? NONE;
  const followed = new Set(placed.map(({ PreviousAllocation }) => PreviousAllocation));
  const stopping = new Map<string, Act>();
  for (const alloc of plan.NodeUpdate[nodeId] ?? NONE) {
    const act: Act = { part: 'NodeUpdate', alloc };
    if (followed.has(alloc.ID)) stopping.set(alloc.ID, act);
    else yield [act];
  }
  for (const alloc of placed) {
    const before = stopping.get(alloc.PreviousAllocation);
    const act: Act = { part: 'NodeAllocation', alloc };
    yield before ? [before, act] : [act];
    // Should two succeed one, it stops but once.
    stopping.delete(alloc.PreviousAllocation);
  }
}

function writesOn(plan: Plan, nodeId: string): number {
  let writes = 0;
  for (const part of PARTS) for (const alloc of plan[part][nodeId] ?? NONE) writes += writesFor(alloc);
  return writes;
}

const has = (allocs: readonly Allocation[] | undefined): boolean => (allocs?.length ?? 0) > 0;

function add(to: Record<string, Allocation[]>, nodeId: string, alloc: Allocation): void {
  const known = to[nodeId];
  if (known) known.push(alloc);
  else to[nodeId] = [alloc];
}

/** One that takes another's place is written into that one too. */
const writesFor = ({ PreviousAllocation }: Allocation): number => (PreviousAllocation === '' ? 1 : 2);

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
