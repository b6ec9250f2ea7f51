import type { StateSnapshot } from '../state/store.js';
import type { Allocation } from '../structs/allocation.js';
import type { Evaluation } from '../structs/evaluation.js';

/** The allocations that an evaluation has placed. */
export type AllocsOfEval = (evaluation: Evaluation) => readonly Allocation[];

/** The allocations of evaluations, of which there may be many: those of each job are looked through once. */
export function allocsByEval(state: StateSnapshot): AllocsOfEval {
  const byJob = new Map<string, Map<string, Allocation[]>>();
  const group = (namespace: string, jobId: string): Map<string, Allocation[]> => {
    const groups = new Map<string, Allocation[]>();
    for (const alloc of state.allocsByJob(namespace, jobId)) {
      const own = groups.get(alloc.EvalID);
      if (own) own.push(alloc);
      else groups.set(alloc.EvalID, [alloc]);
    }
    return groups;
  };
  return ({ ID, Namespace, JobID }) => {
    const key = `${Namespace}\0${JobID}`;
    const groups = byJob.get(key) ?? group(Namespace, JobID);
    byJob.set(key, groups);
    return groups.get(ID) ?? [];
  };
}
