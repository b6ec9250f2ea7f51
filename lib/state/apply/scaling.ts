import { ok } from '../../util/result.js';
import type { CommandResult, ScalingEventCommand, ScalingEventSeed } from '../commands.js';
import type { Transaction } from '../transaction.js';
import { jobKey } from '../watch.js';

/** A group remembers its latest events only, as in Nomad. */
const SCALING_EVENTS_KEPT = 20;

export function applyScalingEvent(txn: Transaction, command: ScalingEventCommand): CommandResult<'scaling-event'> {
  addScalingEvent(txn, command.namespace, command.id, command.event);
  return ok(null);
}

export function addScalingEvent(txn: Transaction, namespace: string, id: string, seed: ScalingEventSeed): void {
  const existing = txn.tables.scaling_events.get(jobKey(namespace, id));
  const { group, ...event } = seed;
  const events = existing?.ScalingEvents[group] ?? [];
  txn.putScalingEvents({
    Namespace: namespace,
    JobID: id,
    ScalingEvents: {
      ...existing?.ScalingEvents,
      [group]: [{ ...event, CreateIndex: txn.index }, ...events].slice(0, SCALING_EVENTS_KEPT),
    },
    ModifyIndex: txn.index,
  });
}
