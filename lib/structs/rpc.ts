import type { Allocation, AllocMetric, DesiredTransition } from './allocation.js';
import type { Deployment } from './deployment.js';
import type { DeviceGroupStats } from './device-stats.js';
import type { Evaluation, PlanAnnotations } from './evaluation.js';
import type { Job, JobSubmission } from './job.js';
import type { JobDiff } from './job-diff.js';
import type { Node, NodeEligibility, NodeStatus } from './node.js';
import type { NodePool } from './node-pool.js';
import type { Rebalance } from './rebalance.js';
import type { DrainRpcMethods } from './rpc-drain.js';
import type { EventRpcStreams } from './rpc-event.js';
import type { FeedRpcMethods, FeedRpcStreams } from './rpc-feed.js';
import type { FileRpcStreams } from './rpc-files.js';
import type { MeshRpcMethods, MeshRpcStreams } from './rpc-mesh.js';
import type { MigrateRpcMethods, MigrateRpcStreams } from './rpc-migrate.js';
import type { NodeMetaRpcMethods } from './rpc-node-meta.js';
import type { OperatorRpcMethods, OperatorRpcStreams } from './rpc-operator.js';
import type { Query, QueryMeta, QueryOptions, Write, WriteOptions } from './rpc-options.js';
import type { PowerRpcMethods } from './rpc-power.js';
import type { RaftRpcStreams } from './rpc-raft.js';
import type { ScalingRpcMethods } from './rpc-scaling.js';
import type { ServiceRpcMethods } from './rpc-service.js';
import type { VariableRpcMethods } from './rpc-variable.js';
import type { VolumeRpcMethods } from './rpc-volume.js';
import type { VolumeDataRpcMethods, VolumeDataRpcStreams } from './rpc-volume-data.js';
import type { JobScaleStatus } from './scaling.js';
import type { Separation } from './separation.js';
import type { CheckStatus, ServiceReport } from './service.js';
import type { Why } from './why.js';

export type { StreamFrame } from './rpc-files.js';
export type { QueryMeta, QueryOptions, WriteOptions } from './rpc-options.js';

// The words agents say to each other, and the HTTP API to the server: one table of methods, named as Nomad names them.
// HTTP routes, the client and (over the mesh) other agents all come through here, so that authorisation, forwarding and
// blocking exist once. Every reply to a query carries QueryMeta, every reply to a write its Index.

export interface JobListStub {
  ID: string;
  ParentID: string;
  Name: string;
  Namespace: string;
  Datacenters: string[];
  NodePool: string;
  Multiregion: unknown;
  Type: string;
  Priority: number;
  Periodic: boolean;
  ParameterizedJob: boolean;
  Stop: boolean;
  Status: string;
  StatusDescription: string;
  JobSummary: JobSummary | null;
  CreateIndex: number;
  ModifyIndex: number;
  JobModifyIndex: number;
  SubmitTime: number;
  Meta?: Record<string, string> | null;
  Version: number;
}

export interface JobSummary {
  JobID: string;
  Namespace: string;
  Summary: Record<string, TaskGroupSummary>;
  Children: { Pending: number; Running: number; Dead: number } | null;
  CreateIndex: number;
  ModifyIndex: number;
}

export interface TaskGroupSummary {
  Queued: number;
  Complete: number;
  Failed: number;
  Running: number;
  Starting: number;
  Lost: number;
  Unknown: number;
}

/** An allocation without its job, as lists show it. */
export type AllocListStub = Omit<
  Allocation,
  'Job' | 'Metrics' | 'AllocatedResources' | 'AllocStates' | 'NetworkStatus'
> & {
  JobType: string;
  JobVersion: number;
  AllocatedResources?: Allocation['AllocatedResources'] | null;
};

export interface NodeListStub {
  ID: string;
  Name: string;
  Address: string;
  Datacenter: string;
  NodeClass: string;
  NodePool: string;
  Version: string;
  Drain: boolean;
  SchedulingEligibility: NodeEligibility;
  Status: NodeStatus;
  StatusDescription: string;
  Drivers: Node['Drivers'];
  HostVolumes: Node['HostVolumes'];
  Attributes?: Node['Attributes'];
  NodeResources?: Node['NodeResources'];
  ReservedResources?: Node['ReservedResources'];
  LastDrain: unknown;
  CreateIndex: number;
  ModifyIndex: number;
}

