import { willClaim } from '../scheduler/feasible/csi-use.js';
import { addResources, emptyUsage, holdsThings, isClientTerminal, isTerminal, portsHeld } from '../scheduler/usage.js';
import type { Allocation } from '../structs/allocation.js';
import type { StoredCsiVolume } from '../structs/csi.js';
import type { Deployment } from '../structs/deployment.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { HostVolume, TaskGroupHostVolumeClaim } from '../structs/host-volume.js';
import type { Job, JobSubmission } from '../structs/job.js';
import type { MeshInfo, MeshInvite, MeshMember, Tombstone } from '../structs/mesh.js';
import type { Node } from '../structs/node.js';
import type { NodePool } from '../structs/node-pool.js';
import { type AutopilotConfiguration, DEFAULT_AUTOPILOT } from '../structs/operator.js';
import type { JobSummary, SchedulerConfiguration } from '../structs/rpc.js';
import type { JobScalingEvents } from '../structs/scaling.js';
import type { ServiceRegistration } from '../structs/service.js';
import type { RootKey, SealedVariable } from '../structs/variable.js';
import type { VolumeArchive } from '../structs/volume-data.js';
import { Table, type TableSpec } from './table.js';
import { jobKey } from './watch.js';

/** What a person handed in for one version of a job. */
export interface StoredSubmission {
  readonly Namespace: string;
  readonly JobID: string;
  readonly Version: number;
  readonly Submission: JobSubmission;
}

/** When a periodic job was launched last. */
export interface PeriodicLaunch {
  readonly Namespace: string;
  readonly ID: string;
  /** Milliseconds since the epoch: the time it was due, not the time at which it happened. */
  readonly Launch: number;
}

/** Ten digits keep versions in the order of their numbers. */
const VERSION_DIGITS = 10;

/** Key of one version of a job; without a version, the prefix that all of them have. */
export function versionKey(namespace: string, id: string, version?: number): string {
  const suffix = version === undefined ? '' : String(version).padStart(VERSION_DIGITS, '0');
  return `${namespace}\0${id}\0${suffix}`;
}

const JOBS: TableSpec<Job, 'parent'> = {
  key: (job) => jobKey(job.Namespace, job.ID),
  indexes: { parent: (job) => (job.ParentID === '' ? undefined : jobKey(job.Namespace, job.ParentID)) },
};

/** The jobs that carry a scaling policy, once more: an autoscaler waits for them, and has no business with the others. */
const SCALED_JOBS: TableSpec<Job, never> = { key: (job) => jobKey(job.Namespace, job.ID), indexes: {} };

/** Whether a job belongs among them. */
export function isScaled(job: Job): boolean {
  return job.TaskGroups.some(({ Scaling }) => Scaling);
}

const JOB_VERSIONS: TableSpec<Job, never> = {
  key: (job) => versionKey(job.Namespace, job.ID, job.Version),
  indexes: {},
};

const JOB_SUMMARIES: TableSpec<JobSummary, never> = {
  key: (summary) => jobKey(summary.Namespace, summary.JobID),
  indexes: {},
};

const JOB_SUBMISSIONS: TableSpec<StoredSubmission, never> = {
  key: (row) => versionKey(row.Namespace, row.JobID, row.Version),
  indexes: {},
};

/** Whether an evaluation still waits for something. */
export function isOpen(evaluation: Evaluation): boolean {
  return evaluation.Status === 'pending' || evaluation.Status === 'blocked';
}

const EVALS: TableSpec<Evaluation, 'job' | 'openOfJob' | 'status'> = {
  key: (evaluation) => evaluation.ID,
  indexes: {
    job: (evaluation) => jobKey(evaluation.Namespace, evaluation.JobID),
    openOfJob: (evaluation) => (isOpen(evaluation) ? jobKey(evaluation.Namespace, evaluation.JobID) : undefined),
    status: (evaluation) => evaluation.Status,
  },
};

/** Not by evaluation and deployment: whoever asks looks through those of the job, and each placement is written to two lists less. */
type AllocIndex = 'job' | 'node' | 'csi' | 'unhealthy';

const ALLOCS: TableSpec<Allocation, AllocIndex> = {
  key: (alloc) => alloc.ID,
  indexes: {
    job: (alloc) => jobKey(alloc.Namespace, alloc.JobID),
    node: (alloc) => alloc.NodeID,
    csi: (alloc) => (willClaim(alloc) ? alloc.Namespace : undefined),
    // By their deployment: few, and its fate hangs on them.
    unhealthy: (alloc) => (alloc.DeploymentStatus?.Healthy === false ? alloc.DeploymentID : undefined),
  },
  // Whether anything of a job is live.
  count: (alloc) => (isTerminal(alloc) ? undefined : jobKey(alloc.Namespace, alloc.JobID)),
  // What is in use on each node: a scheduler looks at many nodes, and must not have to look at all that runs there.
  sum: {
    index: 'node',
    counts: (alloc) => !isClientTerminal(alloc),
    part: (alloc) => alloc.AllocatedResources,
    values: ({ AllocatedResources }) => {
      const usage = emptyUsage();
      addResources(usage, AllocatedResources);
      return [usage.cpuMhz, usage.memoryMb, usage.diskMb, Number(holdsThings(AllocatedResources))];
    },
    marks: ({ AllocatedResources }) => portsHeld(AllocatedResources),
  },
};

