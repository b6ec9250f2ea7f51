import { setTimeout as sleep } from 'node:timers/promises';
import { jobJson } from './mesh-agent.js';

/** A writer waits so long for an answer before it goes on; the answer counts whenever it comes. */
const ANSWER_MS = 500;
/** An answer that has not come by then never counts. */
const GIVE_UP_MS = 30_000;
const PAUSE_MS = 15;
const WRITERS = 3;

/** A server as a writer knows it. */
interface Target {
  readonly name: string;
  readonly address: string;
}

type Outcome = 'done' | 'nothing done' | 'unknown';

/**
 * Registers new jobs without end through any of the servers, a different one each time. What was refused with words that say
 * that nothing was done is sent again, as a job that must be new: so such words are found out where they are not true.
 */
export class SteadyWriter {
  /** The jobs that a server said it has, with the order in which they were acknowledged. */
  readonly acknowledged = new Set<string>();
  /** Jobs that were there although an answer had said that nothing was done. */
  readonly lies: string[] = [];
  /** How often each other answer came. */
  readonly refusals = new Map<string, number>();
  /** The longest time without an acknowledgement since it was last asked. */
  #gapMs = 0;
  #lastMs = performance.now();
  #targets: readonly Target[];
  #running = true;
  #next = 0;
  readonly #open = new Set<Promise<unknown>>();
  readonly #loops: Promise<void>[];

  constructor(targets: readonly Target[]) {
    this.#targets = targets;
    this.#loops = Array.from({ length: WRITERS }, () => this.#write());
  }

  /** Writes through these from now on. */
  aim(targets: readonly Target[]): void {
    this.#targets = targets;
  }

  /** The longest time without an acknowledgement since the last call, in milliseconds. */
  takeGapMs(): number {
    const gap = Math.max(this.#gapMs, performance.now() - this.#lastMs);
    this.#gapMs = 0;
    this.#lastMs = performance.now();
    return Math.round(gap);
  }

  /** Ends it; resolves when every answer has come or is given up. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#loops);
    await Promise.all(this.#open);
  }

  async #write(): Promise<void> {
    while (this.#running) {
      const id = `grow-${this.#next++}`;
      let wasRefused = false;
      while (this.#running) {
        const sent = this.#send(id, wasRefused);
        this.#open.add(sent);
        void sent.finally(() => this.#open.delete(sent));
        const outcome = await Promise.race([sent, sleep(ANSWER_MS, 'unknown' as const)]);
        await sleep(PAUSE_MS);
        if (outcome !== 'nothing done') break;
        wasRefused = true;
      }
    }
  }

  async #send(id: string, wasRefused: boolean): Promise<Outcome> {
    const target = this.#targets[Math.floor(Math.random() * this.#targets.length)] as Target;
    try {
      const response = await fetch(`${target.address}/v1/jobs`, {
        method: 'PUT',
        body: JSON.stringify({ ...jobJson(id, { count: 0 }), EnforceIndex: true, JobModifyIndex: 0 }),
        signal: AbortSignal.timeout(GIVE_UP_MS),
      });
      const text = await response.text();
      if (response.ok) return this.#acknowledge(id);
      if (wasRefused && text.includes('job already exists')) this.lies.push(id);
      this.#count(`${response.status} ${text.trim()}`);
      return response.status === 429 || /\bno (cluster )?leader\b/i.test(text) ? 'nothing done' : 'unknown';
    } catch (error) {
      const code = ((error as Error).cause as { code?: string } | undefined)?.code ?? (error as Error).name;
      this.#count(code);
      return code === 'ECONNREFUSED' ? 'nothing done' : 'unknown';
    }
  }

  #acknowledge(id: string): Outcome {
    const now = performance.now();
    this.#gapMs = Math.max(this.#gapMs, now - this.#lastMs);
    this.#lastMs = now;
    this.acknowledged.add(id);
    return 'done';
  }

  #count(what: string): void {
    this.refusals.set(what, (this.refusals.get(what) ?? 0) + 1);
  }
}