export interface JobRegisterRequest extends WriteOptions {
  /** As parsed or as sent: may lack what canonicalisation fills in. */
  Job: Partial<Job>;
  Submission?: JobSubmission | null;
  EnforceIndex?: boolean;
  JobModifyIndex?: number;
  /** Absent: the counts of groups with a scaling policy are kept, the others set. */
  PreserveCounts?: boolean;
  PolicyOverride?: boolean;
  EvalPriority?: number;
}

export interface JobRegisterResponse {
  EvalID: string;
  EvalCreateIndex: number;
  JobModifyIndex: number;
  Warnings: string;
  Index: number;
}

export interface JobValidateResponse {
  DriverConfigValidated: boolean;
  ValidationErrors: string[] | null;
  Error: string;
  Warnings: string;
}

export interface JobPlanResponse {
  Annotations: PlanAnnotations | null;
  FailedTGAllocs: Record<string, AllocMetric> | null;
  JobModifyIndex: number;
  CreatedEvals: Evaluation[] | null;
  /** Without `Diff` in the question only its Type and ID. */
  Diff: JobDiff;
  /** RFC 3339; the zero time when there is none. */
  NextPeriodicLaunch: string;
  Warnings: string;
}

export interface JobDispatchResponse {
  DispatchedJobID: string;
  /** '' for a job that waits for the clock, and for one that was dispatched before with the same token. */
  EvalID: string;
  EvalCreateIndex: number;
  JobCreateIndex: number;
  Index: number;
}

/** What a client knows of an allocation it should run: enough to decide whether to pull it whole. */
export interface NodeClientAllocsReply extends QueryMeta {
  /** Allocation id → AllocModifyIndex. */
  Allocs: Record<string, number>;
}

export interface NodeUpdateReply {
  HeartbeatTTLMs: number;
  NodeModifyIndex: number;
  EvalIDs: string[];
  /** `host:port` or mesh keys of servers a client may ask next. */
  Servers: string[];
  /**
   * The node's leases of volumes (VOLUME_LEASE) are renewed: a majority of the servers stood behind the one that answered. Absent or
   * false: they are not.
   */
  LeaseRenewed?: boolean;
  Index: number;
}

export interface HostStats {
  Memory: { Total: number; Available: number; Used: number; Free: number };
  CPU: { CPU: string; User: number; System: number; Idle: number; TotalPercent: number; TotalTicks: number }[];
  DiskStats: {
    Device: string;
    Mountpoint: string;
    Size: number;
    Used: number;
    Available: number;
    UsedPercent: number;
    InodesUsedPercent: number;
  }[];
  AllocDirStats: {
    Device: string;
    Mountpoint: string;
    Size: number;
    Used: number;
    Available: number;
    UsedPercent: number;
    InodesUsedPercent: number;
  } | null;
  DeviceStats: DeviceGroupStats[];
  Uptime: number;
  CPUTicksConsumed: number;
  /** The last time that the node was apart from the servers; null = never, as far as it remembers. */
  Separation: Separation | null;
  /** Nanoseconds. */
  Timestamp: number;
}

export interface ResourceUsage {
  MemoryStats: {
    RSS: number;
    Cache: number;
    Swap: number;
    Usage: number;
    MaxUsage: number;
    KernelUsage: number;
    KernelMaxUsage: number;
    Measured: string[];
  };
  CpuStats: {
    SystemMode: number;
    UserMode: number;
    TotalTicks: number;
    ThrottledPeriods: number;
    ThrottledTime: number;
    Percent: number;
    Measured: string[];
  };
  DeviceStats: DeviceGroupStats[];
}

export interface TaskResourceUsage {
  ResourceUsage: ResourceUsage;
  /** Nanoseconds. */
  Timestamp: number;
  Pids: Record<string, ResourceUsage> | null;
}

export interface AllocResourceUsage {
  ResourceUsage: ResourceUsage;
  Tasks: Record<string, TaskResourceUsage>;
  Timestamp: number;
}

export interface FileInfo {
  Name: string;
  IsDir: boolean;
  Size: number;
  FileMode: string;
  ModTime: string;
  ContentType?: string;
}

