import type { NodeListStub } from '../../lib/structs/rpc.js';
import { drainedAtMs, standingOf } from '../target-nodes/select.js';
import type { PowerConfig } from './config.js';

// What is known of machines that sleep from their drain alone. Pure.

/**
 * A machine that is up, and still kept from work by its last sleep: a person switched it on, or the leader that woke it or put it to
 * sleep is gone. One that may only just be falling asleep is not meant.
 */
export function isForgotten(node: NodeListStub, { sleepTimeoutMs }: PowerConfig, nowMs: number): boolean {
  if (node.Status !== 'ready' || standingOf(node, { switched: true }) !== 'starting') return false;
  const sinceMs = drainedAtMs(node);
  return Number.isNaN(sinceMs) || nowMs - sinceMs > sleepTimeoutMs || sinceMs > nowMs + sleepTimeoutMs;
}

/** Watt-hours that a machine which sleeps has not used since it was drained; 0 when `watts` is not given. An estimate. */
export function savedBy({ LastDrain }: Pick<NodeListStub, 'LastDrain'>, { watts }: PowerConfig, nowMs: number): number {
  const since = drainedAtMs({ LastDrain });
  return Number.isNaN(since) ? 0 : (watts * Math.max(0, nowMs - since)) / 3_600_000;
}
