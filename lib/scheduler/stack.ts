import type { Allocation, AllocMetric, NodeScore } from '../structs/allocation.js';
import type { Job, TaskGroup } from '../structs/job.js';
import type { Node } from '../structs/node.js';
import type { AllocatedResources } from '../structs/resources.js';
import type { Random } from '../util/random.js';
import type { Columns } from './columns.js';
import { jobChecks } from './feasible/checks.js';
import { ClassMemo, classEligibility } from './feasible/class-memo.js';
import type { Candidates, Fleet } from './fleet.js';
import { compileGroup, type GroupProgram } from './group-program.js';
import type { Ledger } from './ledger.js';
import { type CandidateFacts, MetricCounter } from './metrics.js';
import type { Occupancy } from './occupancy.js';
import type { StateReader } from './ports.js';
import { Preemption } from './preemption.js';
import { antiAffinityScore, preemptionScore } from './rank/fit-score.js';
import type { OptionPool } from './rank/option-pool.js';
import { spreadValues } from './rank/spread.js';
import { PART } from './rank/told-scores.js';
import { Room } from './room.js';
import { SearchOrder } from './search-order.js';

/** Options scored 0 or less that are put aside while others remain. */
const SKIPPED_MAX = 3;
const PENALTY_SCORE = -1;
const NONE: readonly Allocation[] = [];
/** Nothing has to leave any node. */
const NOT_CLEARED: { readonly row: number; readonly score: number } = { row: -1, score: 0 };
/** Nodes that one placement may look at for the first time: others are waiting for the thread. */
const FRESH_MAX = 2000;

/** The nodes to choose from and everything known about them, for one attempt at a plan. */
export interface StackWorld {
  readonly job: Job;
  readonly fleet: Fleet;
  readonly columns: Columns;
  readonly candidates: Candidates;
  readonly ledger: Ledger;
  readonly occupancy: Occupancy;
  readonly algorithm: 'binpack' | 'spread';
  readonly memoryOversubscription: boolean;
  readonly state: StateReader;
  readonly random: Random;
  /** Least number of options that affinities and spreads choose from. */
  readonly scoredMin: number;
  /** Whether what is less important may be stopped when nothing else makes room. */
  readonly mayPreempt: boolean;
}

/** What it costs to compile a group, in nodes looked at. */
const COMPILE_LOOKS = 100;

/** What looks for a node. */
export interface SelectRequest {
  readonly job: Job;
  readonly group: TaskGroup;
  readonly name: string;
  /** Rows on which an earlier allocation of this name has failed. */
  readonly penalties: ReadonlySet<number> | null;
  /** Tried alone before all others (sticky disk). */
  readonly preferredRow: number;
}

/** A node, what an allocation gets there, and which others must leave for it. */
export interface Place {
  readonly row: number;
  readonly resources: AllocatedResources;
  readonly victims: readonly Allocation[];
}

/** Where it goes and what it gets there; `place` null: nowhere, and the metrics say why. */
export interface Selection {
  readonly place: Place | null;
  readonly metrics: AllocMetric;
}

/** The chain that refuses, ranks and picks nodes for the groups of one job. */
export class Stack {
  readonly #world: StackWorld;
  readonly #jobMemo: ClassMemo;
  readonly #programs = new Map<TaskGroup, GroupProgram>();
  readonly #order: SearchOrder;
  /** Nodes looked at so far: a measure of the work done. */
  looks = 0;
  readonly #skippedRows = new Int32Array(SKIPPED_MAX);
  readonly #skippedScores = new Float64Array(SKIPPED_MAX);
  readonly #counter = new MetricCounter();
  readonly #among: CandidateFacts;
  readonly #room: Room;
  readonly #preemption: Preemption | null;
  /** What #weigh() has found: fields, so that nothing is made for each node. */
  #sum = 0;
  #parts = 0;
  /** The node that others must leave for the present placement, and what that costs it. */
  #cleared = NOT_CLEARED;

