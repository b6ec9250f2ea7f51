const UTF8 = new TextEncoder();
const TEXT = new TextDecoder('utf-8', { fatal: true });

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Thrown by a ByteReader on bytes that cannot be what they claim: whoever decodes a stranger's bytes catches it at the top. */
export class MalformedBytes extends Error {}

/** Grows as it is written to; numbers are big-endian. */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** What was written, as a copy. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  u8(value: number): void {
    this.#room(1)[this.#length++] = value;
  }

  u16(value: number): void {
    this.u8(value >>> 8);
    this.u8(value & 0xff);
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value & 0xffff);
  }

  /** Whole numbers below 2^48. */
  u48(value: number): void {
    this.u16(Math.floor(value / 0x1_0000_0000));
    this.u32((value % 0x1_0000_0000) >>> 0);
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length).set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** An even number of hexadecimal digits; the reader must know how many. */
  hex(digits: string): void {
    const room = this.#room(digits.length / 2);
    for (let at = 0; at < digits.length; at += 2) {
      room[this.#length++] = (nibble(digits.charCodeAt(at)) << 4) | nibble(digits.charCodeAt(at + 1));
    }
  }

  /** UTF-8 of at most 65,535 bytes, after its length. */
  text(value: string): void {
    const bytes = UTF8.encode(value);
    this.u16(bytes.length);
    this.raw(bytes);
  }

  #room(count: number): Uint8Array {
    if (this.#length + count > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    return this.#bytes;
  }
}

function nibble(code: number): number {
  return code <= 57 ? code - 48 : (code | 32) - 87;
}

/** Reads what a ByteWriter wrote; throws MalformedBytes rather than read past the end. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.raw(1)[0] as number;
  }

  u16(): number {
    return (this.u8() << 8) | this.u8();
  }

  u32(): number {
    return this.u16() * 0x1_0000 + this.u16();
  }

  u48(): number {
    return this.u16() * 0x1_0000_0000 + this.u32();
  }

  /** A view, not a copy. */
  raw(count: number): Uint8Array {
    if (count > this.left) throw new MalformedBytes(`${count} bytes wanted, ${this.left} left`);
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  /** The hexadecimal digits of `count` bytes. */
  hex(count: number): string {
    let digits = '';
    for (const byte of this.raw(count)) digits += HEX[byte];
    return digits;
  }

  text(): string {
    const bytes = this.raw(this.u16());
    try {
      return TEXT.decode(bytes);
    } catch {
      throw new MalformedBytes('text that is not UTF-8');
    }
  }
}
