import type { Plan } from '../structs/plan.js';
import { Heap } from '../util/heap.js';

/** A plan whose submitter waits for the answer. */
export interface QueuedPlan<A> {
  readonly plan: Plan;
  /** Whether the submitter still owns the plan's evaluation. */
  readonly holds: () => boolean;
  readonly answer: (value: A) => void;
  readonly refuse: (error: Error) => void;
}

/** Plans in the order in which the leader looks at them: higher priority first, then first come. */
export class PlanQueue<A> {
  readonly #heap = new Heap<QueuedPlan<A> & { order: number }>((a, b) =>
    a.plan.Priority !== b.plan.Priority ? a.plan.Priority > b.plan.Priority : a.order < b.order,
  );
  #order = 0;

  get size(): number {
    return this.#heap.size;
  }

  push(plan: Plan, holds: () => boolean): Promise<A> {
    return new Promise((answer, refuse) => {
      this.#heap.push({ plan, holds, answer, refuse, order: this.#order++ });
    });
  }

  take(): QueuedPlan<A> | undefined {
    return this.#heap.pop();
  }

  /** Refuses all that wait. */
  refuseAll(error: Error): void {
    for (let entry = this.#heap.pop(); entry; entry = this.#heap.pop()) entry.refuse(error);
  }
}
