import { VOLUME_LEASE } from '../structs/rpc-volume.js';
import type { Millis } from '../util/clock.js';

/**
 * When the leases of each node end, as a leader may reckon it: from the last renewal that it answered itself, and for nodes it
 * never heard from the beginning of its own rule, because the leader before it answered none after that (it asks a majority
 * before it does). VOLUME_LEASE tells the whole rule.
 */
export class NodeLeases {
  readonly #renewed = new Map<string, Millis>();
  #begunMs: Millis = 0;

  /** Leadership began. */
  begin(now: Millis): void {
    this.#renewed.clear();
    this.#begunMs = now;
  }

  /** A renewal is about to be answered. */
  renewed(nodeId: string, now: Millis): void {
    this.#renewed.set(nodeId, Math.max(now, this.#renewed.get(nodeId) ?? 0));
  }

  /** From this time on the node writes to none of its volumes, should it not renew its leases any more. */
  endsMs(nodeId: string): Millis {
    return (this.#renewed.get(nodeId) ?? this.#begunMs) + VOLUME_LEASE.passOnAfterMs;
  }
}
