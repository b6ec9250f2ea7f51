import type { Allocation } from '../../structs/allocation.js';
import type { Job } from '../../structs/job.js';
import type { Millis } from '../../util/clock.js';
import { inTurns, type Rest } from '../turns.js';
import { isTerminal } from '../usage.js';
import { clientStopsAt, expiresAt, isReplaceable, unknownSince } from './disconnect.js';
import { type Fate, type FateContext, FOLLOWUP_NEAR_MS, isWatched } from './filters.js';
import type { Wait } from './followup.js';
import type { Sorted } from './group.js';
import { pickWinner } from './reconnect.js';
import { RESCHEDULE_WINDOW_MS, rescheduleAfter } from './reschedule.js';
import { STOP_REASON, type Stop } from './result.js';

/** Allocations of a group whose nodes cannot be reached, or just can again. */
export interface Away {
  /** Become unknown now. */
  leaving: Allocation[];
  /** Are unknown already. */
  gone: Allocation[];
  /** Leaving or gone, and not replaced, or not yet: they hold their place, out of everybody's reach. */
  holding: Set<Allocation>;
  /** Those of them that will be, and when it is time to look. */
  replacements: Wait[];
  /** Leaving or gone, and another shall run in their place. */
  displaced: Allocation[];
  /** Have come back; nothing is decided yet. */
  reconnecting: Allocation[];
  /** Are taken back: ordinary allocations from here on. */
  returned: Allocation[];
  /** Lost ones whose client may still run them. */
  clientStops: Wait[];
}

export function noneAway(): Away {
  return {
    leaving: [],
    gone: [],
    holding: new Set(),
    replacements: [],
    displaced: [],
    reconnecting: [],
    returned: [],
    clientStops: [],
  };
}

/** Puts an allocation where its fate belongs. What cannot be reached is replaced when its `reschedule` block says so, as one that fails. */
export function sortAway(
  { kept, away }: Sorted,
  alloc: Allocation,
  fate: Extract<Fate, { kind: 'disconnecting' | 'away' | 'reconnecting' | 'client-stops' }>,
  context: FateContext,
): void {
  if (fate.kind === 'reconnecting') {
    away.reconnecting.push(alloc);
    return;
  }
  if (fate.kind === 'client-stops') {
    away.clientStops.push({ alloc, at: fate.at });
    return;
  }
  (fate.kind === 'away' ? away.gone : away.leaving).push(alloc);
  if (isReplaceable(alloc) && alloc.NextAllocation !== '') return;
  const at = replacementAt(alloc, context);
  if (at !== null && at - context.now <= RESCHEDULE_WINDOW_MS) {
    away.displaced.push(alloc);
    return;
  }
  away.holding.add(alloc);
  kept.push(alloc);
  const looks = fate.kind === 'disconnecting' || (at !== null && at - context.now <= FOLLOWUP_NEAR_MS);
  if (at !== null && looks) away.replacements.push({ alloc, at });
}

/** When another runs in the place of one that is out of reach; null: not as long as it may come back. */
function replacementAt(alloc: Allocation, { now, deployment }: FateContext): Millis | null {
  if (!isReplaceable(alloc) || isWatched(alloc, deployment)) return null;
  const next = rescheduleAfter(alloc, unknownSince(alloc) ?? now);
  return next.eligible ? next.at : null;
}

/** Takes allocations out of everything that is away; returns those that were. */
export function dropAway(away: Away, dropped: ReadonlySet<Allocation>): ReadonlySet<Allocation> {
  const out = new Set([...away.leaving, ...away.gone].filter((alloc) => dropped.has(alloc)));
  const stays = (alloc: Allocation): boolean => !out.has(alloc);
  away.leaving = away.leaving.filter(stays);
  away.gone = away.gone.filter(stays);
  away.displaced = away.displaced.filter(stays);
  away.replacements = away.replacements.filter(({ alloc }) => stays(alloc));
  return out;
}

/**
 * Decides about those that have come back: each goes on, or the one that runs under its name does. One that came back
 * failed, without another in its place, is tried again at once.
 */
export function* takeBack(
  sorted: Sorted,
  context: { job: Job; apart: readonly Allocation[]; stop: Stop[] },
): Generator<Rest, void, void> {
  const { away } = sorted;
  if (away.reconnecting.length === 0) return;
  const { job, stop } = context;
  const apart = new Set(context.apart);
  const byName = new Map<string, Allocation>();
  yield* inTurns(sorted.kept, (alloc) => {
    if (!isTerminal(alloc) && !away.holding.has(alloc) && !apart.has(alloc)) byName.set(alloc.Name, alloc);
  });
  const ended = new Set<Allocation>();
  const end = (alloc: Allocation): void => {
    stop.push({ alloc, description: STOP_REASON.reconnected, clientStatus: null });
    ended.add(alloc);
  };
  yield* inTurns(
    [...away.reconnecting].sort((a, b) => a.CreateIndex - b.CreateIndex),
    (alloc) => {
      const rival = apart.has(alloc) ? undefined : byName.get(alloc.Name);
      if (!rival && alloc.ClientStatus === 'failed') {
        sorted.now.push(alloc);
      } else if (!rival || winnerOf(alloc, rival, job) === alloc) {
        if (rival) end(rival);
        if (!apart.has(alloc)) byName.set(alloc.Name, alloc);
        sorted.kept.push(alloc);
        away.returned.push(alloc);
      } else {
        end(alloc);
      }
    },
  );
  sorted.later = sorted.later.filter(({ alloc }) => !ended.has(alloc));
  away.returned = away.returned.filter((alloc) => !ended.has(alloc));
  // One that is to leave its node does so after it was taken back.
  const moving = new Set(away.returned.filter(({ DesiredTransition }) => DesiredTransition.Migrate === true));
  const kept: Allocation[] = [];
  yield* inTurns(sorted.kept, (alloc) => {
    if (!ended.has(alloc) && !moving.has(alloc)) kept.push(alloc);
  });
  sorted.kept = kept;
  for (const alloc of moving) sorted.migrate.push(alloc);
}

function winnerOf(alloc: Allocation, rival: Allocation, job: Job): Allocation {
  // One that came back failed is never the better one, whichever was there first.
  if (alloc.ClientStatus === 'failed') return rival;
  const [original, replacement] = alloc.CreateIndex <= rival.CreateIndex ? [alloc, rival] : [rival, alloc];
  return pickWinner(original, replacement, job) === 'original' ? original : replacement;
}

/** When those that are unknown are lost: the new ones, and old ones whose follow-up may have been cancelled. */
export function timeoutsOf(away: Away, leaving: readonly Allocation[], now: Millis): Wait[] {
  const waits: Wait[] = [];
  for (const alloc of leaving) {
    // The moment it leaves is now, whatever befell it before.
    const at = expiresAt({ ...alloc, AllocStates: null }, now);
    if (at !== null) waits.push({ alloc, at });
  }
  for (const alloc of away.gone) {
    const at = expiresAt(alloc, now);
    if (at !== null && at - now <= FOLLOWUP_NEAR_MS) waits.push({ alloc, at });
  }
  return waits;
}

/** Lost ones that nobody may replace yet, now or since earlier. */
export function waitsForClients({ now }: FateContext, away: Away, lost: readonly Allocation[]): Wait[] {
  const fresh = lost.flatMap((alloc) => {
    const at = clientStopsAt(alloc, now);
    return at === null ? [] : [{ alloc, at }];
  });
  return [...away.clientStops, ...fresh];
}
