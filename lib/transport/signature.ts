import { createPrivateKey, createPublicKey, type KeyObject, sign as signWith, verify as verifyWith } from 'node:crypto';
import type { NodeKey } from '../structs/mesh.js';

// ed25519 over a purpose and the message: what was signed for one purpose says nothing under another.

// The fixed heads of ed25519 keys in PKCS #8 and SPKI (RFC 8410): Node takes keys in these forms only.
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex');

export type Purpose =
  | 'meshnomad/certificate/1'
  | 'meshnomad/tombstone/1'
  | 'meshnomad/join/1'
  | 'meshnomad/join-server/1';

/** A key pair by its seed. */
export interface SigningKey {
  /** 64 hexadecimal digits. */
  readonly publicKey: NodeKey;
  /** 32 bytes; whoever has them is this key. */
  readonly seed: Uint8Array;
}

/** The key pair that a seed of 32 bytes stands for. */
export function keyFromSeed(seed: Uint8Array): { publicKey: NodeKey; seed: Buffer } {
  const spki = createPublicKey(privateKey(seed)).export({ format: 'der', type: 'spki' });
  return { publicKey: spki.subarray(-32).toString('hex'), seed: Buffer.from(seed) };
}

/** Signs `parts`, each with its length, for one purpose: 64 bytes. */
export function sign(key: SigningKey, purpose: Purpose, ...parts: (string | Uint8Array)[]): Buffer {
  return signWith(null, message(purpose, parts), privateKey(key.seed));
}

/** Signs bytes whose form says by itself what they are for: a token of somebody else's standard. */
export function signBytes(key: SigningKey, bytes: Uint8Array): Buffer {
  return signWith(null, bytes, privateKey(key.seed));
}

/** Whether `signature` is the one of `by` over the same parts. False for anything that is no key or no signature. */
export function verify(
  { by, signature }: { by: NodeKey; signature: Uint8Array },
  purpose: Purpose,
  ...parts: (string | Uint8Array)[]
): boolean {
  if (!isKey(by) || signature.length !== 64) return false;
  const key = createPublicKey({ key: Buffer.concat([SPKI_HEAD, Buffer.from(by, 'hex')]), format: 'der', type: 'spki' });
  return verifyWith(null, message(purpose, parts), key, signature);
}

/** Whether a text has the form of a key: 64 lower-case hexadecimal digits. */
export function isKey(value: unknown): value is NodeKey {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}

function privateKey(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' });
}

/** Lengths go before the parts, so that no two lists of parts are the same message. */
function message(purpose: Purpose, parts: (string | Uint8Array)[]): Buffer {
  const bytes = [purpose, ...parts].map((part) => Buffer.from(part as Uint8Array));
  return Buffer.concat(
    bytes.flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(part.length);
      return [length, part];
    }),
  );
}
