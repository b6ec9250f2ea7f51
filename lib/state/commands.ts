import type { Allocation, AllocDeploymentStatus, DesiredTransition } from '../structs/allocation.js';
import type { Deployment, DeploymentStatusUpdate } from '../structs/deployment.js';
import type { MeshError } from '../structs/errors.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { Job, JobSubmission } from '../structs/job.js';
import type { DrainStrategy, Node, NodeEligibility, NodeEvent, NodeStatus } from '../structs/node.js';
import type { NodePool } from '../structs/node-pool.js';
import type { AutopilotConfiguration } from '../structs/operator.js';
import type { ClientAllocUpdate, SchedulerConfiguration } from '../structs/rpc.js';
import type { ScalingEvent } from '../structs/scaling.js';
import type { RootKey, VariableMetadata } from '../structs/variable.js';
import type { Millis, Nanos } from '../util/clock.js';
import type { Result } from '../util/result.js';
import type { SummaryCorrection } from './job-summary.js';
import type { MeshCommand, MeshCommandValues } from './mesh-commands.js';
import type { VolumeCommand, VolumeCommandValues } from './volume-commands.js';

// Applying a command is total and deterministic: every time and id in it was chosen by the leader, indexes are given by
// the state machine (what a command carries as CreateIndex, ModifyIndex, JobModifyIndex or AllocModifyIndex is ignored).
// Evaluations that ride along are stored in the same step, so that no reason to look at a job can be lost in between.

/**
 * Raised whenever a command is added or changes its meaning (see command-versions.ts for which need it); a log entry of a higher
 * version is never skipped.
 */
export const COMMANDS_VERSION = 14;

/** Does nothing: a new leader's first entry. */
export interface NoopCommand {
  readonly type: 'noop';
}

/** Several commands in one entry, applied in order, each on its own: a refused one does not undo the others. */
export interface BatchCommand {
  readonly type: 'batch';
  readonly commands: readonly Command[];
}

/**
 * Registers a canonical, validated job. A changed or revived specification becomes version + 1; an unchanged one keeps
 * its version, its indexes and its submission, but `eval` is stored all the same. The evaluation's JobModifyIndex is filled in.
 */
export interface JobRegisterCommand {
  readonly type: 'job-register';
  readonly job: Job;
  readonly eval: Evaluation | null;
  readonly submission: JobSubmission | null;
  /** Refused with E_CONFLICT unless the job's JobModifyIndex is this; 0 = the job must not exist. */
  readonly enforceJobModifyIndex?: number;
  /** The job is a launch of its periodic parent, due at this time: remembered, so that no leader launches it again. */
  readonly launchedAt?: Millis;
  /** Recorded with the change of count. */
  readonly scalingEvent?: ScalingEventSeed;
}

/** A scaling event as it is asked for; its CreateIndex is set when it is applied. */
export type ScalingEventSeed = Omit<ScalingEvent, 'CreateIndex'> & { readonly group: string };

/** Notes a scaling event that changes no count. */
export interface ScalingEventCommand {
  readonly type: 'scaling-event';
  readonly namespace: string;
  readonly id: string;
  readonly event: ScalingEventSeed;
}

/** Makes or replaces a node pool. */
export interface NodePoolUpsertCommand {
  readonly type: 'node-pool-upsert';
  readonly pool: NodePool;
}

/** Forgets a node pool; refused with E_CONFLICT while it has nodes or jobs that are not dead. */
export interface NodePoolDeleteCommand {
  readonly type: 'node-pool-delete';
  readonly name: string;
}

/** Counts all job summaries anew, all at once: in logs that older versions wrote. */
export interface SummariesReconcileCommand {
  readonly type: 'summaries-reconcile';
}

/** Adds to job summaries what a count found missing; those of jobs that are gone are passed over. */
export interface SummariesCorrectCommand {
  readonly type: 'summaries-correct';
  readonly corrections: readonly SummaryCorrection[];
}

/** Stops a job (a new version with Stop set), or, with `purge`, forgets it, its versions, summary and submissions. */
export interface JobDeregisterCommand {
  readonly type: 'job-deregister';
  readonly namespace: string;
  readonly id: string;
  readonly purge: boolean;
  readonly eval: Evaluation | null;
  /** Tells the clients to skip shutdown_delay for every allocation of the job. */
  readonly noShutdownDelay?: boolean;
  /** Becomes the SubmitTime of the stopped version. */
  readonly time: Nanos;
}

