import type { StateReader } from '../scheduler/ports.js';
import type { Allocation } from '../structs/allocation.js';
import type { StoredCsiVolume } from '../structs/csi.js';
import type { Deployment } from '../structs/deployment.js';
import { MeshError } from '../structs/errors.js';
import type { EvalStatus, Evaluation } from '../structs/evaluation.js';
import type { HostVolume, TaskGroupHostVolumeClaim } from '../structs/host-volume.js';
import type { Job, JobSubmission } from '../structs/job.js';
import type { MeshInfo, MeshInvite, MeshMember, NodeKey, Tombstone } from '../structs/mesh.js';
import type { Node } from '../structs/node.js';
import type { NodePool } from '../structs/node-pool.js';
import type { AutopilotConfiguration } from '../structs/operator.js';
import type { JobSummary, SchedulerConfiguration } from '../structs/rpc.js';
import type { JobScalingEvents } from '../structs/scaling.js';
import type { ServiceRegistration } from '../structs/service.js';
import type { RootKey, SealedVariable } from '../structs/variable.js';
import type { VolumeArchive } from '../structs/volume-data.js';
import { assert } from '../util/assert.js';
import { err, ok, type Result } from '../util/result.js';
import type { Command, CommandResult, RestoreCommitCommand } from './commands.js';
import { applyCommand } from './fsm.js';
import { mergeMesh } from './mesh-merge.js';
import { renewAllocs } from './renew-allocs.js';
import { AHEAD_EPOCH, RestoreAhead } from './restore-ahead.js';
import { type ArchivedKey, emptyTables, type TableName, type Tables, viewTables } from './schema.js';
import { TablesSnapshot } from './snapshot.js';
import { type Decoded, decodeSnapshot, SnapshotDecoder } from './snapshot-codec.js';
import { type Recent, Transaction } from './transaction.js';
import { Watch, type WatchKey } from './watch.js';

export type { TableName } from './schema.js';

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
  /** Those with a scaling policy; namespace '*' = all. */
  scaledJobs(namespace: string): Iterable<Job>;
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
  /** Those of allocsByJob, one by one: there may be very many. */
  eachAllocOfJob(namespace: string, jobId: string): Iterable<Allocation>;
  /** Those on which the fate of a deployment hangs: the unhealthy ones, and its canaries. */
  allocsInQuestion(deployment: Deployment): readonly Allocation[];
  nodes(options?: { readonly prefix?: string }): Iterable<Node>;
  deployments(options?: ListOptions): Iterable<Deployment>;
  deploymentById(id: string): Deployment | undefined;
  /** Newest first. */
  deploymentsByJob(namespace: string, jobId: string): readonly Deployment[];
  /** By name, the built-in ones among them. */
  nodePools(options?: { readonly prefix?: string }): readonly NodePool[];
  nodePoolByName(name: string): NodePool | undefined;
  usageByNode(nodeId: string): readonly number[];
  portsByNode(nodeId: string): Uint16Array;
  /** When a periodic job was launched last, in milliseconds since the epoch. */
  periodicLaunch(namespace: string, id: string): number | undefined;
  csiVolumes(options?: ListOptions): Iterable<StoredCsiVolume>;
  /** Those that somebody holds. */
  claimedCsiVolumes(): readonly StoredCsiVolume[];
  /** Allocations of a namespace that are to run and ask for CSI volumes. */
  allocsWithCsi(namespace: string): readonly Allocation[];
  csiVolumeById(namespace: string, id: string): StoredCsiVolume | undefined;
  hostVolumes(options?: ListOptions): Iterable<HostVolume>;
  hostVolumeById(id: string): HostVolume | undefined;
  hostVolumesByNode(nodeId: string): readonly HostVolume[];
  hostVolumeClaims(options?: ListOptions): Iterable<TaskGroupHostVolumeClaim>;
  /** What the allocations of a group are held to. */
  hostVolumeClaimsByGroup(namespace: string, jobId: string, group: string): readonly TaskGroupHostVolumeClaim[];
  volumeArchives(): Iterable<VolumeArchive>;
  volumeArchiveById(id: string): VolumeArchive | undefined;
  /** That of a volume; of a dynamic one, wherever it is. */
  volumeArchiveOf(volume: ArchivedKey): VolumeArchive | undefined;
  scalingEvents(namespace: string, id: string): JobScalingEvents | undefined;
  /** By path. */
  variables(options?: ListOptions): Iterable<SealedVariable>;
  variableByPath(namespace: string, path: string): SealedVariable | undefined;
  rootKeys(): Iterable<RootKey>;
  rootKeyById(id: string): RootKey | undefined;
  /** Every registration there is, also of what is out of reach. */
  services(options?: { readonly namespace?: string }): Iterable<ServiceRegistration>;
  servicesByName(namespace: string, name: string): readonly ServiceRegistration[];
  servicesByAlloc(allocId: string): readonly ServiceRegistration[];
  serviceById(id: string): ServiceRegistration | undefined;
  autopilotConfig(): AutopilotConfiguration;
  /** Undefined until a mesh is founded. */
  mesh(): MeshInfo | undefined;
  /** By key. */
  meshMembers(): Iterable<MeshMember>;
  meshMember(key: NodeKey): MeshMember | undefined;
  /** The one of this name that is admitted, or waits to be. */
  meshMemberByName(name: string): MeshMember | undefined;
  meshInvites(): Iterable<MeshInvite>;
  meshInviteById(id: string): MeshInvite | undefined;
  meshInviteByKey(key: NodeKey): MeshInvite | undefined;
  meshTombstones(): Iterable<Tombstone>;
  meshTombstone(key: NodeKey): Tombstone | undefined;
  /** How many rows a table has. */
  count(table: TableName): number;
  /** Everything as bytes, for Store.restore; equal histories give equal bytes. */
  stream(): AsyncIterable<Uint8Array>;
}

