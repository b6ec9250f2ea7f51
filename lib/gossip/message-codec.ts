import { assert, assertNever } from '../util/assert.js';
import { ByteReader, ByteWriter, MalformedBytes } from '../util/bytes.js';
import type { Result } from '../util/result.js';
import { err, ok } from '../util/result.js';
import { decodeInfo, decodeState, encodeInfo, encodeState } from './member-codec.js';
import type { GossipMessage, StateEntry, StateMessage } from './messages.js';

// A packet is a version and any number of messages, each {type, length, body}: a type of a later version is passed over, as
// are bytes after the known ones of a body. Only a change that older members would take for something else needs a new
// version.
const VERSION = 1;
const KEY_BYTES = 32;
/** No packet is larger: parts of an exchange of state, and tombstones. */
export const PACKET_BYTES_HARD_MAX = 65_536;
/** A signed tombstone and the certificates of its signer. */
export const TOMBSTONE_BYTES_MAX = 8_192;
/** Buckets of a digest. */
export const BUCKETS_MAX = 256;
/** No member comes this far by itself. Beyond it a count could not be passed any more. */
const INCARNATION_MAX = 2 ** 47;
/** Type and length, before the body of a message. */
const HEAD_BYTES = 3;

const TYPES = [
  'ping',
  'pingRequest',
  'ack',
  'nack',
  'alive',
  'suspect',
  'dead',
  'left',
  'tombstone',
  'digest',
  'state',
] as const satisfies readonly GossipMessage['type'][];

/** The first byte of every packet, in length. */
export const PACKET_HEAD_BYTES = 1;

/** One message as it stands in a packet. */
export function encodeMessage(message: GossipMessage): Uint8Array {
  const body = new ByteWriter();
  writeBody(body, message);
  assert(body.length < PACKET_BYTES_HARD_MAX - HEAD_BYTES, `gossip: a ${message.type} of ${body.length} bytes`);
  const whole = new ByteWriter(body.length + HEAD_BYTES);
  whole.u8(TYPES.indexOf(message.type));
  whole.u16(body.length);
  whole.raw(body.finish());
  return whole.finish();
}

/** A packet of encoded messages. */
export function joinPacket(messages: readonly Uint8Array[]): Uint8Array {
  const length = messages.reduce((sum, bytes) => sum + bytes.length, PACKET_HEAD_BYTES);
  const packet = new Uint8Array(length);
  packet[0] = VERSION;
  let at = PACKET_HEAD_BYTES;
  for (const bytes of messages) {
    packet.set(bytes, at);
    at += bytes.length;
  }
  return packet;
}

/** As few packets as these messages fit into one after another, each of at most `bytesMax`. */
export function packetsOf(messages: readonly Uint8Array[], bytesMax: number): Uint8Array[] {
  const packets: Uint8Array[] = [];
  let open: Uint8Array[] = [];
  let length = PACKET_HEAD_BYTES;
  for (const message of messages) {
    if (open.length > 0 && length + message.length > bytesMax) {
      packets.push(joinPacket(open));
      open = [];
      length = PACKET_HEAD_BYTES;
    }
    open.push(message);
    length += message.length;
  }
  if (open.length > 0) packets.push(joinPacket(open));
  return packets;
}

/** Reads a packet that somebody sent: all of it, or the reason why not. Nothing in the result refers to `packet`. */
export function decodePacket(packet: Uint8Array): Result<GossipMessage[], string> {
  if (packet.length > PACKET_BYTES_HARD_MAX) return err(`${packet.length} bytes, at most ${PACKET_BYTES_HARD_MAX}`);
  const reader = new ByteReader(packet);
  try {
    const version = reader.u8();
    if (version !== VERSION) return err(`version ${version} of the gossip, this agent speaks ${VERSION}`);
    const messages: GossipMessage[] = [];
    while (reader.left > 0) {
      const type = TYPES[reader.u8()];
      const body = reader.raw(reader.u16());
      if (type !== undefined) messages.push(readBody(type, new ByteReader(body)));
    }
    return ok(messages);
  } catch (error) {
    if (error instanceof MalformedBytes) return err(error.message);
    throw error;
  }
}