/** Stops or purges several jobs at once: garbage collection. Jobs that are gone already are passed over. */
export interface JobBatchDeregisterCommand {
  readonly type: 'job-batch-deregister';
  readonly jobs: readonly { readonly namespace: string; readonly id: string; readonly purge: boolean }[];
  readonly evals: readonly Evaluation[];
  readonly time: Nanos;
}

/** Marks a version as one to go back to. */
export interface JobStabilityCommand {
  readonly type: 'job-stability';
  readonly namespace: string;
  readonly id: string;
  readonly version: number;
  readonly stable: boolean;
}

/** Names a version, which keeps it from being dropped as an old one; null takes the name away. */
export interface JobVersionTagCommand {
  readonly type: 'job-version-tag';
  readonly namespace: string;
  readonly id: string;
  readonly version: number;
  readonly tag: Job['VersionTag'];
}

/** Inserts or replaces evaluations. A complete one without failed groups cancels the job's blocked ones. */
export interface EvalsUpsertCommand {
  readonly type: 'evals-upsert';
  readonly evals: readonly Evaluation[];
}

/** Garbage collection: forgets evaluations and allocations by id; unknown ids are passed over. */
export interface EvalsDeleteCommand {
  readonly type: 'evals-delete';
  readonly evals: readonly string[];
  readonly allocs: readonly string[];
}

/**
 * A node says who it is. A known node keeps its eligibility, drain and events; a ComputedClass of '' is computed.
 * `event` is added to the node's (the last 10 are kept), its CreateIndex filled in.
 */
export interface NodeRegisterCommand {
  readonly type: 'node-register';
  readonly node: Node;
  readonly event: NodeEvent | null;
  readonly evals: readonly Evaluation[];
}

/** Forgets nodes by id; unknown ids are passed over. Their allocations stay until the evaluations deal with them. */
export interface NodeDeregisterCommand {
  readonly type: 'node-deregister';
  readonly ids: readonly string[];
  readonly evals: readonly Evaluation[];
}

/** A node became ready, down or disconnected. */
export interface NodeStatusCommand {
  readonly type: 'node-status';
  readonly id: string;
  readonly status: NodeStatus;
  readonly statusDescription?: string;
  /** Unix seconds. */
  readonly updatedAt: number;
  readonly event: NodeEvent | null;
  readonly evals: readonly Evaluation[];
}

/** Allows or forbids new placements on a node; refused with E_CONFLICT while it drains and `eligible` is asked for. */
export interface NodeEligibilityCommand {
  readonly type: 'node-eligibility';
  readonly id: string;
  readonly eligibility: NodeEligibility;
  readonly event: NodeEvent | null;
  readonly evals: readonly Evaluation[];
}

/** What becomes of one node's drain. */
export interface DrainUpdate {
  /** null ends the drain. */
  readonly strategy: DrainStrategy | null;
  /** With a null strategy: may take placements again. */
  readonly markEligible: boolean;
  /** What LastDrain says when the drain ends: 'complete' (the drainer is done) or 'canceled' (a person ended it). */
  readonly outcome?: 'complete' | 'canceled';
  readonly meta?: Record<string, string> | null;
  readonly event: NodeEvent | null;
}

/** Starts, changes or ends drains, by node id; unknown nodes are reported and the others done. */
export interface NodeDrainCommand {
  readonly type: 'node-drain';
  readonly updates: Readonly<Record<string, DrainUpdate>>;
  /** RFC 3339: when it was asked for. */
  readonly at: string;
  readonly evals: readonly Evaluation[];
}

/** What clients report; unknown allocations are passed over. Never raises AllocModifyIndex. */
export interface AllocsClientUpdateCommand {
  readonly type: 'allocs-client-update';
  readonly allocs: readonly ClientAllocUpdate[];
  readonly evals: readonly Evaluation[];
  readonly time: Nanos;
}

/** Wishes about running allocations (migrate, reschedule, …), by id: fields that are not null replace the stored ones. */
export interface AllocsDesiredTransitionCommand {
  readonly type: 'allocs-desired-transition';
  readonly transitions: Readonly<Record<string, Partial<DesiredTransition>>>;
  readonly evals: readonly Evaluation[];
  readonly time: Nanos;
}

/** A placement or in-place update as the log carries it: without the job, and without what the state machine fills in. */
export type Placement = Omit<
  Allocation,
  'Job' | 'TaskStates' | 'NetworkStatus' | 'NextAllocation' | 'CreateIndex' | 'ModifyIndex' | 'AllocModifyIndex'
> & {
  /** Version of the plan's job that this allocation runs. */
  JobVersion: number;
};

