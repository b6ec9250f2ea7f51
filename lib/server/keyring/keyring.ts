import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, randomUUID } from 'node:crypto';
import type { StateSnapshot } from '../../state/store.js';
import { MeshError } from '../../structs/errors.js';
import type { RootKey } from '../../structs/variable.js';
import { openSealed, sealFor } from '../../transport/sealed-box.js';
import { keyFromSeed, type SigningKey } from '../../transport/signature.js';
import { type Millis, toNanos } from '../../util/clock.js';

// The keys of the mesh's secrets. A root key is 32 random bytes; the state has it sealed for every server and for the mesh's
// root, so that it survives as what was written with it does: by the log, by snapshots, by the recovery code.

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A root key that this server has opened. */
export interface OpenKey {
  readonly id: string;
  readonly secret: Buffer;
  /** Signs identities. */
  readonly signing: SigningKey;
}

export interface Encrypted {
  keyId: string;
  data: string;
}

/** Opens root keys with the key of this server, and works with them. */
export class Keyring {
  private readonly identity: SigningKey | undefined;
  private readonly opened = new Map<string, OpenKey>();

  constructor(identity: SigningKey | undefined) {
    this.identity = identity;
  }

  /** The key that new secrets are written with. Throws E_NOT_READY-like MeshError while there is none. */
  async active(state: StateSnapshot): Promise<OpenKey> {
    const key = activeKey(state);
    if (!key) throw new MeshError('E_NO_LEADER', 'the keyring is being made: try again in a moment');
    return await this.open(key);
  }

  /** A key by its id. Throws E_STORAGE when it is not known, or was never sealed for this server. */
  async byId(state: StateSnapshot, id: string): Promise<OpenKey> {
    const key = state.rootKeyById(id);
    if (!key) throw new MeshError('E_STORAGE', `root key ${id} is not in the keyring`);
    return await this.open(key);
  }

  /** Undefined when the key was not sealed for this server. */
  async tryOpen(key: RootKey): Promise<OpenKey | undefined> {
    const known = this.opened.get(key.KeyID);
    if (known) return known;
    const { identity } = this;
    const box = identity && key.Sealed[identity.publicKey];
    if (!identity || box === undefined) return undefined;
    const secret = await openSealed(identity, Buffer.from(box, 'base64'));
    if (secret?.length !== KEY_BYTES) return undefined;
    const open = openKey(key.KeyID, secret);
    this.opened.set(key.KeyID, open);
    return open;
  }

  /** Opens a key with the root of the mesh; undefined when it was not sealed for that. */
  async openByRoot(key: RootKey, root: SigningKey): Promise<OpenKey | undefined> {
    const box = key.Sealed[root.publicKey];
    const secret = box === undefined ? undefined : await openSealed(root, Buffer.from(box, 'base64'));
    if (secret?.length !== KEY_BYTES) return undefined;
    const open = openKey(key.KeyID, secret);
    this.opened.set(key.KeyID, open);
    return open;
  }

  /** Forgets what is in the keyring no more. */
  keep(state: StateSnapshot): void {
    for (const id of this.opened.keys()) if (!state.rootKeyById(id)) this.opened.delete(id);
  }

  private async open(key: RootKey): Promise<OpenKey> {
    const open = await this.tryOpen(key);
    if (open) return open;
    throw new MeshError(
      'E_STORAGE',
      `root key ${key.KeyID} was not sealed for this server: the leader does so within a minute. After a restore on another machine the recovery code opens it: meshnomad operator root keyring open. If it comes from another mesh's snapshot, its variables and the secrets of its volumes must be written anew`,
    );
  }
}

/** The key that is active; there is one, or none yet. */
export function activeKey(state: StateSnapshot): RootKey | undefined {
  for (const key of state.rootKeys()) if (key.State === 'active') return key;
  return undefined;
}

/** A new root key, to be sealed. */
export function newRootKey(): OpenKey {
  return openKey(randomUUID(), randomBytes(KEY_BYTES));
}

/** The row of a key: a copy for each of `holders`. */
export async function sealKey(
  open: OpenKey,
  { holders, state, createdMs }: { holders: readonly string[]; state: RootKey['State']; createdMs: Millis },
): Promise<RootKey> {
  const sealed: Record<string, string> = {};
  for (const holder of [...holders].sort()) sealed[holder] = (await sealFor(holder, open.secret)).toString('base64');
  return {
    KeyID: open.id,
    State: state,
    CreateTime: toNanos(createdMs),
    CreateIndex: 0,
    ModifyIndex: 0,
    Sealed: sealed,
    PublicKey: open.signing.publicKey,
  };
}

function openKey(id: string, secret: Buffer): OpenKey {
  const seed = hkdfSync('sha256', secret, id, 'meshnomad/identity-signing/1', KEY_BYTES);
  return { id, secret, signing: keyFromSeed(Buffer.from(seed)) };
}

/** Encrypts; `context` (whose it is: namespace and path) must be the same when it is opened: nobody can put it in another's place. */
export function encrypt(key: OpenKey, context: string, text: string): Encrypted {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key.secret, nonce);
  cipher.setAAD(Buffer.from(`${key.id}\0${context}`));
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return { keyId: key.id, data: Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64') };
}

/** Decrypts what `encrypt` made. Throws E_STORAGE when it was changed, or belongs elsewhere. */
export function decrypt(key: OpenKey, context: string, data: string): string {
  const bytes = Buffer.from(data, 'base64');
  try {
    const decipher = createDecipheriv('aes-256-gcm', key.secret, bytes.subarray(0, NONCE_BYTES));
    decipher.setAAD(Buffer.from(`${key.id}\0${context}`));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
  } catch (cause) {
    throw new MeshError('E_STORAGE', `what is stored under root key ${key.id} is damaged`, { cause });
  }
}
