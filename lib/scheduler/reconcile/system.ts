import type { Allocation } from '../../structs/allocation.js';
import type { Deployment, DeploymentStatusUpdate } from '../../structs/deployment.js';
import type { DesiredUpdates } from '../../structs/evaluation.js';
import type { Job, TaskGroup } from '../../structs/job.js';
import { assertNever } from '../../util/assert.js';
import type { Millis } from '../../util/clock.js';
import { inTurns, type Rest } from '../turns.js';
import { isTerminal } from '../usage.js';
import { expiresAt, hasExpired, isBack, isReplaceable, lostAfterMs } from './disconnect.js';
import { FOLLOWUP_NEAR_MS, hasRunToSuccess, isOlder, type NodeFate } from './filters.js';
import type { Wait } from './followup.js';
import type { UpdateKind } from './group.js';
import { noUpdates, STOP_REASON, type Stop } from './result.js';
import { settleDeployment } from './roll-out.js';
import { rollOutSystemGroup, type SystemGroupPlan } from './system-roll-out.js';

/** Where a node stands with a system job. */
export type NodeRole =
  /** Ready, in the job's datacenters and pool: runs one allocation of each group. */
  | 'wanted'
  /** In reach but ineligible or draining: keeps what it has, gets nothing new. */
  | 'resting'
  /** Out of reach: runs nothing of the job. */
  | 'foreign';

/** What a system or sysbatch job needs to run once on each wanted node. */
export interface SystemReconciliation {
  readonly groups: ReadonlyMap<string, SystemGroupPlan>;
  readonly inPlace: Allocation[];
  readonly stop: Stop[];
  /** Those that become unknown. */
  readonly unknown: Allocation[];
  /** Unknown ones that are lost when nobody hears of them until then. */
  readonly timeouts: Wait[];
  /** Those that are taken back. */
  readonly back: Allocation[];
  readonly desired: Record<string, DesiredUpdates>;
  /** The roll-out of this version, unless it has succeeded. */
  readonly deployment: Deployment | null;
  readonly deploymentUpdates: DeploymentStatusUpdate[];
}

/** Everything the comparison looks at. */
export interface SystemInput {
  readonly job: Job | null;
  readonly allocs: readonly Allocation[];
  readonly deployment: Deployment | null;
  /** Ids of the wanted nodes. */
  readonly nodes: readonly string[];
  readonly roleOf: (nodeId: string) => NodeRole;
  /** Whether the conditions of job and group let it run on a node, room apart. */
  readonly isMeantFor: (nodeId: string, group: TaskGroup) => boolean;
  readonly nodeFate: (nodeId: string) => NodeFate;
  readonly updateKind: (alloc: Allocation, group: TaskGroup) => UpdateKind;
  readonly now: Millis;
  readonly evalId: string;
  /** The node whose change is the reason to look; '' when there is another reason. */
  readonly changedNodeId: string;
}

type Verdict =
  | { readonly kind: 'keep' | 'disconnecting' | 'away' | 'back' }
  | { readonly kind: 'stop'; readonly why: string; readonly lost: boolean };

interface Rule {
  readonly name: string;
  applies(alloc: Allocation, input: SystemInput): boolean;
  readonly verdict: Verdict;
}

const LOST: Verdict = { kind: 'stop', why: STOP_REASON.lost, lost: true };
const NOT_NEEDED: Verdict = { kind: 'stop', why: STOP_REASON.notNeeded, lost: false };
const KEEP: Verdict = { kind: 'keep' };
const isUnknown = ({ ClientStatus }: Allocation): boolean => ClientStatus === 'unknown';
const isAt = (fate: NodeFate) => (alloc: Allocation, input: SystemInput) => input.nodeFate(alloc.NodeID) === fate;
const isCutOff = isAt('disconnected');
const staysWhenDown = (alloc: Allocation, input: SystemInput): boolean =>
  isAt('down')(alloc, input) && !isReplaceable(alloc) && (isUnknown(alloc) || alloc.ClientStatus === 'running');