/** An allocation to be stopped or evicted; empty strings and null leave a field as it is. */
export interface PlanStop {
  readonly ID: string;
  readonly DesiredStatus: 'stop' | 'evict';
  readonly DesiredDescription: string;
  /** '' or, for what is lost or out of reach, the server's word on the client's behalf. */
  readonly ClientStatus: Allocation['ClientStatus'] | '';
  readonly FollowupEvalID: string;
  /** The reschedule history, where the stop adds to it. */
  readonly RescheduleTracker: Allocation['RescheduleTracker'];
}

/** An allocation that makes room for another. */
export interface PlanPreemption {
  readonly ID: string;
  readonly PreemptedByAllocation: string;
}

/**
 * What the leader accepted of a plan. Order: deployment, deployment updates, stops, preemptions, placements, evaluations.
 * A placement whose job (by CreateIndex, so not one purged and registered anew) or version is gone is refused with
 * E_NOT_FOUND, and with it the whole command. Stops and preemptions of unknown allocations are passed over.
 */
export interface PlanResultsCommand {
  readonly type: 'plan-results';
  readonly evalId: string;
  /** The job that the placements belong to; null when there are none. */
  readonly job: { readonly namespace: string; readonly id: string; readonly createIndex: number } | null;
  readonly placements: readonly Placement[];
  readonly stops: readonly PlanStop[];
  readonly preemptions: readonly PlanPreemption[];
  /** A new deployment, or the job's running one with changed groups. */
  readonly deployment: Deployment | null;
  readonly deploymentUpdates: readonly DeploymentStatusUpdate[];
  /** For the jobs whose allocations were preempted. */
  readonly preemptionEvals: readonly Evaluation[];
  /** Becomes ModifyTime, and CreateTime of what is new. */
  readonly time: Nanos;
}

/** Ends, pauses or resumes a deployment, together with the job version to revert to. Refused once it has ended. */
export interface DeploymentStatusCommand {
  readonly type: 'deployment-status';
  readonly update: DeploymentStatusUpdate;
  /** Registered as a new version (auto-revert). */
  readonly job: Job | null;
  readonly eval: Evaluation | null;
  readonly time: Nanos;
}

/** Lets canaries take over. Refused while a group has fewer healthy canaries than desired. */
export interface DeploymentPromoteCommand {
  readonly type: 'deployment-promote';
  readonly deploymentId: string;
  /** null = all groups. */
  readonly groups: readonly string[] | null;
  readonly eval: Evaluation | null;
  readonly time: Nanos;
}

/** A person or the deployment watcher says which allocations are healthy. */
export interface DeploymentAllocHealthCommand {
  readonly type: 'deployment-alloc-health';
  readonly deploymentId: string;
  readonly healthy: readonly string[];
  readonly unhealthy: readonly string[];
  /** RFC 3339: becomes DeploymentStatus.Timestamp. */
  readonly timestamp: AllocDeploymentStatus['Timestamp'];
  /** Applied in the same step, as with deployment-status. */
  readonly update: DeploymentStatusUpdate | null;
  readonly job: Job | null;
  readonly eval: Evaluation | null;
  readonly time: Nanos;
}

/** Garbage collection of deployments; unknown ids are passed over. */
export interface DeploymentDeleteCommand {
  readonly type: 'deployment-delete';
  readonly ids: readonly string[];
}

/** Takes one registration out of the catalogue; E_NOT_FOUND when that service has no such one. */
export interface ServiceDeleteCommand {
  readonly type: 'service-delete';
  readonly namespace: string;
  readonly name: string;
  readonly id: string;
}

/** Stores an encrypted variable. */
export interface VariablePutCommand {
  readonly type: 'variable-put';
  readonly namespace: string;
  readonly path: string;
  readonly keyId: string;
  readonly data: string;
  readonly time: Nanos;
  /** Not done unless the variable's ModifyIndex is this; 0 = it must not exist. */
  readonly cas?: number;
  /** It is the same variable under another key, as it was at this ModifyIndex: its indexes and times stay. */
  readonly rekeyOf?: number;
}

/** Forgets a variable; with `cas` only if its ModifyIndex is this. */
export interface VariableDeleteCommand {
  readonly type: 'variable-delete';
  readonly namespace: string;
  readonly path: string;
  readonly cas?: number;
}

/** Stores a root key, sealed for each who may open it. */
export interface RootKeyPutCommand {
  readonly type: 'root-key-put';
  readonly key: RootKey;
}

/** Forgets a root key; E_CONFLICT while it is active or a variable needs it. */
export interface RootKeyDeleteCommand {
  readonly type: 'root-key-delete';
  readonly id: string;
}

/** Replaces the scheduler configuration. */
export interface SchedulerConfigCommand {
  readonly type: 'scheduler-config';
  readonly config: SchedulerConfiguration;
  /** Only if the stored ModifyIndex is this. */
  readonly casModifyIndex?: number;
}

