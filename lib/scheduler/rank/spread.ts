import type { Spread } from '../../structs/constraint.js';
import type { Columns } from '../columns.js';
import type { Fleet } from '../fleet.js';
import { MISSING, PropertyCounts } from './property.js';

/** Stands for all values that no target names. */
const OTHERS = '*';

/**
 * Boost of a value with a target: what is still wanted there after one more, as a share of what is wanted, times the
 * weight of this spread among all.
 */
export function targetBoost(options: { desired: number; used: number; weight: number }): number {
  return ((options.desired - (options.used + 1)) / options.desired) * options.weight;
}

/** Boost of a value when all values are to be used alike: below the least used ones it falls, towards the most used it rises. */
export function evenBoost({ current, min, max }: { current: number; min: number; max: number }): number {
  if (current !== min) return min === 0 ? -1 : (min - current) / min;
  if (min === max) return -1;
  return min === 0 ? 1 : (max - min) / min;
}

/** One spread block of a group, with its counts. */
export class SpreadScorer {
  readonly counts: PropertyCounts;
  readonly #weight: number;
  /** Wanted count by value; null for an even spread. */
  readonly #targets: ReadonlyMap<string, number> | null;
  readonly #desired: number[] = [];
  /** Boost by value, good while its stamp is the counts' version. */
  readonly #boosts: number[] = [];
  readonly #stamps: number[] = [];
  #lowest = -1;

  constructor(fleet: Fleet, columns: Columns, spread: Spread, options: { count: number; weights: number }) {
    this.counts = new PropertyCounts(fleet, columns, spread.Attribute);
    this.#weight = options.weights === 0 ? 0 : spread.Weight / options.weights;
    this.#targets = wantedCounts(spread, options.count);
  }

  /** What this spread adds to a node's score before the allocation is placed. */
  boost(row: number): number {
    const value = this.counts.valueOf(row);
    if (value === MISSING) return -1;
    if (this.#stamps[value] !== this.counts.version) {
      this.#boosts[value] = this.#compute(value);
      this.#stamps[value] = this.counts.version;
    }
    return this.#boosts[value] as number;
  }

  #compute(value: number): number {
    const used = this.counts.count(value);
    if (this.#targets === null) {
      if (this.counts.isEmpty) return 0;
      return evenBoost({ current: used, min: this.counts.min, max: this.counts.max });
    }
    const desired = this.#desired[value] ?? this.#wanted(value);
    if (desired < 0) return -1;
    if (desired === 0) return this.#lowest;
    const boost = targetBoost({ desired, used, weight: this.#weight });
    if (boost < this.#lowest) this.#lowest = boost;
    return boost;
  }

  /** −1: no target, and nothing is left for the others. */
  #wanted(value: number): number {
    const targets = this.#targets as ReadonlyMap<string, number>;
    const desired = targets.get(this.counts.values[value] as string) ?? targets.get(OTHERS) ?? -1;
    this.#desired[value] = desired;
    return desired;
  }
}

/** Stands for a node's values of all spread attributes: nodes with equal ones get equal boosts. */
export function spreadValues(spreads: readonly SpreadScorer[], row: number): string | number {
  const [first] = spreads;
  if (!first) return 0;
  const value = first.counts.valueOf(row) + 1;
  if (spreads.length === 1) return value;
  let values = `${value}`;
  for (let i = 1; i < spreads.length; i++) values += `,${(spreads[i] as SpreadScorer).counts.valueOf(row)}`;
  return values;
}

/** Percentages of the group's count; what they leave goes to all other values. */
function wantedCounts(spread: Spread, count: number): Map<string, number> | null {
  const targets = spread.SpreadTarget ?? [];
  if (targets.length === 0) return null;
  const wanted = new Map<string, number>();
  let sum = 0;
  for (const { Value, Percent } of targets) {
    wanted.set(Value, (Percent / 100) * count);
    sum += (Percent / 100) * count;
  }
  if (sum > 0 && sum < count) wanted.set(OTHERS, count - sum);
  return wanted;
}
