import type { CsiVolumeRestored } from '../../state/volume-commands.js';
import type { CsiTopology, StoredCsiVolume } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import type { VolumeCapability } from '../../structs/volume.js';
import {
  type ArchivedCsiVolume,
  noProgress,
  type VolumeArchive,
  type VolumeOperation,
  type VolumeScratch,
  type VolumeSnapshot,
  type WrittenSnapshot,
} from '../../structs/volume-data.js';
import { sealVolume, type VolumeSecrets } from '../keyring/volumes.js';
import { turnKey } from '../volume-watcher.js';
import { freeScratch, keepScratch, operationOf, patiently, placeScratch, scratchOf, secretsOf } from './csi-scratch.js';
import { archivedCsiVolume, chooseCsiNode, dataCapability, hasBlocks, requireSnapshots } from './csi-volume.js';
import { carryOut, type Hear, holdersFor, pause } from './node-work.js';
import { type OperationParts, placeOf } from './operations.js';

// The data of CSI volumes. A backup has the plugin make a snapshot, and a volume of the snapshot which one node mounts and reads:
// the volume itself stays with whoever uses it. A restore fills a new volume, which becomes the one that is known when it is whole.

interface At {
  readonly archive: VolumeArchive;
  readonly operation: VolumeOperation;
}

/** How often a plugin is asked whether a snapshot is ready that takes its time. */
const READY_MS = 2_000;

const tell = (hear: Hear, Phase: string): void => hear({ progress: { ...noProgress(), Phase } });

/** Makes a snapshot; answers where, and whether somebody could write to the volume meanwhile. */
export async function backUpCsi(
  parts: OperationParts,
  { archive, operation }: At,
  hear: Hear,
): Promise<{ written: WrittenSnapshot; nodeId: string; inUse: boolean; how: ArchivedCsiVolume }> {
  const { world, archives } = parts;
  const volume = world.store.snapshot().csiVolumeById(archive.Namespace, archive.VolumeID);
  if (!volume) throw new MeshError('E_NOT_FOUND', `volume "${archive.VolumeID}" is not registered any more`);
  const inUse = Object.values(volume.Claims).some(({ Mode }) => Mode === 'write');
  const secrets = await secretsOf(parts, volume);
  const how = archivedCsiVolume(volume);
  const made = await copyOf(parts, { archive, operation }, { volume, how, secrets }, hear);
  const nodeId = made.NodeID || readerFor(parts, archive, { volume, topologies: made.Topologies });
  const { mount } = await placeScratch(parts, { archive, scratch: made, nodeId, secrets, fsType: how.FSType });
  const Previous = archive.Snapshots.findLast(({ NodeID }) => NodeID === nodeId) ?? null;
  const work = await carryOut(
    parts,
    nodeId,
    {
      ID: `${operation.ID}.backup`,
      ArchiveID: archive.ID,
      Kind: 'backup',
      Key: await archives.keyOf(archive),
      Name: archive.Name,
      Csi: mount,
      Previous: Previous && placeOf(Previous),
    },
    hear,
  );
  if (!work.Snapshot) throw new MeshError('E_INTERNAL', 'the node has made a backup and says nothing of it');
  return { written: work.Snapshot, nodeId, inUse, how };
}

interface Origin {
  readonly volume: StoredCsiVolume;
  readonly how: ArchivedCsiVolume;
  readonly secrets: VolumeSecrets;
}

/** A volume of the plugin that has what the volume has now, and stands still. */
async function copyOf(
  parts: OperationParts,
  { archive, operation }: At,
  { volume, how, secrets }: Origin,
  hear: Hear,
): Promise<VolumeScratch> {
  const { world } = parts;
  const { PluginID, Topologies } = volume;
  requireSnapshots(world.store.snapshot(), PluginID);
  let scratch = scratchOf(archive, operation, how);
  if (scratch.ExternalID !== '') return scratch;
  tell(hear, 'the plugin makes a snapshot');
  // Noted before it is asked for: should no answer ever come, it is looked for by its name.
  if (scratch.SnapshotID === '') scratch = await keepScratch(parts, archive.ID, { ...scratch, Topologies });
  for (let isReady = false; !isReady; ) {
    const snapshot = await snapshotFor(parts, { scratch, volume, secrets });
    isReady = snapshot.IsReady;
    if (scratch.SnapshotID !== snapshot.ID) {
      scratch = await keepScratch(parts, archive.ID, { ...scratch, SnapshotID: snapshot.ID });
    }
    if (!isReady) await pause(world, READY_MS);
  }
  tell(hear, 'the plugin makes a volume of the snapshot');
  const made = await copyOfSnapshot(parts, { archive, scratch, how, secrets });
  return keepScratch(parts, archive.ID, { ...scratch, ...made });
}

