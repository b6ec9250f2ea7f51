import type { Evaluation } from '../structs/evaluation.js';
import { randomUuid } from '../util/random.js';
import type { Method, ScheduleOptions } from './attempts.js';
import type { Draft } from './draft.js';
import { draftGeneric } from './draft-generic.js';
import { nextEvaluation } from './reconcile/followup.js';

/** Service and batch jobs differ in their attempts; how they are reconciled and ranked goes by the job's type. */
export function genericMethod(attemptsMax: number): Method {
  return { attemptsMax, draft: draftGeneric, blocked: blockedByClass };
}

/** One evaluation that waits until a node of a class that will do has room. */
function blockedByClass(evaluation: Evaluation, draft: Draft, { state, now, random }: ScheduleOptions): Evaluation[] {
  const blocked = nextEvaluation(
    evaluation,
    {
      ID: randomUuid(random),
      TriggeredBy: 'queued-allocs',
      Status: 'blocked',
      StatusDescription: 'created to place remaining allocations',
      FailedTGAllocs: draft.failed,
      ClassEligibility: draft.escaped ? null : draft.eligibility,
      EscapedComputedClass: draft.escaped,
      SnapshotIndex: state.index,
    },
    now,
  );
  return [blocked];
}
