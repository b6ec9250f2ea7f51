import { DriverError } from '../plugin/sdk/driver.js';
import { backoffMs } from '../util/backoff.js';
import type { Millis } from '../util/clock.js';
import type { Random } from '../util/random.js';
import type { ClientContext } from './context.js';
import { sleep, type Timers } from './timers.js';

// An engine that is restarted, upgraded, or comes later than the agent after a reboot: what ran in it waits for it, and its absence
// is no failure of the tasks.

/** So long a task that ran here waits for its engine before that counts as a failure, and others may take it over. */
const PATIENCE_MS: Millis = 5 * 60_000;
const ASK_MS: Millis = 5_000;
const RETRY = { baseMs: 1_000, maxMs: 10_000 };

/** Whether an error says that nobody answered where a driver's engine should be, itself or by what caused it. */
export function isAway(error: unknown): boolean {
  if (error instanceof DriverError) return error.away === true;
  return error instanceof Error && error.cause !== undefined && isAway(error.cause);
}

/**
 * Does something that needs a driver's engine, again and again while nobody answers there, and while `mayPass` says so of another
 * failure; `tell` hears of it once.
 */
export async function whenBack<T>(
  work: () => Promise<T>,
  {
    timers,
    random,
    signal,
    tell,
    mayPass = async () => false,
  }: {
    timers: Timers;
    random: Random;
    signal: AbortSignal;
    tell: (why: string) => void;
    mayPass?: () => Promise<boolean>;
  },
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted || !(isAway(error) || (await mayPass()))) throw error;
      if (attempt === 0) tell((error as Error).message);
      await sleep(timers, backoffMs({ attempt, ...RETRY, random }), signal);
    }
  }
}

/**
 * Whether what ran here waits on for what it needs: when a machine has started, file systems, links and a firewall that others write to
 * come in no order. Given up after a while, and only if a server leads: nobody else could place it elsewhere.
 */
export function patience({ timers, rpc }: Pick<ClientContext, 'timers' | 'rpc'>): () => Promise<boolean> {
  const untilMs = timers.now() + PATIENCE_MS;
  return async () => {
    if (timers.now() < untilMs) return true;
    const { Leader } = await rpc.call('Status.Leader', {}, { timeoutMs: ASK_MS }).catch(() => ({ Leader: '' }));
    return Leader === '';
  };
}

/** How long one task goes on waiting for its engine. */
export class DriverPatience {
  #sinceMs: Millis | null = null;
  #attempt = 0;

  /** Nobody answered: when to ask again, and whether that is news. Null: it was waited for long enough. */
  next(nowMs: Millis, random: Random): { delayMs: Millis; isFirst: boolean } | null {
    const isFirst = this.#sinceMs === null;
    this.#sinceMs ??= nowMs;
    if (nowMs - this.#sinceMs >= PATIENCE_MS) return null;
    return { delayMs: backoffMs({ attempt: this.#attempt++, ...RETRY, random }), isFirst };
  }

  /** Somebody answered. */
  over(): void {
    this.#sinceMs = null;
    this.#attempt = 0;
  }
}
