import { isClientTerminal } from '../../scheduler/usage.js';
import type { StateSnapshot } from '../../state/store.js';
import type { HostVolumeUpsertCommand } from '../../state/volume-commands.js';
import type { Allocation } from '../../structs/allocation.js';
import { MeshError } from '../../structs/errors.js';
import { groupOf } from '../../structs/group-of.js';
import type { HostVolume } from '../../structs/host-volume.js';
import type { RestoredVolume, VolumeWork } from '../../structs/rpc-volume-data.js';
import { volumeSource } from '../../structs/volume.js';
import type {
  ArchiveCore,
  ArchivedVolume,
  VolumeArchive,
  VolumeOperation,
  VolumeSnapshot,
  WrittenSnapshot,
} from '../../structs/volume-data.js';
import { toNanos } from '../../util/clock.js';
import { randomUuid } from '../../util/random.js';
import type { Archives } from './archives.js';
import { backUpCsi, restoreCsi } from './csi-operations.js';
import { type CsiParts, oldScratch } from './csi-scratch.js';
import { letGo } from './keep.js';
import { carryOut, Deposed, type Hear, holdersFor, type NodeWorkParts } from './node-work.js';

export interface OperationParts extends NodeWorkParts {
  readonly archives: Archives;
  readonly csi: CsiParts;
}

/** A volume without a plugin of its own is made by this one, wherever it is brought to. */
export const BUILT_IN_PLUGIN = 'mkdir';

/** How many that have ended are remembered beside the last: as many as may follow each other while one is asked after. */
const EARLIER_MAX = 8;

type Done = Extract<VolumeWork, { State: 'done' }>;

/** Takes an operation to its end, step by step; each is in the log before the next, so that any leader can go on with it. */
export async function runOperation(parts: OperationParts, archiveId: string, hear: Hear): Promise<void> {
  const { world, archives } = parts;
  for (;;) {
    const archive = world.store.snapshot().volumeArchiveById(archiveId);
    const operation = archive?.Operation;
    if (!archive || !operation) return;
    try {
      if (operation.Step === 'backup') await backupStep(parts, { archive, operation }, hear);
      else await restoreStep(parts, { archive, operation }, hear);
    } catch (error) {
      // Whoever leads next goes on with it.
      if (error instanceof Deposed || !parts.leads()) throw error;
      if (!(error instanceof MeshError)) throw error;
      if (error.code === 'E_NO_LEADER' || error.code === 'E_TIMEOUT') throw error;
      world.log.warn('an operation on the data of a volume has failed', { volume: archive.Name, why: error.message });
      const again = isMissed(world.store.snapshot(), archive, operation) ? { ScheduledTime: 0 } : {};
      await archives.update(archiveId, (now) =>
        now.Operation?.ID === operation.ID
          ? { ...ended(now, now.Operation, { nowNs: toNanos(world.now()), message: error.message }), ...again }
          : null,
      );
    }
  }
}

/** Whether a node went away in the middle of what its volume's schedule asked for: then that is due until it is back. */
function isMissed(state: StateSnapshot, { Csi }: VolumeArchive, { Kind, Reason, NodeID }: VolumeOperation): boolean {
  return Kind === 'backup' && Reason === 'schedule' && !Csi && state.nodeById(NodeID)?.Status !== 'ready';
}

interface At {
  readonly archive: VolumeArchive;
  readonly operation: VolumeOperation;
}

/** What an operation leaves when it has ended; with a message it has failed. */
function ended(
  { LastOperation, EarlierOperations = [] }: VolumeArchive,
  operation: VolumeOperation,
  { nowNs, message = '' }: { nowNs: number; message?: string },
): Partial<VolumeArchive> {
  const Step = message === '' ? 'done' : 'failed';
  return {
    Operation: null,
    LastOperation: { ...operation, Step, Message: message, EndTime: nowNs },
    EarlierOperations: [...(LastOperation ? [LastOperation] : []), ...EarlierOperations].slice(0, EARLIER_MAX),
  };
}