/** Call and answer. */
export interface RpcMethods
  extends DrainRpcMethods,
    FeedRpcMethods,
    MeshRpcMethods,
    NodeMetaRpcMethods,
    MigrateRpcMethods,
    OperatorRpcMethods,
    PowerRpcMethods,
    ScalingRpcMethods,
    ServiceRpcMethods,
    VariableRpcMethods,
    VolumeDataRpcMethods,
    VolumeRpcMethods {
  'Status.Ping': { args: object; reply: object };
  /** `ip:port` of the leader, '' when there is none. */
  'Status.Leader': { args: object; reply: { Leader: string } };
  'Status.Peers': { args: object; reply: { Peers: string[] } };

  'Job.Register': { args: JobRegisterRequest; reply: JobRegisterResponse };
  'Job.Validate': {
    args: WriteOptions & { Job: Partial<Job>; Submission?: JobSubmission | null };
    reply: JobValidateResponse;
  };
  'Job.Plan': { args: JobRegisterRequest & { Diff?: boolean }; reply: JobPlanResponse & { Index: number } };
  'Job.Deregister': Write<
    { JobID: string; Purge?: boolean; EvalPriority?: number; NoShutdownDelay?: boolean },
    { EvalID: string; EvalCreateIndex: number; JobModifyIndex: number }
  >;
  'Job.Evaluate': Write<
    { JobID: string; ForceReschedule?: boolean },
    { EvalID: string; EvalCreateIndex: number; JobModifyIndex: number }
  >;
  'Job.Revert': Write<
    { JobID: string; JobVersion: number; EnforcePriorVersion?: number | null },
    { EvalID: string; EvalCreateIndex: number; JobModifyIndex: number }
  >;
  'Job.Stable': Write<{ JobID: string; JobVersion: number; Stable: boolean }, object>;
  'Job.List': Query<{ Meta?: boolean }, { Jobs: JobListStub[] }>;
  'Job.GetJob': Query<{ JobID: string }, { Job: Job | null }>;
  'Job.GetSubmission': Query<{ JobID: string; Version: number }, { Submission: JobSubmission | null }>;
  /** `Diffs`: each version against the one before it, or against the version with a number or a tag. */
  'Job.Versions': Query<
    { JobID: string; Diffs?: boolean; DiffVersion?: number | null; DiffTagName?: string },
    { Versions: Job[]; Diffs: JobDiff[] | null }
  >;
  /** Names a version, or with a null Tag takes the name away; `Latest` stands for the newest version. */
  'Job.TagVersion': Write<
    {
      JobID: string;
      Name: string;
      Version?: number;
      Latest?: boolean;
      Tag: { Name: string; Description: string } | null;
    },
    { Name: string; Description: string; TaggedTime: number }
  >;
  'Job.Allocations': Query<{ JobID: string; All?: boolean }, { Allocations: AllocListStub[] }>;
  'Job.Evaluations': Query<{ JobID: string }, { Evaluations: Evaluation[] }>;
  'Job.Deployments': Query<{ JobID: string; All?: boolean }, { Deployments: Deployment[] }>;
  'Job.LatestDeployment': Query<{ JobID: string }, { Deployment: Deployment | null }>;
  /** An extension: see structs/why.ts. */
  'Job.Why': Query<{ JobID: string }, { Why: Why | null }>;
  'Operator.Rebalance': Query<object, { Rebalance: Rebalance }>;
  'Alloc.Why': Query<{ AllocID: string }, { Why: Why | null }>;
  'Job.Summary': Query<{ JobID: string }, { JobSummary: JobSummary | null }>;

  /** Makes a job of a parameterized one. Payload is base64. */
  'Job.Dispatch': {
    args: WriteOptions & {
      JobID: string;
      Payload?: string;
      Meta?: Record<string, string>;
      IdempotencyToken?: string;
      IdPrefixTemplate?: string;
      Priority?: number;
    };
    reply: JobDispatchResponse;
  };
  /** A count of null only notes an event. */
  'Job.Scale': {
    args: WriteOptions & {
      JobID: string;
      Target: Record<string, string>;
      Count?: number | null;
      Message?: string;
      Error?: boolean;
      Meta?: Record<string, unknown> | null;
      EnforceIndex?: boolean;
      JobModifyIndex?: number;
    };
    reply: JobRegisterResponse;
  };
  'Job.ScaleStatus': Query<{ JobID: string }, { JobScaleStatus: JobScaleStatus | null }>;
  'Periodic.Force': Write<{ JobID: string }, { EvalID: string; EvalCreateIndex: number }>;

  'NodePool.List': Query<object, { NodePools: NodePool[] }>;
  'NodePool.GetNodePool': Query<{ Name: string }, { NodePool: NodePool | null }>;
  'NodePool.ListNodes': Query<{ Name: string }, { Nodes: NodeListStub[] }>;
  'NodePool.ListJobs': Query<{ Name: string }, { Jobs: JobListStub[] }>;
  'NodePool.Upsert': Write<{ NodePool: Partial<NodePool> }, object>;
  'NodePool.Delete': Write<{ Name: string }, object>;

  'Alloc.List': Query<{ Resources?: boolean; TaskStates?: boolean }, { Allocations: AllocListStub[] }>;
  'Alloc.GetAlloc': Query<{ AllocID: string }, { Alloc: Allocation | null }>;
  'Alloc.Stop': Write<{ AllocID: string; NoShutdownDelay?: boolean }, { EvalID: string }>;
  'Alloc.UpdateDesiredTransition': Write<{ Allocs: Record<string, DesiredTransition> }, { EvalIDs: string[] }>;

  'Eval.List': Query<{ FilterJobID?: string; FilterEvalStatus?: string }, { Evaluations: Evaluation[] }>;
  'Eval.Count': Query<object, { Count: number }>;
  /** By id or by filter; only while the eval broker is paused. Evaluations of which something runs are refused or left. */
  'Eval.Delete': Write<{ EvalIDs?: string[]; Filter?: string }, { Count: number }>;
  'Eval.GetEval': Query<{ EvalID: string }, { Eval: Evaluation | null }>;
  'Eval.Allocations': Query<{ EvalID: string }, { Allocations: AllocListStub[] }>;

  'Deployment.List': Query<object, { Deployments: Deployment[] }>;
  'Deployment.GetDeployment': Query<{ DeploymentID: string }, { Deployment: Deployment | null }>;
  'Deployment.Allocations': Query<{ DeploymentID: string }, { Allocations: AllocListStub[] }>;
  'Deployment.Fail': Write<
    { DeploymentID: string },
    { EvalID: string; DeploymentModifyIndex: number; RevertedJobVersion: number | null }
  >;
  'Deployment.Pause': Write<
    { DeploymentID: string; Pause: boolean },
    { EvalID: string; DeploymentModifyIndex: number }
  >;
  'Deployment.Promote': Write<
    { DeploymentID: string; All?: boolean; Groups?: string[] },
    { EvalID: string; DeploymentModifyIndex: number }
  >;
  'Deployment.SetAllocHealth': Write<
    { DeploymentID: string; HealthyAllocationIDs?: string[]; UnhealthyAllocationIDs?: string[] },
    { EvalID: string; DeploymentModifyIndex: number; RevertedJobVersion: number | null }
  >;

  'Node.List': Query<{ Resources?: boolean; Os?: boolean }, { Nodes: NodeListStub[] }>;
  'Node.GetNode': Query<{ NodeID: string }, { Node: Node | null }>;
  'Node.GetAllocs': Query<{ NodeID: string }, { Allocs: Allocation[] }>;
  'Node.UpdateEligibility': Write<
    { NodeID: string; Eligibility: NodeEligibility },
    { EvalIDs: string[]; NodeModifyIndex: number }
  >;
  'Node.Evaluate': Write<{ NodeID: string }, { EvalIDs: string[]; NodeModifyIndex: number; HeartbeatTTLMs: number }>;
  'Node.Purge': Write<{ NodeID: string }, { EvalIDs: string[] }>;
  // What a client says; all carry the node's SecretID, which must match the registered one.
  'Node.Register': { args: { Node: Node }; reply: NodeUpdateReply };
  'Node.UpdateStatus': { args: { NodeID: string; SecretID: string; Status: NodeStatus }; reply: NodeUpdateReply };
  'Node.GetClientAllocs': Query<{ NodeID: string; SecretID: string }, { Allocs: Record<string, number> }>;
  'Node.UpdateAlloc': {
    args: { NodeID: string; SecretID: string; Alloc: ClientAllocUpdate[] };
    reply: { Index: number };
  };
  'Alloc.GetAllocs': Query<{ AllocIDs: string[]; NodeID: string; SecretID: string }, { Allocs: Allocation[] }>;

  'System.GarbageCollect': Write<object, object>;
  'System.ReconcileJobSummaries': Write<object, object>;
  'Operator.SchedulerGetConfiguration': Query<object, { SchedulerConfig: SchedulerConfiguration }>;
  'Operator.SchedulerSetConfiguration': Write<
    { Config: SchedulerConfiguration; Cas?: boolean; ModifyIndex?: number },
    { Updated: boolean }
  >;

  // Answered by the client that has the allocation (or is the node); servers pass them on.
  'ClientStats.Stats': { args: { NodeID: string } & QueryOptions; reply: HostStats };
  'Allocations.Stats': { args: { AllocID: string; Task?: string } & QueryOptions; reply: AllocResourceUsage };
  /** The newest answers of the checks of its services, by their id. */
  'Allocations.Checks': { args: { AllocID: string } & QueryOptions; reply: { Checks: Record<string, CheckStatus> } };
  'Allocations.Restart': {
    args: { AllocID: string; TaskName?: string; AllTasks?: boolean } & QueryOptions;
    reply: object;
  };
  'Allocations.Signal': { args: { AllocID: string; Task?: string; Signal: string } & QueryOptions; reply: object };
  'Allocations.GarbageCollect': { args: { AllocID: string } & QueryOptions; reply: object };
  'Allocations.GarbageCollectAll': { args: { NodeID: string } & QueryOptions; reply: object };
  'FileSystem.List': { args: { AllocID: string; Path: string } & QueryOptions; reply: { Files: FileInfo[] } };
  'FileSystem.Stat': { args: { AllocID: string; Path: string } & QueryOptions; reply: { Info: FileInfo } };
}

