import type { Allocation } from '../../structs/allocation.js';
import type { Deployment } from '../../structs/deployment.js';
import type { Job } from '../../structs/job.js';
import type { Node } from '../../structs/node.js';
import type { Millis } from '../../util/clock.js';
import { isServerTerminal, isTerminal } from '../usage.js';
import { nextReschedule, RESCHEDULE_WINDOW_MS } from './reschedule.js';

/** What has become of an allocation's node, as far as its allocations must know. */
export type NodeFate = 'well' | 'down' | 'gone';

/** What becomes of an allocation. */
export type Fate =
  | { readonly kind: 'keep' }
  | { readonly kind: 'ignore' }
  | { readonly kind: 'migrate' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'reschedule-now' }
  /** Holds its place until then. */
  | { readonly kind: 'reschedule-later'; readonly at: Millis };

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
const always =
  (fate: Fate): Rule['fate'] =>
  () =>
    fate;

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
  { name: 'what is to stop has gone already', applies: isServerTerminal, fate: always(IGNORE) },
  {
    name: 'a failed one that has been replaced is history',
    applies: (alloc) => alloc.ClientStatus === 'failed' && alloc.NextAllocation !== '',
    fate: always(IGNORE),
  },
  { name: 'a failed one is rescheduled', applies: (alloc) => alloc.ClientStatus === 'failed', fate: rescheduleFate },
  {
    name: 'what has ended leaves its place free',
    applies: (alloc) => alloc.ClientStatus === 'complete' || alloc.ClientStatus === 'lost',
    fate: always(IGNORE),
  },
  {
    name: 'its node is down or gone',
    applies: (alloc, { nodeFate }) => nodeFate(alloc.NodeID) !== 'well',
    fate: always({ kind: 'lost' }),
  },
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
  return node.Status === 'down' ? 'down' : 'well';
}

function rescheduleFate(alloc: Allocation, { now, evalId, deployment }: FateContext): Fate {
  if (alloc.DesiredTransition.ForceReschedule === true) return { kind: 'reschedule-now' };
  // The watcher of an active roll-out decides whether its failures are tried again or fail it.
  const watched = deployment !== null && isActive(deployment) && alloc.DeploymentID === deployment.ID;
  if (watched && alloc.DesiredTransition.Reschedule !== true) return KEEP;
  const next = nextReschedule(alloc);
  if (!next.eligible) return KEEP;
  if (alloc.FollowupEvalID === evalId || next.at - now <= RESCHEDULE_WINDOW_MS) return { kind: 'reschedule-now' };
  return alloc.FollowupEvalID === '' ? { kind: 'reschedule-later', at: next.at } : KEEP;
}

/** Whether a roll-out is not over. */
export function isActive({ Status }: Deployment): boolean {
  return Status !== 'failed' && Status !== 'successful' && Status !== 'cancelled';
}

/** Whether it belongs to an older job than this one. */
function isOlder(alloc: Allocation, job: Job): boolean {
  const own = alloc.Job;
  return own !== null && (own.CreateIndex < job.CreateIndex || own.Version < job.Version);
}

/** Whether every task ended well by itself. One that was killed has not: a drained batch allocation must run again. */
function hasRunToSuccess(alloc: Allocation): boolean {
  if (alloc.ClientStatus !== 'complete') return false;
  if (!isServerTerminal(alloc)) return true;
  if (alloc.DesiredTransition.Migrate === true) return false;
  const states = Object.values(alloc.TaskStates ?? {});
  return states.every(
    ({ State, Failed, Events }) =>
      State === 'dead' && !Failed && !Events.some(({ Type }) => Type === 'Killing' || Type === 'Killed'),
  );
}