/** What a backup has come to. */
interface Made {
  readonly written: WrittenSnapshot;
  readonly nodeId: string;
  readonly inUse: boolean;
  /** How the volume can be made again, as far as that is known anew. */
  readonly volume: Pick<VolumeArchive, 'NodeID'> & Partial<Pick<VolumeArchive, 'Volume' | 'Csi'>>;
}

async function backUpHost(parts: OperationParts, { archive, operation }: At, hear: Hear): Promise<Made> {
  const { world, archives } = parts;
  const { NodeID } = operation;
  const Previous = archive.Snapshots.findLast((snapshot) => snapshot.NodeID === NodeID) ?? null;
  const work = await carryOut(
    parts,
    NodeID,
    {
      ID: `${operation.ID}.backup`,
      ArchiveID: archive.ID,
      Kind: 'backup',
      Key: await archives.keyOf(archive),
      Name: archive.Name,
      Previous: Previous && placeOf(Previous),
    },
    hear,
  );
  const written = work.Snapshot;
  if (!written) throw new MeshError('E_INTERNAL', 'the node has made a backup and says nothing of it');
  const state = world.store.snapshot();
  const inUse = usersSince(state, archive, NodeID, operation.StartIndex).length > 0;
  const volume = state.hostVolumeById(archive.VolumeID);
  return { written, nodeId: NodeID, inUse, volume: { NodeID, ...(volume ? { Volume: archivedVolume(volume) } : {}) } };
}

async function backUpOf(parts: OperationParts, at: At, hear: Hear): Promise<Made> {
  if (!at.archive.Csi) return backUpHost(parts, at, hear);
  const { how: Csi, nodeId: NodeID, ...made } = await backUpCsi(parts, at, hear);
  return { ...made, nodeId: NodeID, volume: { NodeID, Csi } };
}

async function backupStep(parts: OperationParts, { archive, operation }: At, hear: Hear): Promise<void> {
  const { world, archives } = parts;
  const { written, nodeId, inUse, volume } = await backUpOf(parts, { archive, operation }, hear);
  const snapshot: VolumeSnapshot = {
    ...written,
    ID: randomUuid(world.random),
    NodeID: nodeId,
    Reason: operation.Kind === 'move' ? 'move' : operation.Reason,
    InUse: inUse,
    CreateTime: operation.StartTime,
  };
  await archives.update(archive.ID, (now) => {
    if (now.Operation?.ID !== operation.ID || now.Operation.Step !== 'backup') return null;
    const made = { ...letGo(withSnapshot(now, snapshot)), ...volume };
    if (operation.Kind === 'backup') {
      return { ...made, ...ended(now, { ...now.Operation, SnapshotID: snapshot.ID }, { nowNs: toNanos(world.now()) }) };
    }
    return { ...made, Operation: { ...now.Operation, Step: 'restore', SnapshotID: snapshot.ID } };
  });
}

/** The snapshot, and its core as far as it goes now. */
function withSnapshot(
  archive: VolumeArchive,
  snapshot: VolumeSnapshot,
): Pick<VolumeArchive, 'Cores' | 'Snapshots' | 'Plan'> {
  const { Core: Key, NodeID, Length } = snapshot;
  const before = archive.Cores.find((core) => core.Key === Key);
  const core: ArchiveCore = before ? { ...before, Length } : { Key, NodeID, Length, HasGarbage: false, Holders: [] };
  // What an attempt before it appended, no snapshot may need.
  if (archive.LastOperation?.Step === 'failed') core.HasGarbage = true;
  return {
    Plan: archive.Plan,
    Cores: [...archive.Cores.filter((other) => other.Key !== Key), core],
    Snapshots: [...archive.Snapshots, snapshot],
  };
}