/** What becomes of an allocation that has not ended: first match decides. */
export const SYSTEM_RULES: readonly Rule[] = [
  { name: 'its node is gone', applies: isAt('gone'), verdict: LOST },
  {
    name: 'nobody wants it any more, and nobody can ask it',
    applies: (alloc, input) => !isRequired(input.job, alloc.TaskGroup) && input.nodeFate(alloc.NodeID) !== 'well',
    verdict: LOST,
  },
  {
    name: 'nobody wants it any more',
    applies: (alloc, { job }) => !isRequired(job, alloc.TaskGroup),
    verdict: NOT_NEEDED,
  },
  {
    name: 'it has been out of reach for too long',
    applies: (alloc, { now, evalId }) => hasExpired(alloc, now, evalId),
    verdict: LOST,
  },
  {
    name: 'out of reach, and known to be',
    applies: (alloc, input) => isCutOff(alloc, input) && isUnknown(alloc),
    verdict: { kind: 'away' },
  },
  {
    name: 'out of reach before it began, or not meant to outlast that',
    applies: (alloc, input) => isCutOff(alloc, input) && (alloc.ClientStatus === 'pending' || lostAfterMs(alloc) === 0),
    verdict: LOST,
  },
  { name: 'out of reach since now', applies: isCutOff, verdict: { kind: 'disconnecting' } },
  {
    name: 'its node is down, it is not to be replaced, and unknown already',
    applies: (alloc, input) => staysWhenDown(alloc, input) && isUnknown(alloc),
    verdict: { kind: 'away' },
  },
  {
    name: 'its node is down, it is not to be replaced, and it ran',
    applies: staysWhenDown,
    verdict: { kind: 'disconnecting' },
  },
  { name: 'its node is down', applies: isAt('down'), verdict: LOST },
  {
    name: 'the drainer has asked for it',
    applies: (alloc) => alloc.DesiredTransition.Migrate === true,
    verdict: { kind: 'stop', why: STOP_REASON.nodeTainted, lost: false },
  },
  {
    name: 'the job has left its node',
    applies: (alloc, { roleOf }) => roleOf(alloc.NodeID) === 'foreign',
    verdict: NOT_NEEDED,
  },
  { name: 'its client has not spoken of it yet', applies: isUnknown, verdict: { kind: 'away' } },
  { name: 'its client is back', applies: isBack, verdict: { kind: 'back' } },
  { name: 'all is well', applies: () => true, verdict: KEEP },
];

/** What one group has on the nodes. */
export interface SystemGroupState {
  /** Live ones of the job as it is, or that become so in place. */
  readonly current: Allocation[];
  /** Those of the current that become so now. */
  readonly inPlace: Allocation[];
  /** Live ones that must be replaced, on wanted nodes. */
  readonly destructive: Allocation[];
  /** Nodes it is meant for without a live one, and the last that ended there. */
  readonly missing: { nodeId: string; previous: Allocation | null }[];
  /** How many of the wanted nodes it is meant for. The others have no part in it: they must not hold a roll-out up. */
  meant: number;
  /** How many live ones it has, on whatever node. */
  standing: number;
}

/** Compares a system or sysbatch job with its allocations, node by node, with rests. Pure. */
export function* reconcileSystem(input: SystemInput): Generator<Rest, SystemReconciliation, void> {
  const { job } = input;
  const deploymentUpdates: DeploymentStatusUpdate[] = [];
  const { current: deployment } = settleDeployment(job, input.deployment, deploymentUpdates);
  const result: SystemReconciliation & { groups: Map<string, SystemGroupPlan> } = {
    groups: new Map(),
    inPlace: [],
    stop: [],
    unknown: [],
    timeouts: [],
    back: [],
    desired: {},
    deployment,
    deploymentUpdates,
  };
  for (const { Name } of job?.TaskGroups ?? []) countsOf(result, Name);
  const nodes = yield* sortByNode(input, result);
  for (const group of job && !job.Stop ? job.TaskGroups : []) {
    if (group.Count === 0) continue;
    const state = yield* stateOf(input, result, group, nodes);
    const plan = rollOutSystemGroup({ input, job: job as Job, group, state, deployment });
    const counts = countsOf(result, group.Name);
    counts.Place += plan.place.length;
    counts.RescheduleLater += plan.waiting;
    result.groups.set(group.Name, plan);
  }
  return result;
}

interface ByNode {
  /** The live allocation of a node and group. */
  readonly live: Map<string, Allocation>;
  /** The last that ended there, or is to stop now. */
  readonly ended: Map<string, Allocation>;
  /** Where the work is done, or shall not be tried again. */
  readonly done: Set<string>;
  /** Live ones that nobody can reach. */
  readonly away: Set<Allocation>;
}

const keyOf = (nodeId: string, group: string): string => `${nodeId}\n${group}`;

