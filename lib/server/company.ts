import type { Timers } from './timers.js';

/**
 * Lets a write that nobody waits for go together with the next one that somebody does: both then share one entry's way to
 * the disks and to the other servers.
 */
export interface Company {
  /** Something is being proposed: whoever waits for that goes along. */
  comes(): void;
  /** Resolves when something else is proposed, or after `ms`. */
  wait(ms: number): Promise<void>;
}

export function createCompany(timers: Timers): Company {
  let waiting: (() => void)[] = [];
  return {
    comes() {
      if (waiting.length === 0) return;
      const all = waiting;
      waiting = [];
      for (const go of all) go();
    },
    wait: (ms) =>
      new Promise((resolve) => {
        const go = (): void => {
          cancel();
          resolve();
        };
        const cancel = timers.setTimeout(ms, () => {
          waiting = waiting.filter((other) => other !== go);
          resolve();
        });
        waiting.push(go);
      }),
  };
}
