/** How bad a member may think its own state is (Lifeguard's local health multiplier, less one). */
export const AWARENESS_MAX = 7;

/**
 * How well this member itself is: 0 = well. Missing nacks, refuted suspicions and late ticks make it worse, answered probes
 * better. Whoever is not well takes more time before it accuses others.
 */
export class Awareness {
  #score = 0;

  get score(): number {
    return this.#score;
  }

  /** Times of probes are multiplied by this. */
  get factor(): number {
    return this.#score + 1;
  }

  worse(by = 1): void {
    this.#score = Math.min(AWARENESS_MAX, this.#score + by);
  }

  better(): void {
    this.#score = Math.max(0, this.#score - 1);
  }
}

/**
 * What a failed probe says of the prober. Helpers that answered in time, even that they failed too, prove it well; each one
 * missing counts against it. Without helpers nothing is learned: one of two members must not think itself sick because the
 * other is dead.
 */
export function failedProbePenalty(helpers: { asked: number; answered: number }): number {
  return Math.max(0, helpers.asked - helpers.answered);
}
