import type { Allocation, AllocStateChange } from '../../structs/allocation.js';
import { groupOf } from '../../structs/group-of.js';
import type { DisconnectStrategy } from '../../structs/job.js';
import { type Millis, toMillis, toNanos } from '../../util/clock.js';

// What the `disconnect` block of an allocation's own job says about a node that cannot be reached.

/** Why an allocation's status is unknown, as `alloc status` shows it. */
const UNKNOWN_TEXT = 'alloc is unknown since its node is disconnected';
/** Number of the field whose changes tell when a client was lost sight of, and when it was taken back. */
const CLIENT_STATUS = 0;
/** What is due this soon is done at once: the clocks of two entries differ by the way between them. */
const NEAR_MS = 1000;

/** The strategy that an allocation was started with; null: a node that is silent is a node that is lost. */
export function disconnectOf(alloc: Allocation): DisconnectStrategy | null {
  return groupOf(alloc.Job, alloc.TaskGroup)?.Disconnect ?? null;
}

/** How long it may be out of reach before it is lost; 0: not at all. */
export function lostAfterMs(alloc: Allocation): Millis {
  return toMillis(disconnectOf(alloc)?.LostAfter ?? 0);
}

/** Whether another takes its place while it is out of reach. */
export function isReplaceable(alloc: Allocation): boolean {
  return disconnectOf(alloc)?.Replace !== false;
}

/** When it was lost sight of, and nobody has taken it back since; else null. */
export function unknownSince(alloc: Allocation): Millis | null {
  const last = alloc.AllocStates?.at(-1);
  return last?.Value === 'unknown' ? Date.parse(last.Time) : null;
}

/** Its client is heard of again, and no plan has said yet what becomes of it. */
export function isBack(alloc: Allocation): boolean {
  return alloc.ClientStatus !== 'unknown' && unknownSince(alloc) !== null;
}

/** It has been out of reach for longer than it may be; `evalId` may be the evaluation made for that moment. */
export function hasExpired(alloc: Allocation, now: Millis, evalId: string): boolean {
  if (alloc.ClientStatus !== 'unknown') return false;
  const limitMs = lostAfterMs(alloc);
  if (limitMs === 0) return false;
  return alloc.FollowupEvalID === evalId || now >= (unknownSince(alloc) ?? now) + limitMs;
}

/** When an unknown one will have been out of reach for too long; null: never. */
export function expiresAt(alloc: Allocation, now: Millis): Millis | null {
  const limitMs = lostAfterMs(alloc);
  return limitMs === 0 ? null : (unknownSince(alloc) ?? now) + limitMs;
}

/** Until when a lost allocation may still be running, since its client stops it by itself; null: nothing is known. */
export function clientStopsAt(alloc: Allocation, lostAt: Millis): Millis | null {
  const strategy = disconnectOf(alloc);
  if (!strategy?.StopOnClientAfter) return null;
  const tasks = groupOf(alloc.Job, alloc.TaskGroup)?.Tasks ?? [];
  const kill = tasks.reduce((longest, { KillTimeout }) => Math.max(longest, KillTimeout), 0);
  return lostAt + toMillis(strategy.StopOnClientAfter + kill);
}

/** Until when the places of a group must wait for a lost allocation that its client is still about to stop; null: they need not. */
export function waitsForClient(alloc: Allocation, now: Millis, evalId: string): Millis | null {
  if (alloc.ClientStatus !== 'lost' || alloc.NextAllocation !== '' || alloc.FollowupEvalID === evalId) return null;
  const at = clientStopsAt(alloc, toMillis(alloc.ModifyTime));
  return at !== null && at - now > NEAR_MS ? at : null;
}

/** The allocation as one that nobody can ask. */
export function markUnknown(alloc: Allocation, now: Millis, followupEvalId: string): Allocation {
  return {
    ...alloc,
    ClientStatus: 'unknown',
    ClientDescription: UNKNOWN_TEXT,
    AllocStates: [...(alloc.AllocStates ?? []), stateChange('unknown', now)],
    FollowupEvalID: followupEvalId,
    ModifyTime: toNanos(now),
  };
}

/** The allocation as one that is taken back. */
export function markBack(alloc: Allocation, now: Millis): Allocation {
  return {
    ...alloc,
    AllocStates: [...(alloc.AllocStates ?? []), stateChange(alloc.ClientStatus, now)],
    FollowupEvalID: '',
    ModifyTime: toNanos(now),
  };
}

function stateChange(Value: string, now: Millis): AllocStateChange {
  return { Field: CLIENT_STATUS, Value, Time: new Date(now).toISOString() };
}
