import { MeshError } from '../structs/errors.js';
import type { Timers } from './timers.js';

/** Leadership is on its way to another server. */
export class HandOver {
  readonly to: string;
  /** Resolves when it leads; rejects with E_TIMEOUT when it does not come to it. */
  readonly done: Promise<void>;
  #resolve!: () => void;
  #reject!: (error: MeshError) => void;
  readonly #cancel: () => void;

  constructor(options: { to: string; limitMs: number; timers: Timers }) {
    const { to, limitMs, timers } = options;
    this.to = to;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#cancel = timers.setTimeout(limitMs, () => {
      this.#reject(new MeshError('E_TIMEOUT', `${to} did not take over within ${limitMs / 1000} s`));
    });
  }

  sawLeader(leader: string): void {
    if (leader !== this.to) return;
    this.#cancel();
    this.#resolve();
  }

  fail(error: MeshError): void {
    this.#cancel();
    this.#reject(error);
  }
}
