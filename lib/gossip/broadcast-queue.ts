/** One piece of news, as it stands in packets. A newer one about the same subject replaces it. */
interface Item {
  readonly subject: string;
  readonly bytes: Uint8Array;
  sends: number;
}

/** After so many items that do not fit the room left, the packet is taken for full. */
const MISFITS_MAX = 8;
/** No message is shorter than this: less room holds nothing. */
const ROOM_MIN = 40;

/** How often each member sends one piece of news, so that all hear it with near certainty (SWIM, section 4.1). */
export function retransmitLimit(factor: number, members: number): number {
  return factor * Math.ceil(Math.log10(members + 1));
}

/** News to be spread, those sent least first, each until it was sent often enough. */
export class BroadcastQueue {
  /** By how often they were sent; what was replaced stays in its tier until it is met. */
  readonly #tiers: Item[][] = [];
  readonly #bySubject = new Map<string, Item>();

  get size(): number {
    return this.#bySubject.size;
  }

  add(subject: string, bytes: Uint8Array): void {
    this.#insert({ subject, bytes, sends: 0 });
  }

  drop(subject: string): void {
    this.#bySubject.delete(subject);
  }

  /** News that fit into `room` bytes together, each counted as sent once; after `limit` times it is forgotten. */
  take(room: number, limit: number): Uint8Array[] {
    const taken: Item[] = [];
    let left = room;
    let misfits = 0;
    for (const tier of this.#tiers) {
      // The oldest first: nothing waits for ever behind what comes later.
      for (let at = 0; at < tier.length && left >= ROOM_MIN && misfits < MISFITS_MAX; ) {
        const item = tier[at] as Item;
        const isStale = this.#bySubject.get(item.subject) !== item;
        if (!isStale && item.bytes.length > left) {
          misfits++;
          at++;
          continue;
        }
        tier.splice(at, 1);
        if (isStale) continue;
        taken.push(item);
        left -= item.bytes.length;
      }
    }
    // Only now: an item must not be met again in its next tier.
    for (const item of taken) this.#sent(item, limit);
    return taken.map(({ bytes }) => bytes);
  }

  #sent(item: Item, limit: number): void {
    item.sends++;
    if (item.sends >= limit) this.#bySubject.delete(item.subject);
    else this.#tier(item.sends).push(item);
  }

  #insert(item: Item): void {
    this.#bySubject.set(item.subject, item);
    this.#tier(0).push(item);
  }

  #tier(sends: number): Item[] {
    while (this.#tiers.length <= sends) this.#tiers.push([]);
    return this.#tiers[sends] as Item[];
  }
}
