import type { Allocation } from '../../structs/allocation.js';
import type { Evaluation } from '../../structs/evaluation.js';
import type { Job } from '../../structs/job.js';
import { type Millis, toNanos } from '../../util/clock.js';

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

/** Evaluations that come back when waits are over, and the waiting allocations with the id of theirs. */
export function followupEvals(options: {
  job: Job;
  evaluation: Evaluation;
  later: readonly { alloc: Allocation; at: Millis }[];
  now: Millis;
  newId: () => string;
}): { followups: Evaluation[]; waiting: Allocation[] } {
  const { job, evaluation, now, newId } = options;
  const followups: Evaluation[] = [];
  const waiting: Allocation[] = [];
  let windowEnd = Number.NEGATIVE_INFINITY;
  for (const { alloc, at } of [...options.later].sort((a, b) => a.at - b.at)) {
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
            TriggeredBy: 'alloc-failure',
            Status: 'pending',
            StatusDescription: 'created for delayed rescheduling',
            WaitUntil: new Date(at).toISOString(),
          },
          now,
        ),
      );
    }
    waiting.push({ ...alloc, FollowupEvalID: followups.at(-1)?.ID ?? '' });
  }
  return { followups, waiting };
}
