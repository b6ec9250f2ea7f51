import { MeshError } from '../../structs/errors.js';
import type { VolumeArchive, VolumeScratch } from '../../structs/volume-data.js';
import { pluginsOf } from '../csi/plugins.js';
import type { VolumeSecrets } from '../keyring/volumes.js';
import { copyOfSnapshot, createAt, snapshotFor } from './csi-operations.js';
import { freeScratch, operationOf, patiently, secretsOf } from './csi-scratch.js';
import { archivedCsiVolume } from './csi-volume.js';
import type { OperationParts } from './operations.js';

// What an operation that has ended has left at its plugin goes. It is tried until it is gone.

/** What says nothing of whether the plugin has done what it was asked. */
const UNANSWERED: readonly string[] = ['E_CONFLICT', 'E_TIMEOUT'];

export async function clearScratch(
  parts: OperationParts,
  archive: VolumeArchive,
  scratch: VolumeScratch,
): Promise<void> {
  const { world, archives } = parts;
  const secrets = await secretsOf(parts, world.store.snapshot().csiVolumeById(archive.Namespace, archive.VolumeID));
  await freeScratch(parts, archive, scratch, secrets);
  const isForgotten = scratch.NodeID !== '' && world.store.snapshot().nodeById(scratch.NodeID) === undefined;
  await removeScratch(parts, archive, { scratch, secrets }).catch((error: unknown) => {
    // What lay on a machine that is gone for good went with it.
    if (!isForgotten || !(error instanceof MeshError)) throw error;
  });
  await archives.update(archive.ID, ({ Scratch = [] }) => ({
    Scratch: Scratch.filter(({ ID }) => ID !== scratch.ID),
  }));
}

async function removeScratch(
  parts: OperationParts,
  archive: VolumeArchive,
  { scratch, secrets }: { scratch: VolumeScratch; secrets: VolumeSecrets },
): Promise<void> {
  const { controllers } = parts.csi;
  const { PluginID, Topologies } = scratch;
  const { Secrets } = secrets;
  const { SnapshotID: ID, ExternalID } = await found(parts, archive, { scratch, secrets });
  if (ExternalID !== '') {
    const volume = { ExternalID, Secrets };
    await patiently(parts, Secrets, () =>
      controllers.ask('ClientCSI.ControllerDelete', PluginID, volume, undefined, Topologies),
    );
  }
  if (ID === '') return;
  await patiently(parts, Secrets, () =>
    controllers.ask('ClientCSI.ControllerDeleteSnapshot', PluginID, { ID, Secrets }, undefined, Topologies),
  );
}

/**
 * What there is at the plugin, also what it has made though its answer never came; '' = there is none. Whoever asks for it again by its
 * name is told which one it is.
 */
async function found(
  parts: OperationParts,
  archive: VolumeArchive,
  { scratch, secrets }: { scratch: VolumeScratch; secrets: VolumeSecrets },
): Promise<Pick<VolumeScratch, 'SnapshotID' | 'ExternalID'>> {
  const { SnapshotID, ExternalID, PluginID } = scratch;
  const known = { SnapshotID, ExternalID };
  if (ExternalID !== '') return known;
  const state = parts.world.store.snapshot();
  if (!pluginsOf(state).has(PluginID)) throw new MeshError('E_CONFLICT', `plugin "${PluginID}" is on no node`);
  const volume = state.csiVolumeById(archive.Namespace, archive.VolumeID);
  const how = volume ? archivedCsiVolume(volume) : archive.Csi;
  const operation = [archive.LastOperation, ...(archive.EarlierOperations ?? [])].find(
    (one) => one?.ID === operationOf(scratch),
  );
  try {
    if (operation && scratch.ID.endsWith('.restore')) {
      if (!how) return known;
      const made = await createAt(parts, { scratch, how, secrets, operation });
      return { ...known, ExternalID: made.ExternalID };
    }
    if (SnapshotID !== '')
      return how
        ? { SnapshotID, ExternalID: (await copyOfSnapshot(parts, { archive, scratch, how, secrets })).ExternalID }
        : known;
    // It is asked for as the snapshot of a volume; of one that nobody knows any more it cannot be.
    if (!volume) return known;
    return { ...known, SnapshotID: (await snapshotFor(parts, { scratch, volume, secrets })).ID };
  } catch (error) {
    if (!(error instanceof MeshError) || UNANSWERED.includes(error.code)) throw error;
    return known;
  }
}
