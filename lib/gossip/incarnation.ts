import { assert } from '../util/assert.js';

/** How many are reserved at once: so that a refutation does not wait for a disk. */
const RESERVED = 32;

/**
 * This member's own count. It must never go backwards, or its word would be taken for an old one: the shell keeps on disk how
 * far it may go before it goes there, and a new start begins beyond that.
 */
export class Incarnation {
  #current: number;
  #reserved: number;

  /** `kept`: what `reserve` said last, in the run before; 0 the first time. */
  constructor(kept: number) {
    this.#current = kept + 1;
    this.#reserved = kept + RESERVED;
  }

  get current(): number {
    return this.#current;
  }

  /** What must be on disk before a later run. */
  get reserved(): number {
    return this.#reserved;
  }

  /** The next one that is above `other`, which somebody holds against this member or in its name. True: reserve anew. */
  passBeyond(other: number): boolean {
    assert(Number.isSafeInteger(other), 'gossip: incarnations are whole numbers');
    this.#current = Math.max(this.#current, other) + 1;
    if (this.#current <= this.#reserved) return false;
    this.#reserved = this.#current + RESERVED;
    return true;
  }
}
