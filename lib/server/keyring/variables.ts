import type { StateSnapshot } from '../../state/store.js';
import { MeshError } from '../../structs/errors.js';
import { type SealedVariable, VARIABLE_MAX_BYTES, type Variable, variablePathProblem } from '../../structs/variable.js';
import { decrypt, type Encrypted, encrypt, type Keyring } from './keyring.js';

/** What a variable's encryption is bound to. */
export const variableContext = (namespace: string, path: string): string => `${namespace}\0${path}`;

/** Opens a variable. Throws E_STORAGE when its key is not to be had here. */
export async function openVariable(keyring: Keyring, state: StateSnapshot, row: SealedVariable): Promise<Variable> {
  const key = await keyring.byId(state, row.KeyID);
  const text = decrypt(key, variableContext(row.Namespace, row.Path), row.Data);
  const { Namespace, Path, CreateIndex, ModifyIndex, CreateTime, ModifyTime } = row;
  const Items = JSON.parse(text) as Record<string, string>;
  return { Namespace, Path, CreateIndex, ModifyIndex, CreateTime, ModifyTime, Items };
}

/** Checks and encrypts what somebody wants to keep. Throws E_BAD_REQUEST that says what is wrong, never what the items are. */
export async function sealVariable(
  keyring: Keyring,
  state: StateSnapshot,
  { namespace, path, items }: { namespace: string; path: string; items: unknown },
): Promise<Encrypted> {
  const problem = variablePathProblem(path) ?? itemsProblem(items);
  if (problem) throw new MeshError('E_BAD_REQUEST', problem);
  const text = JSON.stringify(items);
  const bytes = Buffer.byteLength(text);
  if (bytes > VARIABLE_MAX_BYTES) {
    throw new MeshError(
      'E_BAD_REQUEST',
      `the items take ${bytes} bytes: a variable holds ${VARIABLE_MAX_BYTES} at most`,
    );
  }
  return encrypt(await keyring.active(state), variableContext(namespace, path), text);
}

function itemsProblem(items: unknown): string | null {
  if (typeof items !== 'object' || items === null || Array.isArray(items)) return 'Items must be an object';
  const entries = Object.entries(items);
  if (entries.length === 0) return 'a variable needs at least one item';
  for (const [key, value] of entries) {
    if (key === '') return 'an item has an empty name';
    if (typeof value !== 'string') return `item ${JSON.stringify(key)} must be a string`;
  }
  return null;
}
