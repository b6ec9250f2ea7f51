const PARTS = 64;

/**
 * A map of what there may be 100,000 of, in parts by a number that each key has (the index in a name, say). A map that grows is copied
 * whole, and of so many that takes a turn of its own; of a part it takes little.
 */
export class PartedMap<K, V> {
  readonly #numberOf: (key: K) => number;
  readonly #parts: (Map<K, V> | undefined)[] = Array.from({ length: PARTS });

  constructor(numberOf: (key: K) => number) {
    this.#numberOf = numberOf;
  }

  has(key: K): boolean {
    return this.#parts[this.#at(key)]?.has(key) ?? false;
  }

  get(key: K): V | undefined {
    return this.#parts[this.#at(key)]?.get(key);
  }

  set(key: K, value: V): void {
    const at = this.#at(key);
    const part = this.#parts[at];
    if (part) part.set(key, value);
    else this.#parts[at] = new Map([[key, value]]);
  }

  delete(key: K): boolean {
    return this.#parts[this.#at(key)]?.delete(key) ?? false;
  }

  #at(key: K): number {
    return this.#numberOf(key) & (PARTS - 1);
  }
}
