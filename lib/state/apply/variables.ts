import { sealedTexts } from '../../structs/csi-sealed.js';
import { MeshError } from '../../structs/errors.js';
import type { SealedVariable, VariableMetadata } from '../../structs/variable.js';
import { err, ok } from '../../util/result.js';
import type {
  CommandResult,
  RootKeyDeleteCommand,
  RootKeyPutCommand,
  VariableDeleteCommand,
  VariablePutCommand,
} from '../commands.js';
import type { Transaction } from '../transaction.js';
import { jobKey } from '../watch.js';

export function applyVariablePut(txn: Transaction, command: VariablePutCommand): CommandResult<'variable-put'> {
  const { namespace, path, keyId, data, time } = command;
  const existing = txn.tables.variables.get(jobKey(namespace, path));
  if (isStale(existing, command.cas)) return ok({ stored: null, conflict: existing ? metadata(existing) : null });
  // Encrypted anew: what it says has not changed.
  if (command.rekeyOf !== undefined) {
    if (existing?.ModifyIndex !== command.rekeyOf) return ok({ stored: null, conflict: null });
    txn.putVariable({ ...existing, KeyID: keyId, Data: data });
    return ok({ stored: metadata(existing), conflict: null });
  }
  const row: SealedVariable = {
    Namespace: namespace,
    Path: path,
    CreateIndex: existing?.CreateIndex ?? txn.index,
    ModifyIndex: txn.index,
    CreateTime: existing?.CreateTime ?? time,
    ModifyTime: time,
    KeyID: keyId,
    Data: data,
  };
  txn.putVariable(row);
  return ok({ stored: metadata(row), conflict: null });
}

export function applyVariableDelete(
  txn: Transaction,
  command: VariableDeleteCommand,
): CommandResult<'variable-delete'> {
  const existing = txn.tables.variables.get(jobKey(command.namespace, command.path));
  if (isStale(existing, command.cas)) return ok({ conflict: existing ? metadata(existing) : null, refused: true });
  if (existing) txn.deleteVariable(existing);
  return ok({ conflict: null, refused: false });
}

/** What is said of a variable without opening it. */
export function metadata(row: VariableMetadata): VariableMetadata {
  const { Namespace, Path, CreateIndex, ModifyIndex, CreateTime, ModifyTime } = row;
  return { Namespace, Path, CreateIndex, ModifyIndex, CreateTime, ModifyTime };
}

function isStale(existing: SealedVariable | undefined, cas: number | undefined): boolean {
  return cas !== undefined && cas !== (existing?.ModifyIndex ?? 0);
}

/** A new key, or more copies of a known one; an active one makes all others inactive. */
export function applyRootKeyPut(txn: Transaction, command: RootKeyPutCommand): CommandResult<'root-key-put'> {
  const { key } = command;
  const known = txn.tables.root_keys.get(key.KeyID);
  if (key.State === 'active') {
    for (const other of [...txn.tables.root_keys.values()]) {
      if (other.KeyID === key.KeyID || other.State !== 'active') continue;
      txn.putRootKey({ ...other, State: 'inactive', ModifyIndex: txn.index });
    }
  }
  // Copies are whole sets: one for somebody who is out must be able to go.
  txn.putRootKey({ ...key, CreateIndex: known?.CreateIndex ?? txn.index, ModifyIndex: txn.index });
  return ok(null);
}

export function applyRootKeyDelete(txn: Transaction, { id }: RootKeyDeleteCommand): CommandResult<'root-key-delete'> {
  const key = txn.tables.root_keys.get(id);
  if (!key) return err(new MeshError('E_NOT_FOUND', `root key ${id} not found`));
  if (key.State === 'active') {
    return err(
      new MeshError('E_CONFLICT', `root key ${id} is the active one: rotate first (operator root keyring rotate)`),
    );
  }
  const user = userOf(txn, id);
  if (user !== undefined) {
    const how = 'encrypt everything anew first (operator root keyring rotate -full)';
    return err(new MeshError('E_CONFLICT', `root key ${id} is needed for ${user}: ${how}`));
  }
  txn.deleteRootKey(key);
  return ok(null);
}

/** What needs a root key. Asked here: something may have been written with it since the leader looked. */
function userOf({ tables }: Transaction, keyId: string): string | undefined {
  for (const { KeyID, Path } of tables.variables.values()) if (KeyID === keyId) return `variable ${Path}`;
  for (const volume of tables.csi_volumes.values()) {
    if (sealedTexts(volume).some(({ sealed }) => sealed.KeyID === keyId)) return `volume "${volume.ID}"`;
  }
  return undefined;
}