async function restoreStep(parts: OperationParts, { archive, operation }: At, hear: Hear): Promise<void> {
  const { world, archives } = parts;
  const { TargetNodeID, SnapshotID } = operation;
  const snapshot = archive.Snapshots.find(({ ID }) => ID === SnapshotID);
  const core = snapshot && archive.Cores.find(({ Key }) => Key === snapshot.Core);
  if (!snapshot || !core) throw new MeshError('E_NOT_FOUND', `backup ${SnapshotID.slice(0, 8)} was let go meanwhile`);
  if (archive.Csi) {
    await restoreCsiStep(parts, { archive, operation, snapshot }, hear);
    return;
  }
  refuseUsed(world.store.snapshot(), { archive, operation });
  const work = await carryOut(
    parts,
    TargetNodeID,
    {
      ID: operation.ID,
      ArchiveID: archive.ID,
      Kind: 'restore',
      Key: await archives.keyOf(archive),
      Snapshot: placeOf(snapshot),
      Holders: holdersFor(world, core, TargetNodeID),
      Volume: restoredVolume(world.store.snapshot(), { archive, operation }),
    },
    hear,
  );
  const brought = volumeRow(world.store.snapshot(), { archive, operation }, work);
  try {
    await record(parts, { archive, operation }, brought);
  } catch (error) {
    // Nobody will know of what was brought there.
    if (brought && error instanceof MeshError && error.code === 'E_CONFLICT') {
      const left = {
        NodeID: TargetNodeID,
        VolumeID: operation.TargetVolumeID,
        HostPath: brought.volume.HostPath,
        Keep: false,
      };
      await archives.update(archive.ID, ({ Leftovers }) => ({ Leftovers: [...Leftovers, left] }));
    }
    throw error;
  }
}

async function restoreCsiStep(
  parts: OperationParts,
  { archive, operation, snapshot }: At & { snapshot: VolumeSnapshot },
  hear: Hear,
): Promise<void> {
  const { world, archives } = parts;
  const { row, old, scratch } = await restoreCsi(parts, { archive, operation, snapshot }, hear);
  await archives.update(
    archive.ID,
    (now) => {
      if (now.Operation?.ID !== operation.ID) return null;
      const others = (now.Scratch ?? []).filter(({ ID }) => ID !== scratch.ID);
      const isSame = operation.TargetVolumeID === now.VolumeID;
      return {
        ...ended(now, now.Operation, { nowNs: toNanos(world.now()) }),
        ...(isSame ? { NodeID: operation.TargetNodeID } : {}),
        Scratch: old && !operation.Keep ? [...others, oldScratch(old, operation)] : others,
      };
    },
    { csi: row },
  );
}

/** The restore is done: the servers know the volume where it is now. */
async function record(
  { world, archives }: OperationParts,
  { archive, operation }: At,
  brought: ReturnType<typeof volumeRow>,
): Promise<void> {
  const state = world.store.snapshot();
  refuseUsed(state, { archive, operation });
  const { TargetNodeID, TargetVolumeID } = operation;
  await archives.update(
    archive.ID,
    (now) => {
      if (now.Operation?.ID !== operation.ID) return null;
      const done = ended(now, now.Operation, { nowNs: toNanos(world.now()) });
      if (!brought || TargetVolumeID !== now.VolumeID) return done;
      const old = state.hostVolumeById(now.VolumeID);
      if (!old || old.NodeID === TargetNodeID) return { ...done, NodeID: TargetNodeID };
      const { NodeID, HostPath } = old;
      const leftover = { NodeID, VolumeID: TargetVolumeID, HostPath, Keep: operation.Keep };
      return { ...done, NodeID: TargetNodeID, Leftovers: [...now.Leftovers, leftover] };
    },
    brought ? { volume: brought } : {},
  );
}

