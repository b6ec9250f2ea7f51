import { VOLUME_LEASE } from '../structs/rpc-volume.js';
import type { Millis } from '../util/clock.js';

/**
 * A node's side of the leases of its claims (VOLUME_LEASE): pure, and asked by whoever starts or keeps something that writes to a
 * claimed volume. All times are of one clock of this machine.
 */
export class VolumeLease {
  /** When the latest heartbeat that was answered with a renewal was sent; null = never. */
  #renewedMs: Millis | null;
  /** Since when the lease has been unbroken. */
  #sinceMs: Millis;

  /** `renewedMs`: what an agent that was restarted remembers. */
  constructor(renewedMs: Millis | null = null) {
    this.#renewedMs = renewedMs;
    this.#sinceMs = renewedMs ?? Number.POSITIVE_INFINITY;
  }

  /** When it was renewed last: worth remembering over restarts; null = never. */
  get renewedMs(): Millis | null {
    return this.#renewedMs;
  }

  /** A heartbeat that was sent at `sentMs` was answered with a renewal. */
  renewed(sentMs: Millis, now: Millis): void {
    if (this.#renewedMs !== null && sentMs <= this.#renewedMs) return;
    if (this.stopsMs() <= now) this.#sinceMs = sentMs;
    this.#renewedMs = sentMs;
  }

  /** When everything that writes to a claimed volume has to be ended, unless the lease is renewed before. */
  stopsMs(): Millis {
    return this.#renewedMs === null ? Number.NEGATIVE_INFINITY : this.#renewedMs + VOLUME_LEASE.stopAfterMs;
  }

  /**
   * Whether a claim that was asked for at `askedMs` and granted may be used now: the lease stood all the time in between, so
   * nobody can have passed the claim on. If not, the claim must be asked for again.
   */
  covers(askedMs: Millis, now: Millis): boolean {
    return now < this.stopsMs() && askedMs >= this.#sinceMs;
  }
}
