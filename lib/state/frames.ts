import { MeshError } from '../structs/errors.js';
import { crc32 } from '../util/crc32.js';

// A frame: length of the payload and its CRC-32, both as little-endian 32 bits, then the payload, UTF-8.

const HEAD_BYTES = 8;
/** No writer makes larger ones, so a larger length is damage: it must not become an allocation. */
const FRAME_MAX_BYTES = 256 * 1024 * 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Texts are encoded here first: each piece of memory that is asked for has the collector take a step, of up to ten milliseconds. */
const desk = new Uint8Array(256 * 1024);

/** One frame around a text. */
export function frame(text: string): Uint8Array {
  // A UTF-16 unit has at most three bytes.
  const encoded = 3 * text.length <= desk.length ? desk : new Uint8Array(3 * text.length);
  const length = encoder.encodeInto(text, encoded).written;
  const bytes = new Uint8Array(HEAD_BYTES + length);
  bytes.set(encoded.subarray(0, length), HEAD_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  view.setUint32(4, crc32(bytes.subarray(HEAD_BYTES)), true);
  return bytes;
}

/** The texts of the frames of a stream that may be cut anywhere. Throws E_STORAGE on damage or a partial last frame. */
export async function* frames(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  let held: Uint8Array = new Uint8Array(0);
  for await (const chunk of stream) {
    held = held.length === 0 ? chunk : joined(held, chunk);
    for (let size = frameSize(held); size <= held.length; size = frameSize(held)) {
      const payload = held.subarray(HEAD_BYTES, size);
      if (crc32(payload) !== uint32(held, 4)) throw damaged('a checksum does not match');
      held = held.subarray(size);
      yield decoder.decode(payload);
    }
  }
  if (held.length > 0) throw damaged('its last part is incomplete');
}

/** Bytes of the first frame; infinite while not even its head is there. */
function frameSize(held: Uint8Array): number {
  if (held.length < HEAD_BYTES) return Number.POSITIVE_INFINITY;
  const length = uint32(held, 0);
  if (length > FRAME_MAX_BYTES) throw damaged('a length is impossible');
  return HEAD_BYTES + length;
}

function uint32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at, true);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function damaged(why: string): MeshError {
  return new MeshError('E_STORAGE', `the snapshot is damaged: ${why}`);
}
