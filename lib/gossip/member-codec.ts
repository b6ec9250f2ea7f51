import type { MeshRole, NetReport } from '../structs/mesh.js';
import { assert } from '../util/assert.js';
import { ByteReader, ByteWriter, MalformedBytes } from '../util/bytes.js';
import type { Result } from '../util/result.js';
import { err, ok } from '../util/result.js';
import type { MemberInfo, MemberState, RaftHint } from './member.js';

/** What one member may say of itself, so that it always fits a packet with its key and incarnation. */
export const MEMBER_BYTES_MAX = 1_024;
export const ADDRESSES_MAX = 8;
const META_MAX = 16;

// The place in these lists is what travels: add at the end only.
const ROLES: readonly MeshRole[] = ['server', 'client', 'operator'];
const NATS: readonly NetReport['Nat'][] = ['open', 'consistent', 'random', 'blocked', 'unknown'];
const RAFT_STATES: readonly RaftHint['state'][] = ['none', 'standby', 'voter', 'leader'];
const STATES: readonly MemberState[] = ['alive', 'suspect', 'dead', 'left'];

/** Whether others could take this in; the error says what is too much. */
export function checkInfo(info: MemberInfo): Result<MemberInfo, string> {
  if (info.addresses.length > ADDRESSES_MAX) return err(`${info.addresses.length} addresses, at most ${ADDRESSES_MAX}`);
  const count = Object.keys(info.meta).length;
  if (count > META_MAX) return err(`${count} words of meta, at most ${META_MAX}`);
  const writer = new ByteWriter();
  writeInfo(writer, info);
  if (writer.length > MEMBER_BYTES_MAX) return err(`${writer.length} bytes, at most ${MEMBER_BYTES_MAX}`);
  return ok(info);
}

export function encodeInfo(info: MemberInfo): Uint8Array {
  const writer = new ByteWriter();
  writeInfo(writer, info);
  assert(writer.length <= MEMBER_BYTES_MAX, 'gossip: what a member says of itself is checked before it is told');
  return writer.finish();
}

function writeInfo(writer: ByteWriter, info: MemberInfo): void {
  writer.text(info.name);
  writer.u8(ROLES.indexOf(info.role));
  writer.u8(NATS.indexOf(info.nat));
  writer.u8(info.relays ? 1 : 0);
  writer.u8(RAFT_STATES.indexOf(info.raft.state));
  writer.u48(info.raft.term);
  writer.u8(info.addresses.length);
  for (const { host, port } of info.addresses) {
    writer.text(host);
    writer.u16(port);
  }
  const meta = Object.entries(info.meta);
  writer.u8(meta.length);
  for (const [key, value] of meta) {
    writer.text(key);
    writer.text(value);
  }
}

/** Throws MalformedBytes. Bytes after the known ones are a later version's and are passed over. */
export function decodeInfo(bytes: Uint8Array): MemberInfo {
  if (bytes.length > MEMBER_BYTES_MAX) throw new MalformedBytes(`${bytes.length} bytes about one member`);
  const reader = new ByteReader(bytes);
  const name = reader.text();
  const role = oneOf(ROLES, reader.u8());
  const nat = oneOf(NATS, reader.u8());
  const relays = reader.u8() === 1;
  const raft = { state: oneOf(RAFT_STATES, reader.u8()), term: reader.u48() };
  const addresses = Array.from({ length: atMost(ADDRESSES_MAX, reader.u8()) }, () => ({
    host: reader.text(),
    port: reader.u16(),
  }));
  const meta: [string, string][] = Array.from({ length: atMost(META_MAX, reader.u8()) }, () => [
    reader.text(),
    reader.text(),
  ]);
  return { name, role, addresses, nat, relays, raft, meta: Object.fromEntries(meta) };
}

export function encodeState(state: MemberState): number {
  return STATES.indexOf(state);
}

export function decodeState(byte: number): MemberState {
  return oneOf(STATES, byte);
}

function oneOf<T>(words: readonly T[], at: number): T {
  const word = words[at];
  if (word === undefined) throw new MalformedBytes(`no word has number ${at}`);
  return word;
}

function atMost(max: number, count: number): number {
  if (count > max) throw new MalformedBytes(`${count} items, at most ${max}`);
  return count;
}
