// The wire form of one link: frames of [u32 length][u8 kind][u32 id][u32 length of JSON][JSON][data]. `data` is the message's
// Data field, kept out of the JSON so that logs and exec cost no base64. Little endian. Version 1 (said in HELLO).

export const FRAME_VERSION = 1;
/** A frame above this is an attack or a defect: the link is cut. */
export const FRAME_MAX_BYTES = 64 * 1024 * 1024;

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
} as const;

export type Kind = (typeof KIND)[keyof typeof KIND];

export interface Frame {
  kind: Kind;
  id: number;
  body: Record<string, unknown>;
}

const HEAD_BYTES = 13;

export function encodeFrame({ kind, id, body }: Frame): Buffer {
  const { Data, ...rest } = body;
  const data = Data instanceof Uint8Array ? Data : undefined;
  const json = Buffer.from(JSON.stringify(data ? rest : body));
  const frame = Buffer.allocUnsafe(HEAD_BYTES + json.length + (data?.length ?? 0));
  frame.writeUInt32LE(frame.length - 4, 0);
  frame.writeUInt8(kind, 4);
  frame.writeUInt32LE(id, 5);
  // The top bit says that data follows: an empty Data is not the same as none.
  frame.writeUInt32LE(json.length + (data ? 0x8000_0000 : 0), 9);
  json.copy(frame, HEAD_BYTES);
  if (data) frame.set(data, HEAD_BYTES + json.length);
  return frame;
}

/** Cuts a byte stream into frames; throws on what cannot be one. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #size = 0;

  *push(chunk: Buffer): Generator<Frame> {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    while (this.#size >= 4) {
      const all = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
      this.#chunks = [all];
      const length = all.readUInt32LE(0);
      if (length > FRAME_MAX_BYTES || length < HEAD_BYTES - 4) throw new Error(`a frame of ${length} bytes`);
      if (all.length < length + 4) return;
      this.#chunks = [all.subarray(length + 4)];
      this.#size -= length + 4;
      yield decodeFrame(all.subarray(4, length + 4));
    }
  }
}

function decodeFrame(bytes: Buffer): Frame {
  const kind = bytes.readUInt8(0) as Kind;
  const id = bytes.readUInt32LE(1);
  const size = bytes.readUInt32LE(5);
  const jsonEnd = HEAD_BYTES - 4 + (size & 0x7fff_ffff);
  if (jsonEnd > bytes.length) throw new Error('a frame whose JSON is longer than itself');
  const body = JSON.parse(bytes.toString('utf8', HEAD_BYTES - 4, jsonEnd)) as Record<string, unknown>;
  if (typeof body !== 'object' || body === null) throw new Error('a frame without an object');
  if (size >= 0x8000_0000) body['Data'] = new Uint8Array(bytes.subarray(jsonEnd));
  return { kind, id, body };
}
