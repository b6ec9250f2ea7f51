import type { Allocation } from '../../structs/allocation.js';
import type { Deployment, DeploymentState } from '../../structs/deployment.js';
import type { Job, TaskGroup, UpdateStrategy } from '../../structs/job.js';
import type { Wait } from './followup.js';
import { isHeld, newState } from './roll-out.js';
import type { SystemGroupState, SystemInput } from './system.js';
import { needsFollowup, retryWait } from './system-retry.js';

// How a system job's new version reaches its nodes. A canary stands in the place of the old one on its node, since two of a
// system job do not run on one node; `canary` is a percentage of the job's nodes (rounded up), max_parallel of them at most.

/** A node that gets an allocation. */
export interface SystemPlacement {
  readonly nodeId: string;
  readonly previous: Allocation | null;
  /** Takes the place of a canary. */
  readonly canary: boolean;
  /** Gets the version that ran before: the newest is on trial elsewhere. */
  readonly downgrade: boolean;
}

/** What one group of a system job does now. */
export interface SystemGroupPlan {
  readonly place: SystemPlacement[];
  /** Nodes whose last one failed not long ago: they are given another later. */
  readonly waiting: number;
  /** Those of them that need an evaluation for it. */
  readonly later: Wait[];
  /** Those to replace on their node, in this order as far as there is room for; who cannot be is passed over. */
  readonly updates: readonly Allocation[];
  /** How many of them now. While no trial is on, what is placed takes of it too: one that has no room anywhere must not. */
  readonly room: number;
  /** The new version is on trial: those are canaries. */
  readonly onTrial: boolean;
  /** No wanted node is one it is meant for, and it stands on no other. */
  readonly nowhere: boolean;
  readonly state: DeploymentState;
  readonly startsDeployment: boolean;
  /** But for the updates, nothing is left to do, to try again or to promote. */
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
  // One that has failed stays the node's canary: else failures would put the trial on one node after the other.
  const ended = missing.flatMap(({ previous }) => previous ?? []);
  const canaries = [...current, ...ended].filter((alloc) => isCanaryOf(alloc, deployment, group));
  if (strategy && strategy.Canary > 0 && !state.Promoted && destructive.length > 0) {
    const share = Math.ceil((Math.min(100, strategy.Canary) / 100) * context.state.meant);
    // A canary takes the old one's place: more at once than max_parallel would stop more than may be stopped.
    const most = Math.min(strategy.MaxParallel, canaries.length + destructive.length);
    state.DesiredCanaries = Math.min(Math.max(1, share), most);
  }
  const onTrial = state.DesiredCanaries > 0 && !state.Promoted;
  const held = isHeld(deployment);
  const { place, waits } = placeOrWait(context, onTrial);
  const room = !strategy
    ? Number.POSITIVE_INFINITY
    : held
      ? 0
      : onTrial
        ? state.DesiredCanaries - canaries.length
        : roomFor(strategy, current, deployment) - waits.length;
  state.DesiredTotal = current.length + destructive.length + missing.length;
  return {
    place,
    waiting: waits.length,
    later: waits.filter(({ alloc, at }) => needsFollowup(alloc, at, input.now)),
    updates: [...destructive].sort((a, b) => (a.NodeID < b.NodeID ? -1 : a.NodeID > b.NodeID ? 1 : 0)),
    room,
    onTrial,
    nowhere: input.nodes.length > 0 && context.state.meant + context.state.standing === 0,
    state,
    startsDeployment: strategy !== null && !known && state.DesiredTotal > 0 && isNews(context),
    settled: context.state.inPlace.length + waits.length === 0 && !onTrial,
  };
}

/** Which of the nodes without a live one get one now, and what the others wait for. */
function placeOrWait(
  { input, job, group, state, deployment }: Parameters<typeof rollOutSystemGroup>[0],
  onTrial: boolean,
): { place: SystemPlacement[]; waits: Wait[] } {
  const place: SystemPlacement[] = [];
  const waits: Wait[] = [];
  for (const { nodeId, previous } of state.missing) {
    const canary = onTrial && previous !== null && isCanaryOf(previous, deployment, group);
    const downgrade = onTrial && !canary;
    const at = previous && retryWait(previous, { ...input, job, keepsVersion: downgrade });
    if (previous && at !== null) waits.push({ alloc: previous, at });
    else place.push({ nodeId, previous, canary, downgrade });
  }
  return { place, waits };
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
