import type { Columns } from './columns.js';

type Follower = (row: number, group: string, change: 1 | -1) => void;

/** Where a job's own allocations are, kept up to date with the plan: for anti-affinity, distinct_* and spread. */
export class Occupancy {
  readonly #columns: Columns;
  readonly #job: Int32Array;
  readonly #groups = new Map<string, Int32Array>();
  readonly #followers: Follower[] = [];

  constructor(columns: Columns) {
    this.#columns = columns;
    this.#job = columns.int32(0);
  }

  byJob(row: number): number {
    return this.#job[row] as number;
  }

  byGroup(group: string, row: number): number {
    return this.#groups.get(group)?.[row] ?? 0;
  }

  /** The counts of a group by row, live. */
  column(group: string): Int32Array {
    let column = this.#groups.get(group);
    if (!column) {
      column = this.#columns.int32(0);
      this.#groups.set(group, column);
    }
    return column;
  }

  /** Calls back for every allocation there is, then for every change. */
  follow(follower: Follower): void {
    for (const [group, column] of this.#groups) {
      for (let row = 0; row < column.length; row++) {
        for (let i = column[row] as number; i > 0; i--) follower(row, group, 1);
      }
    }
    this.#followers.push(follower);
  }

  /** The plan places (1) or stops (−1) an allocation. */
  change(row: number, group: string, change: 1 | -1): void {
    this.#job[row] = Math.max(0, (this.#job[row] as number) + change);
    const column = this.column(group);
    column[row] = Math.max(0, (column[row] as number) + change);
    for (const follower of this.#followers) follower(row, group, change);
  }
}
