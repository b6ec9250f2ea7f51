import type { Log } from '../util/log.js';

/** Those who want to know whether this server leads; what one of them gets wrong is no harm to the others. */
export class LeadershipListeners {
  readonly #log: Log;
  readonly #listeners: ((leads: boolean) => void)[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  add(listener: (leads: boolean) => void): void {
    this.#listeners.push(listener);
  }

  tell(leads: boolean): void {
    for (const listener of this.#listeners) {
      try {
        listener(leads);
      } catch (error) {
        this.#log.error('what follows a change of leadership failed', { leads, error: (error as Error).stack });
      }
    }
  }
}
