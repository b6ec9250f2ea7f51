import type { Allocation } from '../../structs/allocation.js';
import type { TaskGroup } from '../../structs/job.js';
import { filterInTurns, inTurns, type Rest, sortInTurns } from '../turns.js';
import { isTerminal } from '../usage.js';
import { allocIndex, byName, type NameIndex, SomeAllocs } from './names.js';
import { STOP_REASON, type Stop } from './result.js';

/** What is to stop, and what stays of the kept and of the migrating ones. */
export interface Stops {
  readonly stop: Stop[];
  readonly kept: readonly Allocation[];
  readonly migrate: readonly Allocation[];
}

/**
 * Picks what is too many. In this order: lost ones all; after a promotion those whose name a canary has taken over, even if
 * the count is short; those whose work under their name is done; failed ones that wait to be tried again; those whose node is being drained; the highest names.
 */
export function* computeStops(options: {
  group: TaskGroup;
  names: NameIndex;
  kept: readonly Allocation[];
  migrate: readonly Allocation[];
  lost: readonly Allocation[];
  canaries: readonly Allocation[];
  canarying: boolean;
}): Generator<Rest, Stops, void> {
  const { group, names, canaries, canarying, lost } = options;
  const stop: Stop[] = [];
  yield* inTurns(lost, (alloc) => stop.push({ alloc, description: STOP_REASON.lost, clientStatus: 'lost' }));
  const onTrial = new Set(canarying ? canaries : []);
  const bound = onTrial.size === 0 ? options.kept : yield* filterInTurns(options.kept, (alloc) => !onTrial.has(alloc));
  let excess = bound.length + options.migrate.length - group.Count;
  const twins = yield* olderTwins(bound);
  // Mostly so, and then nothing is copied: there may be very many.
  if (twins.length === 0 && excess <= 0) return { stop, kept: options.kept, migrate: options.migrate };
  const gone = new SomeAllocs();

  // Work that is done holds its place, and there is nothing to stop.
  const mayStop = (alloc: Allocation): boolean =>
    !gone.has(alloc) && alloc.ClientStatus !== 'complete' && !onTrial.has(alloc);

  const end = (alloc: Allocation, description: string): void => {
    gone.add(alloc);
    names.release(alloc.Name);
    stop.push({ alloc, description, clientStatus: null });
    excess--;
  };

  function* take(
    from: readonly Allocation[],
    description: string,
    which: (alloc: Allocation) => boolean,
  ): Generator<Rest, void, void> {
    if (excess <= 0) return;
    yield* inTurns(from, (alloc) => {
      if (excess > 0 && mayStop(alloc) && which(alloc)) end(alloc, description);
    });
  }

  /** Which of those that may stop bear the highest names. A name that only a failed or lost one bears is none of them. */
  function* highestOf(from: readonly Allocation[]): Generator<Rest, (alloc: Allocation) => boolean, void> {
    if (excess <= 0) return () => false;
    const running = yield* filterInTurns(from, mayStop);
    const highest = new SomeAllocs();
    const sorted = yield* sortInTurns(running, ({ Name }) => -allocIndex(Name), excess);
    yield* inTurns(sorted, (alloc) => highest.add(alloc));
    return (alloc) => highest.has(alloc);
  }

  yield* inTurns(twins, (alloc) => end(alloc, STOP_REASON.notNeeded));
  const { kept, migrate } = options;
  if (excess > 0) {
    const done = byName<true>();
    yield* inTurns(kept, (alloc) => {
      if (alloc.ClientStatus === 'complete' && !gone.has(alloc)) done.set(alloc.Name, true);
    });
    yield* take(kept, STOP_REASON.notNeeded, ({ Name }) => done.has(Name));
    yield* take(kept, STOP_REASON.notNeeded, ({ ClientStatus }) => ClientStatus === 'failed');
    yield* take(migrate, STOP_REASON.nodeTainted, () => true);
    yield* take(kept, STOP_REASON.notNeeded, yield* highestOf(kept));
  }
  const stays = (alloc: Allocation): boolean => !gone.has(alloc);
  return { stop, kept: yield* filterInTurns(kept, stays), migrate: yield* filterInTurns(migrate, stays) };
}

/** Those that share their name with a newer one, as after a promotion: the newer job wins, then the newer allocation. */
function* olderTwins(allocs: readonly Allocation[]): Generator<Rest, Allocation[], void> {
  const newest = byName<Allocation>();
  const older: Allocation[] = [];
  yield* inTurns(allocs, (alloc) => {
    if (isTerminal(alloc)) return;
    const twin = newest.get(alloc.Name);
    if (!twin || isNewer(alloc, twin)) newest.set(alloc.Name, alloc);
    if (twin) older.push(isNewer(alloc, twin) ? twin : alloc);
  });
  return older;
}

function isNewer(a: Allocation, b: Allocation): boolean {
  const versions = (a.Job?.Version ?? 0) - (b.Job?.Version ?? 0);
  return versions > 0 || (versions === 0 && a.CreateIndex > b.CreateIndex);
}
