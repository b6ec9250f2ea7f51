import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto';
import { MeshError } from '../structs/errors.js';
import { err, ok, type Result } from '../util/result.js';
import { keyFromSeed, type SigningKey } from './signature.js';
import { decodeZBase32, encodeZBase32 } from './z-base-32.js';

// The private half of the mesh's root, under a recovery code that is shown once: `mr1-` and z-base-32 of
//   salt (16) · nonce (12) · seed, encrypted (32) · tag (16)
// The code has 128 bits of its own, so that scrypt only has to make guessing of a half-forgotten one dear.

const PREFIX = 'mr1-';
const CODE_BYTES = 16;
const CODE_GROUP = 5;
const SCRYPT = { N: 1 << 13, r: 8, p: 1 };

/** A new key for the root of a mesh, and the code that it is sealed with. */
export function newRoot(): { key: SigningKey; code: string; sealed: string } {
  const key = keyFromSeed(randomBytes(32));
  return { key, ...sealRoot(key) };
}

/** Seals a root key with a new code. */
export function sealRoot(key: SigningKey): { code: string; sealed: string } {
  const bytes = randomBytes(CODE_BYTES);
  const salt = randomBytes(16);
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', scryptSync(bytes, salt, 32, SCRYPT), nonce);
  const secret = Buffer.concat([cipher.update(key.seed), cipher.final()]);
  return {
    code: encodeZBase32(bytes).replace(new RegExp(`.{${CODE_GROUP}}(?=.)`, 'g'), '$&-'),
    sealed: PREFIX + encodeZBase32(Buffer.concat([salt, nonce, secret, cipher.getAuthTag()])),
  };
}

/** The root key, with the code that a person typed; blanks, dashes and case do not matter. */
export function unsealRoot(sealed: string, code: string): Result<SigningKey, MeshError> {
  const typed = decodeZBase32(code.slice(0, 256).replace(/[\s-]/g, ''));
  if (typed?.length !== CODE_BYTES) {
    return err(new MeshError('E_BAD_REQUEST', 'this is no recovery code: it has 26 letters and digits'));
  }
  const bytes = sealed.startsWith(PREFIX) ? decodeZBase32(sealed.slice(PREFIX.length).trim()) : undefined;
  if (bytes?.length !== 76) return err(new MeshError('E_STORAGE', 'the sealed root key is damaged: use another copy'));
  const [salt, nonce, secret, tag] = [0, 16, 28, 60].map((at, i, all) => bytes.subarray(at, all[i + 1] ?? 76));
  const decipher = createDecipheriv(
    'aes-256-gcm',
    scryptSync(typed, salt as Uint8Array, 32, SCRYPT),
    nonce as Uint8Array,
  );
  decipher.setAuthTag(tag as Uint8Array);
  try {
    return ok(keyFromSeed(Buffer.concat([decipher.update(secret as Uint8Array), decipher.final()])));
  } catch {
    return err(new MeshError('E_PERMISSION_DENIED', 'the recovery code is not the one of this mesh'));
  }
}
