import { MeshError } from '../../structs/errors.js';
import type { VolumeArchive } from '../../structs/volume-data.js';
import { toNanos } from '../../util/clock.js';
import { err, ok } from '../../util/result.js';
import type { CommandResult } from '../commands.js';
import { archivedVolumeKey } from '../schema.js';
import type { Transaction } from '../transaction.js';
import type {
  VolumeArchiveDeleteCommand,
  VolumeArchivePutCommand,
  VolumeArchiveRekeyCommand,
} from '../volume-commands.js';
import { applyCsiVolumeRestored } from './csi-volumes.js';
import { applyHostVolumeUpsert } from './host-volumes.js';

export function applyVolumeArchivePut(
  txn: Transaction,
  command: VolumeArchivePutCommand,
): CommandResult<'volume-archive-put'> {
  const { archive: wanted, ifIndex, time, volume, csi } = command;
  const existing = txn.tables.volume_archives.get(wanted.ID);
  if ((existing?.ModifyIndex ?? 0) !== ifIndex) {
    return err(
      new MeshError('E_CONFLICT', `what is known of the copies of volume "${wanted.Name}" has changed meanwhile`),
    );
  }
  const twin = txn.tables.volume_archives.under('volume', archivedVolumeKey(wanted)).find(({ ID }) => ID !== wanted.ID);
  if (twin) return err(new MeshError('E_CONFLICT', `volume "${wanted.Name}" has an archive already: ${twin.ID}`));
  if (volume) {
    const kept = applyHostVolumeUpsert(txn, { ...volume, time });
    if (!kept.ok) return kept;
  }
  if (csi) {
    const kept = applyCsiVolumeRestored(txn, csi, time);
    if (!kept.ok) return kept;
  }
  const ModifyTime = toNanos(time);
  const archive: VolumeArchive = {
    ...wanted,
    // It may have been sealed anew meanwhile only by a command that changes the index.
    CreateIndex: existing?.CreateIndex ?? txn.index,
    CreateTime: existing?.CreateTime ?? ModifyTime,
    ModifyIndex: txn.index,
    ModifyTime,
  };
  txn.putVolumeArchive(archive);
  return ok({ archive });
}

export function applyVolumeArchiveRekey(
  txn: Transaction,
  command: VolumeArchiveRekeyCommand,
): CommandResult<'volume-archive-rekey'> {
  const archive = txn.tables.volume_archives.get(command.id);
  if (archive?.Key.Data === command.from) {
    txn.putVolumeArchive({ ...archive, Key: command.to, ModifyIndex: txn.index });
  }
  return ok(null);
}

export function applyVolumeArchiveDelete(
  txn: Transaction,
  command: VolumeArchiveDeleteCommand,
): CommandResult<'volume-archive-delete'> {
  const archive = txn.tables.volume_archives.get(command.id);
  if (archive !== undefined) txn.deleteVolumeArchive(archive);
  return ok(null);
}
