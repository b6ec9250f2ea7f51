import { MeshError } from '../structs/errors.js';
import type { CertificateChain, NodeKey, Tombstone } from '../structs/mesh.js';
import type { Millis } from '../util/clock.js';
import { err, ok, type Result } from '../util/result.js';
import { verifyChain } from './certificate.js';
import { isKey, type SigningKey, sign, verify } from './signature.js';

// Who is out. Signed by any issuer, or by the root; needs no agreement, so that it holds also where no server leads.

const PURPOSE = 'meshnomad/tombstone/1';
export const REASON_MAX = 256;

/** Signs a key out of the mesh. `chain` proves that the signer is an issuer; empty when the root itself signs. */
export function signTombstone(options: {
  mesh: NodeKey;
  key: NodeKey;
  atMs: Millis;
  reason: string;
  by: SigningKey;
  chain: CertificateChain;
}): Tombstone {
  const { mesh, key, atMs, by, chain } = options;
  const reason = options.reason.slice(0, REASON_MAX);
  const signature = sign(by, PURPOSE, mesh, key, String(atMs), reason, by.publicKey);
  return {
    Key: key,
    At: atMs,
    Reason: reason,
    By: by.publicKey,
    Signature: signature.toString('base64url'),
    Chain: chain,
  };
}

/**
 * Reads a tombstone that anybody may have sent. `isBuried` tells whose word no longer counts: a server that was itself signed
 * out before cannot sign out those who did it.
 */
export function verifyTombstone(
  value: unknown,
  options: { mesh: NodeKey; isBuried?: (key: NodeKey) => boolean },
): Result<Tombstone, MeshError> {
  if (typeof value !== 'object' || value === null) return refused('it is none');
  const { Key, At, Reason, By, Signature, Chain } = value as Record<string, unknown>;
  if (!isKey(Key) || !isKey(By) || !Number.isSafeInteger(At) || (At as number) < 0) return refused('it names no key');
  if (typeof Reason !== 'string' || Reason.length > REASON_MAX) return refused('its reason is no text, or too long');
  if (typeof Signature !== 'string' || Signature.length > 128 || !Array.isArray(Chain)) {
    return refused('it is not signed');
  }
  const { mesh, isBuried } = options;
  if (Key === mesh) return refused('the root of a mesh cannot be signed out');
  const at = At as number;
  const signature = Buffer.from(Signature, 'base64url');
  if (!verify({ by: By, signature }, PURPOSE, mesh, Key, String(at), Reason, By)) {
    return refused('its signature is not the one it names');
  }
  const tombstone: Tombstone = { Key, At: at, Reason, By, Signature, Chain: Chain as CertificateChain };
  if (By === mesh) return Chain.length === 0 ? ok(tombstone) : refused('the root needs no chain');
  const signer = verifyChain(Chain, { mesh, nowMs: at, key: By, ...(isBuried ? { isBuried } : {}) });
  if (!signer.ok) return refused(`its signer may not: ${signer.error.message}`);
  if (!signer.value.claims.Issuer || signer.value.expired) return refused('its signer may not');
  return ok(tombstone);
}

const refused = (why: string): Result<never, MeshError> =>
  err(new MeshError('E_PERMISSION_DENIED', `the tombstone does not count: ${why}`));
