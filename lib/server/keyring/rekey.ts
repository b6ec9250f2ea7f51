import type { Command, VariablePutCommand } from '../../state/commands.js';
import type { StateSnapshot } from '../../state/store.js';
import { activeKey, decrypt, encrypt, type Keyring } from './keyring.js';
import { variableContext } from './variables.js';

/** Variables in one command. */
const BATCH_MAX = 100;

/** Brings variables that lie under an older key under the active one; undefined when there are none that can be opened. */
export async function rekeyed(state: StateSnapshot, keyring: Keyring): Promise<Command | undefined> {
  const active = activeKey(state);
  const open = active && (await keyring.tryOpen(active));
  if (!open) return undefined;
  const commands: VariablePutCommand[] = [];
  for (const variable of state.variables()) {
    if (variable.KeyID === open.id) continue;
    const row = state.rootKeyById(variable.KeyID);
    const old = row && (await keyring.tryOpen(row));
    if (!old) continue;
    const { Namespace: namespace, Path: path } = variable;
    const context = variableContext(namespace, path);
    const { keyId, data } = encrypt(open, context, decrypt(old, context, variable.Data));
    commands.push({ type: 'variable-put', namespace, path, keyId, data, time: 0, rekeyOf: variable.ModifyIndex });
    if (commands.length === BATCH_MAX) break;
  }
  return commands.length === 0 ? undefined : { type: 'batch', commands };
}
