import { createHash, hkdfSync } from 'node:crypto';
import { isIP } from 'node:net';
import { MeshError } from '../structs/errors.js';
import { MESH_ROLES, type MeshRole, type NodeKey } from '../structs/mesh.js';
import type { Millis } from '../util/clock.js';
import { err, ok, type Result } from '../util/result.js';
import { keyFromSeed, type SigningKey } from './signature.js';
import type { Address } from './tcp.js';
import { decodeZBase32, encodeZBase32 } from './z-base-32.js';

// An invite as a person hands it on: `mn1-` and z-base-32 of
//   flags (1) · root (32) · discovery secret (32) · seed (16) · inviting server (32) · expiry in seconds (5) · hints · checksum (4)
// A hint is its kind (4 = IPv4, 6 = IPv6, 1 = a name with its length), the address, and the port. Big endian. Where the mesh has a
// DHT of its own, a flag says so, and its nodes stand among the hints, with 16 added to their kind.

const PREFIX = 'mn1-';
const CHECKSUM_BYTES = 4;
const FIXED_BYTES = 1 + 32 + 32 + 16 + 32 + 5;
/** Far more than any invite has: what is longer is not looked at. */
const TEXT_MAX_CHARS = 2048;
const HINTS_MAX = 4;
const BOOTSTRAP_MAX = 4;
const BOOTSTRAP_KIND = 16;
const APPROVAL_FLAG = 4;
const OWN_DHT_FLAG = 8;
const DAY_MS = 86_400_000;

/** What is in an invite. Whoever has the seed may come in; it is kept nowhere but in the invite itself. */
export interface Invite {
  readonly mesh: NodeKey;
  /** 32 bytes: the topic of the day derives from it. */
  readonly discoverySecret: Uint8Array;
  /** 16 bytes. */
  readonly seed: Uint8Array;
  /** The server that made it, to be dialled first. */
  readonly server: NodeKey;
  readonly role: MeshRole;
  /** Somebody has to approve of whoever comes with it. */
  readonly needsApproval: boolean;
  /** By the clock of the servers, to the second. */
  readonly expiresAtMs: Millis;
  /** Where that server may be; at most four. */
  readonly hints: readonly Address[];
  /** The way into the mesh's own DHT, at most four nodes; none of them: members meet on their local network only. */
  readonly bootstrap: 'public' | readonly Address[];
}

/** The invite as text, some 240 characters. */
export function encodeInvite(invite: Invite): string {
  const expiry = Buffer.alloc(5);
  expiry.writeUIntBE(Math.floor(invite.expiresAtMs / 1000), 0, 5);
  const { bootstrap } = invite;
  const dht = bootstrap === 'public' ? 0 : OWN_DHT_FLAG;
  const flags = MESH_ROLES.indexOf(invite.role) | (invite.needsApproval ? APPROVAL_FLAG : 0) | dht;
  const payload = Buffer.concat([
    Buffer.from([flags]),
    Buffer.from(invite.mesh, 'hex'),
    invite.discoverySecret,
    invite.seed,
    Buffer.from(invite.server, 'hex'),
    expiry,
    ...invite.hints.slice(0, HINTS_MAX).map((hint) => encodeHint(hint)),
    ...(bootstrap === 'public' ? [] : bootstrap)
      .slice(0, BOOTSTRAP_MAX)
      .map((node) => encodeHint(node, BOOTSTRAP_KIND)),
  ]);
  return PREFIX + encodeZBase32(Buffer.concat([payload, checksum(payload)]));
}

/** Reads what a person pasted: blanks, line breaks and case do not matter. */
export function parseInvite(text: string): Result<Invite, MeshError> {
  const bare = text.slice(0, TEXT_MAX_CHARS + 1).replace(/\s+/g, '');
  if (bare.length > TEXT_MAX_CHARS) return refused('this is far too long to be an invite: it has some 240 characters');
  if (bare === '') return refused(`no invite was given: where it should be, there is nothing`);
  if (bare.slice(0, PREFIX.length).toLowerCase() !== PREFIX) {
    return refused(`an invite begins with ${PREFIX}: make one with "meshnomad invite" on a machine of the mesh`);
  }
  const strange = bare.slice(PREFIX.length).search(/[^ybndrfg8ejkmcpqxot1uwisza345h769]/i);
  if (strange >= 0) return refused(strangeCharacter(bare, PREFIX.length + strange));
  if (bare.length < CHARS_MIN) {
    return refused(
      `the invite is cut off: ${bare.length} characters came, and it has ${CHARS_MIN} at least. Copy it whole`,
    );
  }
  const bytes = decodeZBase32(bare.slice(PREFIX.length));
  if (bytes === undefined || bytes.length < FIXED_BYTES + CHECKSUM_BYTES) return refused(DAMAGED);
  const payload = Buffer.from(bytes.subarray(0, -CHECKSUM_BYTES));
  if (!checksum(payload).equals(bytes.subarray(-CHECKSUM_BYTES))) return refused(DAMAGED);
  const flags = payload.readUInt8(0);
  const role = MESH_ROLES[flags & 3];
  const places = decodeHints(payload.subarray(FIXED_BYTES));
  const ownDht = (flags & OWN_DHT_FLAG) !== 0;
  if (
    role === undefined ||
    flags > (OWN_DHT_FLAG | APPROVAL_FLAG | 3) ||
    places === undefined ||
    (places.bootstrap.length > 0 && !ownDht)
  ) {
    return refused('the invite was made by a newer version of meshnomad: update this machine first');
  }
  return ok({
    mesh: payload.toString('hex', 1, 33),
    discoverySecret: Uint8Array.from(payload.subarray(33, 65)),
    seed: Uint8Array.from(payload.subarray(65, 81)),
    server: payload.toString('hex', 81, 113),
    role,
    needsApproval: (flags & APPROVAL_FLAG) !== 0,
    expiresAtMs: payload.readUIntBE(113, 5) * 1000,
    hints: places.hints,
    bootstrap: ownDht ? places.bootstrap : 'public',
  });
}

