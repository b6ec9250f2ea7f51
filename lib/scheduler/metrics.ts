import type { AllocMetric, NodeScore } from '../structs/allocation.js';
import type { Node } from '../structs/node.js';

/** How many nodes' scores an allocation remembers. */
export const SCORES_KEPT = 5;

/** Counts why nodes were refused while one allocation looks for its node. */
export class MetricCounter {
  evaluated = 0;
  /** Options that were known from earlier placements, and compared without being looked at again. */
  known = 0;
  #filtered = 0;
  #exhausted = 0;
  #classFiltered: Record<string, number> | null = null;
  #constraintFiltered: Record<string, number> | null = null;
  #classExhausted: Record<string, number> | null = null;
  #dimensionExhausted: Record<string, number> | null = null;
  readonly #topRows = new Int32Array(SCORES_KEPT);
  readonly #topScores = new Float64Array(SCORES_KEPT);
  #kept = 0;

  /** Begins the count for another allocation. */
  reset(): void {
    this.evaluated = 0;
    this.known = 0;
    this.#filtered = 0;
    this.#exhausted = 0;
    this.#classFiltered = null;
    this.#constraintFiltered = null;
    this.#classExhausted = null;
    this.#dimensionExhausted = null;
    this.#kept = 0;
    this.#topScores.fill(Number.NEGATIVE_INFINITY);
  }

  /** Scores up to this one are not worth a score(): five better ones are known. */
  get threshold(): number {
    return this.#topScores[SCORES_KEPT - 1] as number;
  }

  /** A condition refused the node. */
  filter(node: Node, reason: string): void {
    this.#filtered++;
    if (node.NodeClass !== '') this.#classFiltered = count(this.#classFiltered, node.NodeClass);
    this.#constraintFiltered = count(this.#constraintFiltered, reason);
  }

  /** The node would do but has too little left. */
  exhaust(node: Node, dimension: string): void {
    this.#exhausted++;
    if (node.NodeClass !== '') this.#classExhausted = count(this.#classExhausted, node.NodeClass);
    this.#dimensionExhausted = count(this.#dimensionExhausted, dimension);
  }

  /** Remembers the score if it is among the best so far. */
  score(row: number, score: number): void {
    const scores = this.#topScores;
    if (score <= this.threshold) return;
    let at = Math.min(this.#kept, SCORES_KEPT - 1);
    for (; at > 0 && (scores[at - 1] as number) < score; at--) {
      scores[at] = scores[at - 1] as number;
      this.#topRows[at] = this.#topRows[at - 1] as number;
    }
    scores[at] = score;
    this.#topRows[at] = row;
    if (this.#kept < SCORES_KEPT) this.#kept++;
  }

  /** The counts so far, with the parts of the best scores. */
  result(options: {
    pool: string;
    inPool: number;
    available: Readonly<Record<string, number>>;
    told: (row: number, score: number) => NodeScore;
  }): AllocMetric {
    return {
      NodesEvaluated: this.evaluated + this.known,
      NodesFiltered: this.#filtered,
      NodesInPool: options.inPool,
      NodePool: options.pool,
      NodesAvailable: options.available,
      ClassFiltered: this.#classFiltered,
      ConstraintFiltered: this.#constraintFiltered,
      NodesExhausted: this.#exhausted,
      ClassExhausted: this.#classExhausted,
      DimensionExhausted: this.#dimensionExhausted,
      QuotaExhausted: null,
      ResourcesExhausted: null,
      Scores: null,
      ScoreMetaData: this.#kept === 0 ? null : this.#top(options.told),
      AllocationTime: 0,
      CoalescedFailures: 0,
    };
  }

  #top(told: (row: number, score: number) => NodeScore): NodeScore[] {
    const best: NodeScore[] = [];
    for (let i = 0; i < this.#kept; i++) best.push(told(this.#topRows[i] as number, this.#topScores[i] as number));
    return best;
  }
}

function count(counts: Record<string, number> | null, key: string): Record<string, number> {
  const result = counts ?? {};
  result[key] = (result[key] ?? 0) + 1;
  return result;
}