const NODES: TableSpec<Node, never> = { key: (node) => node.ID, indexes: {} };

const NODE_POOLS: TableSpec<NodePool, never> = { key: (pool) => pool.Name, indexes: {} };

const PERIODIC_LAUNCHES: TableSpec<PeriodicLaunch, never> = {
  key: (row) => jobKey(row.Namespace, row.ID),
  indexes: {},
};

const SCALING_EVENTS: TableSpec<JobScalingEvents, never> = {
  key: (row) => jobKey(row.Namespace, row.JobID),
  indexes: {},
};

const DEPLOYMENTS: TableSpec<Deployment, 'job'> = {
  key: (deployment) => deployment.ID,
  indexes: { job: (deployment) => jobKey(deployment.Namespace, deployment.JobID) },
};

const SERVICES: TableSpec<ServiceRegistration, 'name' | 'alloc'> = {
  key: (service) => service.ID,
  indexes: {
    name: (service) => jobKey(service.Namespace, service.ServiceName),
    alloc: (service) => service.AllocID,
  },
};

const CSI_VOLUMES: TableSpec<StoredCsiVolume, 'claimed'> = {
  key: (volume) => jobKey(volume.Namespace, volume.ID),
  indexes: { claimed: ({ Claims }) => (Object.keys(Claims).length > 0 ? 'claimed' : undefined) },
};

const HOST_VOLUMES: TableSpec<HostVolume, 'node'> = { key: ({ ID }) => ID, indexes: { node: ({ NodeID }) => NodeID } };

/** The key under which a group's claims on sticky volumes lie. */
export const stickyKey = (namespace: string, jobId: string, group: string): string =>
  `${namespace}\0${jobId}\0${group}`;

const HOST_VOLUME_CLAIMS: TableSpec<TaskGroupHostVolumeClaim, 'group'> = {
  key: ({ ID }) => ID,
  indexes: { group: ({ Namespace, JobID, TaskGroupName }) => stickyKey(Namespace, JobID, TaskGroupName) },
};

/** What the archive of a volume is known by. */
export type ArchivedKey = Pick<VolumeArchive, 'Namespace' | 'VolumeID' | 'NodeID' | 'Name'> & { Csi?: unknown };

/**
 * The key under which the archive of a volume lies: a dynamic one is known by its id (a CSI volume's is one of its namespace), one of
 * a configuration by its node and name.
 */
export function archivedVolumeKey({ Namespace, VolumeID, NodeID, Name, Csi }: ArchivedKey): string {
  if (Csi) return `csi\0${Namespace}\0${VolumeID}`;
  return VolumeID === '' ? `${NodeID}\0${Name}` : VolumeID;
}

const VOLUME_ARCHIVES: TableSpec<VolumeArchive, 'volume'> = {
  key: ({ ID }) => ID,
  indexes: { volume: archivedVolumeKey },
};

const VARIABLES: TableSpec<SealedVariable, never> = {
  key: (variable) => jobKey(variable.Namespace, variable.Path),
  indexes: {},
};

const ROOT_KEYS: TableSpec<RootKey, never> = { key: (key) => key.KeyID, indexes: {} };

const MESH_MEMBERS: TableSpec<MeshMember, 'name'> = {
  key: (member) => member.Key,
  // A name is free again once its member is out.
  indexes: {
    name: (member) => (member.Status === 'admitted' || member.Status === 'pending' ? member.Name : undefined),
  },
};

const MESH_INVITES: TableSpec<MeshInvite, 'key'> = {
  key: (invite) => invite.ID,
  indexes: { key: (invite) => invite.Key },
};

const MESH_TOMBSTONES: TableSpec<Tombstone, never> = { key: (tombstone) => tombstone.Key, indexes: {} };

/** A piece of a snapshot that is being restored. */
export interface RestorePiece {
  readonly ID: string;
  readonly Seq: number;
  readonly Text: string;
}

/** In the order of the pieces. */
export const pieceKey = (id: string, seq: number): string => `${id}\0${String(seq).padStart(12, '0')}`;

const RESTORES: TableSpec<RestorePiece, never> = { key: ({ ID, Seq }) => pieceKey(ID, Seq), indexes: {} };

/** The configuration until somebody sets one: Nomad's defaults. */
export const DEFAULT_SCHEDULER_CONFIG: SchedulerConfiguration = {
  SchedulerAlgorithm: 'binpack',
  PreemptionConfig: {
    SystemSchedulerEnabled: true,
    SysBatchSchedulerEnabled: false,
    BatchSchedulerEnabled: false,
    ServiceSchedulerEnabled: false,
  },
  MemoryOversubscriptionEnabled: false,
  RejectJobRegistration: false,
  PauseEvalBroker: false,
  NodeLimitForFeasibilityChecks: 0,
  CreateIndex: 0,
  ModifyIndex: 0,
};

