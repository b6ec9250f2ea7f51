import type { Nanos } from '../util/clock.js';
import type { Job } from './job.js';
import type { AllocatedResources } from './resources.js';

export type AllocDesiredStatus = 'run' | 'stop' | 'evict';
export type AllocClientStatus = 'pending' | 'running' | 'complete' | 'failed' | 'lost' | 'unknown';

/** What became of the network of an allocation with a namespace of its own. */
export interface AllocNetworkStatus {
  InterfaceName: string;
  Address: string;
  AddressIPv6: string;
  DNS: { Servers: string[] | null; Searches: string[] | null; Options: string[] | null } | null;
}

/** One placed instance of a task group: the server's wish and the client's report, kept apart. */
export interface Allocation {
  ID: string;
  Namespace: string;
  EvalID: string;
  /** `job.group[index]`. */
  Name: string;
  NodeID: string;
  NodeName: string;
  JobID: string;
  /** The job as of this allocation's version. In the state it is shared with the job version, never copied. */
  Job: Job | null;
  TaskGroup: string;
  AllocatedResources: AllocatedResources;
  Metrics: AllocMetric | null;
  // The server's wish.
  DesiredStatus: AllocDesiredStatus;
  DesiredDescription: string;
  DesiredTransition: DesiredTransition;
  // The client's report.
  ClientStatus: AllocClientStatus;
  ClientDescription: string;
  TaskStates: Record<string, TaskState> | null;
  AllocStates: AllocStateChange[] | null;
  NetworkStatus: AllocNetworkStatus | null;
  DeploymentID: string;
  DeploymentStatus: AllocDeploymentStatus | null;
  // Lineage.
  PreviousAllocation: string;
  NextAllocation: string;
  RescheduleTracker: { Events: RescheduleEvent[]; LastReschedule: string } | null;
  FollowupEvalID: string;
  PreemptedAllocations: string[] | null;
  PreemptedByAllocation: string;
  CreateIndex: number;
  ModifyIndex: number;
  /** Rises only when the server's wish changes: what a client pulls by. */
  AllocModifyIndex: number;
  CreateTime: Nanos;
  ModifyTime: Nanos;
}

export interface DesiredTransition {
  Migrate: boolean | null;
  Reschedule: boolean | null;
  ForceReschedule: boolean | null;
  NoShutdownDelay: boolean | null;
}

export interface AllocStateChange {
  /** Which field it was; Nomad knows 0 only, the client status. */
  Field: number;
  Value: string;
  Time: string;
}

export interface AllocDeploymentStatus {
  Healthy: boolean | null;
  Timestamp: string;
  Canary: boolean;
  ModifyIndex: number;
}

export interface RescheduleEvent {
  RescheduleTime: Nanos;
  PrevAllocID: string;
  PrevNodeID: string;
  Delay: Nanos;
}

export type TaskStateName = 'pending' | 'running' | 'dead';

export interface TaskState {
  State: TaskStateName;
  Failed: boolean;
  Restarts: number;
  /** RFC 3339; the zero time "0001-01-01T00:00:00Z" when it has not happened. */
  LastRestart: string;
  StartedAt: string;
  FinishedAt: string;
  Events: TaskEvent[];
  TaskHandle: unknown;
  Paused?: string;
}

export interface TaskEvent {
  Type: string;
  Time: Nanos;
  Message: string;
  DisplayMessage: string;
  Details: Record<string, string>;
  FailsTask: boolean;
  RestartReason: string;
  SetupError: string;
  DriverError: string;
  DriverMessage: string;
  ExitCode: number;
  Signal: number;
  KillTimeout: Nanos;
  KillError: string;
  KillReason: string;
  StartDelay: Nanos;
  DownloadError: string;
  ValidationError: string;
  DiskLimit: number;
  FailedSibling: string;
  VaultError: string;
  TaskSignalReason: string;
  TaskSignal: string;
  GenericSource: string;
}

/** What a node was worth to a placement, and the parts that this is the mean of. */
export interface NodeScore {
  NodeID: string;
  NormScore: number;
  Scores: Record<string, number>;
}

/** Why a group was, or was not, placed. */
export interface AllocMetric {
  NodesEvaluated: number;
  NodesFiltered: number;
  NodesInPool: number;
  NodePool: string;
  NodesAvailable: Record<string, number> | null;
  ClassFiltered: Record<string, number> | null;
  ConstraintFiltered: Record<string, number> | null;
  NodesExhausted: number;
  ClassExhausted: Record<string, number> | null;
  DimensionExhausted: Record<string, number> | null;
  QuotaExhausted: string[] | null;
  ResourcesExhausted: unknown;
  Scores: Record<string, number> | null;
  ScoreMetaData: NodeScore[] | null;
  AllocationTime: Nanos;
  CoalescedFailures: number;
}