/** Of a move: whoever used the volume meanwhile wrote what the copy does not have. */
function refuseUsed(state: StateSnapshot, { archive, operation }: At): void {
  if (operation.Kind !== 'move') return;
  const [user] = usersSince(state, archive, operation.NodeID, operation.StartIndex);
  if (!user) return;
  throw new MeshError(
    'E_CONFLICT',
    `allocation ${user.ID.slice(0, 8)} of job "${user.JobID}" used the volume while it was moved: it stays where it is; stop the job, and move it again`,
  );
}

/** The allocations that use a volume on its node now, or were placed there after an index. */
export function usersSince(
  state: StateSnapshot,
  volume: Pick<VolumeArchive, 'Name'>,
  nodeId: string,
  index: number,
): Allocation[] {
  return state.allocsByNode(nodeId).filter((alloc) => {
    if (isClientTerminal(alloc) && alloc.CreateIndex <= index) return false;
    const group = groupOf(alloc.Job, alloc.TaskGroup);
    return Object.values(group?.Volumes ?? {}).some(
      (request) => request.Type === 'host' && volumeSource(request, alloc.Name) === volume.Name,
    );
  });
}

function restoredVolume(state: StateSnapshot, { archive, operation }: At): RestoredVolume {
  const { TargetVolumeID: ID, TargetName: Name, TargetNodeID } = operation;
  const existing = state.hostVolumeById(ID);
  const how = existing ?? archive.Volume;
  return {
    ID,
    Name,
    Namespace: archive.Namespace,
    PluginID: how?.PluginID || BUILT_IN_PLUGIN,
    NodePool: state.nodeById(TargetNodeID)?.NodePool ?? '',
    Parameters: how?.Parameters ?? null,
    CapacityMinBytes: how?.RequestedCapacityMinBytes ?? 0,
    CapacityMaxBytes: how?.RequestedCapacityMaxBytes ?? 0,
    Replaces: ID === '' || existing?.NodeID === TargetNodeID,
  };
}

/** The volume as the servers are to know it; undefined when it is where it was. */
function volumeRow(
  state: StateSnapshot,
  { archive, operation }: At,
  { HostPath = '', CapacityBytes = 0 }: Done,
): Pick<HostVolumeUpsertCommand, 'volume' | 'unlessUsed'> | undefined {
  const { TargetVolumeID: ID, TargetName: Name, TargetNodeID: NodeID } = operation;
  const existing = state.hostVolumeById(ID);
  if (ID === '' || existing?.NodeID === NodeID) return undefined;
  const how = existing ?? archive.Volume;
  return {
    volume: {
      ID,
      Name,
      Namespace: archive.Namespace,
      NodeID,
      NodePool: state.nodeById(NodeID)?.NodePool ?? '',
      PluginID: how?.PluginID || BUILT_IN_PLUGIN,
      Parameters: how?.Parameters ?? null,
      Constraints: how?.Constraints ?? null,
      RequestedCapacityMinBytes: how?.RequestedCapacityMinBytes ?? 0,
      RequestedCapacityMaxBytes: how?.RequestedCapacityMaxBytes ?? 0,
      RequestedCapabilities: how?.RequestedCapabilities ?? [
        { AccessMode: 'single-node-writer', AttachmentMode: 'file-system' },
      ],
      HostPath,
      CapacityBytes,
    },
    ...(operation.Kind === 'move' ? { unlessUsed: true } : {}),
  };
}

/** How a volume can be made again. */
export function archivedVolume(volume: HostVolume): ArchivedVolume {
  const { PluginID, NodePool, Parameters, RequestedCapabilities, Constraints } = volume;
  const { RequestedCapacityMinBytes, RequestedCapacityMaxBytes } = volume;
  return {
    PluginID,
    NodePool,
    Parameters,
    RequestedCapabilities,
    Constraints,
    RequestedCapacityMinBytes,
    RequestedCapacityMaxBytes,
  };
}

/** Where a snapshot is to be found. */
export const placeOf = ({ Core, Block, Length, Digest }: VolumeSnapshot) => ({ Core, Block, Length, Digest });
