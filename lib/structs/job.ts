import type { Nanos } from '../util/clock.js';
import type { Affinity, Constraint, Spread } from './constraint.js';
import type { NetworkResource, Resources } from './resources.js';
import type { Service } from './service.js';
import type { CsiPluginConfig, VolumeMount, VolumeRequest } from './volume.js';

// These types are Nomad's API JSON, key for key: one shape from the job file to the log, the state and the HTTP API
// (docs/decisions/0002-one-shape.md). Durations are nanoseconds. `null` is "not given"; canonicalisation fills it.

export type JobType = 'service' | 'batch' | 'system' | 'sysbatch';
export type JobStatus = 'pending' | 'running' | 'dead';

/** What a person declares to run. Canonical: every default is filled in. */
export interface Job {
  ID: string;
  Name: string;
  Namespace: string;
  Region: string;
  Type: JobType;
  Priority: number;
  AllAtOnce: boolean;
  Datacenters: string[];
  NodePool: string;
  Constraints: Constraint[] | null;
  Affinities: Affinity[] | null;
  Spreads: Spread[] | null;
  TaskGroups: TaskGroup[];
  /** Stagger and max_parallel only: all of it stands in the groups. */
  Update: UpdateStrategy | null;
  Multiregion: unknown;
  Periodic: PeriodicConfig | null;
  ParameterizedJob: ParameterizedJobConfig | null;
  Dispatched: boolean;
  DispatchIdempotencyToken: string;
  Payload: string | null;
  Meta: Record<string, string> | null;
  ParentID: string;
  UI: JobUi | null;
  ConsulToken: string;
  ConsulNamespace: string;
  VaultToken: string;
  VaultNamespace: string;
  NomadTokenID: string;
  // Set by the server.
  Stop: boolean;
  Status: JobStatus;
  StatusDescription: string;
  Stable: boolean;
  Version: number;
  VersionTag: { Name: string; Description: string; TaggedTime: Nanos } | null;
  SubmitTime: Nanos;
  CreateIndex: number;
  ModifyIndex: number;
  JobModifyIndex: number;
}

export interface JobUi {
  Description: string;
  Links: { Label: string; Url: string }[] | null;
}

/** A group of tasks that is placed together on one node. */
export interface TaskGroup {
  Name: string;
  Count: number;
  Constraints: Constraint[] | null;
  Affinities: Affinity[] | null;
  Spreads: Spread[] | null;
  Networks: NetworkResource[] | null;
  Services: Service[] | null;
  Volumes: Record<string, VolumeRequest> | null;
  RestartPolicy: RestartPolicy;
  ReschedulePolicy: ReschedulePolicy | null;
  Disconnect: DisconnectStrategy | null;
  EphemeralDisk: EphemeralDisk;
  Update: UpdateStrategy | null;
  Migrate: MigrateStrategy | null;
  Scaling: ScalingPolicy | null;
  Consul: Record<string, unknown> | null;
  ShutdownDelay: Nanos | null;
  MaxRunDuration: Nanos | null;
  StopAfterClientDisconnect: Nanos | null;
  MaxClientDisconnect: Nanos | null;
  PreventRescheduleOnLost: boolean;
  Meta: Record<string, string> | null;
  Tasks: Task[];
}

/** One process or container. */
export interface Task {
  Name: string;
  Driver: string;
  User: string;
  Config: Record<string, unknown> | null;
  Env: Record<string, string> | null;
  Services: Service[] | null;
  Resources: Resources;
  RestartPolicy: RestartPolicy | null;
  Meta: Record<string, string> | null;
  Constraints: Constraint[] | null;
  Affinities: Affinity[] | null;
  KillTimeout: Nanos;
  KillSignal: string;
  LogConfig: LogConfig;
  Artifacts: TaskArtifact[] | null;
  Templates: Template[] | null;
  DispatchPayload: { File: string } | null;
  VolumeMounts: VolumeMount[] | null;
  CSIPluginConfig: CsiPluginConfig | null;
  Leader: boolean;
  Lifecycle: TaskLifecycle | null;
  ShutdownDelay: Nanos;
  Kind: string;
  Vault: Record<string, unknown> | null;
  Consul: Record<string, unknown> | null;
  ScalingPolicies: ScalingPolicy[] | null;
  Identity: WorkloadIdentity | null;
  Identities: WorkloadIdentity[] | null;
  Secrets: Secret[] | null;
  Actions: Action[] | null;
  Schedule: Record<string, unknown> | null;
}

