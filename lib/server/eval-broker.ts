import type { Evaluation } from '../structs/evaluation.js';
import type { Millis } from '../util/clock.js';
import { Heap } from '../util/heap.js';
import { type Random, randomUuid } from '../util/random.js';

// Hands evaluations to workers, at least once each and one at a time per job.
//
//   enqueue ──► delayed (WaitUntil, nack delay) ──► ready (a heap per scheduler type) ──dequeue──► outstanding
//      │                                              ▲        ▲                                   │      │
//      └─ another of its job is on the way: pending ──┘        └──── nack, or no answer in time ───┘      └─ ack: gone
//
// After too many deliveries an evaluation moves to the failed queue, from where the reaper closes it.

/** The queue of what was delivered too often. */
export const FAILED_QUEUE = '_failed';

export interface BrokerLimits {
  /** How long a worker may keep an evaluation before it is given to another. */
  nackTimeoutMs: Millis;
  /** How often an evaluation is handed out before it counts as failed. */
  deliveryLimit: number;
  /** Delay after the first nack… */
  firstNackDelayMs: Millis;
  /** …and after the n-th, times n − 1. */
  laterNackDelayMs: Millis;
}

export const BROKER_LIMITS: BrokerLimits = {
  nackTimeoutMs: 60_000,
  deliveryLimit: 3,
  firstNackDelayMs: 1_000,
  laterNackDelayMs: 20_000,
};

/** An evaluation in a worker's hands; whoever answers for it must show the token. */
export interface Delivery {
  evaluation: Evaluation;
  token: string;
}

interface Outstanding extends Delivery {
  queue: string;
  deadline: Millis;
  /** The worker answered: the entry in the timeout heap is stale. */
  done: boolean;
  /** What was enqueued for the same evaluation meanwhile, to be looked at after the ack. */
  requeue: Evaluation | null;
}

interface Ready {
  evaluation: Evaluation;
  order: number;
}

const jobKey = (evaluation: Evaluation): string => `${evaluation.Namespace}\0${evaluation.JobID}`;

/** Higher priority first, then the older. */
const before = (a: Ready, b: Ready): boolean => {
  if (a.evaluation.Priority !== b.evaluation.Priority) return a.evaluation.Priority > b.evaluation.Priority;
  if (a.evaluation.CreateIndex !== b.evaluation.CreateIndex) {
    return a.evaluation.CreateIndex < b.evaluation.CreateIndex;
  }
  return a.order < b.order;
};

/** The queue machine: every call says what time it is; nothing happens in between but for `advance`. */
export class EvalBroker {
  readonly #random: Random;
  readonly #limits: BrokerLimits;
  /** Known evaluations and how often each was delivered. */
  readonly #deliveries = new Map<string, number>();
  /** Which evaluation of a job is on its way (ready, outstanding or waiting after a nack). */
  readonly #onTheWay = new Map<string, string>();
  readonly #pending = new Map<string, Heap<Ready>>();
  readonly #ready = new Map<string, Heap<Ready>>();
  readonly #outstanding = new Map<string, Outstanding>();
  /** When to look whether a worker has kept an evaluation for too long: not before this. */
  readonly #timeouts = new Heap<{ held: Outstanding; due: Millis }>((a, b) => a.due < b.due);
  readonly #delayed = new Heap<{ due: Millis; evaluation: Evaluation }>((a, b) => a.due < b.due);
  #cancelled: Evaluation[] = [];
  #order = 0;

  constructor(options: { random: Random; limits?: BrokerLimits }) {
    this.#random = options.random;
    this.#limits = options.limits ?? BROKER_LIMITS;
  }

