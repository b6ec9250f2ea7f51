import { MeshError } from '../../structs/errors.js';
import type { CallOptions } from '../../transport/rpc.js';
import { backoffMs } from '../../util/backoff.js';
import type { Random } from '../../util/random.js';
import { OFFLINE_MS } from '../context.js';
import { sleep, type Timers } from '../timers.js';
import type { Answer, TemplateSource, Watched } from './source.js';

const WAIT_MS = 5 * 60_000;
const RETRY_BASE_MS = 500;
const RETRY_MAX_MS = 30_000;
const UNWRITTEN_MS = 2_000;

/** What the servers said last, for a start without them: of this task alone, kept where its handles are. */
export interface KeptAnswers {
  get(key: string): unknown;
  put(key: string, value: unknown): void;
}

export interface ServerSourceOptions {
  /** The function's name, for messages and for what is kept. */
  name: string;
  /** Asks for what lies under the key, waiting for a change after `index`; null = it is not there, and is waited for. */
  ask: (key: string, query: { MinQueryIndex: number; MaxQueryTimeMs: number }, call: CallOptions) => Promise<Reply>;
  kept: KeptAnswers;
  timers: Timers;
  random: Random;
}

interface Reply {
  index: number;
  value: unknown;
}

/** Watches something that the servers know, by blocking queries. */
export function serverSource(options: ServerSourceOptions): TemplateSource {
  return { watch: (key, onChange) => new WatchedReply(key, options, onChange) };
}

class WatchedReply implements Watched {
  answer: Answer;
  private readonly key: string;
  private readonly options: ServerSourceOptions;
  private readonly onChange: () => void;
  private readonly ending = new AbortController();

  constructor(key: string, options: ServerSourceOptions, onChange: () => void) {
    this.key = key;
    this.options = options;
    this.onChange = onChange;
    this.answer = this.waiting();
    void this.follow();
  }

  close(): void {
    this.ending.abort();
  }

  private async follow(): Promise<void> {
    const { ask, timers, random, kept } = this.options;
    const { signal } = this.ending;
    for (let index = 0, attempt = 0; !signal.aborted; ) {
      try {
        const hasKept = this.answer.state === 'waiting' && (kept.get(this.id) ?? null) !== null;
        const call = { signal, ...(hasKept ? { linklessMs: OFFLINE_MS } : {}) };
        const reply = await ask(this.key, { MinQueryIndex: index, MaxQueryTimeMs: WAIT_MS }, call);
        // An index that went back: the servers have another state now.
        index = reply.index < index ? 0 : reply.index;
        attempt = 0;
        kept.put(this.id, reply.value);
        this.take(reply.value);
        // Nothing was ever written there: a question about what comes after 0 is answered at once.
        if (index === 0) await sleep(timers, UNWRITTEN_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (isRefusal(error)) {
          this.tell({ state: 'failed', reason: error.message });
          return;
        }
        // No server is in reach: what they said last holds, so that a machine which is offline starts its work.
        if (this.answer.state === 'waiting') this.take(kept.get(this.id));
        const delayMs = backoffMs({ attempt: attempt++, baseMs: RETRY_BASE_MS, maxMs: RETRY_MAX_MS, random });
        await sleep(timers, delayMs, signal);
      }
    }
  }

  private get id(): string {
    return `${this.options.name} ${this.key}`;
  }

  private waiting(): Answer {
    return { state: 'waiting', what: `${this.options.name}(${this.key})` };
  }

  private take(value: unknown): void {
    this.tell(value === null || value === undefined ? this.waiting() : { state: 'known', value });
  }

  private tell(next: Answer): void {
    if (this.ending.signal.aborted || JSON.stringify(next) === JSON.stringify(this.answer)) return;
    this.answer = next;
    this.onChange();
  }
}

/** The servers have answered, and will not say anything else. */
const isRefusal = (error: unknown): error is MeshError =>
  error instanceof MeshError && (error.code === 'E_PERMISSION_DENIED' || error.code === 'E_BAD_REQUEST');
