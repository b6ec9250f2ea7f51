import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits for something to be over, and no longer than that. The process does not live on for this: what an agent did not
 * see the end of when it ended, as a task that has its `kill_timeout`, is the work of the next one.
 */
export async function waitUpTo(timeoutMs: number, over: Promise<unknown> | undefined): Promise<void> {
  const timeout = new AbortController();
  await Promise.race([over, sleep(timeoutMs, undefined, { signal: timeout.signal, ref: false }).catch(() => {})]);
  timeout.abort();
}
