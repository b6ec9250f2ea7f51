import type { NodeKey } from '../../structs/mesh.js';
import type { Address } from '../tcp.js';
import { formatAddress } from './addresses.js';

const KEYS_MAX = 2_000;
const ADDRESSES_MAX = 8;
const FRESH_MS = 10 * 60_000;

/** Where keys were seen of late: what was heard by multicast, and DHT nodes that know the way. Bounded. */
export class Sightings {
  readonly #seen = new Map<NodeKey, Map<string, { address: Address; at: number }>>();
  readonly #waiting = new Map<NodeKey, Set<(address: Address) => void>>();

  add(key: NodeKey, addresses: readonly Address[], nowMs: number): void {
    const known = this.#seen.get(key) ?? new Map<string, { address: Address; at: number }>();
    // The key that was seen last stands last: the one that is forgotten first is the one not seen for longest.
    this.#seen.delete(key);
    this.#seen.set(key, known);
    for (const address of addresses) {
      const text = formatAddress(address);
      const fresh = !known.has(text);
      known.delete(text);
      known.set(text, { address, at: nowMs });
      if (fresh) for (const listener of this.#waiting.get(key) ?? []) listener(address);
    }
    dropOldest(known, ADDRESSES_MAX);
    dropOldest(this.#seen, KEYS_MAX);
  }

  /** The latest first. */
  find(key: NodeKey, nowMs: number): Address[] {
    return [...(this.#seen.get(key)?.values() ?? [])]
      .filter(({ at }) => nowMs - at < FRESH_MS)
      .map(({ address }) => address)
      .reverse();
  }

  /** Hears of further addresses of a key until the returned function is called. */
  watch(key: NodeKey, listener: (address: Address) => void): () => void {
    const listeners = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#waiting.delete(key);
    };
  }
}

function dropOldest(map: Map<string, unknown>, max: number): void {
  for (const key of map.keys()) {
    if (map.size <= max) return;
    map.delete(key);
  }
}
