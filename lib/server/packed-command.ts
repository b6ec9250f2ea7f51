import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { MeshError } from '../structs/errors.js';
import { DICTIONARY_1 } from './command-dictionary.js';

// Most of what a command says in JSON every other one says too: that this field is null and that one zero. Packed, a job takes a
// fifteenth of the room, on its way to the others as on the disk:
//
//     {"v":N, as unpacked │ dictionary u8 │ bytes of what is packed u32 │ all of it, by DEFLATE with the dictionary
//
// The version stands in front in clear, so that an older program says what it does of any command that it does not know.

/** Who applies commands of this version knows packed ones. */
export const PACKED_VERSION = 12;

/** Less is not worth the work. */
const PACKED_BYTES_MIN = 256;
/** More would hold the thread for milliseconds. */
const PACKED_BYTES_MAX = 256 * 1024;

/** How many bytes of the head stand behind the version. */
const HEAD_BYTES = 5;
const CODE = 1;
const dictionary = Buffer.from(DICTIONARY_1);
/** A window that holds the dictionary and a usual command. */
const SETTINGS = { dictionary, level: 3, memLevel: 6, windowBits: 14 };

/** A command as encodeCommand wrote it, in less room if that is worth it. */
export function packCommand(encoded: Uint8Array): Uint8Array {
  if (encoded.length < PACKED_BYTES_MIN || encoded.length > PACKED_BYTES_MAX) return encoded;
  const packed = deflateRawSync(encoded, SETTINGS);
  const version = Math.max(PACKED_VERSION, Number(/^\{"v":(\d+),/.exec(firstOf(encoded))?.[1] ?? 0));
  const front = Buffer.from(`{"v":${version},`);
  const whole = Buffer.allocUnsafe(front.length + HEAD_BYTES + packed.length);
  front.copy(whole);
  whole.writeUInt8(CODE, front.length);
  whole.writeUInt32BE(encoded.length, front.length + 1);
  packed.copy(whole, front.length + HEAD_BYTES);
  return new Uint8Array(whole.buffer, whole.byteOffset, whole.length);
}

/** What decodeCommand reads, of a command that may be packed. Throws E_STORAGE for what packCommand did not write. */
export function unpackCommand(data: Uint8Array): Uint8Array {
  const at = data.indexOf(COMMA) + 1;
  // Behind the version of an unpacked one JSON goes on.
  if (at === 0 || at > FRONT_BYTES_MAX || data[at] !== CODE) return data;
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  if (bytes.length < at + HEAD_BYTES) throw unreadable();
  const size = bytes.readUInt32BE(at + 1);
  if (size > PACKED_BYTES_MAX) throw unreadable();
  try {
    // One byte more than is needed: the end is then seen without another round.
    const options = {
      dictionary,
      windowBits: 14,
      chunkSize: Math.max(64, size + 1),
      maxOutputLength: Math.max(1, size),
    };
    const text = inflateRawSync(bytes.subarray(at + HEAD_BYTES), options);
    if (text.length === size) return text;
  } catch {
    // As below.
  }
  throw unreadable();
}

const COMMA = 0x2c;
const FRONT_BYTES_MAX = 16;

function firstOf(encoded: Uint8Array): string {
  return Buffer.from(encoded.buffer, encoded.byteOffset, FRONT_BYTES_MAX).toString('latin1');
}

function unreadable(): MeshError {
  return new MeshError('E_STORAGE', 'a log entry cannot be read: it is not a packed command');
}
