import type { Node } from '../../structs/node.js';
import type { Columns } from '../columns.js';
import { compileTarget, escapesClass } from '../feasible/target.js';
import type { Fleet } from '../fleet.js';

const UNASKED = -2;
/** The node does not have the property. */
export const MISSING = -1;

/** How many allocations of a group lie on nodes with each value of a property: what spread and distinct_property count. */
export class PropertyCounts {
  readonly #fleet: Fleet;
  readonly #target: (node: Node) => string | undefined;
  /** Value of each node as far as asked; UNASKED else. */
  readonly #valueOf: Int32Array;
  /** Value of each computed class; null for what is unique to a node. */
  readonly #valueOfClass: Int32Array | null;
  readonly #indexOf = new Map<string, number>();
  readonly values: string[] = [];
  /** By value; −1 for a value that no allocation has had. */
  readonly #counts: number[] = [];
  /** How many values have each count, so that the least and the greatest are known without a search. */
  readonly #having: number[] = [];
  #min = Number.POSITIVE_INFINITY;
  #max = 0;
  /** Rises with every change: what is derived from the counts is stale when it has risen. */
  version = 0;

  constructor(fleet: Fleet, columns: Columns, attribute: string) {
    this.#fleet = fleet;
    this.#target = compileTarget(attribute);
    this.#valueOf = columns.int32(UNASKED);
    this.#valueOfClass = escapesClass(attribute) ? null : new Int32Array(fleet.classes.length).fill(UNASKED);
  }

  /** Index of a node's value, or MISSING. */
  valueOf(row: number): number {
    const known = this.#valueOf[row] as number;
    if (known !== UNASKED) return known;
    const index = this.#byClass(row);
    this.#valueOf[row] = index;
    return index;
  }

  count(value: number): number {
    return Math.max(0, this.#counts[value] as number);
  }

  /** Whether no allocation has had any value. */
  get isEmpty(): boolean {
    return this.#min === Number.POSITIVE_INFINITY;
  }

  /** Least count among the values in use. */
  get min(): number {
    return this.#min;
  }

  get max(): number {
    return this.#max;
  }

  add(row: number, change: 1 | -1): void {
    const value = this.valueOf(row);
    if (value === MISSING) return;
    this.version++;
    const before = this.#counts[value] as number;
    const after = Math.max(0, Math.max(0, before) + change);
    this.#counts[value] = after;
    if (before >= 0) this.#having[before] = (this.#having[before] as number) - 1;
    this.#having[after] = (this.#having[after] ?? 0) + 1;
    this.#min = Math.min(this.#min, after);
    this.#max = Math.max(this.#max, after);
    while (!this.#having[this.#min]) this.#min++;
    while (this.#max > 0 && !this.#having[this.#max]) this.#max--;
  }

  #byClass(row: number): number {
    const classIndex = this.#fleet.classOf[row] as number;
    if (!this.#valueOfClass || classIndex < 0) return this.#ask(row);
    const known = this.#valueOfClass[classIndex] as number;
    if (known !== UNASKED) return known;
    const index = this.#ask(row);
    this.#valueOfClass[classIndex] = index;
    return index;
  }

  #ask(row: number): number {
    const text = this.#target(this.#fleet.nodes[row] as Node);
    if (text === undefined) return MISSING;
    let index = this.#indexOf.get(text);
    if (index === undefined) {
      index = this.values.push(text) - 1;
      this.#indexOf.set(text, index);
      this.#counts[index] = -1;
    }
    return index;
  }
}