  /** Takes a pending evaluation in. One that is already known is ignored, unless it is outstanding under `token`: then it is looked at again once acknowledged. */
  enqueue(evaluation: Evaluation, now: Millis, token = ''): void {
    if (this.#deliveries.has(evaluation.ID)) {
      const held = this.#outstanding.get(evaluation.ID);
      if (token !== '' && held?.token === token) held.requeue = evaluation;
      return;
    }
    this.#deliveries.set(evaluation.ID, 0);
    const due = evaluation.WaitUntil === null ? 0 : Date.parse(evaluation.WaitUntil);
    if (due > now) this.#delayed.push({ due, evaluation });
    else this.#makeReady(evaluation, evaluation.Type);
  }

  /** The most urgent evaluation of these types, or undefined when there is none. */
  dequeue(types: readonly string[], now: Millis): Delivery | undefined {
    let best: Heap<Ready> | undefined;
    let queue = '';
    for (const type of types) {
      const heap = this.#ready.get(type);
      const head = heap?.peek();
      if (!heap || !head) continue;
      const other = best?.peek();
      if (other && !before(head, other)) continue;
      best = heap;
      queue = type;
    }
    const taken = best?.pop();
    if (!taken) return undefined;
    const { evaluation } = taken;
    const held: Outstanding = {
      evaluation,
      queue,
      token: randomUuid(this.#random),
      deadline: now + this.#limits.nackTimeoutMs,
      done: false,
      requeue: null,
    };
    this.#outstanding.set(evaluation.ID, held);
    this.#timeouts.push({ held, due: held.deadline });
    this.#deliveries.set(evaluation.ID, (this.#deliveries.get(evaluation.ID) ?? 0) + 1);
    return { evaluation, token: held.token };
  }

  /** The token under which an evaluation is in a worker's hands. */
  outstandingToken(evalId: string): string | undefined {
    return this.#outstanding.get(evalId)?.token;
  }

  /** The worker is seen to be at it: the evaluation is its for the whole time once more. */
  touch(evalId: string, token: string, now: Millis): void {
    const held = this.#outstanding.get(evalId);
    if (held?.token === token) held.deadline = now + this.#limits.nackTimeoutMs;
  }

  /** The worker waits for its turn, however long that takes; touch() ends that. */
  waits(evalId: string, token: string): void {
    const held = this.#outstanding.get(evalId);
    if (held?.token === token) held.deadline = Number.POSITIVE_INFINITY;
  }

  /** The worker is done. False when the token is not the one it was handed out with: another has it now. */
  ack(evalId: string, token: string, now: Millis): boolean {
    const held = this.#release(evalId, token);
    if (!held) return false;
    this.#deliveries.delete(evalId);
    this.#freeJob(held.evaluation);
    if (held.requeue) this.enqueue(held.requeue, now);
    return true;
  }

  /** The worker could not do it: it is delivered again after a delay, or fails. */
  nack(evalId: string, token: string, now: Millis): boolean {
    const held = this.#release(evalId, token);
    if (!held) return false;
    const count = this.#deliveries.get(evalId) ?? 0;
    // One that could not even be closed (a full disk) is tried again like any other, not at once and for ever.
    if (count >= this.#limits.deliveryLimit && held.queue !== FAILED_QUEUE) {
      this.#makeReady(held.evaluation, FAILED_QUEUE);
      return true;
    }
    const { firstNackDelayMs, laterNackDelayMs, deliveryLimit } = this.#limits;
    const delayMs = count <= 1 ? firstNackDelayMs : Math.min(count - 1, deliveryLimit) * laterNackDelayMs;
    this.#delayed.push({ due: now + delayMs, evaluation: held.evaluation });
    return true;
  }

  /** Lets time pass: delayed evaluations become ready, forgotten ones are taken back. */
  advance(now: Millis): void {
    for (let next = this.#delayed.peek(); next && next.due <= now; next = this.#delayed.peek()) {
      this.#delayed.pop();
      this.#makeReady(next.evaluation, next.evaluation.Type);
    }
    for (let next = this.#timeouts.peek(); next && (next.held.done || next.due <= now); next = this.#timeouts.peek()) {
      this.#timeouts.pop();
      const { held } = next;
      if (held.done) continue;
      if (held.deadline <= now) this.nack(held.evaluation.ID, held.token, now);
      else this.#timeouts.push({ held, due: Math.min(held.deadline, now + this.#limits.nackTimeoutMs) });
    }
  }

  /** When `advance` has something to do next. */
  dueMs(): Millis | undefined {
    while (this.#timeouts.peek()?.held.done) this.#timeouts.pop();
    const delayed = this.#delayed.peek()?.due;
    const timeout = this.#timeouts.peek()?.due;
    if (delayed === undefined || timeout === undefined) return delayed ?? timeout;
    return Math.min(delayed, timeout);
  }

  /** Evaluations that a newer one of the same job made needless since the last call: to be recorded as canceled. */
  takeCancelled(): Evaluation[] {
    const cancelled = this.#cancelled;
    this.#cancelled = [];
    return cancelled;
  }

  counts(): { ready: number; outstanding: number; pending: number; delayed: number; failed: number } {
    let ready = 0;
    for (const [type, heap] of this.#ready) if (type !== FAILED_QUEUE) ready += heap.size;
    let pending = 0;
    for (const heap of this.#pending.values()) pending += heap.size;
    return {
      ready,
      outstanding: this.#outstanding.size,
      pending,
      delayed: this.#delayed.size,
      failed: this.#ready.get(FAILED_QUEUE)?.size ?? 0,
    };
  }

  /** Forgets everything: leadership is lost, the next leader reads the state. */
  clear(): void {
    for (const held of this.#outstanding.values()) held.done = true;
    for (const map of [this.#deliveries, this.#onTheWay, this.#pending, this.#ready, this.#outstanding]) map.clear();
    this.#timeouts.clear();
    this.#delayed.clear();
    this.#cancelled = [];
  }

  #release(evalId: string, token: string): Outstanding | undefined {
    const held = this.#outstanding.get(evalId);
    if (!held || held.token !== token) return undefined;
    held.done = true;
    this.#outstanding.delete(evalId);
    return held;
  }

  #makeReady(evaluation: Evaluation, queue: string): void {
    const entry = { evaluation, order: this.#order++ };
    // An evaluation without a job (garbage collection) waits for nobody.
    if (evaluation.JobID !== '') {
      const key = jobKey(evaluation);
      const other = this.#onTheWay.get(key);
      if (other !== undefined && other !== evaluation.ID) {
        this.#heapOf(this.#pending, key, newestFirst).push(entry);
        return;
      }
      this.#onTheWay.set(key, evaluation.ID);
    }
    this.#heapOf(this.#ready, queue, before).push(entry);
  }

  /** The newest of the job's waiting evaluations sees all that the others would have seen: they are cancelled. */
  #freeJob(evaluation: Evaluation): void {
    const key = jobKey(evaluation);
    if (this.#onTheWay.get(key) === evaluation.ID) this.#onTheWay.delete(key);
    const waiting = this.#pending.get(key);
    if (!waiting) return;
    this.#pending.delete(key);
    const newest = waiting.pop();
    for (const { evaluation: older } of waiting.values()) {
      this.#deliveries.delete(older.ID);
      this.#cancelled.push(older);
    }
    if (newest) this.#makeReady(newest.evaluation, newest.evaluation.Type);
  }

  #heapOf(map: Map<string, Heap<Ready>>, key: string, order: (a: Ready, b: Ready) => boolean): Heap<Ready> {
    let heap = map.get(key);
    if (!heap) {
      heap = new Heap(order);
      map.set(key, heap);
    }
    return heap;
  }
}

const newestFirst = (a: Ready, b: Ready): boolean =>
  a.evaluation.CreateIndex !== b.evaluation.CreateIndex
    ? a.evaluation.CreateIndex > b.evaluation.CreateIndex
    : a.order > b.order;
