import type { Plan, PlanResult } from '../structs/plan.js';
import { Heap } from '../util/heap.js';

/** A plan whose submitter waits for the answer. */
export interface QueuedPlan {
  readonly plan: Plan;
  answer(result: PlanResult): void;
  refuse(error: Error): void;
}

interface Entry {
  queued: QueuedPlan;
  order: number;
}

/** Plans in the order in which the leader looks at them: higher priority first, then first come. */
export class PlanQueue {
  readonly #heap = new Heap<Entry>((a, b) =>
    a.queued.plan.Priority !== b.queued.plan.Priority
      ? a.queued.plan.Priority > b.queued.plan.Priority
      : a.order < b.order,
  );
  #order = 0;

  get size(): number {
    return this.#heap.size;
  }

  push(plan: Plan): Promise<PlanResult> {
    return new Promise((resolve, reject) => {
      this.#heap.push({ queued: { plan, answer: resolve, refuse: reject }, order: this.#order++ });
    });
  }

  take(): QueuedPlan | undefined {
    return this.#heap.pop()?.queued;
  }

  /** Refuses all that wait: leadership is lost. */
  refuseAll(error: Error): void {
    for (let entry = this.#heap.pop(); entry; entry = this.#heap.pop()) entry.queued.refuse(error);
  }
}
