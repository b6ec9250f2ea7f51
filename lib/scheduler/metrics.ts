import type { AllocMetric, NodeScore } from '../structs/allocation.js';
import type { Node } from '../structs/node.js';
import { TopScores } from './rank/top-scores.js';

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
  readonly top = new TopScores();

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
    this.top.reset();
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
    this.top.offered[0] = score;
    if (this.top.isWanted) this.top.offer(row);
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
      ScoreMetaData: this.top.kept === 0 ? null : this.#top(options.told),
      AllocationTime: 0,
      CoalescedFailures: 0,
    };
  }

  #top(told: (row: number, score: number) => NodeScore): NodeScore[] {
    // Of its very length: what is pushed to has room for more, and these are kept with each allocation.
    const { rows, scores, kept } = this.top;
    const best = new Array<NodeScore>(kept);
    for (let i = 0; i < kept; i++) best[i] = told(rows[i] as number, scores[i] as number);
    return best;
  }
}

function count(counts: Record<string, number> | null, key: string): Record<string, number> {
  const result = counts ?? {};
  result[key] = (result[key] ?? 0) + 1;
  return result;
}
