import type { Node } from '../../structs/node.js';
import type { Check } from './constraint.js';

/**
 * Asks a list of checks once for each computed class, unless one of them looks at what is unique to a node. Every node of a
 * refused class is counted under the true reason: "computed class ineligible", as Nomad says from the second on, helps nobody.
 */
export class ClassMemo {
  readonly escaped: boolean;
  readonly #checks: readonly Check[];
  /** By class: '' eligible, else why not; undefined: not asked yet. */
  readonly #verdicts: (string | undefined)[];

  constructor(checks: readonly Check[], classes: number) {
    this.#checks = checks;
    this.escaped = checks.some((check) => check.escapes);
    this.#verdicts = new Array<string | undefined>(classes).fill(undefined);
  }

  /** '' when the node passes, else the reason to count. `classIndex` −1: the node has no class. */
  refusal(node: Node, classIndex: number): string {
    const verdict = classIndex < 0 || this.escaped ? undefined : this.#verdicts[classIndex];
    if (verdict !== undefined) return verdict;
    const reason = firstRefusal(this.#checks, node);
    if (classIndex >= 0) this.#verdicts[classIndex] = reason;
    return reason;
  }

  /** undefined while the class has not been asked. */
  verdict(classIndex: number): boolean | undefined {
    const verdict = this.#verdicts[classIndex];
    return verdict === undefined ? undefined : verdict === '';
  }
}

function firstRefusal(checks: readonly Check[], node: Node): string {
  for (const check of checks) if (!check.holds(node)) return check.reason;
  return '';
}

/**
 * Which computed classes a job can run on, for the blocked evaluation: true if some group can, false if none can; a class
 * that was never looked at is absent, and unblocks.
 */
export function classEligibility(
  classes: readonly string[],
  job: ClassMemo,
  groups: Iterable<ClassMemo>,
): Record<string, boolean> {
  const result: Record<string, boolean> = {};
  const memos = [...groups];
  classes.forEach((name, index) => {
    const byJob = job.verdict(index);
    if (byJob === undefined) return;
    if (!byJob) {
      result[name] = false;
      return;
    }
    const verdicts = memos.map((memo) => memo.verdict(index));
    if (verdicts.includes(true)) result[name] = true;
    else if (verdicts.length > 0 && !verdicts.includes(undefined)) result[name] = false;
  });
  return result;
}
