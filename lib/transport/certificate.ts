import { createHash } from 'node:crypto';
import { MeshError } from '../structs/errors.js';
import { type CertificateClaims, MESH_ROLES, type NodeKey } from '../structs/mesh.js';
import type { Millis } from '../util/clock.js';
import { err, ok, type Result } from '../util/result.js';
import { isKey, type SigningKey, sign, verify } from './signature.js';

// Who a key is in this mesh, signed by one who may say so. A chain begins with the member's own certificate; each is signed
// by the key of the next, the last one by the mesh's root. A certificate never says more, nor lasts longer, than the one it
// was signed with.

/** Servers are issuers, and so may make issuers of others: this many in a row, from the root. */
export const CHAIN_MAX = 8;
const CERTIFICATE_MAX_CHARS = 8 * 1024;
const NAME_MAX = 128;
const TAGS_MAX = 64;
const TAG_MAX = 512;
const PURPOSE = 'meshnomad/certificate/1';

/** Signs what a certificate says. `by` must be the key that `claims.By` names. */
export function issue(claims: CertificateClaims, by: SigningKey): string {
  const payload = Buffer.from(JSON.stringify(claims));
  return `${payload.toString('base64url')}.${sign(by, PURPOSE, payload).toString('base64url')}`;
}

export interface VerifyOptions {
  /** The mesh's root key. */
  readonly mesh: NodeKey;
  readonly nowMs: Millis;
  /** The key that the member has proven; absent = whichever the chain names. */
  readonly key?: NodeKey;
  /** Keys with a tombstone: no certificate of theirs is good, and none that was signed by or through them. */
  readonly isBuried?: (key: NodeKey) => boolean;
}

export interface VerifiedChain {
  readonly claims: CertificateClaims;
  /** It was good and has ended: may be renewed, nothing else. */
  readonly expired: boolean;
  /** Every key that has signed in it, and the member's own; without the root. */
  readonly keys: readonly NodeKey[];
}

/**
 * Checks a chain that anybody may have sent. A certificate from the future is taken as good: clocks of small machines start
 * in the past, and being early harms nobody.
 */
export function verifyChain(chain: unknown, options: VerifyOptions): Result<VerifiedChain, MeshError> {
  if (!Array.isArray(chain) || chain.length === 0 || chain.length > CHAIN_MAX) {
    return refused(`a certificate comes with 1 to ${CHAIN_MAX} links`);
  }
  const read: CertificateClaims[] = [];
  for (const text of chain) {
    const claims = readSigned(text);
    if (claims === undefined) return refused('a certificate cannot be read, or its signature is not the one it names');
    read.push(claims);
  }
  for (const [i, claims] of read.entries()) {
    if (claims.Mesh !== options.mesh) {
      return refused(`the certificate is one of another mesh (${claims.Mesh.slice(0, 8)}…)`);
    }
    const fault = linkFault(claims, read[i + 1], options.mesh);
    if (fault !== undefined) return refused(fault);
  }
  const leaf = read[0] as CertificateClaims;
  if (options.key !== undefined && leaf.Key !== options.key) return refused('the certificate is for another key');
  const keys = read.map(({ Key }) => Key);
  const buried = keys.find((key) => options.isBuried?.(key) ?? false);
  if (buried === leaf.Key) return refused(`${leaf.Name} was revoked`);
  if (buried !== undefined) {
    return refused(
      `the certificate of ${leaf.Name} was signed by way of ${read[keys.indexOf(buried)]?.Name}, which was revoked`,
    );
  }
  return ok({ claims: leaf, expired: options.nowMs > leaf.NotAfter, keys });
}

/** What a certificate says, of one that was verified before it was kept: in the servers' state. */
export function claimsOf(text: string | undefined): CertificateClaims | undefined {
  return text === undefined ? undefined : readClaims(Buffer.from(text.split('.')[0] ?? '', 'base64url'));
}

/** What a certificate says, if it is one and the signer it names has signed it; who that signer is remains to be proven. */
function readSigned(text: unknown): CertificateClaims | undefined {
  if (typeof text !== 'string' || text.length > CERTIFICATE_MAX_CHARS) return undefined;
  const [payload = '', signature = '', ...rest] = text.split('.');
  if (rest.length > 0 || !/^[\w-]+$/.test(payload) || !/^[\w-]+$/.test(signature)) return undefined;
  const bytes = Buffer.from(payload, 'base64url');
  const claims = readClaims(bytes);
  if (claims === undefined) return undefined;
  const good = verify({ by: claims.By, signature: Buffer.from(signature, 'base64url') }, PURPOSE, bytes);
  return good ? claims : undefined;
}

/** Why `claims` may not stand before `issuer` in a chain; an absent issuer is the root. */
function linkFault(
  claims: CertificateClaims,
  issuer: CertificateClaims | undefined,
  root: NodeKey,
): string | undefined {
  if (claims.Issuer && claims.Role !== 'server') return `${claims.Name} is no server, and may admit nobody`;
  if (issuer === undefined) return claims.By === root ? undefined : 'the chain does not end at the root of the mesh';
  if (claims.By !== issuer.Key) return 'the chain has a gap';
  if (!issuer.Issuer) return `${issuer.Name}, which signed the certificate of ${claims.Name}, may admit nobody`;
  if (claims.NotAfter > issuer.NotAfter) return `the certificate of ${claims.Name} outlasts the one it was signed with`;
  return undefined;
}

function readClaims(bytes: Buffer): CertificateClaims | undefined {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(bytes.toString('utf8')) ?? {};
  } catch {
    return undefined;
  }
  const { Version, Mesh, Key, Name, Role, Tags, Serial, NotBefore, NotAfter, Issuer, By } = value;
  if (Version !== 1 || !isKey(Mesh) || !isKey(Key) || !isKey(By) || typeof Issuer !== 'boolean') return undefined;
  if (typeof Name !== 'string' || Name === '' || Name.length > NAME_MAX) return undefined;
  const role = MESH_ROLES.find((one) => one === Role);
  const tags = readTags(Tags);
  if (role === undefined || tags === undefined) return undefined;
  if (!isCount(Serial) || !isCount(NotBefore) || !isCount(NotAfter) || NotAfter < NotBefore) return undefined;
  return { Version, Mesh, Key, Name, Role: role, Tags: tags, Serial, NotBefore, NotAfter, Issuer, By };
}

function readTags(value: unknown): Record<string, string> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const entries = Object.entries(value);
  if (entries.length > TAGS_MAX) return undefined;
  const good = entries.every(([key, text]) => typeof text === 'string' && key.length + text.length <= TAG_MAX);
  return good ? (Object.fromEntries(entries) as Record<string, string>) : undefined;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const refused = (why: string): Result<never, MeshError> => err(new MeshError('E_PERMISSION_DENIED', why));

/** When a certificate should be renewed: two thirds of its life are over. */
export function renewalDueMs({ NotBefore, NotAfter }: Pick<CertificateClaims, 'NotBefore' | 'NotAfter'>): Millis {
  return NotAfter - (NotAfter - NotBefore) / 3;
}

/** The id of a member's node in the API: a UUID (version 8, RFC 9562) that anybody can derive from its key. */
export function nodeIdOf(key: NodeKey): string {
  const hash = createHash('sha256').update('meshnomad/node-id/1').update(Buffer.from(key, 'hex')).digest();
  hash[6] = ((hash[6] as number) & 0x0f) | 0x80;
  hash[8] = ((hash[8] as number) & 0x3f) | 0x80;
  const hex = hash.toString('hex', 0, 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