/** One row that an apply wrote: `before` undefined = new, `after` undefined = gone. */
export type Change =
  | { readonly table: 'jobs'; readonly before: Job | undefined; readonly after: Job | undefined }
  | { readonly table: 'evals'; readonly before: Evaluation | undefined; readonly after: Evaluation | undefined }
  | { readonly table: 'allocs'; readonly before: Allocation | undefined; readonly after: Allocation | undefined }
  | { readonly table: 'nodes'; readonly before: Node | undefined; readonly after: Node | undefined }
  | { readonly table: 'deployments'; readonly before: Deployment | undefined; readonly after: Deployment | undefined }
  | {
      readonly table: 'csi_volumes';
      readonly before: StoredCsiVolume | undefined;
      readonly after: StoredCsiVolume | undefined;
    }
  | { readonly table: 'host_volumes'; readonly before: HostVolume | undefined; readonly after: HostVolume | undefined }
  | {
      readonly table: 'volume_archives';
      readonly before: VolumeArchive | undefined;
      readonly after: VolumeArchive | undefined;
    }
  | { readonly table: 'node_pools'; readonly before: NodePool | undefined; readonly after: NodePool | undefined }
  | {
      readonly table: 'services';
      readonly before: ServiceRegistration | undefined;
      readonly after: ServiceRegistration | undefined;
    }
  | {
      readonly table: 'variables';
      readonly before: SealedVariable | undefined;
      readonly after: SealedVariable | undefined;
    }
  | { readonly table: 'root_keys'; readonly before: RootKey | undefined; readonly after: RootKey | undefined }
  | { readonly table: 'mesh_members'; readonly before: MeshMember | undefined; readonly after: MeshMember }
  | { readonly table: 'mesh_invites'; readonly before: MeshInvite | undefined; readonly after: MeshInvite | undefined }
  | { readonly table: 'mesh_tombstones'; readonly before: Tombstone | undefined; readonly after: Tombstone }
  | { readonly table: 'mesh'; readonly before: MeshInfo | null; readonly after: MeshInfo }
  | {
      readonly table: 'scheduler_config';
      readonly before: SchedulerConfiguration;
      readonly after: SchedulerConfiguration;
    };

/** Which command wrote the changes up to, not including, the one at `end`: the first cause from the first change on. */
export interface Cause {
  readonly type: Command['type'];
  readonly end: number;
}

/** What one apply changed, in order; a row written twice appears twice. */
export interface Commit {
  readonly index: number;
  readonly changes: readonly Change[];
  /** One for each command that changed something: several for a batch. */
  readonly causes: readonly Cause[];
}

/** The replicated state of one server. */
export interface Store {
  /** Index of the last command applied; 0 at the start. The log's, but for `indexOffset`. */
  readonly index: number;
  /**
   * How far the state's index is ahead of the log's: a restored snapshot of another mesh may know higher indexes than this log
   * has, and an index never goes back.
   */
  readonly indexOffset: number;
  snapshot(): StateSnapshot;
  /**
   * Applies one log entry, by its index in the log. Indexes must rise. Total: the only throw is for a command of an unknown type (a newer
   * version's), which must stop the server rather than let it drift from the others.
   */
  apply<C extends Command>(index: number, command: C): CommandResult<C['type']>;
  /** Calls `listener` once after each apply that touched one of the keys, until the returned function is called. */
  subscribe(keys: readonly WatchKey[], listener: (index: number) => void): () => void;
  /** Replaces the whole state. Rejects with E_STORAGE, leaving everything as it was, when the stream is broken. */
  restore(stream: AsyncIterable<Uint8Array>, index: number): Promise<void>;
  /** Tells every change, right after it was applied: for the eval broker, blocked evaluations, events. Not after a restore. */
  onCommit(listener: (commit: Commit) => void): () => void;
  /** Tells when the whole state was replaced, right after it was. */
  onRestore(listener: (index: number) => void): () => void;
}

/** An empty state. */
export function createStore(): Store {
  return new MemoryStore();
}

