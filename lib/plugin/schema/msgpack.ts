import { Buffer } from 'node:buffer';

// A plugin gets its configuration as MessagePack: maps with text keys, null for what was not given, whole numbers as integers.

/** Encodes JSON values. Throws on what JSON does not know. */
export function encodeMsgpack(value: unknown): Buffer {
  const parts: Buffer[] = [];
  encode(value, parts);
  return Buffer.concat(parts);
}

function encode(value: unknown, parts: Buffer[]): void {
  if (value === null || value === undefined) parts.push(Buffer.from([0xc0]));
  else if (typeof value === 'boolean') parts.push(Buffer.from([value ? 0xc3 : 0xc2]));
  else if (typeof value === 'number') parts.push(number(value));
  else if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'utf8');
    parts.push(head(bytes.length, { fix: 0xa0, fixMax: 31, codes: [0xd9, 0xda, 0xdb] }), bytes);
  } else if (Array.isArray(value)) {
    parts.push(head(value.length, { fix: 0x90, fixMax: 15, codes: [null, 0xdc, 0xdd] }));
    for (const item of value) encode(item, parts);
  } else if (typeof value === 'object') {
    const entries = Object.entries(value);
    parts.push(head(entries.length, { fix: 0x80, fixMax: 15, codes: [null, 0xde, 0xdf] }));
    for (const [key, item] of entries) {
      encode(key, parts);
      encode(item, parts);
    }
  } else throw new TypeError(`${typeof value} has no MessagePack`);
}

/** The first byte, and the length behind it where it does not fit. */
function head(
  length: number,
  { fix, fixMax, codes }: { fix: number; fixMax: number; codes: [number | null, number, number] },
): Buffer {
  if (length <= fixMax) return Buffer.from([fix | length]);
  const [code8, code16, code32] = codes;
  if (code8 !== null && length < 0x100) return Buffer.from([code8, length]);
  if (length < 0x1_0000) return Buffer.from([code16, length >> 8, length & 0xff]);
  const bytes = Buffer.alloc(5);
  bytes[0] = code32;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

function number(value: number): Buffer {
  if (!Number.isInteger(value) || Math.abs(value) >= 2 ** 63) {
    const bytes = Buffer.alloc(9);
    bytes[0] = 0xcb;
    bytes.writeDoubleBE(value, 1);
    return bytes;
  }
  if (value >= -32 && value < 128) return Buffer.from([value & 0xff]);
  const bytes = Buffer.alloc(9);
  bytes[0] = 0xd3;
  bytes.writeBigInt64BE(BigInt(value), 1);
  return bytes;
}