/** The snapshot that an operation makes of a volume. Asked again it is the same: its name says for which operation it is. */
export function snapshotFor(
  parts: OperationParts,
  { scratch, volume, secrets }: { scratch: VolumeScratch; volume: StoredCsiVolume; secrets: VolumeSecrets },
): Promise<{ ID: string; IsReady: boolean }> {
  const { csi } = parts;
  const { Secrets } = secrets;
  return patiently(parts, Secrets, () =>
    csi.turns.take(turnKey(volume), () =>
      csi.controllers.ask(
        'ClientCSI.ControllerCreateSnapshot',
        scratch.PluginID,
        {
          ExternalSourceVolumeID: volume.ExternalID,
          Name: `meshnomad-${operationOf(scratch)}`,
          Secrets,
          Parameters: null,
        },
        ({ ControllerInfo }) => ControllerInfo?.SupportsCreateDeleteSnapshot === true,
        scratch.Topologies,
      ),
    ),
  );
}

/** Asked again it is the same volume, too. */
export async function copyOfSnapshot(
  parts: OperationParts,
  {
    archive,
    scratch,
    how,
    secrets,
  }: { archive: VolumeArchive; scratch: VolumeScratch; how: ArchivedCsiVolume; secrets: VolumeSecrets },
): ReturnType<typeof create> {
  return create(parts, {
    how,
    secrets,
    name: `meshnomad-backup-${operationOf(scratch)}`,
    capabilities: [dataCapability(archive.Name, how.RequestedCapabilities)],
    snapshotId: scratch.SnapshotID,
    where: scratch.Topologies,
  });
}

async function create(
  parts: OperationParts,
  wish: {
    how: ArchivedCsiVolume;
    secrets: VolumeSecrets;
    name: string;
    capabilities: VolumeCapability[];
    snapshotId: string;
    /** From where it is to be reached; null: from everywhere, or wherever the plugin likes. */
    where: CsiTopology[] | null;
  },
): Promise<Pick<VolumeScratch, 'ExternalID' | 'Context' | 'Topologies' | 'Capacity'>> {
  const { how, secrets, name, capabilities, snapshotId, where } = wish;
  const { PluginID, Capacity, RequestedCapacityMin, RequestedCapacityMax, FSType } = how;
  const min = Math.max(Capacity, RequestedCapacityMin);
  const topologies = (where ?? []).length > 0 ? where : null;
  const made = await patiently(parts, secrets.Secrets, () =>
    parts.csi.controllers.ask(
      'ClientCSI.ControllerCreate',
      PluginID,
      {
        Name: name,
        Capabilities: capabilities,
        MountOptions: secrets.MountOptions ?? (FSType === '' ? null : { FSType, MountFlags: null }),
        Parameters: how.Parameters,
        Secrets: secrets.Secrets,
        CapacityMin: min,
        CapacityMax: RequestedCapacityMax >= min ? RequestedCapacityMax : 0,
        SnapshotID: snapshotId,
        CloneID: '',
        RequestedTopologies: topologies && { Required: topologies, Preferred: null },
      },
      ({ ControllerInfo }) => ControllerInfo?.SupportsCreateDelete === true,
      topologies,
    ),
  );
  const { ExternalID, VolumeContext, Topologies, CapacityBytes } = made;
  return { ExternalID, Context: VolumeContext, Topologies: Topologies ?? topologies, Capacity: CapacityBytes };
}

/** Who reads: the node of the last backup rather than another, for it knows what is new. */
function readerFor(
  { world }: OperationParts,
  archive: VolumeArchive,
  { volume, topologies }: { volume: StoredCsiVolume; topologies: CsiTopology[] | null },
): string {
  const worth = hasBlocks(archive, archive.Snapshots.at(-1));
  const of = { Topologies: topologies };
  return chooseCsiNode(world.store.snapshot(), { pluginId: volume.PluginID, of, worth }).ID;
}

