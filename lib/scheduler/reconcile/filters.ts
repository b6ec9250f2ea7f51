import type { Allocation } from '../../structs/allocation.js';
import type { Deployment } from '../../structs/deployment.js';
import type { Job } from '../../structs/job.js';
import type { Node } from '../../structs/node.js';
import { wasStoppedApart } from '../../structs/separation.js';
import { wasStoppedMidway } from '../../structs/stopped.js';
import type { Millis } from '../../util/clock.js';
import { isServerTerminal, isTerminal } from '../usage.js';
import { hasExpired, isBack, isReplaceable, lostAfterMs, waitsForClient } from './disconnect.js';
import { nextReschedule, RESCHEDULE_WINDOW_MS } from './reschedule.js';

/** What has become of an allocation's node, as far as its allocations must know. */
export type NodeFate = 'well' | 'disconnected' | 'down' | 'gone';

/** A follow-up this near may be shared with another allocation's, and be gone: one more is made. */
export const FOLLOWUP_NEAR_MS = 5000;

/** What becomes of an allocation. */
export type Fate =
  | { readonly kind: 'keep' }
  | { readonly kind: 'ignore' }
  | { readonly kind: 'migrate' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'reschedule-now' }
  /** Holds its place until then. */
  | { readonly kind: 'reschedule-later'; readonly at: Millis }
  /** Becomes unknown: nobody can ask it. */
  | { readonly kind: 'disconnecting' }
  /** Is unknown already, and may still come back. */
  | { readonly kind: 'away' }
  /** Was unknown, and its client has come back. */
  | { readonly kind: 'reconnecting' }
  /** Lost, but its client may need until then to stop it. */
  | { readonly kind: 'client-stops'; readonly at: Millis };

/** Everything a rule may look at. */
export interface FateContext {
  readonly job: Job;
  readonly now: Millis;
  readonly evalId: string;
  readonly deployment: Deployment | null;
  readonly nodeFate: (nodeId: string) => NodeFate;
}

interface Rule {
  readonly name: string;
  applies(alloc: Allocation, context: FateContext): boolean;
  fate(alloc: Allocation, context: FateContext): Fate;
}

const KEEP: Fate = { kind: 'keep' };
const IGNORE: Fate = { kind: 'ignore' };
const LOST: Fate = { kind: 'lost' };
const AWAY: Fate = { kind: 'away' };
const always =
  (fate: Fate): Rule['fate'] =>
  () =>
    fate;

const isUnknown = ({ ClientStatus }: Allocation): boolean => ClientStatus === 'unknown';
const isCutOff = (alloc: Allocation, { nodeFate }: FateContext): boolean => nodeFate(alloc.NodeID) === 'disconnected';
const isDown = (alloc: Allocation, { nodeFate }: FateContext): boolean => nodeFate(alloc.NodeID) === 'down';

/** First match decides. */
export const FATE_RULES: readonly Rule[] = [
  {
    name: 'an ended batch allocation of an older job does not count for the new one',
    applies: (alloc, { job }) => job.Type === 'batch' && isTerminal(alloc) && isOlder(alloc, job),
    fate: always(IGNORE),
  },
  {
    name: 'batch work that is done stays done',
    applies: (alloc, { job }) => job.Type === 'batch' && hasRunToSuccess(alloc),
    fate: always(KEEP),
  },
  {
    name: 'a lost one that its client is about to stop by itself',
    applies: (alloc, { now, evalId }) => waitsForClient(alloc, now, evalId) !== null,
    fate: (alloc, { now, evalId }) => ({ kind: 'client-stops', at: waitsForClient(alloc, now, evalId) ?? now }),
  },
  { name: 'what is to stop has gone already', applies: isServerTerminal, fate: always(IGNORE) },
  {
    name: 'it came back failed, and another may run for it',
    applies: (alloc) => alloc.ClientStatus === 'failed' && isBack(alloc),
    fate: always({ kind: 'reconnecting' }),
  },
  {
    name: 'a failed one that has been replaced is history',
    applies: (alloc) => alloc.ClientStatus === 'failed' && alloc.NextAllocation !== '',
    fate: always(IGNORE),
  },
  {
    name: 'a failed one of a job that was purged, and registered anew under its name, is history',
    applies: (alloc, { job }) => alloc.ClientStatus === 'failed' && isOfPurgedJob(alloc, job),
    fate: always(IGNORE),
  },
  { name: 'a failed one is rescheduled', applies: (alloc) => alloc.ClientStatus === 'failed', fate: rescheduleFate },
  {
    name: 'what has ended leaves its place free',
    applies: (alloc) => alloc.ClientStatus === 'complete' || alloc.ClientStatus === 'lost',
    fate: always(IGNORE),
  },
  {
    name: 'it has been out of reach for too long',
    applies: (alloc, { now, evalId }) => hasExpired(alloc, now, evalId),
    fate: always(LOST),
  },
  {
    name: 'out of reach, and known to be',
    applies: (alloc, context) => isUnknown(alloc) && isCutOff(alloc, context),
    fate: always(AWAY),
  },
  {
    name: 'out of reach before it began',
    applies: (alloc, context) => alloc.ClientStatus === 'pending' && isCutOff(alloc, context),
    fate: always(LOST),
  },
  {
    name: 'out of reach, and not meant to outlast that',
    applies: (alloc, context) => lostAfterMs(alloc) === 0 && isReplaceable(alloc) && isCutOff(alloc, context),
    fate: always(LOST),
  },
  { name: 'out of reach since now', applies: isCutOff, fate: always({ kind: 'disconnecting' }) },
  {
    name: 'its node is gone',
    applies: (alloc, { nodeFate }) => nodeFate(alloc.NodeID) === 'gone',
    fate: always(LOST),
  },
  {
    name: 'its node is down, it is not to be replaced, and unknown already',
    applies: (alloc, context) => isDown(alloc, context) && !isReplaceable(alloc) && isUnknown(alloc),
    fate: always(AWAY),
  },
  {
    name: 'its node is down, it is not to be replaced, and it ran',
    applies: (alloc, context) => isDown(alloc, context) && !isReplaceable(alloc) && alloc.ClientStatus === 'running',
    fate: always({ kind: 'disconnecting' }),
  },
  { name: 'its node is down', applies: isDown, fate: always(LOST) },
  { name: 'its node is back, its client has not spoken of it yet', applies: isUnknown, fate: always(AWAY) },
  { name: 'its client is back', applies: isBack, fate: always({ kind: 'reconnecting' }) },
  {
    name: 'the drainer has asked for it',
    applies: (alloc) => alloc.DesiredTransition.Migrate === true,
    fate: always({ kind: 'migrate' }),
  },
  { name: 'all is well', applies: () => true, fate: always(KEEP) },
];