/** The part of an allocation a client reports. */
export type ClientAllocUpdate = Pick<
  Allocation,
  'ID' | 'ClientStatus' | 'ClientDescription' | 'TaskStates' | 'AllocStates' | 'NetworkStatus' | 'DeploymentStatus'
> & {
  /** All its services that are up now; absent = as said last. */
  Services?: ServiceReport[];
};

export interface SchedulerConfiguration {
  SchedulerAlgorithm: 'binpack' | 'spread';
  PreemptionConfig: {
    SystemSchedulerEnabled: boolean;
    SysBatchSchedulerEnabled: boolean;
    BatchSchedulerEnabled: boolean;
    ServiceSchedulerEnabled: boolean;
  };
  MemoryOversubscriptionEnabled: boolean;
  RejectJobRegistration: boolean;
  PauseEvalBroker: boolean;
  /** Least number of nodes that affinities and spreads choose from, and the count at least; 0 = 100. */
  NodeLimitForFeasibilityChecks: number;
  CreateIndex: number;
  ModifyIndex: number;
}

export type ExecInput =
  | { Type: 'stdin'; Data: Uint8Array }
  | { Type: 'stdin-close' }
  | { Type: 'resize'; Height: number; Width: number };

export type ExecOutput =
  | { Type: 'stdout' | 'stderr'; Data: Uint8Array }
  | { Type: 'stdout-close' | 'stderr-close' }
  | { Type: 'exited'; ExitCode: number; Signal?: number };

/** Methods answered with a stream of messages; `input` flows the other way. */
export interface RpcStreams
  extends EventRpcStreams,
    FeedRpcStreams,
    FileRpcStreams,
    MeshRpcStreams,
    MigrateRpcStreams,
    OperatorRpcStreams,
    RaftRpcStreams,
    VolumeDataRpcStreams {
  'Allocations.Exec': {
    /** With an `Action` the command is the one that the task's job gives that name, and `Cmd` is empty. */
    args: { AllocID: string; Task: string; Cmd: string[]; Tty: boolean; Action?: string } & QueryOptions;
    input: ExecInput;
    output: ExecOutput;
  };
}