  constructor(world: StackWorld) {
    this.#world = world;
    const { rows, available } = world.candidates;
    this.#among = { pool: world.job.NodePool, inPool: rows.length, available };
    this.#jobMemo = new ClassMemo(jobChecks(world.job), world.fleet.classes.length);
    this.#order = new SearchOrder(world.candidates.rows, world.random);
    this.#room = new Room(world);
    this.#preemption = world.mayPreempt ? new Preemption(world) : null;
  }

  /** The best node for an allocation among as many as are looked at. */
  select(request: SelectRequest, limit: number): Selection {
    const program = this.#program(request.job, request.group);
    for (;;) {
      this.#reset();
      const row = this.#pick(request, program, limit);
      if (row < 0) {
        const place = this.#makeRoom(request, program, this.#order.rows, limit);
        return { place, metrics: this.#metrics(program, request) };
      }
      const resources = this.#room.take(program, row);
      // Seldom none: only the chosen node's dynamic ports are looked at, and a node may have none left.
      if (resources) return { place: { row, resources, victims: NONE }, metrics: this.#metrics(program, request) };
      program.pool?.remove(row);
    }
  }

  /** Places on this very node if it will do. */
  selectOn(request: SelectRequest, row: number): Selection {
    const program = this.#program(request.job, request.group);
    this.#reset();
    const fits = this.#rate(request, program, row);
    const resources = fits ? this.#room.take(program, row) : null;
    if (resources) return { place: { row, resources, victims: [] }, metrics: this.#metrics(program, request) };
    if (fits) this.#counter.exhaust(this.#node(row), this.#room.shortage(program, row, true));
    const place = this.#makeRoom(request, program, [row]);
    return { place, metrics: this.#metrics(program, request) };
  }

  /** Whether the conditions of job and group let it run on a node; what is in use there does not count. */
  isMeantFor(job: Job, group: TaskGroup, row: number): boolean {
    return this.#unmet(this.#program(job, group), row) === '';
  }

  /** Why all the candidates are refused, where they are. */
  refusals(request: SelectRequest): AllocMetric {
    const program = this.#program(request.job, request.group);
    this.#reset();
    for (const row of this.#order.rows) {
      this.#counter.evaluated++;
      this.#admit(request, program, row);
    }
    return this.#metrics(program, request);
  }

  /** Whether an allocation may stay on its node with the ports it has; null when not. */
  staysOn(request: SelectRequest, row: number): AllocMetric | null {
    const program = this.#program(request.job, request.group);
    this.#reset();
    this.#counter.evaluated++;
    if (this.#refusal(request, program, row, true) !== '') return null;
    if (this.#room.shortage(program, row, false) !== '') return null;
    this.#room.fit(program, row, false);
    this.#counter.score(row, this.#score(request, program, row));
    return this.#metrics(program, request);
  }

  /** Options that a service looks at for one placement. */
  serviceLimit({ job, group }: SelectRequest): number {
    const program = this.#program(job, group);
    if (program.affinity || program.spreads.length > 0) return Math.max(group.Count, this.#world.scoredMin);
    return this.#order.few;
  }

  /** Options that batch work looks at for one placement: finding a good node fast beats finding the best. */
  get batchLimit(): number {
    return this.#order.least;
  }

  /** Whether what is unique to a node decides, so that a blocked evaluation must be tried on any change. */
  get escaped(): boolean {
    return this.#jobMemo.escaped || [...this.#programs.values()].some(({ memo }) => memo.escaped);
  }

  eligibility(): Record<string, boolean> {
    const memos = [...this.#programs.values()].map(({ memo }) => memo);
    return classEligibility(this.#world.fleet.classes, this.#jobMemo, memos);
  }

  #program(job: Job, group: TaskGroup): GroupProgram {
    let program = this.#programs.get(group);
    if (!program) {
      program = compileGroup(job, group, this.#world);
      this.looks += COMPILE_LOOKS;
      this.#programs.set(group, program);
    }
    return program;
  }

  #pick(request: SelectRequest, program: GroupProgram, limit: number): number {
    if (request.preferredRow >= 0) {
      if (this.#rate(request, program, request.preferredRow)) return request.preferredRow;
      // The search looks at it again, and counts it.
      this.#counter.reset();
    }
    const { pool } = program;
    // A penalty changes scores for one placement only: not worth a change of order.
    const row = pool && !request.penalties ? this.#searchPool(request, program, pool, limit) : -1;
    // Where the pool has nothing, the search says why.
    return row < 0 ? this.#search(request, program, limit) : row;
  }

  /** The best of at least `limit` options, as far as there are so many; every placement adds some that nobody looked at. */
  #searchPool(request: SelectRequest, program: GroupProgram, pool: OptionPool, limit: number): number {
    const counter = this.#counter;
    for (let row = pool.touched.pop(); row !== undefined; row = pool.touched.pop()) {
      if (this.#refusal(request, program, row) === '') this.#weighAnew(request, program, pool, row);
      else pool.park(row);
    }
    const known = pool.size;
    const fresh = this.#order.few;
    const count = this.#order.length;
    for (let looked = 0; pool.cursor < count && looked < FRESH_MAX; looked++) {
      if (looked >= fresh && pool.size >= limit) break;
      const row = this.#order.at(pool.cursor++);
      counter.evaluated++;
      pool.meet(row);
      if (!this.#admit(request, program, row)) {
        if (program.distinct.length > 0) pool.park(row);
        continue;
      }
      this.#weighAnew(request, program, pool, row);
      if (program.fitScores[row] === Number.NEGATIVE_INFINITY) {
        counter.exhaust(this.#node(row), this.#room.shortage(program, row, true));
      }
    }
    counter.known = known;
    const row = pool.best(program.judge);
    if (row < 0) counter.reset();
    else pool.offerBest(program.judge, counter.top);
    return row;
  }

  #weighAnew(request: SelectRequest, program: GroupProgram, pool: OptionPool, row: number): void {
    if (Number.isNaN(program.fitScores[row] as number)) this.#room.fit(program, row, true);
    if (program.fitScores[row] === Number.NEGATIVE_INFINITY) {
      pool.remove(row);
      return;
    }
    this.#weigh(request, program, row);
    pool.put(row, spreadValues(program.spreads, row), this.#sum, this.#parts);
  }

  /** Looks at up to `limit` options; −1 when there is none. The hot loop: it allocates nothing and calls little. */
  #search(request: SelectRequest, program: GroupProgram, limit: number): number {
    const counter = this.#counter;
    const { fitScores, admitted } = program;
    let best = -1;
    let bestScore = Number.NEGATIVE_INFINITY;
    let seen = 0;
    let skipped = 0;
    const count = this.#order.length;
    for (let visited = 0; visited < count && seen < limit; visited++) {
      const row = this.#order.next();
      counter.evaluated++;
      if (admitted[row] === 0 && !this.#admit(request, program, row)) continue;
      if (Number.isNaN(fitScores[row] as number)) this.#room.fit(program, row, true);
      if (fitScores[row] === Number.NEGATIVE_INFINITY) {
        counter.exhaust(this.#node(row), this.#room.shortage(program, row, true));
        continue;
      }
      const score = this.#score(request, program, row);
      counter.score(row, score);
      if (score <= 0 && skipped < SKIPPED_MAX) {
        this.#skippedRows[skipped] = row;
        this.#skippedScores[skipped] = score;
        skipped++;
        continue;
      }
      seen++;
      if (score > bestScore) {
        best = row;
        bestScore = score;
      }
    }
    for (let i = 0; i < skipped && seen < limit; i++, seen++) {
      const score = this.#skippedScores[i] as number;
      if (score <= bestScore) continue;
      best = this.#skippedRows[i] as number;
      bestScore = score;
    }
    return best;
  }

  #reset(): void {
    this.#counter.reset();
    this.#cleared = NOT_CLEARED;
  }

  /** Judges one node apart from a search: whether it will do, with the reason or the score counted. */
  #rate(request: SelectRequest, program: GroupProgram, row: number): boolean {
    this.#counter.evaluated++;
    if (!this.#admit(request, program, row)) return false;
    this.#room.fit(program, row, true);
    if (program.fitScores[row] === Number.NEGATIVE_INFINITY) {
      this.#counter.exhaust(this.#node(row), this.#room.shortage(program, row, true));
      return false;
    }
    this.#counter.score(row, this.#score(request, program, row));
    return true;
  }

  /** Whether no condition refuses a node; a refusal is counted. */
  #admit(request: SelectRequest, program: GroupProgram, row: number): boolean {
    const refusal = this.#refusal(request, program, row);
    if (refusal !== '') {
      this.#counter.filter(this.#node(row), refusal);
      return false;
    }
    if (program.distinct.length === 0 && program.availability.length === 0) program.admitted[row] = 1;
    return true;
  }

  /** The condition of job or group that a node does not meet; '' when there is none. */
  #unmet(program: GroupProgram, row: number): string {
    const classIndex = this.#world.fleet.classOf[row] as number;
    const node = this.#node(row);
    return this.#jobMemo.refusal(node, classIndex) || program.memo.refusal(node, classIndex);
  }

  #refusal(request: SelectRequest, program: GroupProgram, row: number, stays = false): string {
    const unmet = this.#unmet(program, row);
    if (unmet !== '') return unmet;
    const node = this.#node(row);
    for (const check of program.availability) {
      const refusal = check.refusal(node, request.name, stays);
      if (refusal !== '') return refusal;
    }
    for (const check of program.distinct) {
      const refusal = check.refusal(row);
      if (refusal !== '') return refusal;
    }
    return '';
  }

  /**
   * The second pass: the best of up to `limit` nodes on which less important allocations can make room. The victims are
   * then counted as gone; the caller stops them.
   */
  #makeRoom(request: SelectRequest, program: GroupProgram, rows: Iterable<number>, limit = 1): Place | null {
    if (!this.#preemption) return null;
    const { ledger } = this.#world;
    let best: { row: number; victims: readonly Allocation[]; score: number } | null = null;
    let seen = 0;
    for (const row of rows) {
      if (seen >= limit) break;
      if (this.#refusal(request, program, row) !== '') continue;
      const victims = this.#victims(this.#preemption, program, row);
      if (!victims) continue;
      for (const victim of victims) ledger.remove(victim);
      this.#room.fit(program, row, true);
      const fits = program.fitScores[row] !== Number.NEGATIVE_INFINITY;
      const score = fits ? this.#score(request, program, row, preemptionScore(victims)) : Number.NEGATIVE_INFINITY;
      for (const victim of victims) ledger.restore(victim);
      if (fits) seen++;
      if (fits && score > (best?.score ?? Number.NEGATIVE_INFINITY)) best = { row, victims, score };
    }
    return best && this.#clear(program, best);
  }

  /** Who must go from a node: those who hold too much of what is added up, else whoever holds cores, or ports that will do. */
  #victims(preemption: Preemption, program: GroupProgram, row: number): readonly Allocation[] | null {
    const { ledger } = this.#world;
    const wouldFitWithout = (gone: readonly Allocation[]): boolean => {
      for (const alloc of gone) ledger.remove(alloc);
      this.#room.fit(program, row, true);
      const fits = program.fitScores[row] !== Number.NEGATIVE_INFINITY && this.#room.take(program, row) !== null;
      for (const alloc of gone) ledger.restore(alloc);
      return fits;
    };
    const victims = preemption.victims(program, row);
    if (!victims || (victims.length > 0 && wouldFitWithout(victims))) return victims;
    let gone = preemption.evictable(row);
    if (!wouldFitWithout(gone)) return null;
    // The most important are spared first.
    for (const alloc of [...gone].reverse()) {
      const fewer = gone.filter((one) => one !== alloc);
      if (wouldFitWithout(fewer)) gone = fewer;
    }
    return gone;
  }

  /** Counts the victims of a node as gone and takes their room. */
  #clear(
    program: GroupProgram,
    { row, victims, score }: { row: number; victims: readonly Allocation[]; score: number },
  ): Place | null {
    const { ledger } = this.#world;
    for (const victim of victims) ledger.remove(victim);
    this.#room.fit(program, row, true);
    const resources = this.#room.take(program, row);
    if (!resources) {
      for (const victim of victims) ledger.restore(victim);
      return null;
    }
    this.#preemption?.note(victims);
    this.#cleared = { row, score: preemptionScore(victims) };
    this.#counter.score(row, score);
    return { row, resources, victims };
  }

  /** The mean of the parts that have a say. */
  #score(request: SelectRequest, program: GroupProgram, row: number, preemption = 0): number {
    this.#weigh(request, program, row);
    let sum = this.#sum;
    let parts = this.#parts;
    if (program.spreads.length > 0) {
      const spread = program.judge.boost(row);
      if (spread !== 0) {
        sum += spread;
        parts++;
      }
    }
    if (preemption > 0) {
      sum += preemption;
      parts++;
    }
    return sum / parts;
  }

  /** Adds up the parts that only the node itself decides on, in #sum and #parts. */
  #weigh(request: SelectRequest, program: GroupProgram, row: number): void {
    let sum = program.fitScores[row] as number;
    let parts = 1;
    const collisions = program.collisions[row] as number;
    if (collisions > 0) {
      sum += antiAffinityScore(collisions, program.group.Count);
      parts++;
    }
    if (request.penalties?.has(row)) {
      sum += PENALTY_SCORE;
      parts++;
    }
    if (program.affinity) {
      const { scores } = program.affinity;
      if (Number.isNaN(scores[row] as number)) program.affinity.ask(row);
      // One of 0 counts too: a node that nothing speaks for is worse than one that nobody was asked about.
      sum += scores[row] as number;
      parts++;
    }
    if (program.devices && program.devices.weights > 0) {
      sum += program.deviceScores[row] as number;
      parts++;
    }
    this.#sum = sum;
    this.#parts = parts;
  }

  #told(request: SelectRequest, program: GroupProgram, row: number): NodeScore {
    const { parts } = program.told;
    parts[PART.fit] = program.fitScores[row] as number;
    parts[PART.collisions] = antiAffinityScore(program.collisions[row] as number, program.group.Count);
    parts[PART.penalty] = request.penalties?.has(row) ? PENALTY_SCORE : 0;
    parts[PART.affinity] = program.affinity?.scores[row] ?? 0;
    parts[PART.spread] = program.spreads.length > 0 ? program.judge.boost(row) || Number.NaN : Number.NaN;
    const hasDevices = program.devices !== null && program.devices.weights > 0;
    parts[PART.devices] = hasDevices ? (program.deviceScores[row] as number) : Number.NaN;
    parts[PART.preemption] = row === this.#cleared.row ? this.#cleared.score : Number.NaN;
    return program.told.tell(row, this.#node(row).ID);
  }

  #node(row: number): Node {
    return this.#world.fleet.nodes[row] as Node;
  }

  #metrics(program: GroupProgram, request: SelectRequest): AllocMetric {
    this.looks += this.#counter.evaluated;
    return this.#counter.result(this.#among, this.#best(program, request));
  }

  #best(program: GroupProgram, request: SelectRequest): NodeScore[] | null {
    const { rows, scores, kept } = this.#counter.top;
    if (kept === 0) return null;
    // Of its very length: what is pushed to has room for more, and these are kept with each allocation.
    const best = new Array<NodeScore>(kept);
    for (let i = 0; i < kept; i++) {
      program.told.parts[PART.norm] = scores[i] as number;
      best[i] = this.#told(request, program, rows[i] as number);
    }
    return best;
  }
}
