import type { NodeScore } from '../../structs/allocation.js';
import type { Columns } from '../columns.js';

/** Where the mean and what it is the mean of stand among the parts of a score. NaN: it has no say. */
export const PART = {
  norm: 0,
  fit: 1,
  collisions: 2,
  penalty: 3,
  affinity: 4,
  spread: 5,
  devices: 6,
  preemption: 7,
} as const;

type Scores = NodeScore['Scores'];

/**
 * Scores of nodes for one group, as allocations remember them: the same object as last time while it is the same score, and
 * the same parts for nodes that are alike. They are kept with each allocation, and would otherwise be a fifth of it.
 */
export class ToldScores {
  /** Of the score that is told next. Not handed over as arguments: those may be garbage, and several are told for each placement. */
  readonly parts = new Float64Array(8);
  readonly #byRow: (NodeScore | undefined)[];
  /** The parts that were told last of a node that fits so well. */
  readonly #byFit = new Map<number, Scores>();

  constructor(columns: Columns) {
    this.#byRow = columns.slots();
  }

  tell(row: number, nodeId: string): NodeScore {
    const { parts } = this;
    const last = this.#byRow[row];
    if (last !== undefined && last.NormScore === parts[PART.norm] && consistsOf(last.Scores, parts)) return last;
    const fit = parts[PART.fit] as number;
    let own = this.#byFit.get(fit);
    if (own === undefined || !consistsOf(own, parts)) {
      own = scoresOf(parts);
      this.#byFit.set(fit, own);
    }
    const told = { NodeID: nodeId, NormScore: parts[PART.norm] as number, Scores: own };
    this.#byRow[row] = told;
    return told;
  }
}

function consistsOf(scores: Scores, parts: Float64Array): boolean {
  return (
    scores['binpack'] === parts[PART.fit] &&
    scores['job-anti-affinity'] === parts[PART.collisions] &&
    scores['node-reschedule-penalty'] === parts[PART.penalty] &&
    scores['node-affinity'] === parts[PART.affinity] &&
    isSame(scores['allocation-spread'], parts, PART.spread) &&
    isSame(scores['devices'], parts, PART.devices) &&
    isSame(scores['preemption'], parts, PART.preemption)
  );
}

function isSame(score: number | undefined, parts: Float64Array, part: number): boolean {
  return score === undefined ? Number.isNaN(parts[part]) : score === parts[part];
}

function scoresOf(parts: Float64Array): Scores {
  const scores: Scores = {
    binpack: parts[PART.fit] as number,
    'job-anti-affinity': parts[PART.collisions] as number,
    'node-reschedule-penalty': parts[PART.penalty] as number,
    'node-affinity': parts[PART.affinity] as number,
  };
  const [spread, devices, preemption] = [parts[PART.spread], parts[PART.devices], parts[PART.preemption]];
  if (spread !== undefined && !Number.isNaN(spread)) scores['allocation-spread'] = spread;
  if (devices !== undefined && !Number.isNaN(devices)) scores['devices'] = devices;
  if (preemption !== undefined && !Number.isNaN(preemption)) scores['preemption'] = preemption;
  return scores;
}
