import type { Allocation, AllocClientStatus } from '../structs/allocation.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { Job } from '../structs/job.js';
import type { Plan } from '../structs/plan.js';
import type { Nanos } from '../util/clock.js';

/** Gathers what an evaluation proposes. */
export class PlanBuilder {
  readonly plan: Plan;
  readonly #now: Nanos;

  constructor(options: { evaluation: Evaluation; job: Job | null; snapshotIndex: number; now: Nanos }) {
    this.#now = options.now;
    this.plan = {
      EvalID: options.evaluation.ID,
      // The worker holds the token that the broker gave it, and adds it on the way.
      EvalToken: '',
      Priority: options.evaluation.Priority,
      AllAtOnce: options.job?.AllAtOnce ?? false,
      Job: options.job,
      NodeUpdate: {},
      NodeAllocation: {},
      NodePreemptions: {},
      Deployment: null,
      DeploymentUpdates: [],
      Annotations: null,
      SnapshotIndex: options.snapshotIndex,
    };
  }

  /** Stops an allocation; `clientStatus` when its client will never say so itself. */
  stop(alloc: Allocation, description: string, clientStatus: AllocClientStatus | null): void {
    append(this.plan.NodeUpdate, {
      ...alloc,
      DesiredStatus: 'stop',
      DesiredDescription: description,
      ClientStatus: clientStatus ?? alloc.ClientStatus,
      ModifyTime: this.#now,
    });
  }

  /** Stops an allocation of another job because a new one needs its room. */
  preempt(victim: Allocation, by: Allocation): void {
    append(this.plan.NodePreemptions, {
      ...victim,
      DesiredStatus: 'evict',
      DesiredDescription: `Preempted by alloc ID ${by.ID}`,
      PreemptedByAllocation: by.ID,
      ModifyTime: this.#now,
    });
  }

  /** Says in the annotations who has to make room; to be called once the plan is whole. */
  annotatePreemptions(): void {
    const { Annotations, NodePreemptions, NodeAllocation } = this.plan;
    if (!Annotations || isEmpty(NodePreemptions)) return;
    Annotations.PreemptedAllocs = Object.values(NodePreemptions).flat();
    for (const { TaskGroup, PreemptedAllocations } of Object.values(NodeAllocation).flat()) {
      const counts = Annotations.DesiredTGUpdates[TaskGroup];
      if (counts) counts.Preemptions += PreemptedAllocations?.length ?? 0;
    }
  }

  /** Takes the last stop of an allocation back. */
  unstop(alloc: Allocation): void {
    const stops = (this.plan.NodeUpdate[alloc.NodeID] ?? []).filter(({ ID }) => ID !== alloc.ID);
    if (stops.length > 0) this.plan.NodeUpdate[alloc.NodeID] = stops;
    else delete this.plan.NodeUpdate[alloc.NodeID];
  }

  /** Places a new allocation, or replaces one of the same id in place. */
  place(alloc: Allocation): void {
    append(this.plan.NodeAllocation, alloc);
  }

  /** Whether applying it would change nothing. */
  get isNoop(): boolean {
    const { plan } = this;
    return (
      isEmpty(plan.NodeUpdate) &&
      isEmpty(plan.NodeAllocation) &&
      plan.Deployment === null &&
      plan.DeploymentUpdates.length === 0
    );
  }
}

function append(byNode: Record<string, Allocation[]>, alloc: Allocation): void {
  const list = byNode[alloc.NodeID];
  if (list) list.push(alloc);
  else byNode[alloc.NodeID] = [alloc];
}

function isEmpty(record: Record<string, unknown>): boolean {
  for (const _ in record) return false;
  return true;
}
