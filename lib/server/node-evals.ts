import type { StateSnapshot } from '../state/store.js';
import { jobKey } from '../state/watch.js';
import type { Allocation } from '../structs/allocation.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { Job } from '../structs/job.js';
import { isParent } from '../structs/job-kind.js';
import type { Node } from '../structs/node.js';
import { computedClass } from '../structs/node-class.js';
import type { Millis } from '../util/clock.js';
import { isEqual } from '../util/equal.js';
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
  const jobs = new Map(jobsForEveryNode(state, node).map((job) => [jobKey(job.Namespace, job.ID), job]));
  for (const alloc of state.allocsByNode(node.ID)) {
    if (isClientTerminal(alloc.ClientStatus)) continue;
    // Of a job that was purged its allocations tell: somebody has to call them lost.
    const job = state.jobById(alloc.Namespace, alloc.JobID) ?? alloc.Job;
    if (job) jobs.set(jobKey(alloc.Namespace, alloc.JobID), job);
  }
  return evalsOf(jobs.values(), node, triggeredBy, world);
}

/**
 * The same where a node that takes work is seen with another driver, attribute, volume or plugin. No evaluation waits for that where
 * a node was never one that a system job is meant for.
 */
export function changedNodeEvals(
  state: StateSnapshot,
  before: Node,
  after: Node,
  world: { random: Random; now: Millis },
): Evaluation[] {
  return isEqual(seenByChecks(before), seenByChecks(after))
    ? []
    : evalsOf(jobsForEveryNode(state, after), after, 'node-update', world);
}

/** What checks look at; how well a driver or plugin does is a yes or no, whose words and time change without need. */
function seenByChecks(node: Node): unknown {
  const plugins = Object.entries(node.CSINodePlugins ?? {}).map(([id, { Healthy }]) => [id, Healthy]);
  return [
    computedClass(node),
    node.Name,
    node.Attributes,
    node.Meta ?? {},
    node.NodeResources,
    node.ReservedResources,
    node.HostVolumes ?? {},
    Object.fromEntries(plugins),
  ];
}

function jobsForEveryNode(state: StateSnapshot, node: Node): Job[] {
  return [...state.jobs()].filter((job) => isForEveryNode(job) && !job.Stop && !isParent(job) && mayRunOn(job, node));
}

function evalsOf(
  jobs: Iterable<Job>,
  node: Node,
  triggeredBy: Evaluation['TriggeredBy'],
  world: { random: Random; now: Millis },
): Evaluation[] {
  return [...jobs].map((job) =>
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
