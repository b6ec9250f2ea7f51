import type { Turns } from '../../plugin/sdk/csi-checks.js';
import type { CsiAccessMode, CsiSecrets, StoredCsiVolume } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import type { CsiDataMount } from '../../structs/rpc-volume-data.js';
import type { ArchivedCsiVolume, VolumeArchive, VolumeOperation, VolumeScratch } from '../../structs/volume-data.js';
import type { Millis } from '../../util/clock.js';
import { randomUuid } from '../../util/random.js';
import type { Controllers } from '../csi/controllers.js';
import { pluginsOf } from '../csi/plugins.js';
import { withoutSecrets } from '../csi/view.js';
import { openVolume, type VolumeKeeping, type VolumeSecrets } from '../keyring/volumes.js';
import { dataCapability, requirePlugin } from './csi-volume.js';
import { carryOut, Deposed, pause } from './node-work.js';
import type { OperationParts } from './operations.js';

// Volumes of a plugin that an operation has made for itself: nobody else knows of them, so nobody else writes to them. Each step is
// in the log before the next, and can be repeated: whoever leads next goes on, and whatever becomes of the operation, what it made goes.

const PAUSE_MS: Millis = 2_000;
/** A plugin that is busy, or restarts, is asked again for so long. */
const PATIENCE_MS: Millis = 120_000;

/** What it takes to ask plugins. */
export interface CsiParts extends Pick<VolumeKeeping, 'keyring'> {
  readonly controllers: Controllers;
  /** What is asked about one volume is asked one after the other, whoever asks. */
  readonly turns: Turns;
  readonly ensureKey: () => Promise<void>;
}

const NO_SCRATCH = {
  SnapshotID: '',
  ExternalID: '',
  Context: null,
  Topologies: null,
  Capacity: 0,
  NodeID: '',
  ExternalNodeID: '',
  Attached: false,
} as const;

/** What an operation makes in the step in which it is. */
export const scratchId = ({ ID, Step }: Pick<VolumeOperation, 'ID' | 'Step'>): string => `${ID}.${Step}`;

/** The id of the operation that has made it. */
export const operationOf = ({ ID }: Pick<VolumeScratch, 'ID'>): string => ID.slice(0, ID.indexOf('.'));

/** What an operation has made so far. */
export function scratchOf(
  { Scratch = [], Name }: VolumeArchive,
  operation: VolumeOperation,
  how: ArchivedCsiVolume,
): VolumeScratch {
  const ID = scratchId(operation);
  const { StartIndex: Fence } = operation;
  const { PluginID, RequestedCapabilities } = how;
  const AccessMode = dataCapability(Name, RequestedCapabilities).AccessMode as CsiAccessMode;
  return Scratch.find((one) => one.ID === ID) ?? { ...NO_SCRATCH, ID, PluginID, AccessMode, Fence };
}

/** Records what was made. Throws E_CONFLICT when the operation was given up. */
export async function keepScratch(
  { archives }: OperationParts,
  archiveId: string,
  scratch: VolumeScratch,
): Promise<VolumeScratch> {
  const kept = await archives.update(archiveId, ({ Operation, Scratch = [] }) =>
    Operation && scratchId(Operation) === scratch.ID
      ? { Scratch: [...Scratch.filter(({ ID }) => ID !== scratch.ID), scratch] }
      : null,
  );
  if (kept) return scratch;
  throw new MeshError('E_CONFLICT', 'the operation was given up');
}

/** What of a volume is for its plugin alone; of one that is gone nothing is known. */
export async function secretsOf(
  { world, csi }: OperationParts,
  volume: StoredCsiVolume | undefined,
): Promise<VolumeSecrets> {
  if (!volume) return { Secrets: null, MountOptions: null };
  return openVolume({ store: world.store, keyring: csi.keyring }, volume);
}

