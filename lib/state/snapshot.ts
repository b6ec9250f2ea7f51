import type { Allocation } from '../structs/allocation.js';
import type { StoredCsiVolume } from '../structs/csi.js';
import type { Deployment } from '../structs/deployment.js';
import type { EvalStatus, Evaluation } from '../structs/evaluation.js';
import type { HostVolume, TaskGroupHostVolumeClaim } from '../structs/host-volume.js';
import type { Job, JobSubmission } from '../structs/job.js';
import type { MeshInfo, MeshInvite, MeshMember, NodeKey, Tombstone } from '../structs/mesh.js';
import type { Node } from '../structs/node.js';
import { BUILT_IN_POOLS, type NodePool } from '../structs/node-pool.js';
import type { AutopilotConfiguration } from '../structs/operator.js';
import type { JobSummary, SchedulerConfiguration } from '../structs/rpc.js';
import type { JobScalingEvents } from '../structs/scaling.js';
import type { ServiceRegistration } from '../structs/service.js';
import type { RootKey, SealedVariable } from '../structs/variable.js';
import type { VolumeArchive } from '../structs/volume-data.js';
import { type ArchivedKey, archivedVolumeKey, stickyKey, type TableName, type Tables, versionKey } from './schema.js';
import { encodeSnapshot } from './snapshot-codec.js';
import type { ListOptions, StateSnapshot } from './store.js';
import { jobKey } from './watch.js';

const NO_USAGE = [0, 0, 0, 0];

/** Reads tables that nobody writes to any more. */
export class TablesSnapshot implements StateSnapshot {
  readonly index: number;
  readonly #indexOffset: number;
  readonly #tables: Tables;

  constructor({ index, indexOffset }: { index: number; indexOffset: number }, tables: Tables) {
    this.index = index;
    this.#indexOffset = indexOffset;
    this.#tables = tables;
  }

