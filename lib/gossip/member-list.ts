import type { NodeKey } from '../structs/mesh.js';
import { assertNever } from '../util/assert.js';
import type { Random } from '../util/random.js';
import { randomInt } from '../util/random.js';
import type { MemberRecord, MemberState } from './member.js';
import { isPresent } from './member.js';
import { BUCKETS_MAX } from './message-codec.js';

/**
 * Whether news of a member wins over what is believed (SWIM, section 4.2). Good-bye wins over death of the same incarnation:
 * the member itself said it. Only a higher incarnation, which only the member itself can make, brings anybody back.
 */
export function overrides(
  news: { state: MemberState; incarnation: number },
  known: { state: MemberState; incarnation: number },
): boolean {
  const isNewer = news.incarnation > known.incarnation;
  const isSame = news.incarnation === known.incarnation;
  switch (news.state) {
    case 'alive':
      return isNewer;
    case 'suspect':
      return isPresent(known as MemberRecord) && (isNewer || (isSame && known.state === 'alive'));
    case 'dead':
      return isPresent(known as MemberRecord) && (isNewer || isSame);
    case 'left':
      return known.state !== 'left' && (isNewer || isSame);
    default:
      return assertNever(news.state);
  }
}

/** Nobody has so many machines: whoever names more makes them up. */
const MEMBERS_MAX = 16_384;
/** Up to so many members are gone through one by one when some are picked. */
const SHUFFLED_MAX = 64;

/** The bucket of a key when there are BUCKETS_MAX of them; with fewer, its upper bits. */
function bucketOf(key: NodeKey): number {
  return Number.parseInt(key.slice(0, 2), 16);
}

/** The bucket of a key when there are `buckets` of them, a power of two. */
export function bucketAmong(key: NodeKey, buckets: number): number {
  return Math.floor((bucketOf(key) * buckets) / BUCKETS_MAX);
}

/** A hash of what the member is said to be: the same at all who know the same. Suspicions pass by themselves and do not count. */
function hashOf(record: MemberRecord): number {
  const { key, incarnation } = record;
  let hash = Number.parseInt(key.slice(0, 8), 16) ^ Math.imul(Number.parseInt(key.slice(-8), 16), 0x85ebca77);
  hash ^= Math.imul(incarnation | 0, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * All that are known, this member included, in the order in which they are probed: shuffled anew each time round, newcomers at a random place,
 * so that each is probed within two rounds (SWIM, section 4.3).
 */
export class MemberList {
  readonly #self: NodeKey;
  readonly #random: Random;
  readonly #records = new Map<NodeKey, MemberRecord>();
  #ring: NodeKey[] = [];
  #next = 0;
  #present = 0;
  readonly #hashes = new Uint32Array(BUCKETS_MAX);

  constructor(self: NodeKey, random: Random) {
    this.#self = self;
    this.#random = random;
  }

  /** How many are alive or suspect, this member included. */
  get present(): number {
    return this.#present;
  }

  /** No further ones are taken in. */
  get isFull(): boolean {
    return this.#records.size >= MEMBERS_MAX;
  }

  get(key: NodeKey): MemberRecord | undefined {
    return this.#records.get(key);
  }

  values(): IterableIterator<MemberRecord> {
    return this.#records.values();
  }

  put(record: MemberRecord): void {
    const old = this.#records.get(record.key);
    this.#count(old, -1);
    this.#records.set(record.key, record);
    this.#count(record, 1);
    if (old) return;
    this.#ring.push(record.key);
    this.#swap(this.#ring.length - 1, this.#next + randomInt(this.#random, this.#ring.length - this.#next));
  }

  remove(key: NodeKey): void {
    this.#count(this.#records.get(key), -1);
    if (this.#records.delete(key)) this.#ring = this.#ring.filter((other) => other !== key);
    if (this.#next > this.#ring.length) this.#next = this.#ring.length;
  }

  /** The next of the others to be probed; undefined when nobody is present. */
  nextToProbe(): MemberRecord | undefined {
    for (let tries = 0; tries < this.#ring.length; tries++) {
      if (this.#next >= this.#ring.length) this.#shuffle();
      const record = this.#records.get(this.#ring[this.#next++] as NodeKey);
      if (record && isPresent(record) && record.key !== this.#self) return record;
    }
    return undefined;
  }

  /** Up to `count` different others that `fits`, at random. In large meshes rare ones may be missed. */
  pick(count: number, fits: (record: MemberRecord) => boolean): MemberRecord[] {
    const picked: MemberRecord[] = [];
    const size = this.#ring.length;
    // A few tries by chance find enough when most fit; a small mesh is gone through, so that nobody is missed.
    const isSmall = size <= SHUFFLED_MAX;
    const tries = isSmall ? size : 4 * count + 16;
    const order = isSmall ? this.#shuffled() : this.#ring;
    for (let at = 0; at < tries && picked.length < count; at++) {
      const key = order[isSmall ? at : randomInt(this.#random, size)] as NodeKey;
      const record = this.#records.get(key);
      if (record && record.key !== this.#self && fits(record) && !picked.includes(record)) picked.push(record);
    }
    return picked;
  }

  /**
   * What else all should know of, beside the members themselves: that there is a tombstone for this key (1), or none any
   * more (-1). Which one does not matter: two members may have signed one each.
   */
  mark(key: NodeKey, sign: 1 | -1): void {
    const bucket = bucketOf(key);
    this.#hashes[bucket] = ((this.#hashes[bucket] as number) + sign * Number.parseInt(key.slice(-8), 16)) >>> 0;
  }

  /** One hash for each of `buckets` (a power of two) equal parts of all keys: over those who are present, and the marks. */
  digest(buckets: number): number[] {
    const width = BUCKETS_MAX / buckets;
    return Array.from({ length: buckets }, (_, bucket) => {
      let sum = 0;
      for (let at = bucket * width; at < (bucket + 1) * width; at++) sum = (sum + (this.#hashes[at] as number)) >>> 0;
      return sum;
    });
  }

  #count(record: MemberRecord | undefined, sign: 1 | -1): void {
    if (!record || !isPresent(record)) return;
    this.#present += sign;
    const bucket = bucketOf(record.key);
    this.#hashes[bucket] = ((this.#hashes[bucket] as number) + sign * hashOf(record)) >>> 0;
  }

  #shuffled(): NodeKey[] {
    const keys = [...this.#ring];
    for (let at = keys.length - 1; at > 0; at--) {
      const other = randomInt(this.#random, at + 1);
      [keys[at], keys[other]] = [keys[other] as NodeKey, keys[at] as NodeKey];
    }
    return keys;
  }

  #shuffle(): void {
    this.#ring = this.#shuffled();
    this.#next = 0;
  }

  #swap(a: number, b: number): void {
    [this.#ring[a], this.#ring[b]] = [this.#ring[b] as NodeKey, this.#ring[a] as NodeKey];
  }
}