/** Fills a new volume with a snapshot. Answers how the servers are to know it, and what they knew before. */
export async function restoreCsi(
  parts: OperationParts,
  { archive, operation, snapshot }: At & { snapshot: VolumeSnapshot },
  hear: Hear,
): Promise<{ row: CsiVolumeRestored; scratch: VolumeScratch; old: StoredCsiVolume | undefined }> {
  const { world, archives } = parts;
  const { Namespace } = archive;
  const { TargetNodeID, TargetVolumeID, TargetName } = operation;
  const how = archive.Csi as ArchivedCsiVolume;
  const origin = world.store.snapshot().csiVolumeById(Namespace, archive.VolumeID);
  const secrets = await secretsOf(parts, origin);
  const core = archive.Cores.find(({ Key }) => Key === snapshot.Core);
  if (!core) throw new MeshError('E_NOT_FOUND', `backup ${snapshot.ID.slice(0, 8)} was let go meanwhile`);
  let scratch = scratchOf(archive, operation, how);
  if (scratch.ExternalID === '') {
    tell(hear, 'the plugin makes a volume');
    const node = world.store.snapshot().nodeById(TargetNodeID);
    const topology = node?.CSINodePlugins?.[how.PluginID]?.NodeInfo?.AccessibleTopology;
    scratch = await keepScratch(parts, archive.ID, { ...scratch, Topologies: topology ? [topology] : null });
    const made = await createAt(parts, { scratch, how, secrets, operation });
    scratch = await keepScratch(parts, archive.ID, { ...scratch, ...made });
  }
  const { placed, mount } = await placeScratch(parts, {
    archive,
    scratch,
    nodeId: TargetNodeID,
    secrets,
    fsType: how.FSType,
  });
  const Volume = { ID: TargetVolumeID, Name: TargetName, Namespace, PluginID: how.PluginID };
  const none = { NodePool: '', Parameters: null, CapacityMinBytes: 0, CapacityMaxBytes: 0, Replaces: false };
  await carryOut(
    parts,
    TargetNodeID,
    {
      ID: operation.ID,
      ArchiveID: archive.ID,
      Kind: 'restore',
      Key: await archives.keyOf(archive),
      Snapshot: placeOf(snapshot),
      Holders: holdersFor(world, core, TargetNodeID),
      Volume: { ...Volume, ...none },
      Csi: mount,
    },
    hear,
  );
  // Whoever claims it next attaches it where he is.
  await freeScratch(parts, archive, placed, secrets);
  const old = world.store.snapshot().csiVolumeById(Namespace, TargetVolumeID);
  const row = await rowOf(parts, { archive, operation, how }, { secrets, scratch: placed, old });
  return { row, scratch: placed, old };
}

/** A volume that the node of the operation can mount; asked again the same. */
export async function createAt(
  parts: OperationParts,
  {
    scratch,
    how,
    secrets,
    operation,
  }: { scratch: VolumeScratch; how: ArchivedCsiVolume; secrets: VolumeSecrets; operation: VolumeOperation },
): ReturnType<typeof create> {
  const { TargetName, ID } = operation;
  const mounted = dataCapability(TargetName, how.RequestedCapabilities);
  const others = how.RequestedCapabilities.filter(
    ({ AccessMode, AttachmentMode }) => AccessMode !== mounted.AccessMode || AttachmentMode !== mounted.AttachmentMode,
  );
  return create(parts, {
    how,
    secrets,
    // The plugin has one of the old name.
    name: `${TargetName}-${ID.slice(0, 8)}`,
    capabilities: [mounted, ...others],
    snapshotId: '',
    where: scratch.Topologies,
  });
}

async function rowOf(
  { world, csi }: OperationParts,
  { archive, operation, how }: At & { how: ArchivedCsiVolume },
  { secrets, scratch, old }: { secrets: VolumeSecrets; scratch: VolumeScratch; old: StoredCsiVolume | undefined },
): Promise<CsiVolumeRestored> {
  const { FSType, Capacity: _, ...wanted } = how;
  const volume = await sealVolume(
    { store: world.store, keyring: csi.keyring, ensureKey: csi.ensureKey },
    {
      ...wanted,
      ID: operation.TargetVolumeID,
      Name: old?.Name ?? operation.TargetName,
      Namespace: archive.Namespace,
      ExternalID: scratch.ExternalID,
      Context: scratch.Context,
      Topologies: scratch.Topologies,
      Capacity: scratch.Capacity,
      Secrets: secrets.Secrets,
      MountOptions: secrets.MountOptions ?? (FSType === '' ? null : { FSType, MountFlags: null }),
      CloneID: '',
      SnapshotID: '',
    },
  );
  const replaces = old ? { ExternalID: old.ExternalID, unclaimedSince: operation.StartIndex } : null;
  return { volume, replaces };
}
