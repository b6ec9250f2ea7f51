import type { Allocation, AllocMetric } from '../structs/allocation.js';
import type { Job, TaskGroup } from '../structs/job.js';
import { toNanos } from '../util/clock.js';
import type { Desk } from './draft.js';
import { isInReach } from './fleet.js';
import type { UpdateKind } from './reconcile/group.js';
import { mustReplace } from './reconcile/tasks-updated.js';
import type { SelectRequest } from './stack.js';
import { isTerminal } from './usage.js';

/** Says how an allocation of an older job becomes one of the new, and remembers the metrics of those that may stay. */
export class UpdateKinds {
  readonly #desk: Desk;
  readonly #replaces = new Map<Job, Map<string, boolean>>();
  readonly #staying = new Map<string, AllocMetric>();

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  readonly kindOf = (alloc: Allocation, group: TaskGroup): UpdateKind => {
    const { job, stack } = this.#desk;
    if (!job || !stack || !alloc.Job || alloc.Job.JobModifyIndex === job.JobModifyIndex) return 'none';
    if (this.#mustReplace(alloc.Job, job, group.Name)) return 'destructive';
    // An ended one that holds its place (done batch work, or failed for good) is left as it was unless it must run anew.
    if (isTerminal(alloc)) return 'none';
    const row = this.#desk.rowOf(alloc);
    if (row < 0 || !isInReach(this.#desk.node(row), job.Datacenters, job.NodePool)) return 'destructive';
    this.#desk.lift(alloc);
    const request: SelectRequest = { job, group, name: alloc.Name, penalties: null, preferredRow: -1 };
    const metrics = stack.staysOn(request, row);
    this.#desk.putBack(alloc);
    if (!metrics) return 'destructive';
    this.#staying.set(alloc.ID, metrics);
    return 'in-place';
  };

  /** The allocation as part of the new job; its resources stay, for only their change would have replaced it. */
  updated(alloc: Allocation, deploymentId: string): Allocation {
    const { evaluation, job, now } = this.#desk;
    const joins = deploymentId !== '' && alloc.DeploymentID !== deploymentId;
    return {
      ...alloc,
      EvalID: evaluation.ID,
      Job: job,
      Metrics: this.#staying.get(alloc.ID) ?? alloc.Metrics,
      DeploymentID: joins ? deploymentId : alloc.DeploymentID,
      // Its health under the new roll-out is not known yet.
      DeploymentStatus: joins ? null : alloc.DeploymentStatus,
      ModifyTime: toNanos(now),
    };
  }

  #mustReplace(before: Job, after: Job, group: string): boolean {
    const known = this.#replaces.get(before) ?? new Map<string, boolean>();
    this.#replaces.set(before, known);
    const verdict = known.get(group) ?? mustReplace(before, after, group);
    known.set(group, verdict);
    return verdict;
  }
}
