import type { ClientAllocUpdate } from '../structs/rpc.js';
import { backoffMs } from '../util/backoff.js';
import type { Millis } from '../util/clock.js';
import type { Log } from '../util/log.js';
import type { Random } from '../util/random.js';
import type { Timers } from './timers.js';

/** Changes that nobody waits for are sent together after this long. */
export const STATUS_BATCH_MS: Millis = 200;
const RETRY_BASE_MS: Millis = 250;
const RETRY_MAX_MS: Millis = 15_000;

export interface StatusSyncOptions {
  /** Reports to a server; settles when it is acknowledged. */
  send: (updates: ClientAllocUpdate[]) => Promise<void>;
  timers: Timers;
  random: Random;
  log: Log;
}

/**
 * Carries the states of allocations to the servers: one batch at a time, the newest state of each allocation, again and
 * again until it is acknowledged. What comes while a batch is under way goes with the next.
 */
export class StatusSync {
  private readonly options: StatusSyncOptions;
  /** Allocation → how to ask for its newest state. */
  private readonly dirty = new Map<string, () => ClientAllocUpdate>();
  private opened = false;
  private sending = false;
  private attempt = 0;
  private timer: { cancel: () => void; atMs: Millis } | null = null;

  constructor(options: StatusSyncOptions) {
    this.options = options;
  }

  /** How many allocations have something unsaid. */
  get pending(): number {
    return this.dirty.size;
  }

  /** Notes that an allocation has changed; `urgent` ones go at once. */
  put(id: string, report: () => ClientAllocUpdate, urgent: boolean): void {
    this.dirty.set(id, report);
    this.schedule(urgent && this.attempt === 0 ? 0 : STATUS_BATCH_MS);
  }

  /** Forgets an allocation that no longer exists. */
  drop(id: string): void {
    this.dirty.delete(id);
  }

  /** Begins to send: the node is known to a server from here on. */
  open(): void {
    this.opened = true;
    this.schedule(0);
  }

  close(): void {
    this.opened = false;
    this.timer?.cancel();
    this.timer = null;
  }

  private schedule(delayMs: Millis): void {
    if (!this.opened || this.sending || this.dirty.size === 0) return;
    const atMs = this.options.timers.now() + delayMs;
    if (this.timer && this.timer.atMs <= atMs) return;
    this.timer?.cancel();
    this.timer = { atMs, cancel: this.options.timers.after(delayMs, () => void this.flush()) };
  }

  private async flush(): Promise<void> {
    this.timer = null;
    const batch = [...this.dirty];
    this.dirty.clear();
    this.sending = true;
    let retryMs = 0;
    try {
      await this.options.send(batch.map(([, report]) => report()));
      this.attempt = 0;
    } catch (error) {
      for (const [id, report] of batch) if (!this.dirty.has(id)) this.dirty.set(id, report);
      const { random } = this.options;
      retryMs = backoffMs({ attempt: this.attempt++, baseMs: RETRY_BASE_MS, maxMs: RETRY_MAX_MS, random });
      if (this.opened) {
        const why = error instanceof Error ? error.message : String(error);
        this.options.log.warn('allocation states not acknowledged, will be sent again', { count: batch.length, why });
      }
    } finally {
      this.sending = false;
    }
    this.schedule(retryMs);
  }
}
