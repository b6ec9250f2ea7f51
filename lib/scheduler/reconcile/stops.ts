import type { Allocation } from '../../structs/allocation.js';
import type { TaskGroup } from '../../structs/job.js';
import { isTerminal } from '../usage.js';
import type { NameIndex } from './names.js';
import { STOP_REASON, type Stop } from './result.js';

/** What is to stop, and what stays of the kept and of the migrating ones. */
export interface Stops {
  readonly stop: Stop[];
  readonly kept: Allocation[];
  readonly migrate: Allocation[];
}

/**
 * Picks what is too many. In this order: lost ones all; after a promotion those whose name a canary has taken over; those
 * whose node is being drained; the highest names; any.
 */
export function computeStops(options: {
  group: TaskGroup;
  names: NameIndex;
  kept: readonly Allocation[];
  migrate: readonly Allocation[];
  lost: readonly Allocation[];
  canaries: readonly Allocation[];
  canarying: boolean;
}): Stops {
  const { group, names, canaries, canarying, lost } = options;
  const stop: Stop[] = lost.map((alloc) => ({ alloc, description: STOP_REASON.lost, clientStatus: 'lost' }));
  const kept = new Set(options.kept);
  const migrate = new Set(options.migrate);
  const onTrial = new Set(canarying ? canaries : []);
  let excess = kept.size - onTrial.size + migrate.size - group.Count;

  const take = (from: Set<Allocation>, description: string, which: (alloc: Allocation) => boolean): void => {
    for (const alloc of from) {
      if (excess <= 0) return;
      // An ended one holds a place but there is nothing to stop.
      if (isTerminal(alloc) || onTrial.has(alloc) || !which(alloc)) continue;
      from.delete(alloc);
      names.release(alloc.Name);
      stop.push({ alloc, description, clientStatus: null });
      excess--;
    }
  };

  if (excess > 0) {
    if (!canarying && canaries.length > 0) {
      const promoted = new Set(canaries.map(({ Name }) => Name));
      const own = new Set(canaries);
      take(kept, STOP_REASON.notNeeded, (alloc) => !own.has(alloc) && promoted.has(alloc.Name));
    }
    take(migrate, STOP_REASON.nodeTainted, () => true);
    const highest = excess > 0 ? names.highest(excess) : new Set<string>();
    take(kept, STOP_REASON.notNeeded, ({ Name }) => highest.has(Name));
    take(kept, STOP_REASON.notNeeded, () => true);
  }
  return { stop, kept: [...kept], migrate: [...migrate] };
}
