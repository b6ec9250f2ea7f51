import { isClientTerminal } from '../../scheduler/usage.js';
import type { Allocation, DesiredTransition, TaskState } from '../../structs/allocation.js';
import type { ClientAllocUpdate } from '../../structs/rpc.js';
import type { Nanos } from '../../util/clock.js';
import { ok } from '../../util/result.js';
import type { AllocsClientUpdateCommand, AllocsDesiredTransitionCommand, CommandResult } from '../commands.js';
import { countInDeployment } from '../deployment-progress.js';
import { countAlloc } from '../job-summary.js';
import { shareEqual } from '../share.js';
import type { Transaction } from '../transaction.js';
import { storeEvals } from './evals.js';
import { forgetServices, replaceServices } from './services.js';

/** A task remembers its latest events only. */
const TASK_EVENTS_KEPT = 10;

/** Stores an allocation and carries its effect to the job's summary, the deployment and the job's status. */
export function storeAlloc(txn: Transaction, before: Allocation | undefined, after: Allocation): void {
  txn.putAlloc(after);
  accountFor(txn, before, after);
}

/** Carries the effect of a stored allocation to the job's summary, the deployment and the job's status. */
export function accountFor(txn: Transaction, before: Allocation | undefined, after: Allocation): void {
  if (isClientTerminal(after)) forgetServices(txn, after.ID);
  countAlloc(txn, before, after);
  countInDeployment(txn, before, after);
  txn.unsettle(after.Namespace, after.JobID);
}

export function applyAllocsClientUpdate(
  txn: Transaction,
  command: AllocsClientUpdateCommand,
): CommandResult<'allocs-client-update'> {
  for (const update of command.allocs) {
    const existing = txn.tables.allocs.get(update.ID);
    // Collected as garbage meanwhile: the client will learn so when it next pulls.
    if (existing === undefined) continue;
    // What a first report tells is much the same for every allocation: the last one is the pattern.
    const TaskStates = shareEqual(existing.TaskStates ?? txn.recent.taskStates, update.TaskStates);
    if (TaskStates !== null) txn.recent.taskStates = TaskStates;
    const after = reported(existing, { ...update, TaskStates }, { index: txn.index, time: command.time });
    storeAlloc(txn, existing, after);
    if (update.Services && !isClientTerminal(after)) replaceServices(txn, after, update.Services);
  }
  storeEvals(txn, command.evals);
  return ok(null);
}

/** The allocation with what is the client's to say. */
function reported(
  existing: Allocation,
  update: ClientAllocUpdate,
  { index, time }: { index: number; time: Nanos },
): Allocation {
  return {
    ...existing,
    ClientStatus: update.ClientStatus,
    ClientDescription: shareEqual(existing.ClientDescription, update.ClientDescription),
    TaskStates: cappedEvents(update.TaskStates),
    // Its history is the scheduler's to write: what was out of reach counts as reconnecting until a plan has seen it.
    AllocStates: existing.AllocStates,
    NetworkStatus: shareEqual(existing.NetworkStatus, update.NetworkStatus),
    DeploymentStatus: reportedHealth(existing.DeploymentStatus, update.DeploymentStatus, index),
    ModifyIndex: index,
    ModifyTime: time,
  };
}

function cappedEvents(states: Record<string, TaskState> | null): Record<string, TaskState> | null {
  if (states === null) return null;
  const over = Object.entries(states).filter(([, state]) => (state.Events?.length ?? 0) > TASK_EVENTS_KEPT);
  if (over.length === 0) return states;
  const capped = over.map(([name, state]) => [name, { ...state, Events: state.Events.slice(-TASK_EVENTS_KEPT) }]);
  return { ...states, ...Object.fromEntries(capped) };
}

/** A client only knows about health; whether the allocation is a canary is the server's. */
function reportedHealth(
  known: Allocation['DeploymentStatus'],
  update: Allocation['DeploymentStatus'],
  index: number,
): Allocation['DeploymentStatus'] {
  if (update === null) return known;
  if (known === null) return { ...update, ModifyIndex: index };
  if (update.Healthy === null || update.Healthy === known.Healthy) return known;
  return { ...known, Healthy: update.Healthy, Timestamp: update.Timestamp, ModifyIndex: index };
}

export function applyAllocsDesiredTransition(
  txn: Transaction,
  command: AllocsDesiredTransitionCommand,
): CommandResult<'allocs-desired-transition'> {
  for (const [id, transition] of Object.entries(command.transitions)) {
    const existing = txn.tables.allocs.get(id);
    if (existing !== undefined) transitionAlloc(txn, existing, transition, command.time);
  }
  storeEvals(txn, command.evals);
  return ok(null);
}

/** Merges a wish into an allocation: only what is not null is taken. */
export function transitionAlloc(
  txn: Transaction,
  alloc: Allocation,
  wish: Partial<DesiredTransition>,
  time: Nanos,
): void {
  const known = alloc.DesiredTransition;
  storeAlloc(txn, alloc, {
    ...alloc,
    DesiredTransition: {
      Migrate: wish.Migrate ?? known.Migrate,
      Reschedule: wish.Reschedule ?? known.Reschedule,
      ForceReschedule: wish.ForceReschedule ?? known.ForceReschedule,
      NoShutdownDelay: wish.NoShutdownDelay ?? known.NoShutdownDelay,
    },
    ModifyIndex: txn.index,
    AllocModifyIndex: txn.index,
    ModifyTime: time,
  });
}
