import type { Allocation } from '../structs/allocation.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { Job } from '../structs/job.js';
import { isParent } from '../structs/job-kind.js';
import type { JobSummary, TaskGroupSummary } from '../structs/rpc.js';
import { ownPart } from './drafts.js';
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

/** A group of a draft, which may be of an older version, to be changed in place. */
function ownGroup({ Summary }: JobSummary, name: string): TaskGroupSummary {
  const known = ownPart(Summary, name);
  if (known !== undefined) return known;
  const group = emptyGroup();
  Summary[name] = group;
  return group;
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
  const group = ownGroup(draft, after.TaskGroup);
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
    if (draft !== undefined) ownGroup(draft, name).Queued = queued;
  }
}

/** The counter of a parent under which a child of a status stands. */
export const CHILD_COUNTER = { pending: 'Pending', running: 'Running', dead: 'Dead' } as const;

/** What must be added to a job's summary for it to be right; counters that are right are left out. */
export interface SummaryCorrection {
  readonly namespace: string;
  readonly id: string;
  /** Of the job: one purged and registered anew has another summary. */
  readonly createIndex: number;
  readonly groups: Readonly<Record<string, Partial<TaskGroupSummary>>>;
  readonly children: Partial<JobChildren>;
}

type JobChildren = NonNullable<JobSummary['Children']>;

/** Counts what a job's summary counts, from nothing. What was collected as garbage is not in it. */
export class Recount {
  readonly #job: Job;
  readonly #groups = new Map<string, TaskGroupSummary>();
  readonly #children: JobChildren = { Pending: 0, Running: 0, Dead: 0 };
  // There may be very many, mostly of one group and one status: what the last one was counted under is kept at hand.
  #name = '';
  #group: TaskGroupSummary | undefined;

  constructor(job: Job) {
    this.#job = job;
  }

  /** One of the allocations under the job's name: of a job that was purged they are not counted. */
  add(alloc: Allocation): void {
    if (alloc.Job !== this.#job && alloc.Job?.CreateIndex !== this.#job.CreateIndex) return;
    if (this.#group === undefined || alloc.TaskGroup !== this.#name) {
      this.#name = alloc.TaskGroup;
      this.#group = this.#groups.get(this.#name) ?? emptyGroup();
      this.#groups.set(this.#name, this.#group);
    }
    this.#group[COUNTER[alloc.ClientStatus]]++;
  }

  addChild({ Status }: Job): void {
    this.#children[CHILD_COUNTER[Status]]++;
  }

  /** What is wrong with a summary of the same state; null = nothing. */
  correction(summary: JobSummary | undefined): SummaryCorrection | null {
    const groups: Record<string, Partial<TaskGroupSummary>> = {};
    const names = new Set([...Object.keys(summary?.Summary ?? {}), ...this.#groups.keys()]);
    for (const name of names) {
      const counted = this.#groups.get(name) ?? emptyGroup();
      const missing = difference(counted, summary?.Summary[name] ?? emptyGroup(), Object.values(COUNTER));
      if (missing !== null) groups[name] = missing;
    }
    const known = summary?.Children;
    const children = known ? difference(this.#children, known, Object.values(CHILD_COUNTER)) : null;
    if (Object.keys(groups).length === 0 && children === null) return null;
    const { Namespace: namespace, ID: id, CreateIndex: createIndex } = this.#job;
    return { namespace, id, createIndex, groups, children: children ?? {} };
  }
}

function difference<K extends string>(
  counted: Readonly<Record<K, number>>,
  present: Readonly<Record<K, number>>,
  keys: readonly K[],
): Partial<Record<K, number>> | null {
  const missing: Partial<Record<K, number>> = {};
  for (const key of keys) if (counted[key] !== present[key]) missing[key] = counted[key] - present[key];
  return Object.keys(missing).length > 0 ? missing : null;
}

/**
 * Adds what was missing when it was counted. Everything that was written since has changed the counters by as much as it would have
 * changed right ones, so the sum is right.
 */
export function correctSummary(txn: Transaction, correction: SummaryCorrection): void {
  const key = jobKey(correction.namespace, correction.id);
  const job = txn.tables.jobs.get(key);
  if (job?.CreateIndex !== correction.createIndex) return;
  ensureSummary(txn, job);
  const draft = txn.summaries.edit(key);
  if (draft === undefined) return;
  for (const [name, missing] of Object.entries(correction.groups)) {
    addTo(ownGroup(draft, name), missing, Object.values(COUNTER));
  }
  if (draft.Children !== null) addTo(draft.Children, correction.children, Object.values(CHILD_COUNTER));
}

function addTo<K extends string>(
  counters: Record<K, number>,
  missing: Partial<Record<K, number>>,
  keys: readonly K[],
): void {
  for (const key of keys) counters[key] = Math.max(0, counters[key] + (missing[key] ?? 0));
}

/** Counts a job's summary anew, all at once. */
export function recountJob(txn: Transaction, job: Job): void {
  const key = jobKey(job.Namespace, job.ID);
  ensureSummary(txn, job);
  const summary = txn.summaries.edit(key);
  if (summary === undefined) return;
  const recount = new Recount(job);
  for (const alloc of txn.tables.allocs.each('job', key)) recount.add(alloc);
  for (const child of txn.tables.jobs.under('parent', key)) recount.addChild(child);
  const correction = recount.correction(summary);
  if (correction !== null) correctSummary(txn, correction);
}
