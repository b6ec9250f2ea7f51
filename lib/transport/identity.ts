import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { MeshError } from '../structs/errors.js';
import { keyFromSeed } from './signature.js';

/** An agent's key pair (ed25519): its public half is its name among servers, whatever its address is. */
export interface Identity {
  /** 64 hexadecimal digits. */
  readonly publicKey: string;
  /** The 32 bytes everything is derived from; never leaves this machine. */
  readonly seed: Buffer;
}

const NAME = 'identity.key';

/** The identity kept in `folder`, made the first time; null = a new one that is kept nowhere. */
export function ensureIdentity(folder: string | null): Identity {
  if (folder === null) return keyFromSeed(randomBytes(32));
  const path = join(folder, NAME);
  const known = read(path);
  if (known) return keyFromSeed(known);
  const seed = randomBytes(32);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const draft = `${path}.new`;
  const file = openSync(draft, 'w', 0o600);
  writeSync(file, `${seed.toString('hex')}\n`);
  fsyncSync(file);
  closeSync(file);
  renameSync(draft, path);
  return keyFromSeed(seed);
}

function read(path: string): Buffer | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MeshError('E_STORAGE', `cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
  // A new identity in its stead would be another server: the old one's log would be refused.
  if (!/^[0-9a-f]{64}\s*$/.test(text)) throw new MeshError('E_STORAGE', `${path} is damaged: restore it from a backup`);
  return Buffer.from(text.trim(), 'hex');
}
