// The wire form of one link: frames of [u32 length][u8 kind][u32 id][u32 length of JSON][JSON][data]. `data` is the message's
// Data field, kept out of the JSON so that logs and exec cost no base64. Little endian.

/** The versions of this protocol that are spoken here; two sides use the highest that both know. */
export const FRAME_VERSIONS: VersionRange = { min: 1, max: 1 };
/** A frame above this is an attack or a defect: the link is cut. Links may set less. */
export const FRAME_MAX_BYTES = 64 * 1024 * 1024;

export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** The version two sides use; undefined when they have none in common. */
export function commonVersion(a: VersionRange, b: VersionRange): number | undefined {
  const version = Math.min(a.max, b.max);
  return version >= Math.max(a.min, b.min) ? version : undefined;
}

export const KIND = {
  hello: 0,
  call: 1,
  reply: 2,
  error: 3,
  cancel: 4,
  open: 5,
  message: 6,
  end: 7,
  credit: 8,
  ping: 9,
  pong: 10,
  /** Of mesh links: the hello of the other side was found good. */
  ack: 11,
  /** Small, binary, may be dropped: the id says what it is about. */
  datagram: 12,
  /** The reply is too large for this link and waits to be taken over another. */
  parked: 13,
  take: 14,
  /** A renewed certificate. */
  certificate: 15,
} as const;

export type Kind = (typeof KIND)[keyof typeof KIND];

export interface Frame {
  kind: Kind;
  id: number;
  body: Record<string, unknown>;
}

/** A frame that was read, and what it took on the wire. */
export interface ReadFrame extends Frame {
  bytes: number;
}

const HEAD_BYTES = 13;
const LENGTH_BYTES = 4;

export function encodeFrame({ kind, id, body }: Frame): Buffer {
  const { Data, ...rest } = body;
  const data = Data instanceof Uint8Array ? Data : undefined;
  const fields = data ? rest : body;
  // No fields, no JSON: a datagram is thirteen bytes and itself.
  const json = Object.keys(fields).length === 0 ? EMPTY : Buffer.from(JSON.stringify(fields));
  const frame = Buffer.allocUnsafe(HEAD_BYTES + json.length + (data?.length ?? 0));
  frame.writeUInt32LE(frame.length - LENGTH_BYTES, 0);
  frame.writeUInt8(kind, 4);
  frame.writeUInt32LE(id, 5);
  // The top bit says that data follows: an empty Data is not the same as none.
  frame.writeUInt32LE(json.length + (data ? 0x8000_0000 : 0), 9);
  json.copy(frame, HEAD_BYTES);
  if (data) frame.set(data, HEAD_BYTES + json.length);
  return frame;
}

const EMPTY = Buffer.alloc(0);

/** Gives an encoded frame another kind and id: what waited under one is sent under another. */
export function relabelFrame(frame: Buffer, kind: Kind, id: number): void {
  frame.writeUInt8(kind, 4);
  frame.writeUInt32LE(id, 5);
}

/** Cuts a byte stream into frames; throws on what cannot be one. Holds at most one frame and one chunk. */
export class FrameReader {
  readonly #limitBytes: number;
  /** What was not looked at yet. */
  #rest: Buffer = EMPTY;
  /** A frame that comes in pieces, and how much of it is here. */
  #partial: Buffer | undefined;
  #filled = 0;

  constructor(limitBytes = FRAME_MAX_BYTES) {
    this.#limitBytes = limitBytes;
  }

  /** What has come after the last frame that was given out: another reader goes on with it. */
  rest(): Buffer {
    return this.#partial ? Buffer.concat([this.#partial.subarray(0, this.#filled), this.#rest]) : this.#rest;
  }

  *push(chunk: Buffer): Generator<ReadFrame> {
    this.#rest = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    for (let frame = this.#next(); frame; frame = this.#next()) yield decodeFrame(frame);
  }

  #next(): Buffer | undefined {
    if (!this.#partial) {
      if (this.#rest.length < LENGTH_BYTES) return undefined;
      const total = this.#rest.readUInt32LE(0) + LENGTH_BYTES;
      if (total > this.#limitBytes || total < HEAD_BYTES) throw new Error(`a frame of ${total} bytes`);
      if (this.#rest.length >= total) return this.#cut(total);
      // Untouched pages cost nothing: who only announces a large frame takes no memory.
      this.#partial = Buffer.allocUnsafeSlow(total);
      this.#filled = 0;
    }
    this.#filled += this.#cut(this.#partial.length - this.#filled).copy(this.#partial, this.#filled);
    if (this.#filled < this.#partial.length) return undefined;
    const whole = this.#partial;
    this.#partial = undefined;
    return whole;
  }

  #cut(bytes: number): Buffer {
    const head = this.#rest.subarray(0, bytes);
    this.#rest = bytes < this.#rest.length ? this.#rest.subarray(bytes) : EMPTY;
    return head;
  }
}

function decodeFrame(frame: Buffer): ReadFrame {
  const kind = frame.readUInt8(4) as Kind;
  const id = frame.readUInt32LE(5);
  const size = frame.readUInt32LE(9);
  const jsonEnd = HEAD_BYTES + (size & 0x7fff_ffff);
  if (jsonEnd > frame.length) throw new Error('a frame whose JSON is longer than itself');
  const body = jsonEnd === HEAD_BYTES ? {} : (JSON.parse(frame.toString('utf8', HEAD_BYTES, jsonEnd)) as Frame['body']);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw new Error('a frame without an object');
  if (size >= 0x8000_0000) body['Data'] = new Uint8Array(frame.subarray(jsonEnd));
  return { kind, id, body, bytes: frame.length };
}
