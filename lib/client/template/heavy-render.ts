import { Worker } from 'node:worker_threads';
import type { Millis } from '../../util/clock.js';
import type { RenderContext, Rendered, TemplateText } from './render.js';
import type { Answer, SourceKind } from './source.js';

/** One render with all that it may know: answers by kind and key, as `answerKey` makes them one text. */
export interface HeavyTask {
  template: TemplateText;
  context: Omit<RenderContext, 'isOverdue' | 'addresses'> & { addresses: ReturnType<RenderContext['addresses']> };
  answers: ReadonlyMap<string, Answer>;
  /** It fails when it takes longer; within a call, which cannot be interrupted, when it takes twice as long. */
  maxMs: Millis;
}

/** What came of it, and everything that was asked for, known or not. */
export interface HeavyOutcome {
  rendered: Rendered;
  asked: { kind: SourceKind; key: string }[];
}

/** Renders where nobody waits for it. */
export type RenderHeavy = (task: HeavyTask) => Promise<HeavyOutcome>;

/** What a kind and key are kept under. */
export function answerKey(kind: SourceKind, key: string): string {
  return `${kind} ${key}`;
}

/** Templates that need more are refused: the agent is to live. */
const MEMORY_MAX_MB = 1_024;
/** A thread costs memory, and to start one takes a while. */
const IDLE_MS: Millis = 5_000;

/**
 * A thread that renders one template after the other: it is there while there is something to do, and a while longer.
 * Whatever a template does, the agent goes on: too much time or memory is a failed render.
 */
class RenderThread {
  private worker: Worker | null = null;
  private last: Promise<unknown> = Promise.resolve();
  private queued = 0;
  private idle: NodeJS.Timeout | undefined;

  async render(task: HeavyTask): Promise<HeavyOutcome> {
    clearTimeout(this.idle);
    this.queued++;
    const outcome = this.last.then(() => this.run(task));
    this.last = outcome.catch(() => {});
    try {
      return await outcome;
    } finally {
      if (--this.queued === 0) this.idle = setTimeout(() => this.end(this.worker), IDLE_MS).unref();
    }
  }

  private async run(task: HeavyTask): Promise<HeavyOutcome> {
    const worker = this.worker ?? this.begin();
    worker.ref();
    let late: NodeJS.Timeout | undefined;
    try {
      return await new Promise<HeavyOutcome>((resolve, reject) => {
        const fail = (reason: string): void => {
          this.end(worker);
          resolve({ rendered: { kind: 'failed', reason }, asked: [] });
        };
        late = setTimeout(() => fail('the template takes too long'), 2 * task.maxMs);
        worker.once('message', (outcome: HeavyOutcome) => resolve(outcome));
        worker.once('error', (error: NodeJS.ErrnoException) => {
          if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') {
            fail(`the template takes more than ${MEMORY_MAX_MB} MiB of memory`);
            return;
          }
          this.end(worker);
          reject(error);
        });
        worker.postMessage(task);
      });
    } finally {
      clearTimeout(late);
      for (const event of ['message', 'error']) worker.removeAllListeners(event);
      worker.on('error', () => this.end(worker));
      worker.unref();
    }
  }

  private begin(): Worker {
    const worker = new Worker(new URL('./render-worker.js', import.meta.url), {
      // Its own: what the agent was started with is none of its business.
      argv: [],
      execArgv: [],
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: MEMORY_MAX_MB },
    });
    this.worker = worker;
    return worker;
  }

  private end(worker: Worker | null): void {
    if (!worker) return;
    if (this.worker === worker) this.worker = null;
    void worker.terminate();
  }
}

const thread = new RenderThread();

/** Renders in a thread of its own. */
export const renderHeavy: RenderHeavy = (task) => thread.render(task);