function writeBody(writer: ByteWriter, message: GossipMessage): void {
  switch (message.type) {
    case 'ping':
    case 'ack':
    case 'nack':
      writer.u32(message.seq);
      return;
    case 'pingRequest':
      writer.u32(message.seq);
      writer.hex(message.target);
      writer.u16(message.waitMs);
      return;
    case 'alive':
      writer.hex(message.key);
      writer.u48(message.incarnation);
      writer.raw(encodeInfo(message.info));
      return;
    case 'suspect':
      writer.hex(message.key);
      writer.u48(message.incarnation);
      writer.hex(message.by);
      return;
    case 'dead':
    case 'left':
      writer.hex(message.key);
      writer.u48(message.incarnation);
      return;
    case 'tombstone':
      writer.hex(message.key);
      writer.raw(message.bytes);
      return;
    case 'digest':
      for (const hash of message.hashes) writer.u32(hash);
      return;
    case 'state':
      writeState(writer, message);
      return;
    default:
      assertNever(message);
  }
}

function writeState(writer: ByteWriter, { ask, entries }: StateMessage): void {
  writer.u16(ask === null ? 0 : ask.buckets);
  writer.u16(ask === null ? 0 : ask.wanted.length);
  for (const bucket of ask?.wanted ?? []) writer.u8(bucket);
  for (const entry of entries) writer.raw(encodeEntry(entry));
}

/** One member in a `state` message. */
export function encodeEntry(entry: StateEntry): Uint8Array {
  const info = encodeInfo(entry.info);
  const writer = new ByteWriter(info.length + 48);
  writer.hex(entry.key);
  writer.u8(encodeState(entry.state));
  writer.u48(entry.incarnation);
  writer.u48(entry.ageMs);
  writer.u16(info.length);
  writer.raw(info);
  return writer.finish();
}

function readBody(type: GossipMessage['type'], reader: ByteReader): GossipMessage {
  switch (type) {
    case 'ping':
    case 'ack':
    case 'nack':
      return { type, seq: reader.u32() };
    case 'pingRequest':
      return { type, seq: reader.u32(), target: reader.hex(KEY_BYTES), waitMs: reader.u16() };
    case 'alive':
      return {
        type,
        key: reader.hex(KEY_BYTES),
        incarnation: readIncarnation(reader),
        info: decodeInfo(reader.raw(reader.left)),
      };
    case 'suspect':
      return { type, key: reader.hex(KEY_BYTES), incarnation: readIncarnation(reader), by: reader.hex(KEY_BYTES) };
    case 'dead':
    case 'left':
      return { type, key: reader.hex(KEY_BYTES), incarnation: readIncarnation(reader) };
    case 'tombstone':
      return readTombstone(reader);
    case 'digest':
      return readDigest(reader);
    case 'state':
      return readState(reader);
    default:
      return assertNever(type);
  }
}

function readIncarnation(reader: ByteReader): number {
  const incarnation = reader.u48();
  if (incarnation > INCARNATION_MAX) throw new MalformedBytes(`incarnation ${incarnation}`);
  return incarnation;
}

function readTombstone(reader: ByteReader): GossipMessage {
  const key = reader.hex(KEY_BYTES);
  if (reader.left > TOMBSTONE_BYTES_MAX) throw new MalformedBytes(`a tombstone of ${reader.left} bytes`);
  return { type: 'tombstone', key, bytes: reader.raw(reader.left).slice() };
}

function isBucketCount(count: number): boolean {
  return count >= 1 && count <= BUCKETS_MAX && (count & (count - 1)) === 0;
}

function readDigest(reader: ByteReader): GossipMessage {
  const count = reader.left / 4;
  if (!isBucketCount(count)) throw new MalformedBytes(`a digest of ${reader.left} bytes`);
  return { type: 'digest', hashes: Array.from({ length: count }, () => reader.u32()) };
}

function readState(reader: ByteReader): StateMessage {
  const buckets = reader.u16();
  const wanted = Array.from({ length: reader.u16() }, () => reader.u8());
  if (buckets === 0 ? wanted.length > 0 : !isBucketCount(buckets) || wanted.length > buckets)
    throw new MalformedBytes(`${wanted.length} of ${buckets} buckets are asked for`);
  const entries: StateEntry[] = [];
  while (reader.left > 0) {
    entries.push({
      key: reader.hex(KEY_BYTES),
      state: decodeState(reader.u8()),
      incarnation: readIncarnation(reader),
      ageMs: reader.u48(),
      info: decodeInfo(reader.raw(reader.u16())),
    });
  }
  return { type: 'state', entries, ask: buckets === 0 ? null : { buckets, wanted } };
}
