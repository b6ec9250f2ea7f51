import type { Allocation } from '../structs/allocation.js';
import type { StoredCsiVolume } from '../structs/csi.js';
import type { Deployment } from '../structs/deployment.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { HostVolume, TaskGroupHostVolumeClaim } from '../structs/host-volume.js';
import type { Job } from '../structs/job.js';
import type { MeshInfo, MeshInvite, MeshMember, Tombstone } from '../structs/mesh.js';
import type { Node } from '../structs/node.js';
import type { NodePool } from '../structs/node-pool.js';
import type { AutopilotConfiguration } from '../structs/operator.js';
import type { JobSummary, SchedulerConfiguration } from '../structs/rpc.js';
import type { JobScalingEvents } from '../structs/scaling.js';
import type { ServiceRegistration } from '../structs/service.js';
import type { RootKey, SealedVariable } from '../structs/variable.js';
import type { VolumeArchive } from '../structs/volume-data.js';
import type { Command } from './commands.js';
import { copyOfParts, Drafts } from './drafts.js';
import type { PeriodicLaunch, RestorePiece, StoredSubmission, Tables } from './schema.js';
import { isScaled, pieceKey, versionKey } from './schema.js';
import type { Cause, Change } from './store.js';
import { jobKey, type Watch } from './watch.js';

/** What was stored last, of whatever name: rows that look alike share their equal parts with it. No part of the state. */
export interface Recent {
  job: Job | null;
  taskStates: Allocation['TaskStates'];
  /** What nodes were worth to placements, by the first part of it. */
  readonly scores: Map<number, Record<string, number>>;
}

/**
 * The tables while one command is applied: every write goes through here, so that last indexes, watchers and listeners
 * hear of it. Counters that many writes of one command touch (job summaries, deployments) are drafts, written once at
 * the end by `settle`.
 */
export class Transaction {
  readonly index: number;
  readonly tables: Tables;
  readonly changes: Change[] = [];
  readonly causes: Cause[] = [];
  readonly summaries: Drafts<JobSummary>;
  readonly deployments: Drafts<Deployment>;
  /** Jobs whose status may be another now; true when evaluations or allocations of it were collected as garbage. */
  readonly unsettledJobs = new Map<string, boolean>();
  readonly recent: Recent;
  readonly #epoch: number;
  readonly #watch: Watch;

  constructor(options: { index: number; tables: Tables; epoch: number; watch: Watch; recent: Recent }) {
    this.index = options.index;
    this.tables = options.tables;
    this.recent = options.recent;
    this.#epoch = options.epoch;
    this.#watch = options.watch;
    this.summaries = new Drafts(
      (key) => this.tables.job_summaries.get(key),
      (summary) => ({
        ...summary,
        Summary: copyOfParts(summary.Summary),
        Children: summary.Children === null ? null : { ...summary.Children },
      }),
    );
    this.deployments = new Drafts(
      (id) => this.tables.deployments.get(id),
      (deployment) => ({ ...deployment, TaskGroups: copyOfParts(deployment.TaskGroups) }),
    );
  }

  /** Everything since the last cause was written by a command of this type. */
  caused(type: Command['type']): void {
    const end = this.changes.length;
    if (end > (this.causes.at(-1)?.end ?? 0)) this.causes.push({ type, end });
  }

  /** Has the job's status looked at again at the end. */
  unsettle(namespace: string, id: string, garbage = false): void {
    const key = jobKey(namespace, id);
    this.unsettledJobs.set(key, garbage || (this.unsettledJobs.get(key) ?? false));
  }

