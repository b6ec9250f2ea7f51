/** Writes numbers and bytes one after the other; a number below 2^53 takes one byte for each 7 bits. */
export class WireWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  #room(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  byte(value: number): this {
    this.#room(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  number(value: number): this {
    this.#room(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
    return this;
  }

  /** As they are, without their length. */
  raw(bytes: Uint8Array): this {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** With their length before them. */
  bytes(bytes: Uint8Array): this {
    return this.number(bytes.length).raw(bytes);
  }

  /** All that was written; a view, valid until the next write. */
  done(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Reads what WireWriter wrote. What is missing or too large reads as 0 or as nothing, and makes `ok` false for ever. */
export class WireReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  ok = true;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get rest(): number {
    return this.#bytes.length - this.#at;
  }

  #fail(): 0 {
    this.ok = false;
    this.#at = this.#bytes.length;
    return 0;
  }

  byte(): number {
    return this.#at < this.#bytes.length ? (this.#bytes[this.#at++] as number) : this.#fail();
  }

  number(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return Number.isSafeInteger(value) ? value : this.#fail();
      scale *= 0x80;
    }
    return this.#fail();
  }

  /** A view, not a copy. */
  raw(length: number): Uint8Array {
    if (length > this.rest) this.#fail();
    const found = this.#bytes.subarray(this.#at, this.#at + Math.min(length, this.rest));
    this.#at += found.length;
    return found;
  }

  /** A view, not a copy. */
  bytes(): Uint8Array {
    return this.raw(this.number());
  }
}
