import { csiRequestsOf, csiUse, isSuccessor, usesClash, willClaim } from '../scheduler/feasible/csi-use.js';
import type { StateReader } from '../scheduler/ports.js';
import { isTerminal } from '../scheduler/usage.js';
import type { Allocation } from '../structs/allocation.js';
import type { Plan, PlanResult } from '../structs/plan.js';
import { type VolumeRequest, volumeSource } from '../structs/volume.js';

/** What looking for promised volumes needs of the state. */
export type PromiseState = Pick<StateReader, 'allocById' | 'allocsWithCsi'>;

/** An allocation that will claim a volume. */
interface Promised {
  readonly alloc: Allocation;
  readonly request: VolumeRequest;
}

/**
 * Nodes on which a plan places what would have to share a CSI volume with somebody who has been promised it since the scheduler
 * looked: by the state, by a plan in flight, or by this plan itself.
 */
export function nodesWithoutVolume(plan: Plan, state: PromiseState, flying: readonly PlanResult[]): Set<string> {
  const refused = new Set<string>();
  const wanting: Allocation[] = [];
  for (const nodeId in plan.NodeAllocation) {
    for (const alloc of plan.NodeAllocation[nodeId] ?? []) if (willClaim(alloc)) wanting.push(alloc);
  }
  if (wanting.length === 0) return refused;
  const promised = promisesAround(plan, wanting, state, flying);
  for (const alloc of wanting) {
    const asks = promisesOf(alloc);
    const isTaken = asks.some(([key, one]) => (promised.get(key) ?? []).some((other) => clash(one, other)));
    // What runs there goes on; only who comes new can be sent away.
    if (isTaken && !isKnown(alloc, state)) refused.add(alloc.NodeID);
    else for (const [key, one] of asks) promised.set(key, [...(promised.get(key) ?? []), one]);
  }
  return refused;
}

/** What others were promised, by volume, once the plans in flight and the stops of this one are applied. */
function promisesAround(
  plan: Plan,
  wanting: readonly Allocation[],
  state: PromiseState,
  flying: readonly PlanResult[],
): Map<string, Promised[]> {
  const others = new Map<string, Allocation>();
  for (const namespace of new Set(wanting.map(({ Namespace }) => Namespace))) {
    for (const alloc of state.allocsWithCsi?.(namespace) ?? []) others.set(alloc.ID, alloc);
  }
  for (const one of [...flying, plan]) {
    for (const gone of [one.NodeUpdate, one.NodePreemptions]) {
      for (const { ID } of Object.values(gone).flat()) others.delete(ID);
    }
    if (one === plan) continue;
    for (const alloc of Object.values(one.NodeAllocation).flat()) others.set(alloc.ID, alloc);
  }
  for (const { ID } of wanting) others.delete(ID);
  const promised = new Map<string, Promised[]>();
  for (const alloc of others.values()) {
    if (isTerminal(alloc)) continue;
    for (const [key, one] of promisesOf(alloc)) promised.set(key, [...(promised.get(key) ?? []), one]);
  }
  return promised;
}

function promisesOf(alloc: Allocation): [string, Promised][] {
  return csiRequestsOf(alloc).map((request) => [
    `${alloc.Namespace}\0${volumeSource(request, alloc.Name)}`,
    { alloc, request },
  ]);
}

function clash(one: Promised, other: Promised): boolean {
  if (isSuccessor(one.alloc, other.alloc)) return false;
  const use = ({ alloc, request }: Promised) => csiUse(request, alloc.NodeID, alloc.ID);
  return usesClash(use(one), use(other));
}

function isKnown({ ID, NodeID }: Allocation, state: PromiseState): boolean {
  return state.allocById(ID)?.NodeID === NodeID;
}
