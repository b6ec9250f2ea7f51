import type { Command, VariablePutCommand } from '../../state/commands.js';
import type { StateSnapshot } from '../../state/store.js';
import type { CsiVolumeRekeyCommand, VolumeArchiveRekeyCommand } from '../../state/volume-commands.js';
import { sealedTexts } from '../../structs/csi-sealed.js';
import { archiveContext } from '../volume-data/archives.js';
import { activeKey, decrypt, type Encrypted, encrypt, type Keyring } from './keyring.js';
import { variableContext } from './variables.js';
import { volumeContext } from './volumes.js';

/** What is encrypted anew in one command. */
const BATCH_MAX = 100;

/** Something that is encrypted, and the command that puts it in its place when it is so anew. */
interface Sealed {
  readonly keyId: string;
  readonly data: string;
  readonly context: string;
  readonly put: (anew: Encrypted) => VariablePutCommand | CsiVolumeRekeyCommand | VolumeArchiveRekeyCommand;
}

/** Brings what lies under an older key under the active one; undefined when there is nothing that can be opened. */
export async function rekeyed(state: StateSnapshot, keyring: Keyring): Promise<Command | undefined> {
  const active = activeKey(state);
  const open = active && (await keyring.tryOpen(active));
  if (!open) return undefined;
  const commands: Command[] = [];
  for (const { keyId, data, context, put } of allSealed(state)) {
    if (keyId === open.id) continue;
    const row = state.rootKeyById(keyId);
    const old = row && (await keyring.tryOpen(row));
    if (!old) continue;
    commands.push(put(encrypt(open, context, decrypt(old, context, data))));
    if (commands.length === BATCH_MAX) break;
  }
  return commands.length === 0 ? undefined : { type: 'batch', commands };
}

function* allSealed(state: StateSnapshot): Generator<Sealed> {
  for (const { Namespace: namespace, Path: path, KeyID, Data, ModifyIndex: rekeyOf } of state.variables()) {
    yield {
      keyId: KeyID,
      data: Data,
      context: variableContext(namespace, path),
      put: (anew) => ({ type: 'variable-put', namespace, path, ...anew, time: 0, rekeyOf }),
    };
  }
  for (const volume of state.csiVolumes()) {
    for (const { part, sealed } of sealedTexts(volume)) {
      yield {
        keyId: sealed.KeyID,
        data: sealed.Data,
        context: volumeContext(volume, part),
        put: ({ keyId, data }) => ({
          type: 'csi-volume-rekey',
          namespace: volume.Namespace,
          volumeId: volume.ID,
          from: sealed.Data,
          to: { KeyID: keyId, Data: data },
        }),
      };
    }
  }
  for (const { ID: id, Key } of state.volumeArchives()) {
    yield {
      keyId: Key.KeyID,
      data: Key.Data,
      context: archiveContext(id),
      put: ({ keyId, data }) => ({
        type: 'volume-archive-rekey',
        id,
        from: Key.Data,
        to: { KeyID: keyId, Data: data },
      }),
    };
  }
}
