import { MeshError } from '../../structs/errors.js';
import type { VolumeArchive, VolumeScratch } from '../../structs/volume-data.js';
import type { VolumeSecrets } from '../keyring/volumes.js';
import { copyOfSnapshot } from './csi-operations.js';
import { freeScratch, patiently, secretsOf } from './csi-scratch.js';
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
  const { PluginID, SnapshotID: ID, Topologies } = scratch;
  const { Secrets } = secrets;
  const ExternalID = scratch.ExternalID || (await unheardOf(parts, archive, { scratch, secrets }));
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
 * The volume of the snapshot, which the plugin may have made though its answer never came; '' = there is none. Whoever asks for it again
 * by its name is told which one it is.
 */
async function unheardOf(
  parts: OperationParts,
  archive: VolumeArchive,
  { scratch, secrets }: { scratch: VolumeScratch; secrets: VolumeSecrets },
): Promise<string> {
  const volume = parts.world.store.snapshot().csiVolumeById(archive.Namespace, archive.VolumeID);
  const how = volume ? archivedCsiVolume(volume) : archive.Csi;
  if (scratch.SnapshotID === '' || !how) return '';
  try {
    return (await copyOfSnapshot(parts, { archive, scratch, how, secrets })).ExternalID;
  } catch (error) {
    if (!(error instanceof MeshError) || UNANSWERED.includes(error.code)) throw error;
    return '';
  }
}