/** Texts that a task is given as `${secret.NAME.KEY}`. */
export interface Secret {
  Name: string;
  /** "nomad": a variable; else the name of a plugin on the node. */
  Provider: string;
  Path: string;
  /** For the built-in provider: `namespace`. */
  Config: Record<string, unknown> | null;
  /** For a plugin. */
  Env: Record<string, string> | null;
}

export interface TaskLifecycle {
  Hook: 'prestart' | 'poststart' | 'poststop';
  Sidecar: boolean;
}

export interface LogConfig {
  MaxFiles: number;
  MaxFileSizeMB: number;
  Enabled: boolean | null;
  Disabled: boolean;
}

export interface RestartPolicy {
  Attempts: number;
  Interval: Nanos;
  Delay: Nanos;
  Mode: 'fail' | 'delay';
  RenderTemplates: boolean;
}

export interface ReschedulePolicy {
  Attempts: number;
  Interval: Nanos;
  Delay: Nanos;
  DelayFunction: 'constant' | 'exponential' | 'fibonacci' | '';
  MaxDelay: Nanos;
  Unlimited: boolean;
}

export interface DisconnectStrategy {
  LostAfter: Nanos | null;
  StopOnClientAfter: Nanos | null;
  Replace: boolean | null;
  Reconcile: 'best_score' | 'keep_original' | 'keep_replacement' | 'longest_running';
}

export interface EphemeralDisk {
  Sticky: boolean;
  SizeMB: number;
  Migrate: boolean;
}

export interface UpdateStrategy {
  Stagger: Nanos;
  MaxParallel: number;
  HealthCheck: 'checks' | 'task_states' | 'manual' | '';
  MinHealthyTime: Nanos;
  HealthyDeadline: Nanos;
  ProgressDeadline: Nanos;
  AutoRevert: boolean;
  AutoPromote: boolean;
  Canary: number;
}

export interface MigrateStrategy {
  MaxParallel: number;
  HealthCheck: string;
  MinHealthyTime: Nanos;
  HealthyDeadline: Nanos;
}

export interface PeriodicConfig {
  Enabled: boolean;
  Spec: string;
  Specs: string[] | null;
  SpecType: string;
  ProhibitOverlap: boolean;
  TimeZone: string;
}

export interface ParameterizedJobConfig {
  Payload: 'optional' | 'required' | 'forbidden';
  MetaRequired: string[] | null;
  MetaOptional: string[] | null;
}

export interface ScalingPolicy {
  ID: string;
  Type: string;
  Target: Record<string, string> | null;
  Min: number | null;
  Max: number | null;
  Policy: Record<string, unknown> | null;
  Enabled: boolean;
  CreateIndex: number;
  ModifyIndex: number;
}

export interface TaskArtifact {
  GetterSource: string;
  GetterOptions: Record<string, string> | null;
  GetterHeaders: Record<string, string> | null;
  GetterMode: string;
  GetterInsecure: boolean;
  RelativeDest: string;
  Chown: boolean;
}

export interface Template {
  SourcePath: string;
  DestPath: string;
  EmbeddedTmpl: string;
  ChangeMode: string;
  ChangeScript: Record<string, unknown> | null;
  ChangeSignal: string;
  Once: boolean;
  Splay: Nanos;
  Perms: string;
  Uid: number | null;
  Gid: number | null;
  LeftDelim: string;
  RightDelim: string;
  Envvars: boolean;
  VaultGrace: Nanos;
  /** How long a change waits for more of them: at least `Min`, at most `Max` (null: four times as long). */
  Wait: { Min: Nanos | null; Max: Nanos | null } | null;
  ErrMissingKey: boolean;
}

export interface WorkloadIdentity {
  Name: string;
  Audience: string[] | null;
  ChangeMode: string;
  ChangeSignal: string;
  Env: boolean;
  File: boolean;
  Filepath: string;
  ServiceName: string;
  TTL: Nanos;
  ExtraClaims: string[] | null;
}

export interface Action {
  Name: string;
  Command: string;
  Args: string[] | null;
}

/** An action and where in a job it is. */
export interface JobAction extends Action {
  JobID: string;
  TaskGroupName: string;
  TaskName: string;
}

/** What a person handed in, kept so that `job inspect -hcl` and the next edit start from the source. */
export interface JobSubmission {
  Source: string;
  Format: 'hcl2' | 'json' | '';
  VariableFlags: Record<string, string> | null;
  Variables: string;
}
