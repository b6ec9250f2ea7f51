/** How many nodes' scores an allocation remembers. */
const SCORES_KEPT = 5;

/** The best scores so far, best first. Typed arrays throughout: a number that is handed over as an argument may be garbage. */
export class TopScores {
  readonly rows = new Int32Array(SCORES_KEPT);
  readonly scores = new Float64Array(SCORES_KEPT);
  /** The score that is offered next. */
  readonly offered = new Float64Array(1);
  kept = 0;

  reset(): void {
    this.kept = 0;
    this.scores.fill(Number.NEGATIVE_INFINITY);
  }

  /** Whether the offered score is of interest: up to the last of five it is not. */
  get isWanted(): boolean {
    return (this.offered[0] as number) > (this.scores[SCORES_KEPT - 1] as number);
  }

  /** Remembers the offered score as that of the row, if it is among the best so far. */
  offer(row: number): void {
    const { rows, scores } = this;
    if (!this.isWanted) return;
    const score = this.offered[0] as number;
    let at = Math.min(this.kept, SCORES_KEPT - 1);
    for (; at > 0 && (scores[at - 1] as number) < score; at--) {
      scores[at] = scores[at - 1] as number;
      rows[at] = rows[at - 1] as number;
    }
    scores[at] = score;
    rows[at] = row;
    if (this.kept < SCORES_KEPT) this.kept++;
  }
}
