import type { Allocation } from '../../structs/allocation.js';
import { ITEMS_PER_TURN } from '../../util/turns.js';
import { PartedMap } from '../parted-map.js';
import { inTurns, type Rest, sortInTurns } from '../turns.js';

const [OPENING, CLOSING, ZERO] = [0x5b, 0x5d, 0x30];

/** `job.group[index]`. */
export function allocName(jobId: string, group: string, index: number): string {
  if (jobId !== last.jobId || group !== last.group) {
    last.jobId = jobId;
    last.group = group;
    last.opening = `${jobId}.${group}[`;
    last.index = -1;
  }
  if (index !== last.index) {
    last.index = index;
    // Joined, it is one flat string: put together piece by piece it would be kept as five, with each allocation.
    last.name = [last.opening, index, ']'].join('');
  }
  return last.name;
}

/** The name made last: those of a system job are all the same, and those of other jobs begin alike. */
const last = { jobId: '', group: '', opening: '.[', index: -1, name: '' };

/** The index in an allocation's name; −1 when it has none. */
export function allocIndex(name: string): number {
  let at = name.length - 1;
  if (at < 0 || name.charCodeAt(at) !== CLOSING) return -1;
  let index = 0;
  for (let weight = 1; ; weight *= 10) {
    const digit = name.charCodeAt(--at) - ZERO;
    if (digit >= 0 && digit <= 9) index += digit * weight;
    else return digit + ZERO === OPENING && weight > 1 ? index : -1;
  }
}

/** Something for each of some names, of which there may be very many. */
export const byName = <V>(): PartedMap<string, V> => new PartedMap(allocIndex);

/** Some of a group's allocations, of which there may be very many. */
export class SomeAllocs {
  readonly #all = new PartedMap<Allocation, true>(({ Name }) => allocIndex(Name));

  has(alloc: Allocation): boolean {
    return this.#all.has(alloc);
  }

  add(alloc: Allocation): void {
    this.#all.set(alloc, true);
  }
}

/** Which indexes of a group are taken. */
export class NameIndex {
  readonly #jobId: string;
  readonly #group: string;
  readonly #count: number;
  /** How many hold each index: a canary on trial and the one it may replace share theirs. */
  readonly #taken = new PartedMap<number, number>((index) => index);
  #lowestFree = 0;

  constructor(jobId: string, group: string, count: number) {
    this.#jobId = jobId;
    this.#group = group;
    this.#count = count;
  }

  /** Takes the name of an allocation that there is. */
  hold({ Name }: Allocation): void {
    this.#take(allocIndex(Name));
  }

  /** Frees a name. */
  release(name: string): void {
    const index = allocIndex(name);
    const holders = this.#taken.get(index) ?? 0;
    if (holders > 1) this.#taken.set(index, holders - 1);
    else if (this.#taken.delete(index) && index < this.#lowestFree) this.#lowestFree = index;
  }

  /** Takes n of the lowest free names, with rests: very many may be held below them. */
  *next(n: number): Generator<Rest, string[], void> {
    const names: string[] = [];
    for (let looks = 1; names.length < n; looks++) {
      const index = this.#lowestFree++;
      if (!this.#taken.has(index)) {
        this.#take(index);
        names.push(this.#name(index));
      }
      if (looks % ITEMS_PER_TURN === 0) yield undefined;
    }
    return names;
  }

  /**
   * Names for n canaries. They take the names of the allocations that they may replace, so that nothing is renamed when they
   * are promoted; then free ones, then ones past the count.
   */
  *nextCanaries(
    n: number,
    canaries: readonly Allocation[],
    destructive: readonly Allocation[],
  ): Generator<Rest, string[], void> {
    const used = new Set(canaries.map(({ Name }) => allocIndex(Name)));
    const replaced = yield* sortInTurns(destructive, ({ Name }) => allocIndex(Name));
    const names: string[] = [];
    const offer = (index: number): void => {
      if (names.length === n || index < 0 || used.has(index)) return;
      used.add(index);
      this.#take(index);
      names.push(this.#name(index));
    };
    yield* inTurns(replaced, ({ Name }) => offer(allocIndex(Name)));
    for (let index = 0; index < this.#count && names.length < n; index++) {
      if (!this.#taken.has(index)) offer(index);
      if (index % ITEMS_PER_TURN === ITEMS_PER_TURN - 1) yield undefined;
    }
    for (let index = this.#count; names.length < n; index++) offer(index);
    return names;
  }

  #take(index: number): void {
    this.#taken.set(index, (this.#taken.get(index) ?? 0) + 1);
  }

  #name(index: number): string {
    return allocName(this.#jobId, this.#group, index);
  }
}