/** What an invite has without any hint: eight bits in five. */
const CHARS_MIN = PREFIX.length + Math.ceil(((FIXED_BYTES + CHECKSUM_BYTES) * 8) / 5);
const DAMAGED =
  'the invite is damaged, its checksum does not fit: some of its characters are missing or wrong. Copy it again, whole';

function strangeCharacter(bare: string, at: number): string {
  return `the invite is damaged: character ${at + 1}, ${JSON.stringify(bare[at])}, is one that no invite has. Copy it again, whole`;
}

const refused = (why: string): Result<never, MeshError> => err(new MeshError('E_BAD_REQUEST', why));

/** The key pair that whoever holds the invite connects with; the servers keep its public half only. */
export function inviteKey(seed: Uint8Array): SigningKey {
  return keyFromSeed(new Uint8Array(hkdfSync('sha256', seed, '', 'meshnomad/invite/1', 32)));
}

/** The topic under which members are to be found on a day (UTC), 32 bytes: today's is announced, its neighbours are looked at too. */
export function discoveryTopic(secret: Uint8Array, day: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', `meshnomad/topic/1 ${day}`, 32));
}

/** The days to look under at a time: today first, then yesterday and tomorrow, for clocks that disagree. */
export function discoveryDays(nowMs: Millis): number[] {
  const today = Math.floor(nowMs / DAY_MS);
  return [today, today - 1, today + 1];
}

function checksum(payload: Uint8Array): Buffer {
  return createHash('sha256').update('meshnomad/invite/1').update(payload).digest().subarray(0, CHECKSUM_BYTES);
}

/** `more` is added to its kind. */
function encodeHint({ host, port }: Address, more = 0): Buffer {
  const end = Buffer.alloc(2);
  end.writeUInt16BE(port);
  switch (isIP(host)) {
    case 4:
      return Buffer.concat([Buffer.from([4 + more, ...host.split('.').map(Number)]), end]);
    case 6:
      return Buffer.concat([Buffer.from([6 + more]), ipv6Bytes(host), end]);
    default: {
      const name = Buffer.from(host).subarray(0, 253);
      return Buffer.concat([Buffer.from([1 + more, name.length]), name, end]);
    }
  }
}

function decodeHints(bytes: Buffer): { hints: Address[]; bootstrap: Address[] } | undefined {
  const hints: Address[] = [];
  const bootstrap: Address[] = [];
  for (let at = 0; at < bytes.length; ) {
    const said = bytes[at++] as number;
    const [into, max, kind] =
      said < BOOTSTRAP_KIND ? [hints, HINTS_MAX, said] : [bootstrap, BOOTSTRAP_MAX, said - BOOTSTRAP_KIND];
    const size = kind === 4 ? 4 : kind === 6 ? 16 : kind === 1 ? bytes[at++] : undefined;
    if (size === undefined || at + size + 2 > bytes.length || into.length === max) return undefined;
    const raw = bytes.subarray(at, at + size);
    const host = kind === 4 ? raw.join('.') : kind === 6 ? ipv6Text(raw) : raw.toString('utf8');
    if (kind === 1 && !/^[\w.-]{1,253}$/.test(host)) return undefined;
    into.push({ host, port: bytes.readUInt16BE(at + size) });
    at += size + 2;
  }
  return { hints, bootstrap };
}

/** The sixteen bytes of an address that `isIP` has found good. */
function ipv6Bytes(host: string): Buffer {
  // A dotted end (::ffff:192.0.2.1) is two groups; a zone (%eth0) means something on one machine only.
  const bare = host.replace(/%.*$/, '').replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => {
    const group = (high: string, low: string): string => ((Number(high) << 8) | Number(low)).toString(16);
    return `${group(a, b)}:${group(c, d)}`;
  });
  const [head = '', tail] = bare.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  const all = [...first, ...Array<string>(8 - first.length - last.length).fill('0'), ...last];
  const bytes = Buffer.alloc(16);
  for (const [i, group] of all.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), i * 2);
  return bytes;
}

function ipv6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16));
  return groups.join(':');
}