class MemoryStore implements Store {
  #index = 0;
  #offset = 0;
  #tables = emptyTables();
  /** Rises with every snapshot: what was made before it is then shared and no longer changed in place. */
  #epoch = 1;
  /** The latest snapshot, while nothing was applied since. */
  #current: TablesSnapshot | null = null;
  readonly #watch = new Watch();
  readonly #listeners = new Set<(commit: Commit) => void>();
  readonly #restoreListeners = new Set<(index: number) => void>();
  #recent: Recent = { job: null, taskStates: null, scores: new Map() };
  readonly #ahead = new RestoreAhead();

  get index(): number {
    return this.#index;
  }
  get indexOffset(): number {
    return this.#offset;
  }

  snapshot(): TablesSnapshot {
    if (this.#current !== null) return this.#current;
    const snapshot = new TablesSnapshot({ index: this.#index, indexOffset: this.#offset }, viewTables(this.#tables));
    this.#epoch++;
    this.#current = snapshot;
    return snapshot;
  }

  apply<C extends Command>(logIndex: number, command: C): CommandResult<C['type']> {
    const index = logIndex + this.#offset;
    assert(index > this.#index, `log entries are applied in order: ${index} after ${this.#index}`);
    this.#current = null;
    if (command.type === 'restore-commit') return this.#commitRestore(index, command) as CommandResult<C['type']>;
    const txn = new Transaction({
      index,
      tables: this.#tables,
      epoch: this.#epoch,
      watch: this.#watch,
      recent: this.#recent,
    });
    const result = applyCommand(txn, command) as CommandResult<C['type']>;
    this.#index = index;
    if (command.type === 'restore-stage') this.#ahead.staged(command);
    else if (command.type === 'restore-abort') this.#ahead.forget(command.id);
    if (txn.changes.length > 0) {
      const commit = { index, changes: txn.changes, causes: txn.causes };
      for (const listener of this.#listeners) listener(commit);
    }
    this.#watch.fire(index);
    return result;
  }

  subscribe(keys: readonly WatchKey[], listener: (index: number) => void): () => void {
    return this.#watch.subscribe(keys, listener);
  }

  onCommit(listener: (commit: Commit) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  onRestore(listener: (index: number) => void): () => void {
    this.#restoreListeners.add(listener);
    return () => {
      this.#restoreListeners.delete(listener);
    };
  }

  async restore(stream: AsyncIterable<Uint8Array>, logIndex: number): Promise<void> {
    const restored = await decodeSnapshot(stream, this.#epoch + 1);
    this.#offset = restored.indexOffset;
    // The log knows best how far the snapshot reaches: entries without effect may follow the last one applied.
    this.#replace(restored.tables, Math.max(logIndex + this.#offset, restored.index));
  }

  /** The pieces put aside become the state. Who is in the mesh is not theirs to say: see `mergeMesh`. */
  #commitRestore(index: number, command: RestoreCommitCommand): CommandResult<'restore-commit'> {
    this.#index = index;
    const decoded = decodePieces(this.#tables, command, this.#ahead);
    if (!decoded.ok) return decoded;
    mergeMesh(this.#tables, decoded.value.tables, this.#epoch + 1);
    const { mesh, mesh_members, mesh_invites, mesh_tombstones } = this.#tables;
    const tables: Tables = { ...decoded.value.tables, mesh, mesh_members, mesh_invites, mesh_tombstones };
    const at = Math.max(index, decoded.value.index + 1);
    this.#offset += at - index;
    renewAllocs(tables, at);
    // Whoever waits for a change of a list has seen one.
    for (const name of Object.keys(tables) as TableName[]) tables[name].lastIndex = at;
    this.#replace(tables, at);
    return ok({ index: at });
  }

  #replace(tables: Tables, index: number): void {
    this.#tables = tables;
    this.#index = index;
    this.#epoch += 2;
    this.#current = null;
    this.#recent = { job: null, taskStates: null, scores: new Map() };
    this.#ahead.forget();
    for (const listener of this.#restoreListeners) listener(index);
    this.#watch.touchAll();
    this.#watch.fire(index);
  }
}

function decodePieces(tables: Tables, command: RestoreCommitCommand, ahead: RestoreAhead): Result<Decoded, MeshError> {
  const pieces = [...tables.restores.values(`${command.id}\0`)];
  if (pieces.length !== command.pieces) {
    const have = `${pieces.length} of ${command.pieces} pieces of the snapshot are there`;
    return err(new MeshError('E_CONFLICT', `${have}: another restore was begun meanwhile; begin again`));
  }
  try {
    const known = ahead.take(command);
    if (known !== null) return ok(known);
    const decoder = new SnapshotDecoder(AHEAD_EPOCH);
    for (const { Text } of pieces) decoder.take(Text);
    return ok(decoder.end());
  } catch (error) {
    if (error instanceof MeshError) return err(error);
    return err(new MeshError('E_STORAGE', `the snapshot cannot be read: ${(error as Error).message}`));
  }
}
