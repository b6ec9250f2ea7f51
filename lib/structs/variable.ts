import type { Nanos } from '../util/clock.js';

/** What is said of a variable without its items. Times in nanoseconds since the epoch. */
export interface VariableMetadata {
  Namespace: string;
  Path: string;
  CreateIndex: number;
  ModifyIndex: number;
  CreateTime: Nanos;
  ModifyTime: Nanos;
}

/** A variable: a few texts under a path. */
export interface Variable extends VariableMetadata {
  Items: Record<string, string>;
}

/** A variable as the state has it: nobody reads its items without the key. */
export interface SealedVariable extends VariableMetadata {
  KeyID: string;
  /** AES-256-GCM over the JSON of the items, base64: nonce (12), text, tag (16). Bound to namespace, path and key. */
  Data: string;
}

/** What keeps variables secret, and signs identities: 32 bytes, which the state has only sealed. */
export interface RootKey {
  KeyID: string;
  State: 'active' | 'inactive';
  CreateTime: Nanos;
  CreateIndex: number;
  ModifyIndex: number;
  /** For each who may open it (servers, the mesh's root) by its public key: a sealed box, base64. */
  Sealed: Record<string, string>;
  /** Signs identities: ed25519, 64 hexadecimal digits. */
  PublicKey: string;
}

/** What is said of a root key. */
export type RootKeyMeta = Pick<RootKey, 'KeyID' | 'State' | 'CreateTime' | 'CreateIndex' | 'ModifyIndex'> & {
  Algorithm: 'aes256-gcm';
};

/** Bytes of the JSON of a variable's items. */
export const VARIABLE_MAX_BYTES = 64 * 1024;
export const VARIABLE_PATH = /^[A-Za-z0-9\-_~/]{1,128}$/;

/** What is wrong with a path, in words; null when nothing is. What begins with `nomad/` is the system's to give meaning to. */
export function variablePathProblem(path: string): string | null {
  if (path === '') return 'a variable needs a path';
  if (!VARIABLE_PATH.test(path)) return `invalid path ${JSON.stringify(path)}: 1 to 128 letters, digits, -, _, ~ and /`;
  if (path.startsWith('/') || path.endsWith('/') || path.includes('//')) {
    return `invalid path ${JSON.stringify(path)}: its parts must not be empty`;
  }
  if (path !== 'nomad' && !path.startsWith('nomad/')) return null;
  if (path === 'nomad/jobs' || path.startsWith('nomad/jobs/') || /^nomad\/job-templates\/[^/]+$/.test(path))
    return null;
  return `only paths at "nomad/jobs" or below, and "nomad/job-templates/NAME", are allowed below "nomad/", not ${JSON.stringify(path)}`;
}