/** What becomes of an allocation, by the first rule that applies. */
export function fateOf(alloc: Allocation, context: FateContext): Fate {
  for (const rule of FATE_RULES) if (rule.applies(alloc, context)) return rule.fate(alloc, context);
  return KEEP;
}

/** What has become of a node. A draining one is well: the drainer names the allocations that must go. */
export function nodeFateOf(node: Node | undefined): NodeFate {
  if (!node) return 'gone';
  return node.Status === 'down' || node.Status === 'disconnected' ? node.Status : 'well';
}

function rescheduleFate(alloc: Allocation, { now, evalId, deployment }: FateContext): Fate {
  if (alloc.DesiredTransition.ForceReschedule === true) return { kind: 'reschedule-now' };
  if (isWatched(alloc, deployment)) return KEEP;
  const next = nextReschedule(alloc);
  if (!next.eligible) return KEEP;
  if (alloc.FollowupEvalID === evalId || next.at - now <= RESCHEDULE_WINDOW_MS) return { kind: 'reschedule-now' };
  // A follow-up may have been cancelled in favour of this evaluation: who would miss the moment gets another.
  const waits = alloc.FollowupEvalID !== '' && next.at - now > FOLLOWUP_NEAR_MS;
  return waits ? KEEP : { kind: 'reschedule-later', at: next.at };
}

/** Whether the watcher of an active roll-out decides if it is tried again or fails the roll-out. */
export function isWatched(alloc: Allocation, deployment: Deployment | null): boolean {
  if (deployment === null || !isActive(deployment) || alloc.DeploymentID !== deployment.ID) return false;
  return alloc.DesiredTransition.Reschedule !== true;
}

/** Whether a roll-out is not over. */
export function isActive({ Status }: Deployment): boolean {
  return Status !== 'failed' && Status !== 'successful' && Status !== 'cancelled';
}

/** Whether it belongs to an older job than this one. */
export function isOlder(alloc: Allocation, job: Job): boolean {
  const own = alloc.Job;
  return own !== null && (own.CreateIndex < job.CreateIndex || own.Version < job.Version);
}

/** Whether it belongs to a job of that name that was purged before this one was registered. */
function isOfPurgedJob({ Job: own }: Allocation, job: Job): boolean {
  return own !== null && own.CreateIndex < job.CreateIndex;
}

/** Whether every task ended well by itself. One that was killed has not: a drained batch allocation must run again. */
export function hasRunToSuccess(alloc: Allocation): boolean {
  if (alloc.ClientStatus !== 'complete') return false;
  if (wasStoppedApart(alloc.TaskStates)) return false;
  if (!isServerTerminal(alloc)) return !wasStoppedMidway(alloc);
  // What had to make room has been replaced at once: were it counted as well, its work would be counted twice.
  if (alloc.DesiredStatus === 'evict' || alloc.DesiredTransition.Migrate === true) return false;
  const states = Object.values(alloc.TaskStates ?? {});
  if (states.length === 0) return false;
  return states.every(
    ({ State, Failed, Events }) =>
      State === 'dead' && !Failed && !Events.some(({ Type }) => Type === 'Killing' || Type === 'Killed'),
  );
}
