import { MeshError } from '../structs/errors.js';
import type { NodeKey } from '../structs/mesh.js';
import type { SigningKey } from './signature.js';

// A secret for the holder of a key and nobody else (libsodium's sealed boxes): what lies in the state for a server is sealed
// to the key that is its name, so that neither a snapshot nor a stolen disk of somebody else gives it away.

type Sodium = typeof import('sodium-universal')['default'];

const CURVE_BYTES = 32;

/** Loaded when there is something to seal or to open: agents without secrets do without. */
async function load(): Promise<Sodium> {
  return (await import('sodium-universal')).default;
}

/** Seals bytes for the owner of a key. Throws MeshError E_BAD_REQUEST for what is no key. */
export async function sealFor(key: NodeKey, secret: Uint8Array): Promise<Buffer> {
  const sodium = await load();
  const curve = Buffer.alloc(CURVE_BYTES);
  try {
    sodium.crypto_sign_ed25519_pk_to_curve25519(curve, Buffer.from(key, 'hex'));
  } catch (cause) {
    throw new MeshError('E_BAD_REQUEST', `nothing can be sealed for ${key.slice(0, 8)}…: it is no key`, { cause });
  }
  const box = Buffer.alloc(secret.length + sodium.crypto_box_SEALBYTES);
  sodium.crypto_box_seal(box, Buffer.from(secret), curve);
  return box;
}

/** Opens what was sealed for `own`; undefined for what was not, or is damaged. */
export async function openSealed(own: SigningKey, box: Uint8Array): Promise<Buffer | undefined> {
  const sodium = await load();
  if (box.length <= sodium.crypto_box_SEALBYTES) return undefined;
  const [publicKey, secretKey] = [Buffer.alloc(CURVE_BYTES), Buffer.alloc(2 * CURVE_BYTES)];
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, Buffer.from(own.seed));
  const [curvePublic, curveSecret] = [Buffer.alloc(CURVE_BYTES), Buffer.alloc(CURVE_BYTES)];
  sodium.crypto_sign_ed25519_pk_to_curve25519(curvePublic, publicKey);
  sodium.crypto_sign_ed25519_sk_to_curve25519(curveSecret, secretKey);
  const secret = Buffer.alloc(box.length - sodium.crypto_box_SEALBYTES);
  const opened = sodium.crypto_box_seal_open(secret, Buffer.from(box), curvePublic, curveSecret);
  return opened ? secret : undefined;
}