/** A table of one row. */
export interface Cell<T> {
  value: T;
  lastIndex: number;
}

/** Every table there is. */
export interface Tables {
  readonly jobs: Table<Job, 'parent'>;
  /** Those of `jobs` with a scaling policy; no rows of their own in a snapshot. */
  readonly scaled_jobs: Table<Job>;
  readonly job_versions: Table<Job>;
  readonly job_summaries: Table<JobSummary>;
  readonly job_submissions: Table<StoredSubmission>;
  readonly evals: Table<Evaluation, 'job' | 'openOfJob' | 'status'>;
  readonly allocs: Table<Allocation, AllocIndex>;
  readonly nodes: Table<Node>;
  readonly deployments: Table<Deployment, 'job'>;
  readonly node_pools: Table<NodePool>;
  readonly periodic_launches: Table<PeriodicLaunch>;
  readonly scaling_events: Table<JobScalingEvents>;
  readonly services: Table<ServiceRegistration, 'name' | 'alloc'>;
  readonly csi_volumes: Table<StoredCsiVolume, 'claimed'>;
  readonly host_volumes: Table<HostVolume, 'node'>;
  readonly host_volume_claims: Table<TaskGroupHostVolumeClaim, 'group'>;
  readonly volume_archives: Table<VolumeArchive, 'volume'>;
  readonly variables: Table<SealedVariable>;
  readonly root_keys: Table<RootKey>;
  readonly mesh_members: Table<MeshMember, 'name'>;
  readonly mesh_invites: Table<MeshInvite, 'key'>;
  readonly mesh_tombstones: Table<Tombstone>;
  /** null until a mesh is founded. */
  readonly mesh: Cell<MeshInfo | null>;
  readonly restores: Table<RestorePiece>;
  readonly scheduler_config: Cell<SchedulerConfiguration>;
  readonly autopilot_config: Cell<AutopilotConfiguration>;
}

/** The tables, by the name under which their last index is kept. */
export type TableName = keyof Tables;

export function emptyTables(): Tables {
  return {
    jobs: new Table(JOBS),
    scaled_jobs: new Table(SCALED_JOBS),
    job_versions: new Table(JOB_VERSIONS),
    job_summaries: new Table(JOB_SUMMARIES),
    job_submissions: new Table(JOB_SUBMISSIONS),
    evals: new Table(EVALS),
    allocs: new Table(ALLOCS),
    nodes: new Table(NODES),
    deployments: new Table(DEPLOYMENTS),
    node_pools: new Table(NODE_POOLS),
    periodic_launches: new Table(PERIODIC_LAUNCHES),
    scaling_events: new Table(SCALING_EVENTS),
    services: new Table(SERVICES),
    csi_volumes: new Table(CSI_VOLUMES),
    host_volumes: new Table(HOST_VOLUMES),
    host_volume_claims: new Table(HOST_VOLUME_CLAIMS),
    volume_archives: new Table(VOLUME_ARCHIVES),
    variables: new Table(VARIABLES),
    root_keys: new Table(ROOT_KEYS),
    mesh_members: new Table(MESH_MEMBERS),
    mesh_invites: new Table(MESH_INVITES),
    mesh_tombstones: new Table(MESH_TOMBSTONES),
    mesh: { value: null, lastIndex: 0 },
    restores: new Table(RESTORES),
    scheduler_config: { value: DEFAULT_SCHEDULER_CONFIG, lastIndex: 0 },
    autopilot_config: { value: DEFAULT_AUTOPILOT, lastIndex: 0 },
  };
}

/** The tables as they are now; the caller begins a new epoch. */
export function viewTables(tables: Tables): Tables {
  return {
    jobs: tables.jobs.view(),
    scaled_jobs: tables.scaled_jobs.view(),
    job_versions: tables.job_versions.view(),
    job_summaries: tables.job_summaries.view(),
    job_submissions: tables.job_submissions.view(),
    evals: tables.evals.view(),
    allocs: tables.allocs.view(),
    nodes: tables.nodes.view(),
    deployments: tables.deployments.view(),
    node_pools: tables.node_pools.view(),
    periodic_launches: tables.periodic_launches.view(),
    scaling_events: tables.scaling_events.view(),
    services: tables.services.view(),
    csi_volumes: tables.csi_volumes.view(),
    host_volumes: tables.host_volumes.view(),
    host_volume_claims: tables.host_volume_claims.view(),
    volume_archives: tables.volume_archives.view(),
    variables: tables.variables.view(),
    root_keys: tables.root_keys.view(),
    mesh_members: tables.mesh_members.view(),
    mesh_invites: tables.mesh_invites.view(),
    mesh_tombstones: tables.mesh_tombstones.view(),
    mesh: { ...tables.mesh },
    restores: tables.restores.view(),
    scheduler_config: { ...tables.scheduler_config },
    autopilot_config: { ...tables.autopilot_config },
  };
}
