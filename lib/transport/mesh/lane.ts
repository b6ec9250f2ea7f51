import { MeshError } from '../../structs/errors.js';
import type { NodeKey } from '../../structs/mesh.js';
import { backoffMs } from '../../util/backoff.js';
import type { Random } from '../../util/random.js';
import type { MeshClock } from '../clock.js';
import type { LiveLink } from './live-link.js';

const RETRY = { baseMs: 200, maxMs: 10_000 };
/** A link that did not live so long is not redialled at once: two machines with one key would chase each other. */
const SETTLED_MS = 5_000;
/** Both ends of a lost link dial at once: a moment apart is enough for one of them to be first. */
const REDIAL_JITTER_MS = 50;

/** What a lane needs of the link manager. */
export interface LaneOptions {
  readonly key: NodeKey;
  readonly clock: MeshClock;
  readonly random: Random;
  /** Opens a connection, says hello and hands the link to `take`, by way of the one place where links are taken. */
  dial(signal: AbortSignal, attempt: number): Promise<void>;
  /** Whether the link is to be there even when nobody waits for it. */
  kept(): boolean;
}

interface Waiter {
  settle(link: LiveLink | Error): void;
}

/**
 * One kind of link to one member:
 *
 *   idle ──wanted──▶ dialling ──hello──▶ up ──lost, still wanted──▶ dialling
 *     ▲                 │ ▲               │
 *     │              failed └─back-off    └─lost, not wanted──▶ idle
 *     └──no longer wanted┘
 *
 * Wanted = kept, or somebody waits. A link that the other side dialled ends the dialling here just as well.
 */
export class Lane {
  readonly #options: LaneOptions;
  #live: LiveLink | undefined;
  #dialling: AbortController | undefined;
  #attempt = 0;
  #cancelRetry: (() => void) | undefined;
  readonly #waiters = new Set<Waiter>();
  #lastError = '';
  #closed = false;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  get live(): LiveLink | undefined {
    return this.#live;
  }

  /** Nothing is left of it: it may be forgotten. */
  get idle(): boolean {
    return !this.#live && !this.#dialling && this.#waiters.size === 0 && !this.#cancelRetry;
  }

  /** A link came up, by whichever side's dial. */
  up(link: LiveLink): void {
    this.#live = link;
    this.#lastError = '';
    // The other side was faster: a dial may take long, and a link that is lost meanwhile must not wait for it.
    this.#dialling?.abort();
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    for (const waiter of [...this.#waiters]) waiter.settle(link);
  }

  /** The link is gone; dialled again at once when it is wanted. */
  lost(link: LiveLink): void {
    if (this.#live !== link) return;
    this.#live = undefined;
    const { clock, random } = this.#options;
    if (clock.monotonicMs() - link.sinceMs < SETTLED_MS) this.#backOff();
    else {
      this.#attempt = 0;
      this.#retryIn(random.next() * REDIAL_JITTER_MS);
    }
  }

  /** Dials when the link is wanted and not there. */
  pump(): void {
    if (this.#live || this.#dialling || this.#cancelRetry || !this.#wanted()) return;
    const dialling = new AbortController();
    this.#dialling = dialling;
    this.#options.dial(dialling.signal, this.#attempt).then(
      () => {
        this.#dialling = undefined;
        this.pump();
      },
      (error: Error) => {
        this.#dialling = undefined;
        if (!dialling.signal.aborted) this.#lastError = error.message;
        this.#backOff();
      },
    );
  }

  /** The world has changed: what failed before may work now. */
  retryNow(): void {
    this.#attempt = 0;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.pump();
  }

  /** Resolves with the link once it is up; rejects with E_TIMEOUT after `ms`, or when the signal says so. */
  wait(ms: number, signal?: AbortSignal): Promise<LiveLink> {
    if (this.#live) return Promise.resolve(this.#live);
    if (this.#closed) return Promise.reject(new MeshError('E_TIMEOUT', 'this agent shuts down'));
    return new Promise((resolve, reject) => {
      const onAbort = (): void => waiter.settle(new MeshError('E_TIMEOUT', 'the call was given up'));
      const cancel = this.#options.clock.setTimeout(ms, () => waiter.settle(this.#unreached(ms)));
      const waiter: Waiter = {
        settle: (outcome) => {
          cancel();
          signal?.removeEventListener('abort', onAbort);
          this.#waiters.delete(waiter);
          if (outcome instanceof Error) reject(outcome);
          else resolve(outcome);
        },
      };
      this.#waiters.add(waiter);
      if (signal?.aborted) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
      this.pump();
    });
  }

  /** Whoever waits is told why, and nobody is dialled any more. */
  close(reason: MeshError): void {
    this.#closed = true;
    this.#dialling?.abort();
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    for (const waiter of [...this.#waiters]) waiter.settle(reason);
  }

  #wanted(): boolean {
    return !this.#closed && (this.#options.kept() || this.#waiters.size > 0);
  }

  #backOff(): void {
    this.#retryIn(backoffMs({ attempt: this.#attempt++, ...RETRY, random: this.#options.random }));
  }

  #retryIn(ms: number): void {
    if (!this.#wanted() || this.#live) return;
    this.#cancelRetry?.();
    this.#cancelRetry = this.#options.clock.setTimeout(ms, () => {
      this.#cancelRetry = undefined;
      this.pump();
    });
  }

  #unreached(ms: number): MeshError {
    const why = this.#lastError === '' ? 'no answer' : this.#lastError;
    return new MeshError(
      'E_TIMEOUT',
      `no link to member ${this.#options.key.slice(0, 8)} within ${(ms / 1000).toFixed(1)} s: ${why}`,
    );
  }
}
