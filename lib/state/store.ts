import type { StateReader } from '../scheduler/ports.js';
import type { Allocation } from '../structs/allocation.js';
import type { Deployment } from '../structs/deployment.js';
import type { EvalStatus, Evaluation } from '../structs/evaluation.js';
import type { Job, JobSubmission } from '../structs/job.js';
import type { Node } from '../structs/node.js';
import type { JobSummary, SchedulerConfiguration } from '../structs/rpc.js';
import type { Command, CommandResult } from './commands.js';
import type { WatchKey } from './watch.js';

/** The tables, by the name under which their last index is kept. */
export type TableName =
  | 'jobs'
  | 'job_versions'
  | 'job_summaries'
  | 'job_submissions'
  | 'evals'
  | 'allocs'
  | 'nodes'
  | 'deployments'
  | 'scheduler_config';

/** Narrows a list. Lists are in the order of namespace and id for jobs, of id for everything else. */
export interface ListOptions {
  /** Absent or '*' = all. */
  readonly namespace?: string;
  /** Of the id. */
  readonly prefix?: string;
}

/** An immutable view of everything at one index. Making one costs next to nothing; nothing it returns may be changed. */
export interface StateSnapshot extends StateReader {
  /** The greatest index at which one of the tables last changed: X-Nomad-Index of a list. Never below 1. */
  tableIndex(...tables: TableName[]): number;
  jobs(options?: ListOptions): Iterable<Job>;
  /** Newest first; empty when the job is not known. */
  jobVersions(namespace: string, id: string): readonly Job[];
  /** Jobs dispatched or launched by this one. */
  jobChildren(namespace: string, parentId: string): readonly Job[];
  jobSubmission(namespace: string, id: string, version: number): JobSubmission | undefined;
  jobSummary(namespace: string, id: string): JobSummary | undefined;
  evals(options?: ListOptions): Iterable<Evaluation>;
  evalById(id: string): Evaluation | undefined;
  evalsByJob(namespace: string, jobId: string): readonly Evaluation[];
  evalsByStatus(status: EvalStatus): readonly Evaluation[];
  allocs(options?: ListOptions): Iterable<Allocation>;
  allocsByEval(evalId: string): readonly Allocation[];
  allocsByDeployment(deploymentId: string): readonly Allocation[];
  nodes(options?: { readonly prefix?: string }): Iterable<Node>;
  deployments(options?: ListOptions): Iterable<Deployment>;
  deploymentById(id: string): Deployment | undefined;
  /** Newest first. */
  deploymentsByJob(namespace: string, jobId: string): readonly Deployment[];
  /** How many rows a table has. */
  count(table: TableName): number;
}

/** One row that an apply wrote: `before` undefined = new, `after` undefined = gone. */
export type Change =
  | { readonly table: 'jobs'; readonly before: Job | undefined; readonly after: Job | undefined }
  | { readonly table: 'evals'; readonly before: Evaluation | undefined; readonly after: Evaluation | undefined }
  | { readonly table: 'allocs'; readonly before: Allocation | undefined; readonly after: Allocation | undefined }
  | { readonly table: 'nodes'; readonly before: Node | undefined; readonly after: Node | undefined }
  | { readonly table: 'deployments'; readonly before: Deployment | undefined; readonly after: Deployment | undefined }
  | {
      readonly table: 'scheduler_config';
      readonly before: SchedulerConfiguration;
      readonly after: SchedulerConfiguration;
    };

/** What one apply changed, in order; a row written twice appears twice. */
export interface Commit {
  readonly index: number;
  readonly changes: readonly Change[];
}

/** The replicated state of one server. */
export interface Store {
  /** Index of the last command applied; 0 at the start. */
  readonly index: number;
  snapshot(): StateSnapshot;
  /**
   * Applies one log entry. Indexes must rise. Total: the only throw is for a command of an unknown type (a newer
   * version's), which must stop the server rather than let it drift from the others.
   */
  apply<C extends Command>(index: number, command: C): CommandResult<C['type']>;
  /** Calls `listener` once after each apply that touched one of the keys, until the returned function is called. */
  subscribe(keys: readonly WatchKey[], listener: (index: number) => void): () => void;
  /** Tells every change, right after it was applied: for the eval broker, blocked evaluations, events. Not after a restore. */
  onCommit(listener: (commit: Commit) => void): () => void;
}