/** Asks a plugin, again while it is busy. What it says of a failure has no secret in it. */
export async function patiently<T>(
  parts: OperationParts,
  secrets: CsiSecrets | null,
  ask: () => Promise<T>,
): Promise<T> {
  const { world, leads } = parts;
  const untilMs = world.now() + PATIENCE_MS;
  for (;;) {
    if (!leads()) throw new Deposed('this server leads no more');
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      if (!['E_CONFLICT', 'E_TIMEOUT'].includes(error.code) || world.now() > untilMs) {
        throw new MeshError(error.code, withoutSecrets(error.message, secrets), { cause: error });
      }
      await pause(world, PAUSE_MS);
    }
  }
}

/** Has the volume attached to a node, and says how it is mounted there. */
export async function placeScratch(
  parts: OperationParts,
  {
    archive,
    scratch,
    nodeId,
    secrets,
    fsType,
  }: { archive: VolumeArchive; scratch: VolumeScratch; nodeId: string; secrets: VolumeSecrets; fsType: string },
): Promise<{ placed: VolumeScratch; mount: CsiDataMount }> {
  const { world, csi } = parts;
  const { ID: ExternalNodeID } = requirePlugin(world.store.snapshot().nodeById(nodeId), nodeId, scratch.PluginID);
  const Attached = pluginsOf(world.store.snapshot()).get(scratch.PluginID)?.attaches ?? false;
  const placed = await keepScratch(parts, archive.ID, { ...scratch, NodeID: nodeId, ExternalNodeID, Attached });
  const { Secrets, MountOptions } = secrets;
  const { ExternalID, PluginID, Context, AccessMode, Fence, ID } = placed;
  const { PublishContext } = Attached
    ? await patiently(parts, Secrets, () =>
        csi.controllers.ask('ClientCSI.ControllerAttach', PluginID, {
          ExternalID,
          ExternalNodeID,
          AccessMode,
          AttachmentMode: 'file-system',
          MountOptions,
          ReadOnly: false,
          Secrets,
          VolumeContext: Context,
          Fence,
        }),
      )
    : { PublishContext: {} };
  const mount = {
    ID,
    PluginID,
    ExternalID,
    AccessMode,
    FSType: MountOptions?.FSType || fsType,
    MountFlags: MountOptions?.MountFlags ?? null,
    PublishContext,
    VolumeContext: Context,
    Secrets,
  };
  return { placed, mount };
}

/** The node has nothing of it mounted any more, and it is attached to no node. */
export async function freeScratch(
  parts: OperationParts,
  archive: VolumeArchive,
  scratch: VolumeScratch,
  secrets: VolumeSecrets,
): Promise<void> {
  const { world, csi } = parts;
  const { NodeID, ExternalNodeID, ExternalID, PluginID, AccessMode, Attached, Fence } = scratch;
  // A node that was forgotten is not asked.
  if (NodeID !== '' && world.store.snapshot().nodeById(NodeID)) {
    const order = { ID: randomUuid(world.random), ArchiveID: archive.ID, Kind: 'unmount' as const };
    await carryOut(parts, NodeID, { ...order, Mount: { ID: scratch.ID, PluginID, ExternalID, AccessMode } });
  }
  if (!Attached) return;
  const { Secrets } = secrets;
  await patiently(parts, Secrets, () =>
    csi.controllers.ask('ClientCSI.ControllerDetach', PluginID, { ExternalID, ExternalNodeID, Secrets, Fence }),
  );
}

/** The volume in whose place another one has come. */
export function oldScratch(old: StoredCsiVolume, operation: VolumeOperation): VolumeScratch {
  const { PluginID, ExternalID, Context, Topologies, Capacity } = old;
  const AccessMode = 'single-node-writer';
  const place = { ExternalID, Context, Topologies, Capacity };
  return { ...NO_SCRATCH, ID: `${operation.ID}.old`, PluginID, AccessMode, Fence: operation.StartIndex, ...place };
}
