import type { StateSnapshot } from '../state/store.js';
import type { Allocation } from '../structs/allocation.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { Job } from '../structs/job.js';
import { isParent } from '../structs/job-kind.js';
import type { Node } from '../structs/node.js';
import type { Millis } from '../util/clock.js';
import type { Random } from '../util/random.js';
import { newEval } from './new-eval.js';

/** Whether neither the server wants it to run nor the client has it running. */
export function isTerminal({ DesiredStatus, ClientStatus }: Allocation): boolean {
  return DesiredStatus !== 'run' || isClientTerminal(ClientStatus);
}

/** Whether the client has reported the end (or the server has given it up for lost). */
export function isClientTerminal(status: Allocation['ClientStatus']): boolean {
  return status === 'complete' || status === 'failed' || status === 'lost';
}

/** Reasons to look at jobs again because a node changed: those with live allocations on it, and system jobs it could run. */
export function nodeEvals(
  state: StateSnapshot,
  node: Node,
  triggeredBy: 'node-update' | 'node-drain',
  world: { random: Random; now: Millis },
): Evaluation[] {
  const jobs = new Map<string, Job>();
  const add = (job: Job | undefined): void => {
    if (job) jobs.set(`${job.Namespace}\0${job.ID}`, job);
  };
  for (const alloc of state.allocsByNode(node.ID)) {
    if (isClientTerminal(alloc.ClientStatus)) continue;
    add(state.jobById(alloc.Namespace, alloc.JobID));
  }
  for (const job of state.jobs()) {
    if (isForEveryNode(job) && !job.Stop && !isParent(job) && mayRunOn(job, node)) add(job);
  }
  return [...jobs.values()].map((job) =>
    newEval(
      {
        Namespace: job.Namespace,
        JobID: job.ID,
        Priority: job.Priority,
        Type: job.Type,
        TriggeredBy: triggeredBy,
        JobModifyIndex: job.JobModifyIndex,
        NodeID: node.ID,
        NodeModifyIndex: node.ModifyIndex,
      },
      world,
    ),
  );
}

/** A sysbatch job that is done is not done again for a node that comes later: of a periodic one there may be many. */
const isForEveryNode = ({ Type, Status }: Job): boolean =>
  Type === 'system' || (Type === 'sysbatch' && Status !== 'dead');

function mayRunOn(job: Job, node: Node): boolean {
  if (job.NodePool !== 'all' && job.NodePool !== node.NodePool) return false;
  return job.Datacenters.some((pattern) => pattern === '*' || matchesGlob(pattern, node.Datacenter));
}

function matchesGlob(pattern: string, text: string): boolean {
  if (!pattern.includes('*')) return pattern === text;
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(text);
}
