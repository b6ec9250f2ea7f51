import type { Allocation } from '../../structs/allocation.js';
import type { Deployment, DeploymentState } from '../../structs/deployment.js';
import type { Job, TaskGroup, UpdateStrategy } from '../../structs/job.js';
import { isHeld, newState } from './roll-out.js';
import type { SystemGroupState, SystemInput } from './system.js';

// How a system job's new version reaches its nodes. A canary stands in the place of the old one on its node, since two of a
// system job do not run on one node; `canary` is a percentage of the job's nodes (rounded up).

/** What one group of a system job does now. */
export interface SystemGroupPlan {
  readonly place: { readonly nodeId: string; readonly previous: Allocation | null; readonly downgrade: boolean }[];
  /** Those that are replaced on their node, canaries first. */
  readonly updates: Allocation[];
  /** Nodes on which the new version is on trial. */
  readonly canaries: ReadonlySet<string>;
  readonly state: DeploymentState;
  readonly startsDeployment: boolean;
  /** Nothing is left to update or to promote. */
  readonly settled: boolean;
}

/** The update strategy of a system job's group; null: everything is replaced at once, without a roll-out. */
export function systemStrategy(job: Job, group: TaskGroup): UpdateStrategy | null {
  if (job.Type !== 'system') return null;
  const strategy = group.Update ?? job.Update;
  return strategy && strategy.MaxParallel > 0 ? strategy : null;
}

/** Decides which nodes of a group come next. */
export function rollOutSystemGroup(context: {
  input: SystemInput;
  job: Job;
  group: TaskGroup;
  state: SystemGroupState;
  deployment: Deployment | null;
}): SystemGroupPlan {
  const { input, job, group, deployment } = context;
  const { current, destructive, missing } = context.state;
  const strategy = systemStrategy(job, group);
  const known = deployment?.TaskGroups[group.Name];
  const state: DeploymentState = { ...(known ?? newState(strategy)) };
  const canaries = current.filter((alloc) => isCanaryOf(alloc, deployment, group));
  if (strategy && strategy.Canary > 0 && !state.Promoted && destructive.length > 0) {
    const share = Math.ceil((Math.min(100, strategy.Canary) / 100) * input.nodes.length);
    state.DesiredCanaries = Math.min(Math.max(1, share), canaries.length + destructive.length);
  }
  const onTrial = state.DesiredCanaries > 0 && !state.Promoted;
  const held = isHeld(deployment);
  const order = [...destructive].sort((a, b) => (a.NodeID < b.NodeID ? -1 : a.NodeID > b.NodeID ? 1 : 0));
  const wanted = !strategy
    ? order.length
    : held
      ? 0
      : onTrial
        ? Math.max(0, state.DesiredCanaries - canaries.length)
        : Math.max(0, roomFor(strategy, current, deployment) - missing.length);
  const updates = order.slice(0, wanted);
  state.DesiredTotal = current.length + destructive.length + missing.length;
  return {
    place: missing.map((place) => ({ ...place, downgrade: onTrial })),
    updates,
    canaries: new Set(onTrial ? updates.map(({ NodeID }) => NodeID) : []),
    state,
    startsDeployment: strategy !== null && !known && state.DesiredTotal > 0 && isNews(context),
    settled: destructive.length + context.state.inPlace.length === 0 && !onTrial,
  };
}

/** How many may be replaced now: max_parallel less those whose health is not known yet, none while one is unhealthy. */
function roomFor(strategy: UpdateStrategy, current: readonly Allocation[], deployment: Deployment | null): number {
  let room = strategy.MaxParallel;
  for (const alloc of current) {
    if (!deployment || alloc.DeploymentID !== deployment.ID) continue;
    const healthy = alloc.DeploymentStatus?.Healthy ?? null;
    if (healthy === false) return 0;
    if (healthy === null) room--;
  }
  return Math.max(0, room);
}

function isCanaryOf(alloc: Allocation, deployment: Deployment | null, group: TaskGroup): boolean {
  if (!deployment || alloc.DeploymentID !== deployment.ID) return false;
  const placed = deployment.TaskGroups[group.Name]?.PlacedCanaries ?? [];
  return placed.includes(alloc.ID) || alloc.DeploymentStatus?.Canary === true;
}

/** A roll-out begins with a job's first allocations and with a change of running ones, not when one is merely replaced. */
function isNews({ input, job, group, state }: Parameters<typeof rollOutSystemGroup>[0]): boolean {
  if (state.destructive.length + state.inPlace.length > 0) return true;
  const own = input.allocs.filter(({ TaskGroup }) => TaskGroup === group.Name);
  return !own.some(({ Job: ran }) => ran?.Version === job.Version && ran.CreateIndex === job.CreateIndex);
}
