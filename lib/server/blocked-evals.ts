import type { Evaluation } from '../structs/evaluation.js';

// Evaluations that found no room wait here until capacity appears that could help them:
//   captured  the scheduler judged every node class it met: only a class it found eligible, or never met, wakes it
//   escaped   its constraints look past the class (unique attributes): any capacity wakes it
//   system    blocked for one node (system jobs): only that node wakes it
// One evaluation a job (system: a job and node) waits; the newest wins, the others are duplicates to be cancelled.

/** How long the index of an unblocking is remembered: longer than any evaluation is on its way. */
const UNBLOCK_MEMORY_MS = 15 * 60_000;

/**
 * Who is woken, one by one: there may be 100,000 to look at. Null for one that goes on waiting; who is not asked for is not woken, but
 * from the call on nobody can miss that there is capacity.
 */
export type Woken = Generator<Evaluation | null, void, void>;

interface UnblockMark {
  index: number;
  atMs: number;
}

/** The machine. `block` and the unblock calls return what must go back to the broker. */
export class BlockedEvals {
  readonly #captured = new Map<string, Evaluation>();
  readonly #escaped = new Map<string, Evaluation>();
  /** Node id → job key → evaluation. */
  readonly #system = new Map<string, Map<string, Evaluation>>();
  /** Job key → the evaluation that waits for it (system evaluations apart). */
  readonly #byJob = new Map<string, Evaluation>();
  /** When capacity last appeared, by class and by node: an evaluation with an older snapshot has not seen it. */
  readonly #classMarks = new Map<string, UnblockMark>();
  readonly #nodeMarks = new Map<string, UnblockMark>();
  /** When a volume last became usable. */
  #volumeMarkIndex = 0;
  #duplicates: Evaluation[] = [];
  readonly #usesVolumes: (evaluation: Evaluation) => boolean;

  /** `usesVolumes`: whether the job of an evaluation asks for volumes. */
  constructor(usesVolumes: (evaluation: Evaluation) => boolean = () => false) {
    this.#usesVolumes = usesVolumes;
  }

