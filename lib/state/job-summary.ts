import type { Allocation } from '../structs/allocation.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { Job } from '../structs/job.js';
import { isParent } from '../structs/job-kind.js';
import type { TaskGroupSummary } from '../structs/rpc.js';
import type { Transaction } from './transaction.js';
import { jobKey } from './watch.js';

// Job summaries are kept with every write instead of counted on every read: a list of 10,000 jobs shows all of them.
// They count each allocation by its client status, also after it was collected as garbage, as Nomad does.

const COUNTER = {
  pending: 'Starting',
  running: 'Running',
  complete: 'Complete',
  failed: 'Failed',
  lost: 'Lost',
  unknown: 'Unknown',
} as const satisfies Record<Allocation['ClientStatus'], keyof TaskGroupSummary>;

function emptyGroup(): TaskGroupSummary {
  return { Queued: 0, Complete: 0, Failed: 0, Running: 0, Starting: 0, Lost: 0, Unknown: 0 };
}

/** Makes sure that a job has a summary with all its groups; groups of older versions stay. */
export function ensureSummary(txn: Transaction, job: Job): void {
  const key = jobKey(job.Namespace, job.ID);
  const isParentJob = isParent(job);
  const existing = txn.summaries.peek(key);
  if (existing === undefined) {
    txn.summaries.set(key, {
      JobID: job.ID,
      Namespace: job.Namespace,
      Summary: Object.fromEntries(job.TaskGroups.map((group) => [group.Name, emptyGroup()])),
      Children: isParentJob ? { Pending: 0, Running: 0, Dead: 0 } : null,
      CreateIndex: job.CreateIndex,
      ModifyIndex: txn.index,
    });
    return;
  }
  const missing = job.TaskGroups.filter((group) => !Object.hasOwn(existing.Summary, group.Name));
  const needsChildren = isParentJob && existing.Children === null;
  if (missing.length === 0 && !needsChildren) return;
  const draft = txn.summaries.edit(key);
  if (draft === undefined) return;
  for (const group of missing) draft.Summary[group.Name] = emptyGroup();
  if (needsChildren) draft.Children = { Pending: 0, Running: 0, Dead: 0 };
}

/** Counts an allocation under its new client status; `before` undefined = it is new. */
export function countAlloc(txn: Transaction, before: Allocation | undefined, after: Allocation): void {
  if (before?.ClientStatus === after.ClientStatus) return;
  const key = jobKey(after.Namespace, after.JobID);
  const summary = txn.summaries.peek(key);
  // The job was purged, or purged and registered anew: this allocation belongs to the old one.
  if (summary === undefined || after.Job?.CreateIndex !== summary.CreateIndex) return;
  const draft = txn.summaries.edit(key);
  if (draft === undefined) return;
  const group = draft.Summary[after.TaskGroup] ?? emptyGroup();
  draft.Summary[after.TaskGroup] = group;
  group[COUNTER[after.ClientStatus]]++;
  if (before !== undefined) group[COUNTER[before.ClientStatus]] = Math.max(0, group[COUNTER[before.ClientStatus]] - 1);
  else if (after.ClientStatus === 'pending') group.Queued = Math.max(0, group.Queued - 1);
}

/** Takes over what an evaluation says is still waiting for a place. */
export function countQueued(txn: Transaction, evaluation: Evaluation): void {
  if (evaluation.QueuedAllocations === null) return;
  const key = jobKey(evaluation.Namespace, evaluation.JobID);
  const groups = txn.summaries.peek(key)?.Summary;
  if (groups === undefined) return;
  const changed = Object.entries(evaluation.QueuedAllocations).filter(
    ([name, queued]) => groups[name] !== undefined && groups[name].Queued !== queued,
  );
  if (changed.length === 0) return;
  const draft = txn.summaries.edit(key);
  for (const [name, queued] of changed) {
    const group = draft?.Summary[name];
    if (group !== undefined) group.Queued = queued;
  }
}

/** The counter of a parent under which a child of a status stands. */
export const CHILD_COUNTER = { pending: 'Pending', running: 'Running', dead: 'Dead' } as const;

/** Counts a job's summary anew. What was collected as garbage is no longer in it. */
export function recountJob(txn: Transaction, job: Job): void {
  const key = jobKey(job.Namespace, job.ID);
  ensureSummary(txn, job);
  const draft = txn.summaries.edit(key);
  if (draft === undefined) return;
  for (const name of Object.keys(draft.Summary)) {
    draft.Summary[name] = { ...emptyGroup(), Queued: draft.Summary[name]?.Queued ?? 0 };
  }
  // There may be very many, mostly of one group and one status: what the last one was counted under is kept at hand.
  let name = '';
  let group: TaskGroupSummary | undefined;
  for (const alloc of txn.tables.allocs.each('job', key)) {
    if (alloc.Job !== job && alloc.Job?.CreateIndex !== job.CreateIndex) continue;
    if (group === undefined || alloc.TaskGroup !== name) {
      name = alloc.TaskGroup;
      group = draft.Summary[name] ?? emptyGroup();
      draft.Summary[name] = group;
    }
    group[COUNTER[alloc.ClientStatus]]++;
  }
  if (draft.Children === null) return;
  const children = { Pending: 0, Running: 0, Dead: 0 };
  for (const child of txn.tables.jobs.under('parent', key)) children[CHILD_COUNTER[child.Status]]++;
  draft.Children = children;
}