  tableIndex(...tables: TableName[]): number {
    return Math.max(1, ...tables.map((name) => this.#tables[name].lastIndex));
  }

  count(table: TableName): number {
    const rows = this.#tables[table];
    return 'count' in rows ? rows.count : 1;
  }

  jobs({ namespace, prefix = '' }: ListOptions = {}): Iterable<Job> {
    const { jobs } = this.#tables;
    if (namespace !== undefined && namespace !== '*') return jobs.values(jobKey(namespace, prefix));
    return prefix === '' ? jobs.values() : where(jobs.values(), ({ ID }) => ID.startsWith(prefix));
  }

  scaledJobs(namespace: string): Iterable<Job> {
    return this.#tables.scaled_jobs.values(namespace === '*' ? '' : jobKey(namespace, ''));
  }

  jobById(namespace: string, id: string): Job | undefined {
    return this.#tables.jobs.get(jobKey(namespace, id));
  }

  jobByVersion(namespace: string, id: string, version: number): Job | undefined {
    return this.#tables.job_versions.get(versionKey(namespace, id, version));
  }

  jobVersions(namespace: string, id: string): readonly Job[] {
    return [...this.#tables.job_versions.values(versionKey(namespace, id))].reverse();
  }

  jobChildren(namespace: string, parentId: string): readonly Job[] {
    return this.#tables.jobs.under('parent', jobKey(namespace, parentId));
  }

  jobSubmission(namespace: string, id: string, version: number): JobSubmission | undefined {
    return this.#tables.job_submissions.get(versionKey(namespace, id, version))?.Submission;
  }

  jobSummary(namespace: string, id: string): JobSummary | undefined {
    return this.#tables.job_summaries.get(jobKey(namespace, id));
  }

  evals(options: ListOptions = {}): Iterable<Evaluation> {
    return inNamespace(this.#tables.evals.values(options.prefix), options.namespace);
  }

  evalById(id: string): Evaluation | undefined {
    return this.#tables.evals.get(id);
  }

  evalsByJob(namespace: string, jobId: string): readonly Evaluation[] {
    return this.#tables.evals.under('job', jobKey(namespace, jobId));
  }

  evalsByStatus(status: EvalStatus): readonly Evaluation[] {
    return this.#tables.evals.under('status', status);
  }

  allocs(options: ListOptions = {}): Iterable<Allocation> {
    return inNamespace(this.#tables.allocs.values(options.prefix), options.namespace);
  }

  allocById(id: string): Allocation | undefined {
    return this.#tables.allocs.get(id);
  }

  allocsByJob(namespace: string, jobId: string): readonly Allocation[] {
    return this.#tables.allocs.under('job', jobKey(namespace, jobId));
  }

  eachAllocOfJob(namespace: string, jobId: string): Iterable<Allocation> {
    return this.#tables.allocs.each('job', jobKey(namespace, jobId));
  }

  allocsByNode(nodeId: string): readonly Allocation[] {
    return this.#tables.allocs.under('node', nodeId);
  }

  allocsWithCsi(namespace: string): readonly Allocation[] {
    return this.#tables.allocs.under('csi', namespace);
  }

  usageByNode(nodeId: string): readonly number[] {
    return this.#tables.allocs.sums(nodeId) ?? NO_USAGE;
  }

  portsByNode(nodeId: string): Uint16Array {
    return this.#tables.allocs.marks(nodeId);
  }

  allocsInQuestion({ ID: id, TaskGroups }: Deployment): readonly Allocation[] {
    const { allocs } = this.#tables;
    const found = new Set(allocs.under('unhealthy', id));
    for (const { PlacedCanaries } of Object.values(TaskGroups)) {
      for (const canary of PlacedCanaries ?? []) {
        const alloc = allocs.get(canary);
        if (alloc?.DeploymentID === id) found.add(alloc);
      }
    }
    return [...found];
  }

  nodes({ prefix }: { readonly prefix?: string } = {}): Iterable<Node> {
    return this.#tables.nodes.values(prefix);
  }

  /** See StateReader: a scheduler keeps what it derives from all nodes under this. */
  get nodesVersion(): object | undefined {
    return this.#tables.nodes.version;
  }

  nodeById(id: string): Node | undefined {
    return this.#tables.nodes.get(id);
  }

  deployments(options: ListOptions = {}): Iterable<Deployment> {
    return inNamespace(this.#tables.deployments.values(options.prefix), options.namespace);
  }

  deploymentById(id: string): Deployment | undefined {
    return this.#tables.deployments.get(id);
  }

  deploymentsByJob(namespace: string, jobId: string): readonly Deployment[] {
    const rows = this.#tables.deployments.under('job', jobKey(namespace, jobId));
    return [...rows].sort((a, b) => b.CreateIndex - a.CreateIndex);
  }

  latestDeploymentByJob(namespace: string, jobId: string): Deployment | undefined {
    return this.deploymentsByJob(namespace, jobId)[0];
  }

  nodePools({ prefix = '' }: { readonly prefix?: string } = {}): readonly NodePool[] {
    const builtIn = BUILT_IN_POOLS.filter(({ Name }) => Name.startsWith(prefix));
    return [...builtIn, ...this.#tables.node_pools.values(prefix)].sort((a, b) => (a.Name < b.Name ? -1 : 1));
  }

  nodePoolByName(name: string): NodePool | undefined {
    return BUILT_IN_POOLS.find(({ Name }) => Name === name) ?? this.#tables.node_pools.get(name);
  }

  periodicLaunch(namespace: string, id: string): number | undefined {
    return this.#tables.periodic_launches.get(jobKey(namespace, id))?.Launch;
  }

  scalingEvents(namespace: string, id: string): JobScalingEvents | undefined {
    return this.#tables.scaling_events.get(jobKey(namespace, id));
  }

  csiVolumes({ namespace, prefix = '' }: ListOptions = {}): Iterable<StoredCsiVolume> {
    const { csi_volumes } = this.#tables;
    if (namespace !== undefined && namespace !== '*') return csi_volumes.values(jobKey(namespace, prefix));
    return prefix === '' ? csi_volumes.values() : where(csi_volumes.values(), ({ ID }) => ID.startsWith(prefix));
  }

  claimedCsiVolumes(): readonly StoredCsiVolume[] {
    return this.#tables.csi_volumes.under('claimed', 'claimed');
  }

  csiVolumeById(namespace: string, id: string): StoredCsiVolume | undefined {
    return this.#tables.csi_volumes.get(jobKey(namespace, id));
  }

  hostVolumes(options: ListOptions = {}): Iterable<HostVolume> {
    return inNamespace(this.#tables.host_volumes.values(options.prefix), options.namespace);
  }

  hostVolumeById(id: string): HostVolume | undefined {
    return this.#tables.host_volumes.get(id);
  }

  hostVolumesByNode(nodeId: string): readonly HostVolume[] {
    return this.#tables.host_volumes.under('node', nodeId);
  }

  hostVolumeClaims(options: ListOptions = {}): Iterable<TaskGroupHostVolumeClaim> {
    return inNamespace(this.#tables.host_volume_claims.values(options.prefix), options.namespace);
  }

  hostVolumeClaimsByGroup(namespace: string, jobId: string, group: string): readonly TaskGroupHostVolumeClaim[] {
    return this.#tables.host_volume_claims.under('group', stickyKey(namespace, jobId, group));
  }

  volumeArchives(): Iterable<VolumeArchive> {
    return this.#tables.volume_archives.values();
  }

  volumeArchiveById(id: string): VolumeArchive | undefined {
    return this.#tables.volume_archives.get(id);
  }

  volumeArchiveOf(volume: ArchivedKey): VolumeArchive | undefined {
    return this.#tables.volume_archives.under('volume', archivedVolumeKey(volume))[0];
  }

  mesh(): MeshInfo | undefined {
    return this.#tables.mesh.value ?? undefined;
  }

  meshMembers(): Iterable<MeshMember> {
    return this.#tables.mesh_members.values();
  }

  meshMember(key: NodeKey): MeshMember | undefined {
    return this.#tables.mesh_members.get(key);
  }

  meshMemberByName(name: string): MeshMember | undefined {
    return this.#tables.mesh_members.under('name', name)[0];
  }

  meshInvites(): Iterable<MeshInvite> {
    return this.#tables.mesh_invites.values();
  }

  meshInviteById(id: string): MeshInvite | undefined {
    return this.#tables.mesh_invites.get(id);
  }

  meshInviteByKey(key: NodeKey): MeshInvite | undefined {
    return this.#tables.mesh_invites.under('key', key)[0];
  }

  meshTombstones(): Iterable<Tombstone> {
    return this.#tables.mesh_tombstones.values();
  }

  meshTombstone(key: NodeKey): Tombstone | undefined {
    return this.#tables.mesh_tombstones.get(key);
  }

  stream(): AsyncIterable<Uint8Array> {
    return encodeSnapshot({ index: this.index, indexOffset: this.#indexOffset }, this.#tables);
  }

  variables({ namespace, prefix = '' }: ListOptions = {}): Iterable<SealedVariable> {
    const { variables } = this.#tables;
    if (namespace !== undefined && namespace !== '*') return variables.values(jobKey(namespace, prefix));
    return where(variables.values(), ({ Path }) => Path.startsWith(prefix));
  }

  variableByPath(namespace: string, path: string): SealedVariable | undefined {
    return this.#tables.variables.get(jobKey(namespace, path));
  }

  rootKeys(): Iterable<RootKey> {
    return this.#tables.root_keys.values();
  }

  rootKeyById(id: string): RootKey | undefined {
    return this.#tables.root_keys.get(id);
  }

  services({ namespace }: { readonly namespace?: string } = {}): Iterable<ServiceRegistration> {
    return inNamespace(this.#tables.services.values(), namespace);
  }

  servicesByName(namespace: string, name: string): readonly ServiceRegistration[] {
    return this.#tables.services.under('name', jobKey(namespace, name));
  }

  servicesByAlloc(allocId: string): readonly ServiceRegistration[] {
    return this.#tables.services.under('alloc', allocId);
  }

  serviceById(id: string): ServiceRegistration | undefined {
    return this.#tables.services.get(id);
  }

  autopilotConfig(): AutopilotConfiguration {
    return this.#tables.autopilot_config.value;
  }

  schedulerConfig(): SchedulerConfiguration {
    return this.#tables.scheduler_config.value;
  }
}

function inNamespace<T extends { Namespace: string }>(rows: Iterable<T>, namespace: string | undefined): Iterable<T> {
  if (namespace === undefined || namespace === '*') return rows;
  return where(rows, (row) => row.Namespace === namespace);
}

function* where<T>(rows: Iterable<T>, wanted: (row: T) => boolean): Generator<T, void, undefined> {
  for (const row of rows) if (wanted(row)) yield row;
}
