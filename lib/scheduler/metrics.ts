import type { AllocMetric, NodeScore } from '../structs/allocation.js';
import type { Node } from '../structs/node.js';
import { TopScores } from './rank/top-scores.js';

/** The nodes that were to choose from. */
export interface CandidateFacts {
  readonly pool: string;
  readonly inPool: number;
  readonly available: Readonly<Record<string, number>>;
}

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

  /** The counts so far, with the best scores as they are told. */
  result(among: CandidateFacts, best: NodeScore[] | null): AllocMetric {
    return {
      NodesEvaluated: this.evaluated + this.known,
      NodesFiltered: this.#filtered,
      NodesInPool: among.inPool,
      NodePool: among.pool,
      NodesAvailable: among.available,
      ClassFiltered: this.#classFiltered,
      ConstraintFiltered: this.#constraintFiltered,
      NodesExhausted: this.#exhausted,
      ClassExhausted: this.#classExhausted,
      DimensionExhausted: this.#dimensionExhausted,
      QuotaExhausted: null,
      ResourcesExhausted: null,
      Scores: null,
      ScoreMetaData: best,
      AllocationTime: 0,
      CoalescedFailures: 0,
    };
  }
}

function count(counts: Record<string, number> | null, key: string): Record<string, number> {
  const result = counts ?? {};
  result[key] = (result[key] ?? 0) + 1;
  return result;
}
