import type { Evaluation } from '../structs/evaluation.js';
import { type Millis, toNanos } from '../util/clock.js';
import { type Random, randomUuid } from '../util/random.js';

/** What the maker of an evaluation says; the rest has its neutral value. */
export type EvalSeed = Pick<Evaluation, 'Namespace' | 'Priority' | 'Type' | 'TriggeredBy' | 'JobID'> &
  Partial<Evaluation>;

/** A pending evaluation with a fresh id, made now. Its indexes are set when it is applied. */
export function newEval(seed: EvalSeed, world: { random: Random; now: Millis }): Evaluation {
  return {
    ID: randomUuid(world.random),
    JobModifyIndex: 0,
    NodeID: '',
    NodeModifyIndex: 0,
    DeploymentID: '',
    Status: 'pending',
    StatusDescription: '',
    Wait: 0,
    WaitUntil: null,
    NextEval: '',
    PreviousEval: '',
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
    LeaderACL: '',
    CreateIndex: 0,
    ModifyIndex: 0,
    CreateTime: toNanos(world.now),
    ModifyTime: toNanos(world.now),
    ...seed,
  };
}