  /** Lets an evaluation wait. Returns it when capacity appeared after its snapshot: it must be tried again at once. */
  block(evaluation: Evaluation): Evaluation | undefined {
    if (evaluation.NodeID !== '' && evaluation.Type === 'system') return this.#blockSystem(evaluation);
    const key = jobKey(evaluation.Namespace, evaluation.JobID);
    const other = this.#byJob.get(key);
    if (other && other.ID !== evaluation.ID) {
      if (isNewer(other, evaluation)) {
        this.#duplicates.push(evaluation);
        return undefined;
      }
      this.#forget(other);
      this.#duplicates.push(other);
    } else if (other) this.#forget(other);
    if (this.#missedUnblock(evaluation)) return evaluation;
    this.#byJob.set(key, evaluation);
    (evaluation.EscapedComputedClass ? this.#escaped : this.#captured).set(evaluation.ID, evaluation);
    return undefined;
  }

  /** Capacity appeared on nodes of this class at this index: who could use it. */
  unblockClass(computedClass: string, index: number, nowMs: number): Woken {
    this.#mark(this.#classMarks, computedClass, index, nowMs);
    // A class the scheduler never met may fit.
    const mayFit = ({ EscapedComputedClass, ClassEligibility }: Evaluation): boolean =>
      EscapedComputedClass || ClassEligibility?.[computedClass] !== false;
    return this.#woken([...this.#escaped.values(), ...this.#captured.values()], mayFit);
  }

  /** A volume or what it needs became usable at this index: whose jobs ask for volumes. */
  unblockVolumes(index: number): Woken {
    this.#volumeMarkIndex = Math.max(index, this.#volumeMarkIndex);
    return this.#woken(
      [...this.#captured.values(), ...this.#escaped.values()],
      this.#usesVolumes,
      this.#systemWithVolumes(),
    );
  }

  #systemWithVolumes(): Evaluation[] {
    const woken: Evaluation[] = [];
    for (const [nodeId, jobs] of this.#system) {
      for (const [key, evaluation] of jobs) {
        if (!this.#usesVolumes(evaluation)) continue;
        woken.push(evaluation);
        jobs.delete(key);
      }
      if (jobs.size === 0) this.#system.delete(nodeId);
    }
    return woken;
  }

  /** This node has changed at this index: the system evaluations that wait for it. */
  unblockNode(nodeId: string, index: number, nowMs: number): Evaluation[] {
    this.#mark(this.#nodeMarks, nodeId, index, nowMs);
    const waiting = this.#system.get(nodeId);
    if (!waiting) return [];
    this.#system.delete(nodeId);
    return [...waiting.values()];
  }

  /** Those that gave up after too many refused plans: they are tried again from time to time. */
  unblockFailed(): Woken {
    return this.#woken(
      [...this.#captured.values(), ...this.#escaped.values()],
      ({ TriggeredBy }) => TriggeredBy === 'max-plan-attempts',
    );
  }

  /** Takes those out that wake; who has been replaced or has gone before it is reached is passed over. */
  *#woken(waiting: readonly Evaluation[], wakes: (evaluation: Evaluation) => boolean, more: Evaluation[] = []): Woken {
    for (const evaluation of waiting) {
      const isThere = (this.#captured.get(evaluation.ID) ?? this.#escaped.get(evaluation.ID)) === evaluation;
      if (!isThere || !wakes(evaluation)) {
        yield null;
        continue;
      }
      this.#forget(evaluation);
      yield evaluation;
    }
    yield* more;
  }

  /** This evaluation no longer waits: it was cancelled. */
  forget(evaluation: Evaluation): void {
    this.#forget(evaluation);
    const jobs = this.#system.get(evaluation.NodeID);
    const key = jobKey(evaluation.Namespace, evaluation.JobID);
    if (jobs?.get(key)?.ID !== evaluation.ID) return;
    jobs.delete(key);
    if (jobs.size === 0) this.#system.delete(evaluation.NodeID);
  }

  /** Stops waiting for a job: it is gone. */
  untrack(namespace: string, jobId: string): void {
    const key = jobKey(namespace, jobId);
    const waiting = this.#byJob.get(key);
    if (waiting) this.#forget(waiting);
    for (const [nodeId, jobs] of this.#system) {
      if (jobs.delete(key) && jobs.size === 0) this.#system.delete(nodeId);
    }
  }

  /** Evaluations replaced by a newer one of their job since the last call: to be recorded as canceled. */
  takeDuplicates(): Evaluation[] {
    const duplicates = this.#duplicates;
    this.#duplicates = [];
    return duplicates;
  }

  /** Forgets marks that no evaluation under way can miss any more. */
  prune(nowMs: number): void {
    for (const marks of [this.#classMarks, this.#nodeMarks]) {
      for (const [key, mark] of marks) if (mark.atMs < nowMs - UNBLOCK_MEMORY_MS) marks.delete(key);
    }
  }

  counts(): { captured: number; escaped: number; system: number } {
    let system = 0;
    for (const jobs of this.#system.values()) system += jobs.size;
    return { captured: this.#captured.size, escaped: this.#escaped.size, system };
  }

  /** Forgets everything: leadership is lost. */
  clear(): void {
    for (const map of [
      this.#captured,
      this.#escaped,
      this.#system,
      this.#byJob,
      this.#classMarks,
      this.#nodeMarks,
    ] as Map<string, unknown>[]) {
      map.clear();
    }
    this.#volumeMarkIndex = 0;
    this.#duplicates = [];
  }

  #blockSystem(evaluation: Evaluation): Evaluation | undefined {
    const mark = this.#nodeMarks.get(evaluation.NodeID);
    if (mark && mark.index > evaluation.SnapshotIndex) return evaluation;
    if (this.#volumeMarkIndex > evaluation.SnapshotIndex && this.#usesVolumes(evaluation)) return evaluation;
    let jobs = this.#system.get(evaluation.NodeID);
    if (!jobs) {
      jobs = new Map();
      this.#system.set(evaluation.NodeID, jobs);
    }
    const key = jobKey(evaluation.Namespace, evaluation.JobID);
    const other = jobs.get(key);
    if (other && other.ID !== evaluation.ID) {
      const [older, newer] = isNewer(other, evaluation) ? [evaluation, other] : [other, evaluation];
      this.#duplicates.push(older);
      jobs.set(key, newer);
    } else jobs.set(key, evaluation);
    return undefined;
  }

  #missedUnblock(evaluation: Evaluation): boolean {
    if (this.#volumeMarkIndex > evaluation.SnapshotIndex && this.#usesVolumes(evaluation)) return true;
    for (const [computedClass, { index }] of this.#classMarks) {
      if (index <= evaluation.SnapshotIndex) continue;
      if (evaluation.EscapedComputedClass) return true;
      if (evaluation.ClassEligibility?.[computedClass] !== false) return true;
    }
    return false;
  }

  #mark(marks: Map<string, UnblockMark>, key: string, index: number, atMs: number): void {
    marks.set(key, { index: Math.max(index, marks.get(key)?.index ?? 0), atMs });
  }

  #forget(evaluation: Evaluation): void {
    this.#captured.delete(evaluation.ID);
    this.#escaped.delete(evaluation.ID);
    const key = jobKey(evaluation.Namespace, evaluation.JobID);
    if (this.#byJob.get(key)?.ID === evaluation.ID) this.#byJob.delete(key);
  }
}

const jobKey = (namespace: string, jobId: string): string => `${namespace}\0${jobId}`;

/** Whether `a` was made later than `b`. */
const isNewer = (a: Evaluation, b: Evaluation): boolean =>
  a.CreateIndex !== b.CreateIndex ? a.CreateIndex > b.CreateIndex : a.ModifyIndex > b.ModifyIndex;