  /** Stores the job as current and as its version. */
  putJob(job: Job): void {
    const before = this.tables.jobs.put(job, this.#epoch);
    this.tables.jobs.lastIndex = this.index;
    this.changes.push({ table: 'jobs', before, after: job });
    this.#touchJob(job.Namespace, job.ID);
    this.#putScaled(before, job);
    this.putJobVersion(job);
  }

  putJobVersion(job: Job): void {
    this.tables.job_versions.put(job, this.#epoch);
    this.tables.job_versions.lastIndex = this.index;
    this.#touchJob(job.Namespace, job.ID);
  }

  deleteJobVersion(job: Job): void {
    this.tables.job_versions.delete(versionKey(job.Namespace, job.ID, job.Version), this.#epoch);
    this.tables.job_versions.lastIndex = this.index;
    this.deleteSubmission(job.Namespace, job.ID, job.Version);
  }

  deleteJob(job: Job): void {
    const key = jobKey(job.Namespace, job.ID);
    this.tables.jobs.delete(key, this.#epoch);
    this.tables.jobs.lastIndex = this.index;
    this.changes.push({ table: 'jobs', before: job, after: undefined });
    this.#touchJob(job.Namespace, job.ID);
    if (this.tables.scaled_jobs.delete(key, this.#epoch) !== undefined) this.#touchScaled();
    if (this.tables.periodic_launches.delete(key, this.#epoch) !== undefined) {
      this.tables.periodic_launches.lastIndex = this.index;
    }
    if (this.tables.scaling_events.delete(key, this.#epoch) !== undefined) {
      this.tables.scaling_events.lastIndex = this.index;
    }
    this.summaries.forget(key);
    if (this.tables.job_summaries.delete(key, this.#epoch) !== undefined) {
      this.tables.job_summaries.lastIndex = this.index;
      this.#watch.touch('job-summary', key);
    }
  }

  putSubmission(row: StoredSubmission): void {
    this.tables.job_submissions.put(row, this.#epoch);
    this.tables.job_submissions.lastIndex = this.index;
  }

  deleteSubmission(namespace: string, id: string, version: number): void {
    const gone = this.tables.job_submissions.delete(versionKey(namespace, id, version), this.#epoch);
    if (gone !== undefined) this.tables.job_submissions.lastIndex = this.index;
  }

  putLaunch(row: PeriodicLaunch): void {
    this.tables.periodic_launches.put(row, this.#epoch);
    this.tables.periodic_launches.lastIndex = this.index;
  }

  putScalingEvents(row: JobScalingEvents): void {
    this.tables.scaling_events.put(row, this.#epoch);
    this.tables.scaling_events.lastIndex = this.index;
    this.#touchJob(row.Namespace, row.JobID);
  }

  putNodePool(pool: NodePool): void {
    this.#touchNodePool(this.tables.node_pools.put(pool, this.#epoch), pool);
  }

  deleteNodePool(pool: NodePool): void {
    this.tables.node_pools.delete(pool.Name, this.#epoch);
    this.#touchNodePool(pool, undefined);
  }

  putEval(evaluation: Evaluation): void {
    const before = this.tables.evals.put(evaluation, this.#epoch);
    this.changes.push({ table: 'evals', before, after: evaluation });
    this.#touchEval(evaluation);
  }

  deleteEval(evaluation: Evaluation): void {
    this.tables.evals.delete(evaluation.ID, this.#epoch);
    this.changes.push({ table: 'evals', before: evaluation, after: undefined });
    this.#touchEval(evaluation);
  }

  putAlloc(alloc: Allocation): void {
    const before = this.tables.allocs.put(alloc, this.#epoch);
    this.changes.push({ table: 'allocs', before, after: alloc });
    if (before !== undefined) this.#touchAllocLists(before);
    this.#touchAllocLists(alloc);
    this.#touchAlloc(alloc.ID);
  }

  /** Stores allocations, no two of one id; returns what was known of each. */
  putAllocs(allocs: readonly Allocation[]): readonly (Allocation | undefined)[] {
    const known = this.tables.allocs.putAll(allocs, this.#epoch);
    allocs.forEach((alloc, i) => {
      const before = known[i];
      this.changes.push({ table: 'allocs', before, after: alloc });
      if (before !== undefined) this.#touchAllocLists(before);
      this.#touchAllocLists(alloc);
      this.#touchAlloc(alloc.ID);
    });
    return known;
  }

  deleteAlloc(alloc: Allocation): void {
    this.tables.allocs.delete(alloc.ID, this.#epoch);
    this.changes.push({ table: 'allocs', before: alloc, after: undefined });
    this.#touchAllocLists(alloc);
    this.#touchAlloc(alloc.ID);
  }

  putNode(node: Node): void {
    const before = this.tables.nodes.put(node, this.#epoch);
    this.changes.push({ table: 'nodes', before, after: node });
    this.#touchNode(node.ID);
  }

  deleteNode(node: Node): void {
    this.tables.nodes.delete(node.ID, this.#epoch);
    this.changes.push({ table: 'nodes', before: node, after: undefined });
    this.#touchNode(node.ID);
  }

  deleteDeployment(deployment: Deployment): void {
    this.deployments.forget(deployment.ID);
    this.tables.deployments.delete(deployment.ID, this.#epoch);
    this.changes.push({ table: 'deployments', before: deployment, after: undefined });
    this.#touchDeployment(deployment);
  }

  setSchedulerConfig(config: SchedulerConfiguration): void {
    const cell = this.tables.scheduler_config;
    this.changes.push({ table: 'scheduler_config', before: cell.value, after: config });
    cell.value = config;
    cell.lastIndex = this.index;
    this.#watch.touch('scheduler-config', '');
  }

  putRestorePiece(piece: RestorePiece): void {
    this.tables.restores.put(piece, this.#epoch);
    this.tables.restores.lastIndex = this.index;
  }

  /** Forgets the pieces that are put aside, all or those of one restore. */
  forgetRestore(id?: string): void {
    const pieces = [...this.tables.restores.values(id === undefined ? '' : `${id}\0`)];
    for (const { ID, Seq } of pieces) this.tables.restores.delete(pieceKey(ID, Seq), this.#epoch);
    this.tables.restores.lastIndex = this.index;
  }

  setAutopilotConfig(config: AutopilotConfiguration): void {
    const cell = this.tables.autopilot_config;
    cell.value = config;
    cell.lastIndex = this.index;
    this.#watch.touch('autopilot-config', '');
  }

  putService(service: ServiceRegistration): void {
    const before = this.tables.services.put(service, this.#epoch);
    this.changes.push({ table: 'services', before, after: service });
    this.#touchService(service);
  }

  deleteService(service: ServiceRegistration): void {
    this.tables.services.delete(service.ID, this.#epoch);
    this.changes.push({ table: 'services', before: service, after: undefined });
    this.#touchService(service);
  }

  putCsiVolume(volume: StoredCsiVolume): void {
    this.#touchCsiVolume(this.tables.csi_volumes.put(volume, this.#epoch), volume);
  }

  deleteCsiVolume(volume: StoredCsiVolume): void {
    this.tables.csi_volumes.delete(jobKey(volume.Namespace, volume.ID), this.#epoch);
    this.#touchCsiVolume(volume, undefined);
  }

  putHostVolume(volume: HostVolume): void {
    this.#touchHostVolume(this.tables.host_volumes.put(volume, this.#epoch), volume);
  }

  deleteHostVolume(volume: HostVolume): void {
    this.tables.host_volumes.delete(volume.ID, this.#epoch);
    this.#touchHostVolume(volume, undefined);
  }

  putHostVolumeClaim(claim: TaskGroupHostVolumeClaim): void {
    this.tables.host_volume_claims.put(claim, this.#epoch);
    this.#touchHostVolumeClaims();
  }

  deleteHostVolumeClaim(claim: TaskGroupHostVolumeClaim): void {
    this.tables.host_volume_claims.delete(claim.ID, this.#epoch);
    this.#touchHostVolumeClaims();
  }

  putVolumeArchive(archive: VolumeArchive): void {
    this.#touchVolumeArchive(this.tables.volume_archives.put(archive, this.#epoch), archive);
  }

  deleteVolumeArchive(archive: VolumeArchive): void {
    this.tables.volume_archives.delete(archive.ID, this.#epoch);
    this.#touchVolumeArchive(archive, undefined);
  }

  putVariable(variable: SealedVariable): void {
    const before = this.tables.variables.put(variable, this.#epoch);
    this.changes.push({ table: 'variables', before, after: variable });
    this.#touchVariable(variable);
  }

  deleteVariable(variable: SealedVariable): void {
    this.tables.variables.delete(jobKey(variable.Namespace, variable.Path), this.#epoch);
    this.changes.push({ table: 'variables', before: variable, after: undefined });
    this.#touchVariable(variable);
  }

  putRootKey(key: RootKey): void {
    const before = this.tables.root_keys.put(key, this.#epoch);
    this.changes.push({ table: 'root_keys', before, after: key });
    this.tables.root_keys.lastIndex = this.index;
    this.#watch.touch('root-keys', '');
  }

  deleteRootKey(key: RootKey): void {
    this.tables.root_keys.delete(key.KeyID, this.#epoch);
    this.changes.push({ table: 'root_keys', before: key, after: undefined });
    this.tables.root_keys.lastIndex = this.index;
    this.#watch.touch('root-keys', '');
  }

  putMeshMember(member: MeshMember): void {
    const before = this.tables.mesh_members.put(member, this.#epoch);
    this.tables.mesh_members.lastIndex = this.index;
    this.changes.push({ table: 'mesh_members', before, after: member });
    this.#watch.touch('mesh', '');
    this.#watch.touch('mesh-member', member.Key);
  }

  putMeshInvite(invite: MeshInvite): void {
    this.#touchInvite(this.tables.mesh_invites.put(invite, this.#epoch), invite);
  }

  deleteMeshInvite(invite: MeshInvite): void {
    this.#touchInvite(this.tables.mesh_invites.delete(invite.ID, this.#epoch), undefined);
  }

  putTombstone(tombstone: Tombstone): void {
    const before = this.tables.mesh_tombstones.put(tombstone, this.#epoch);
    this.tables.mesh_tombstones.lastIndex = this.index;
    this.changes.push({ table: 'mesh_tombstones', before, after: tombstone });
    this.#watch.touch('mesh', '');
  }

  setMesh(info: MeshInfo): void {
    const cell = this.tables.mesh;
    this.changes.push({ table: 'mesh', before: cell.value, after: info });
    cell.value = info;
    cell.lastIndex = this.index;
    this.#watch.touch('mesh', '');
  }

  /** Writes the drafts of deployments. */
  flushDeployments(): void {
    for (const draft of this.deployments.take()) {
      const after = { ...draft, ModifyIndex: this.index };
      const before = this.tables.deployments.put(after, this.#epoch);
      this.changes.push({ table: 'deployments', before, after });
      this.#touchDeployment(after);
    }
  }

  /** Writes the drafts of summaries. */
  flushSummaries(): void {
    for (const draft of this.summaries.take()) {
      const key = jobKey(draft.Namespace, draft.JobID);
      this.tables.job_summaries.put({ ...draft, ModifyIndex: this.index }, this.#epoch);
      this.tables.job_summaries.lastIndex = this.index;
      this.#watch.touch('job-summary', key);
    }
  }

  #touchNodePool(before: NodePool | undefined, after: NodePool | undefined): void {
    this.tables.node_pools.lastIndex = this.index;
    this.changes.push({ table: 'node_pools', before, after });
    this.#watch.touch('node-pools', '');
  }

  #touchCsiVolume(before: StoredCsiVolume | undefined, after: StoredCsiVolume | undefined): void {
    const volume = after ?? before;
    if (volume === undefined) return;
    this.tables.csi_volumes.lastIndex = this.index;
    this.changes.push({ table: 'csi_volumes', before, after });
    this.#watch.touch('csi-volumes', '');
    this.#watch.touch('csi-volume', jobKey(volume.Namespace, volume.ID));
  }

  #touchHostVolume(before: HostVolume | undefined, after: HostVolume | undefined): void {
    this.tables.host_volumes.lastIndex = this.index;
    this.changes.push({ table: 'host_volumes', before, after });
    this.#watch.touch('host-volumes', '');
    this.#watch.touch('host-volume', (after ?? before)?.ID ?? '');
  }

  #touchHostVolumeClaims(): void {
    this.tables.host_volume_claims.lastIndex = this.index;
    this.#watch.touch('host-volume-claims', '');
  }

  #touchVolumeArchive(before: VolumeArchive | undefined, after: VolumeArchive | undefined): void {
    this.tables.volume_archives.lastIndex = this.index;
    this.changes.push({ table: 'volume_archives', before, after });
    this.#watch.touch('volume-archives', '');
  }

  #touchInvite(before: MeshInvite | undefined, after: MeshInvite | undefined): void {
    this.tables.mesh_invites.lastIndex = this.index;
    this.changes.push({ table: 'mesh_invites', before, after });
    this.#watch.touch('mesh', '');
  }

  #putScaled(before: Job | undefined, after: Job): void {
    const wasScaled = before !== undefined && isScaled(before);
    if (isScaled(after)) this.tables.scaled_jobs.put(after, this.#epoch);
    else if (wasScaled) this.tables.scaled_jobs.delete(jobKey(after.Namespace, after.ID), this.#epoch);
    else return;
    // Its status is no matter of its policies.
    if (before?.JobModifyIndex !== after.JobModifyIndex || before.Stop !== after.Stop) this.#touchScaled();
  }

  #touchScaled(): void {
    this.tables.scaled_jobs.lastIndex = this.index;
    this.#watch.touch('scaled-jobs', '');
  }

  #touchJob(namespace: string, id: string): void {
    this.#watch.touch('jobs', '');
    this.#watch.touch('job', jobKey(namespace, id));
  }

  #touchEval(evaluation: Evaluation): void {
    this.tables.evals.lastIndex = this.index;
    this.#watch.touch('evals', '');
    this.#watch.touch('eval', evaluation.ID);
    this.#watch.touch('evals-by-job', jobKey(evaluation.Namespace, evaluation.JobID));
  }

  #touchAlloc(id: string): void {
    this.tables.allocs.lastIndex = this.index;
    this.#watch.touch('allocs', '');
    this.#watch.touch('alloc', id);
  }

  #touchAllocLists(alloc: Allocation): void {
    this.#watch.touch('allocs-by-job', jobKey(alloc.Namespace, alloc.JobID));
    this.#watch.touch('allocs-by-node', alloc.NodeID);
    this.#watch.touch('allocs-by-eval', alloc.EvalID);
    if (alloc.DeploymentID !== '') this.#watch.touch('allocs-by-deployment', alloc.DeploymentID);
  }

  #touchService({ Namespace, ServiceName }: ServiceRegistration): void {
    this.tables.services.lastIndex = this.index;
    this.#watch.touch('services', '');
    this.#watch.touch('service', jobKey(Namespace, ServiceName));
  }

  #touchVariable({ Namespace, Path }: SealedVariable): void {
    this.tables.variables.lastIndex = this.index;
    this.#watch.touch('variables', '');
    this.#watch.touch('variable', jobKey(Namespace, Path));
  }

  #touchNode(id: string): void {
    this.tables.nodes.lastIndex = this.index;
    this.#watch.touch('nodes', '');
    this.#watch.touch('node', id);
  }

  #touchDeployment(deployment: Deployment): void {
    this.tables.deployments.lastIndex = this.index;
    this.#watch.touch('deployments', '');
    this.#watch.touch('deployment', deployment.ID);
    this.#watch.touch('deployments-by-job', jobKey(deployment.Namespace, deployment.JobID));
  }
}
