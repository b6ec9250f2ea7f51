import type { EntryType } from '../raft/index.js';

const TYPE_CODES: readonly EntryType[] = ['command', 'noop', 'config'];
const START_CAPACITY = 1024;

/** Where an entry lies. */
export interface Place {
  readonly segment: number;
  readonly position: number;
  readonly length: number;
  readonly term: number;
  readonly type: EntryType;
}

/** Where each entry lies, in columns: 25 bytes an entry, so that tens of thousands cost little. */
export class LogIndex {
  #first: number;
  #prevTerm: number;
  #count = 0;
  /** Rows before this one are compacted away. */
  #head = 0;
  #terms = new Float64Array(START_CAPACITY);
  #positions = new Float64Array(START_CAPACITY);
  #lengths = new Uint32Array(START_CAPACITY);
  #segments = new Uint32Array(START_CAPACITY);
  #types = new Uint8Array(START_CAPACITY);
  #configs: number[] = [];

  constructor(boundary: { index: number; term: number }) {
    this.#first = boundary.index + 1;
    this.#prevTerm = boundary.term;
  }

  get first(): number {
    return this.#first;
  }
  get last(): number {
    return this.#first + this.#count - 1;
  }
  /** Indexes of config entries, ascending. */
  get configs(): readonly number[] {
    return this.#configs;
  }

  term(index: number): number | undefined {
    if (index === this.#first - 1) return this.#prevTerm;
    if (index < this.#first || index > this.last) return undefined;
    return this.#terms[this.#row(index)];
  }

  /** The place of an entry that is there. */
  place(index: number): Place {
    const row = this.#row(index);
    return {
      segment: this.#segments[row] as number,
      position: this.#positions[row] as number,
      length: this.#lengths[row] as number,
      term: this.#terms[row] as number,
      type: TYPE_CODES[this.#types[row] as number] as EntryType,
    };
  }

  #row(index: number): number {
    return this.#head + index - this.#first;
  }

  /** Adds the entry that follows the last. */
  push(place: Place): void {
    const row = this.#head + this.#count;
    if (row === this.#terms.length) {
      this.#makeRoom();
      this.push(place);
      return;
    }
    this.#terms[row] = place.term;
    this.#positions[row] = place.position;
    this.#lengths[row] = place.length;
    this.#segments[row] = place.segment;
    this.#types[row] = TYPE_CODES.indexOf(place.type);
    this.#count++;
    if (place.type === 'config') this.#configs.push(this.last);
  }

  /** Drops the rows of compacted entries when they are the half, else doubles the columns. */
  #makeRoom(): void {
    const shrink = this.#head > this.#terms.length / 2;
    const capacity = shrink ? this.#terms.length : this.#terms.length * 2;
    const moved = <T extends Float64Array | Uint32Array | Uint8Array>(column: T, fresh: T): T => {
      fresh.set(column.subarray(this.#head, this.#head + this.#count));
      return fresh;
    };
    this.#terms = moved(this.#terms, new Float64Array(capacity));
    this.#positions = moved(this.#positions, new Float64Array(capacity));
    this.#lengths = moved(this.#lengths, new Uint32Array(capacity));
    this.#segments = moved(this.#segments, new Uint32Array(capacity));
    this.#types = moved(this.#types, new Uint8Array(capacity));
    this.#head = 0;
  }

  /** Forgets entries from `index` on. */
  truncateFrom(index: number): void {
    this.#count = Math.min(this.#count, Math.max(0, index - this.#first));
    while ((this.#configs.at(-1) ?? 0) >= index) this.#configs.pop();
  }

  /** Forgets entries up to `index`, which becomes the boundary. */
  compactTo(index: number): void {
    const term = this.term(index);
    if (term === undefined || index < this.#first) return;
    const gone = index - this.#first + 1;
    this.#head += gone;
    this.#count -= gone;
    this.#first = index + 1;
    this.#prevTerm = term;
    this.#configs = this.#configs.filter((config) => config > index);
  }
}
