import type { StateReader } from '../scheduler/ports.js';
import type { Allocation } from '../structs/allocation.js';
import type { Deployment } from '../structs/deployment.js';
import type { Node } from '../structs/node.js';
import type { Plan, PlanResult } from '../structs/plan.js';
import { hasRoom, type NodePlan } from './node-room.js';
import { nodesWithoutVolume } from './plan-volumes.js';

/** What a plan check sees of the world: the newest state. */
export type CheckState = Pick<
  StateReader,
  'index' | 'nodeById' | 'allocById' | 'allocsByNode' | 'usageByNode' | 'portsByNode' | 'allocsWithCsi'
>;

/**
 * Looks at a plan again, node by node, on the newest state and with the plans that are accepted but not yet applied.
 * Schedulers work on snapshots, several at a time: two of them may have given away the same room. What does not fit is
 * left out; RefreshIndex then tells the scheduler how new a state it must look at. AllAtOnce: all or nothing.
 */
export function checkPlan(plan: Plan, state: CheckState, inFlight: Iterable<PlanResult>): PlanResult {
  const flying = [...inFlight].filter((one) => !isApplied(one, state));
  const rejected: string[] = [];
  const withoutVolume = nodesWithoutVolume(plan, state, flying);
  const plans = [...flying, plan];
  for (const nodeId in plan.NodeAllocation) {
    const places = plan.NodeAllocation[nodeId] ?? [];
    if (places.length === 0) continue;
    if (withoutVolume.has(nodeId) || !nodeTakes(nodeId, places, plans, state)) rejected.push(nodeId);
  }
  const result: PlanResult = {
    NodeUpdate: plan.NodeUpdate,
    NodeAllocation: plan.NodeAllocation,
    NodePreemptions: plan.NodePreemptions,
    Deployment: plan.Deployment,
    DeploymentUpdates: plan.DeploymentUpdates,
    RejectedNodes: rejected,
    RefreshIndex: 0,
    AllocIndex: 0,
  };
  if (rejected.length === 0) return result;
  result.RefreshIndex = state.index;
  if (plan.AllAtOnce) {
    return {
      ...result,
      NodeUpdate: {},
      NodeAllocation: {},
      NodePreemptions: {},
      Deployment: null,
      DeploymentUpdates: [],
    };
  }
  // A stop that made room for a refused placement stays undone as well: the old allocation goes on serving.
  result.NodeUpdate = without(plan.NodeUpdate, rejected);
  result.NodeAllocation = without(plan.NodeAllocation, rejected);
  result.NodePreemptions = without(plan.NodePreemptions, rejected);
  if (result.Deployment) result.Deployment = withPlacedCanaries(result.Deployment, result.NodeAllocation, state);
  return result;
}

/** Whether a plan in flight has arrived, and only its submitter has not heard of it: what it placed must not count twice. */
function isApplied({ NodeAllocation }: PlanResult, state: CheckState): boolean {
  for (const nodeId in NodeAllocation) {
    const fresh = NodeAllocation[nodeId]?.find(({ CreateIndex }) => CreateIndex === 0);
    if (fresh) return state.allocById(fresh.ID) !== undefined;
  }
  return false;
}

/** Whether applying it would change nothing: not worth a log entry. */
export function isNoop(result: PlanResult): boolean {
  return (
    isEmpty(result.NodeUpdate) &&
    isEmpty(result.NodeAllocation) &&
    isEmpty(result.NodePreemptions) &&
    result.Deployment === null &&
    result.DeploymentUpdates.length === 0
  );
}

function nodeTakes(
  nodeId: string,
  places: readonly Allocation[],
  plans: readonly NodePlan[],
  state: CheckState,
): boolean {
  const node = state.nodeById(nodeId);
  if (!node) return false;
  if (!mayBeGiven(node, places, state)) return false;
  // Marking what is out of reach asks for no room.
  if (isOutOfReach(node)) return true;
  return hasRoom(node, plans, state);
}

/** Whether the node's status allows these placements. */
function mayBeGiven(node: Node, places: readonly Allocation[], state: CheckState): boolean {
  if (isOutOfReach(node)) return places.every(({ ClientStatus }) => ClientStatus === 'unknown');
  if (node.Status !== 'ready') return false;
  if (node.SchedulingEligibility === 'eligible') return true;
  return places.every(({ ID }) => state.allocById(ID)?.NodeID === node.ID);
}

function isOutOfReach({ Status }: Node): boolean {
  return Status === 'disconnected' || Status === 'down';
}

/** Canaries that were refused must not be waited for. */
function withPlacedCanaries(
  deployment: Deployment,
  accepted: Record<string, Allocation[]>,
  state: CheckState,
): Deployment {
  const placed = new Set(Object.values(accepted).flatMap((allocs) => allocs.map(({ ID }) => ID)));
  const groups = Object.entries(deployment.TaskGroups).map(([name, group]) => [
    name,
    {
      ...group,
      PlacedCanaries: group.PlacedCanaries?.filter((id) => placed.has(id) || state.allocById(id) !== undefined) ?? null,
    },
  ]);
  return { ...deployment, TaskGroups: Object.fromEntries(groups) };
}

function without<T>(map: Record<string, T>, keys: readonly string[]): Record<string, T> {
  const rest = { ...map };
  for (const key of keys) delete rest[key];
  return rest;
}

function isEmpty(map: Record<string, unknown[]>): boolean {
  for (const list of Object.values(map)) if (list.length > 0) return false;
  return true;
}
