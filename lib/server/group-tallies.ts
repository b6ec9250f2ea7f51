import type { Change, Store } from '../state/store.js';
import type { Allocation } from '../structs/allocation.js';
import { groupOf } from '../structs/group-of.js';
import type { Turns } from '../util/turns.js';
import { isTerminal } from './node-evals.js';

/** What one group of allocations is known by. */
export const groupKey = ({
  Namespace,
  JobID,
  TaskGroup,
}: Pick<Allocation, 'Namespace' | 'JobID' | 'TaskGroup'>): string => `${Namespace}\0${JobID}\0${TaskGroup}`;

interface Tally {
  count: number;
  /** Until all were gone through, only what has changed meanwhile is in it. */
  isWhole: boolean;
}

/**
 * How many of a group are healthy and not asked to leave. A group is gone through once, in turns, and from then on its tally
 * is kept with every change: the drainer looks after each of them, at groups of 100,000.
 */
export class GroupTallies {
  readonly #store: Store;
  readonly #turns: Turns;
  readonly #tallies = new Map<string, Tally>();

  constructor(store: Store, turns: Turns) {
    this.#store = store;
    this.#turns = turns;
  }

  /** Of the state as it is now; undefined while it has not been counted. */
  of(key: string): number | undefined {
    const tally = this.#tallies.get(key);
    return tally?.isWhole ? tally.count : undefined;
  }

  /** Counts the groups of these allocations that nobody has counted yet. */
  async count(allocs: Iterable<Allocation>): Promise<void> {
    const fresh = new Map<string, Allocation>();
    for (const alloc of allocs) {
      const key = groupKey(alloc);
      if (this.#tallies.get(key)?.isWhole !== true) fresh.set(key, alloc);
    }
    for (const [key, { Namespace, JobID, TaskGroup }] of fresh) {
      const tally: Tally = { count: 0, isWhole: false };
      this.#tallies.set(key, tally);
      // From this state on every change is told: what it shows and what is told are together what there is.
      await this.#turns.through(this.#store.snapshot().eachAllocOfJob(Namespace, JobID), (alloc) => {
        if (alloc.TaskGroup === TaskGroup) tally.count += weight(alloc);
        return true;
      });
      tally.isWhole = true;
    }
  }

  /** Must hear of every change. */
  saw(change: Change): void {
    if (change.table !== 'allocs' || this.#tallies.size === 0) return;
    const { before, after } = change;
    const alloc = after ?? before;
    const tally = alloc && this.#tallies.get(groupKey(alloc));
    if (tally) tally.count += weight(after) - weight(before);
  }

  clear(): void {
    this.#tallies.clear();
  }
}

function weight(alloc: Allocation | undefined): 0 | 1 {
  if (!alloc || isTerminal(alloc) || alloc.DesiredTransition.Migrate === true) return 0;
  return isHealthy(alloc) ? 1 : 0;
}

/**
 * Whether the client has reported it healthy: that it runs says nothing yet. Only where a person judges the health
 * (health_check = "manual") running must do.
 */
function isHealthy(alloc: Allocation): boolean {
  const { Healthy } = alloc.DeploymentStatus ?? {};
  if (typeof Healthy === 'boolean') return Healthy;
  const group = groupOf(alloc.Job, alloc.TaskGroup);
  const isManual = alloc.DeploymentID !== '' && group?.Update?.HealthCheck === 'manual';
  return isManual && alloc.ClientStatus === 'running';
}
