import type { NodeScore } from '../../structs/allocation.js';
import type { Columns } from '../columns.js';

/** What a score is the mean of; undefined = it has no say. */
export interface ScoreParts {
  readonly fit: number;
  readonly collisions: number;
  readonly penalty: number;
  readonly affinity: number;
  readonly spread: number | undefined;
  readonly devices: number | undefined;
  readonly preemption: number | undefined;
}

type Scores = NodeScore['Scores'];

/**
 * Scores of nodes for one group, as allocations remember them: the same object as last time while it is the same score, and
 * the same parts for nodes that are alike. They are kept with each allocation, and would otherwise be a fifth of it.
 */
export class ToldScores {
  readonly #byRow: (NodeScore | undefined)[];
  /** The parts that were told last of a node that fits so well. */
  readonly #byFit = new Map<number, Scores>();

  constructor(columns: Columns) {
    this.#byRow = columns.slots();
  }

  tell(row: number, nodeId: string, score: number, parts: ScoreParts): NodeScore {
    const last = this.#byRow[row];
    if (last?.NormScore === score && consistsOf(last.Scores, parts)) return last;
    let own = this.#byFit.get(parts.fit);
    if (own === undefined || !consistsOf(own, parts)) {
      own = scoresOf(parts);
      this.#byFit.set(parts.fit, own);
    }
    const told = { NodeID: nodeId, NormScore: score, Scores: own };
    this.#byRow[row] = told;
    return told;
  }
}

function consistsOf(scores: Scores, parts: ScoreParts): boolean {
  return (
    scores['binpack'] === parts.fit &&
    scores['job-anti-affinity'] === parts.collisions &&
    scores['node-reschedule-penalty'] === parts.penalty &&
    scores['node-affinity'] === parts.affinity &&
    scores['allocation-spread'] === parts.spread &&
    scores['devices'] === parts.devices &&
    scores['preemption'] === parts.preemption
  );
}

function scoresOf({ fit, collisions, penalty, affinity, spread, devices, preemption }: ScoreParts): Scores {
  const scores: Scores = {
    binpack: fit,
    'job-anti-affinity': collisions,
    'node-reschedule-penalty': penalty,
    'node-affinity': affinity,
  };
  if (spread !== undefined) scores['allocation-spread'] = spread;
  if (devices !== undefined) scores['devices'] = devices;
  if (preemption !== undefined) scores['preemption'] = preemption;
  return scores;
}
