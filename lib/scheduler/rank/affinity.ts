import type { Affinity } from '../../structs/constraint.js';
import type { Node } from '../../structs/node.js';
import type { Columns } from '../columns.js';
import { type Check, compileCheck } from '../feasible/constraint.js';
import type { Fleet } from '../fleet.js';

/** Affinities of a group: Σ weights of those that match / Σ |weights|. */
export class AffinityScorer {
  /** Score of each node as far as asked (see ask()), NaN else; −1…1. */
  readonly scores: Float64Array;
  readonly #fleet: Fleet;
  readonly #affinities: { check: Check; weight: number }[];
  readonly #weights: number;
  /** Score of each computed class; null when an affinity looks at what is unique to a node. */
  readonly #scoreOfClass: Float64Array | null;

  constructor(fleet: Fleet, columns: Columns, affinities: readonly Affinity[]) {
    this.#fleet = fleet;
    this.#affinities = affinities.map((affinity) => ({ check: compileCheck(affinity), weight: affinity.Weight }));
    this.#weights = affinities.reduce((sum, { Weight }) => sum + Math.abs(Weight), 0);
    this.scores = columns.float64(Number.NaN);
    this.#scoreOfClass = this.#affinities.some(({ check }) => check.escapes)
      ? null
      : new Float64Array(fleet.classes.length).fill(Number.NaN);
  }

  /** Fills a node's score in. */
  ask(row: number): void {
    const classIndex = this.#fleet.classOf[row] as number;
    const byClass = classIndex < 0 ? null : this.#scoreOfClass;
    if (byClass && !Number.isNaN(byClass[classIndex] as number)) {
      this.scores[row] = byClass[classIndex] as number;
      return;
    }
    const node = this.#fleet.nodes[row] as Node;
    let sum = 0;
    for (const { check, weight } of this.#affinities) if (check.holds(node)) sum += weight;
    const score = this.#weights === 0 ? 0 : sum / this.#weights;
    this.scores[row] = score;
    if (byClass) byClass[classIndex] = score;
  }
}