function* sortByNode(input: SystemInput, result: SystemReconciliation): Generator<Rest, ByNode, void> {
  const nodes: ByNode = { live: new Map(), ended: new Map(), done: new Set(), away: new Set() };
  yield* inTurns(input.allocs, (alloc) => {
    const place = keyOf(alloc.NodeID, alloc.TaskGroup);
    if (isTerminal(alloc)) {
      if (isDone(alloc, input.job)) nodes.done.add(place);
      keepLast(nodes.ended, place, alloc);
      return;
    }
    const verdict = nodes.live.has(place) ? NOT_NEEDED : verdictOn(alloc, input);
    if (verdict.kind !== 'stop') nodes.live.set(place, alloc);
    switch (verdict.kind) {
      case 'keep':
        break;
      case 'stop':
        result.stop.push({ alloc, description: verdict.why, clientStatus: verdict.lost ? 'lost' : null });
        countsOf(result, alloc.TaskGroup).Stop++;
        // What comes after it on its node follows it, not the one before.
        keepLast(nodes.ended, place, alloc);
        break;
      case 'disconnecting':
      case 'away':
        nodes.away.add(alloc);
        leave(input, result, alloc, verdict.kind);
        break;
      case 'back':
        result.back.push(alloc);
        countsOf(result, alloc.TaskGroup).Reconnect++;
        break;
      default:
        assertNever(verdict);
    }
  });
  return nodes;
}

function keepLast(ended: Map<string, Allocation>, place: string, alloc: Allocation): void {
  if ((ended.get(place)?.CreateIndex ?? -1) < alloc.CreateIndex) ended.set(place, alloc);
}

function verdictOn(alloc: Allocation, input: SystemInput): Verdict {
  for (const { applies, verdict } of SYSTEM_RULES) if (applies(alloc, input)) return verdict;
  return KEEP;
}

function leave(
  { now }: SystemInput,
  result: SystemReconciliation,
  alloc: Allocation,
  kind: 'disconnecting' | 'away',
): void {
  const leaves = kind === 'disconnecting';
  if (leaves) {
    result.unknown.push(alloc);
    countsOf(result, alloc.TaskGroup).Disconnect++;
  }
  const at = expiresAt(leaves ? { ...alloc, AllocStates: null } : alloc, now);
  if (at !== null && (leaves || at - now <= FOLLOWUP_NEAR_MS)) result.timeouts.push({ alloc, at });
}

/** Whether a node has done a sysbatch job's work: it went well, or has failed for good. What was killed or lost runs again. */
function isDone(alloc: Allocation, job: Job | null): boolean {
  if (job?.Type !== 'sysbatch' || isOlder(alloc, job)) return false;
  if (alloc.ClientStatus === 'failed') return alloc.DesiredTransition.ForceReschedule !== true;
  return hasRunToSuccess(alloc);
}

function* stateOf(
  input: SystemInput,
  result: SystemReconciliation,
  group: TaskGroup,
  { live, ended, done, away }: ByNode,
): Generator<Rest, SystemGroupState, void> {
  const state: SystemGroupState = { current: [], inPlace: [], destructive: [], missing: [], meant: 0, standing: 0 };
  const counts = countsOf(result, group.Name);
  yield* inTurns(live.values(), (alloc) => {
    if (alloc.TaskGroup !== group.Name) return;
    state.standing++;
    const kind = away.has(alloc) ? 'none' : input.updateKind(alloc, group);
    if (kind === 'destructive' && input.roleOf(alloc.NodeID) === 'wanted') {
      state.destructive.push(alloc);
      return;
    }
    if (kind === 'in-place') {
      counts.InPlaceUpdate++;
      result.inPlace.push(alloc);
      state.inPlace.push(alloc);
    } else {
      counts.Ignore++;
    }
    if (kind !== 'destructive' && !away.has(alloc)) state.current.push(alloc);
  });
  yield* inTurns(input.nodes, (nodeId) => {
    if (!input.isMeantFor(nodeId, group)) return;
    state.meant++;
    const place = keyOf(nodeId, group.Name);
    if (!live.has(place) && !done.has(place)) state.missing.push({ nodeId, previous: ended.get(place) ?? null });
  });
  return state;
}

function countsOf({ desired }: SystemReconciliation, group: string): DesiredUpdates {
  const known = desired[group] ?? noUpdates();
  desired[group] = known;
  return known;
}

function isRequired(job: Job | null, group: string): boolean {
  return job !== null && !job.Stop && job.TaskGroups.some(({ Name, Count }) => Name === group && Count > 0);
}
