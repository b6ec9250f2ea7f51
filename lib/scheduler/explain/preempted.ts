import type { Allocation } from '../../structs/allocation.js';
import type { Job } from '../../structs/job.js';
import type { StateReader } from '../ports.js';
import { PRIORITY_DELTA } from '../preemption.js';
import { isTerminal } from '../usage.js';

/** Jobs that are named; of more only the number is told. */
const JOBS_NAMED_MAX = 3;

/**
 * Of a group that is short: whose more important work stands where its allocations stood, and what would have to change.
 * '' when nothing of what is missing was preempted. `own`: the group's allocations.
 */
export function preemptedSentence(job: Job, own: readonly Allocation[], state: StateReader): string {
  const gone = missingByPreemption(job, own);
  if (gone.length === 0) return '';
  const count = gone.length === 1 ? 'One had' : `${gone.length} had`;
  const by = new Map<string, Job>();
  for (const alloc of gone) {
    const theirs = preemptorOf(alloc, state)?.Job;
    if (theirs) by.set(`${theirs.Namespace}\0${theirs.ID}`, theirs);
  }
  const jobs = [...by.values()];
  if (jobs.length === 0) return ` ${count} to make room for more important work that is no longer known.`;
  const named = jobs.slice(0, JOBS_NAMED_MAX).map(({ ID, Priority }) => `job "${ID}" (priority ${Priority})`);
  const others = jobs.length - named.length;
  const who = [...named, ...(others > 0 ? [`${others} more`] : [])].join(' and ');
  const safe = Math.max(...jobs.map(({ Priority }) => Priority)) - PRIORITY_DELTA + 1;
  const them = jobs.length === 1 ? `"${jobs[0]?.ID}"` : 'what took the room';
  return ` ${count} to make room for ${who}: stop ${them} or give it less, or add a node; with a priority of ${safe} or more instead of ${job.Priority} this job would not have had to.`;
}

/** Whose more important work took the place of an allocation, as far as it is still known. */
export function preemptorOf({ PreemptedByAllocation }: Allocation, state: StateReader): Allocation | undefined {
  return PreemptedByAllocation === '' ? undefined : state.allocById(PreemptedByAllocation);
}

/** The preempted ones that are the last of their name (with system jobs: on their node). */
function missingByPreemption({ Type }: Job, own: readonly Allocation[]): Allocation[] {
  const isPerNode = Type === 'system' || Type === 'sysbatch';
  const last = new Map<string, Allocation>();
  for (const alloc of own) {
    const key = isPerNode ? alloc.NodeID : alloc.Name;
    const other = last.get(key);
    const isLater = !other || (isTerminal(other) && (!isTerminal(alloc) || alloc.CreateIndex > other.CreateIndex));
    if (isLater) last.set(key, alloc);
  }
  return [...last.values()].filter((alloc) => alloc.PreemptedByAllocation !== '' && isTerminal(alloc));
}