/** Replaces the configuration of autopilot. */
export interface AutopilotConfigCommand {
  readonly type: 'autopilot-config';
  readonly config: AutopilotConfiguration;
  /** Only if the stored ModifyIndex is this; 0 = only if none was ever stored. */
  readonly casModifyIndex?: number;
}

/**
 * A piece of a snapshot that is being restored: one frame of it, put aside until all are there. The first (`seq` 0) forgets the
 * pieces of whatever restore came before.
 */
export interface RestoreStageCommand {
  readonly type: 'restore-stage';
  readonly id: string;
  readonly seq: number;
  readonly text: string;
}

/**
 * The pieces put aside become the state, all or nothing; what the state knows of the mesh itself stays as it is. Refused with
 * E_CONFLICT when they are not all there, with E_STORAGE when they make no state.
 */
export interface RestoreCommitCommand {
  readonly type: 'restore-commit';
  readonly id: string;
  readonly pieces: number;
}

/** Forgets the pieces of a restore that came to nothing. */
export interface RestoreAbortCommand {
  readonly type: 'restore-abort';
  readonly id: string;
}

/** Every entry of the replicated log. */
export type Command =
  | NoopCommand
  | BatchCommand
  | JobRegisterCommand
  | JobDeregisterCommand
  | JobBatchDeregisterCommand
  | JobStabilityCommand
  | JobVersionTagCommand
  | EvalsUpsertCommand
  | EvalsDeleteCommand
  | NodeRegisterCommand
  | NodeDeregisterCommand
  | NodeStatusCommand
  | NodeEligibilityCommand
  | NodeDrainCommand
  | AllocsClientUpdateCommand
  | AllocsDesiredTransitionCommand
  | PlanResultsCommand
  | DeploymentStatusCommand
  | DeploymentPromoteCommand
  | DeploymentAllocHealthCommand
  | DeploymentDeleteCommand
  | ServiceDeleteCommand
  | VariablePutCommand
  | VariableDeleteCommand
  | RootKeyPutCommand
  | RootKeyDeleteCommand
  | SchedulerConfigCommand
  | AutopilotConfigCommand
  | RestoreStageCommand
  | RestoreCommitCommand
  | RestoreAbortCommand
  | ScalingEventCommand
  | NodePoolUpsertCommand
  | NodePoolDeleteCommand
  | SummariesReconcileCommand
  | SummariesCorrectCommand
  | VolumeCommand
  | MeshCommand;

/** The outcome of each command of a batch. */
export interface BatchResults {
  readonly results: readonly CommandResult[];
}

/** What applying a command of each type answers when it is accepted. */
export interface CommandValues extends MeshCommandValues, VolumeCommandValues {
  noop: null;
  batch: BatchResults;
  /** The job as stored, and whether it became a new version. */
  'job-register': { readonly job: Job; readonly changed: boolean };
  /** JobModifyIndex after the stop; the command's own index after a purge. */
  'job-deregister': { readonly jobModifyIndex: number };
  'job-batch-deregister': null;
  'job-stability': null;
  'job-version-tag': null;
  'evals-upsert': null;
  'evals-delete': null;
  'node-register': { readonly node: Node };
  'node-deregister': null;
  'node-status': { readonly node: Node };
  'node-eligibility': { readonly node: Node };
  /** Ids of nodes that do not exist. */
  'node-drain': { readonly unknown: readonly string[] };
  'allocs-client-update': null;
  'allocs-desired-transition': null;
  'plan-results': null;
  'deployment-status': null;
  'deployment-promote': null;
  'deployment-alloc-health': null;
  'deployment-delete': null;
  'service-delete': null;
  'variable-put': { readonly stored: VariableMetadata | null; readonly conflict: VariableMetadata | null };
  'variable-delete': { readonly conflict: VariableMetadata | null; readonly refused: boolean };
  'root-key-put': null;
  'root-key-delete': null;
  'scheduler-config': { readonly updated: boolean };
  'autopilot-config': { readonly updated: boolean };
  'restore-stage': null;
  /** Index of the restored state. */
  'restore-commit': { readonly index: number };
  'restore-abort': null;
  'scaling-event': null;
  'node-pool-upsert': null;
  'node-pool-delete': null;
  'summaries-reconcile': null;
  'summaries-correct': null;
}

/** Outcome of a command: what it refers to may be missing or have moved on, which is an answer, never a throw. */
export type CommandResult<T extends Command['type'] = Command['type']> = Result<CommandValues[T], MeshError>;
