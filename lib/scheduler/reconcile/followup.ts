import type { Allocation } from '../../structs/allocation.js';
import type { Evaluation } from '../../structs/evaluation.js';
import type { Job } from '../../structs/job.js';
import { type Millis, toNanos } from '../../util/clock.js';
import { inTurns, type Rest, sortInTurns } from '../turns.js';

/** Waits that end this close to each other share an evaluation. */
const BATCH_WINDOW_MS = 5000;

/** A fresh evaluation of the same job, caused by another one. */
export function nextEvaluation(
  of: Evaluation,
  changes: Partial<Evaluation> & Pick<Evaluation, 'ID' | 'TriggeredBy' | 'Status'>,
  now: Millis,
): Evaluation {
  return {
    ...of,
    NodeID: '',
    NodeModifyIndex: 0,
    DeploymentID: '',
    StatusDescription: '',
    Wait: 0,
    WaitUntil: null,
    NextEval: '',
    PreviousEval: of.ID,
    BlockedEval: '',
    RelatedEvals: null,
    FailedTGAllocs: null,
    PlanAnnotations: null,
    ClassEligibility: null,
    QuotaLimitReached: '',
    EscapedComputedClass: false,
    AnnotatePlan: false,
    QueuedAllocations: null,
    SnapshotIndex: 0,
    CreateIndex: 0,
    ModifyIndex: 0,
    CreateTime: toNanos(now),
    ModifyTime: toNanos(now),
    ...changes,
  };
}

/** Why an allocation must be looked at again later. */
export type WaitReason = 'reschedule' | 'timeout' | 'client-stops';

/** An allocation that must be looked at again, and when. */
export interface Wait {
  readonly alloc: Allocation;
  readonly at: Millis;
}

const REASONS: Readonly<Record<WaitReason, { TriggeredBy: string; StatusDescription: string }>> = {
  reschedule: { TriggeredBy: 'alloc-reschedule', StatusDescription: 'created for delayed rescheduling' },
  timeout: {
    TriggeredBy: 'max-disconnect-timeout',
    StatusDescription: 'created for delayed disconnect timeout',
  },
  'client-stops': {
    TriggeredBy: 'alloc-failure',
    StatusDescription: 'created for when a disconnected client has stopped its allocations',
  },
};

/** Evaluations that come back when waits are over, and for each waiting allocation the id of its own. */
export function* followupEvals(options: {
  job: Job;
  evaluation: Evaluation;
  reason: WaitReason;
  waits: readonly Wait[];
  now: Millis;
  newId: () => string;
}): Generator<Rest, { followups: Evaluation[]; evalOf: Map<Allocation, string> }, void> {
  const { job, evaluation, now, newId, reason } = options;
  const followups: Evaluation[] = [];
  const evalOf = new Map<Allocation, string>();
  let windowEnd = Number.NEGATIVE_INFINITY;
  const waits = yield* sortInTurns(options.waits, ({ at }) => at);
  yield* inTurns(waits, ({ alloc, at }) => {
    if (at >= windowEnd) {
      windowEnd = at + BATCH_WINDOW_MS;
      followups.push(
        nextEvaluation(
          evaluation,
          {
            ID: newId(),
            Type: job.Type,
            Priority: job.Priority,
            JobModifyIndex: job.ModifyIndex,
            Status: 'pending',
            WaitUntil: new Date(at).toISOString(),
            ...REASONS[reason],
          },
          now,
        ),
      );
    }
    evalOf.set(alloc, followups.at(-1)?.ID ?? '');
  });
  return { followups, evalOf };
}
