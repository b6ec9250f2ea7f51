/** The bits of a root of the first primes behind the point, 64 or 32 of them: the constants of SHA-2. */
function rootBits(prime: bigint, degree: 2n | 3n, bits: bigint): bigint {
  const target = prime << (degree * bits);
  let low = 0n;
  let high = 1n << (bits + 5n);
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle ** degree <= target) low = middle;
    else high = middle;
  }
  return low & ((1n << bits) - 1n);
}

function primes(count: number): bigint[] {
  const found: bigint[] = [];
  for (let n = 2n; found.length < count; n++) if (found.every((p) => n % p !== 0n)) found.push(n);
  return found;
}

/** The message, a one, zeros, and its length in bits at the end of a block. */
function padded(message: Uint8Array, block: number, littleEndian: boolean): DataView {
  const lengthBytes = block / 8;
  const size = Math.ceil((message.length + 1 + lengthBytes) / block) * block;
  const bytes = new Uint8Array(size);
  bytes.set(message);
  bytes[message.length] = 0x80;
  const view = new DataView(bytes.buffer);
  view.setBigUint64(size - 8, BigInt(message.length) * 8n, littleEndian);
  return view;
}

const rotateLeft = (x: number, by: number): number => (x << by) | (x >>> (32 - by));
const rotateRight = (x: number, by: number): number => (x >>> by) | (x << (32 - by));

const MD5_SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];

/** RFC 1321. */
export function md5(message: Uint8Array): Uint8Array {
  const view = padded(message, 64, true);
  const state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let at = 0; at < view.byteLength; at += 64) {
    let [a, b, c, d] = state as [number, number, number, number];
    for (let i = 0; i < 64; i++) {
      const round = i >> 4;
      const mix = [(b & c) | (~b & d), (d & b) | (~d & c), b ^ c ^ d, c ^ (b | ~d)][round] as number;
      const word = [i, 5 * i + 1, 3 * i + 5, 7 * i][round] as number;
      const constant = Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32);
      const sum = (a + mix + constant + view.getUint32(at + (word % 16) * 4, true)) | 0;
      [a, d, c, b] = [d, c, b, (b + rotateLeft(sum, MD5_SHIFTS[round * 4 + (i % 4)] as number)) | 0];
    }
    for (const [i, x] of [a, b, c, d].entries()) state[i] = ((state[i] as number) + x) | 0;
  }
  return fromWords(state, true);
}

function fromWords(words: readonly number[], littleEndian: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(words.length * 4));
  for (const [i, word] of words.entries()) view.setUint32(i * 4, word, littleEndian);
  return new Uint8Array(view.buffer);
}

/** FIPS 180-4. */
export function sha1(message: Uint8Array): Uint8Array {
  const view = padded(message, 64, false);
  const state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
  const words = new Int32Array(80);
  for (let at = 0; at < view.byteLength; at += 64) {
    for (let i = 0; i < 16; i++) words[i] = view.getUint32(at + i * 4);
    for (let i = 16; i < 80; i++) {
      const mixed = (words[i - 3] as number) ^ (words[i - 8] as number) ^ (words[i - 14] as number);
      words[i] = rotateLeft(mixed ^ (words[i - 16] as number), 1);
    }
    let [a, b, c, d, e] = state as [number, number, number, number, number];
    for (let i = 0; i < 80; i++) {
      const round = Math.floor(i / 20);
      const mix = round === 0 ? (b & c) | (~b & d) : round === 2 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
      const constant = [0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6][round] as number;
      const sum = (rotateLeft(a, 5) + mix + e + constant + (words[i] as number)) | 0;
      [e, d, c, b, a] = [d, c, rotateLeft(b, 30), a, sum];
    }
    for (const [i, x] of [a, b, c, d, e].entries()) state[i] = ((state[i] as number) + x) | 0;
  }
  return fromWords(state, false);
}

let constants256: { initial: number[]; rounds: number[] } | undefined;

/** FIPS 180-4. */
export function sha256(message: Uint8Array): Uint8Array {
  constants256 ??= {
    initial: primes(8).map((p) => Number(rootBits(p, 2n, 32n))),
    rounds: primes(64).map((p) => Number(rootBits(p, 3n, 32n))),
  };
  const view = padded(message, 64, false);
  const state = [...constants256.initial];
  const words = new Int32Array(64);
  for (let at = 0; at < view.byteLength; at += 64) {
    for (let i = 0; i < 16; i++) words[i] = view.getUint32(at + i * 4);
    for (let i = 16; i < 64; i++) {
      const [x, y] = [words[i - 15] as number, words[i - 2] as number];
      const s0 = rotateRight(x, 7) ^ rotateRight(x, 18) ^ (x >>> 3);
      const s1 = rotateRight(y, 17) ^ rotateRight(y, 19) ^ (y >>> 10);
      words[i] = (words[i - 16] as number) + s0 + (words[i - 7] as number) + s1;
    }
    let [a, b, c, d, e, f, g, h] = state as [number, number, number, number, number, number, number, number];
    for (let i = 0; i < 64; i++) {
      const s1 = rotateRight(e, 6) ^ rotateRight(e, 11) ^ rotateRight(e, 25);
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (constants256.rounds[i] as number) + (words[i] as number)) | 0;
      const s0 = rotateRight(a, 2) ^ rotateRight(a, 13) ^ rotateRight(a, 22);
      const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
    }
    for (const [i, x] of [a, b, c, d, e, f, g, h].entries()) state[i] = ((state[i] as number) + x) | 0;
  }
  return fromWords(state, false);
}

let constants512: { initial: bigint[]; rounds: bigint[] } | undefined;
const MASK_64 = 2n ** 64n - 1n;
const rotate64 = (x: bigint, by: bigint): bigint => ((x >> by) | (x << (64n - by))) & MASK_64;

/** FIPS 180-4. */
export function sha512(message: Uint8Array): Uint8Array {
  constants512 ??= {
    initial: primes(8).map((p) => rootBits(p, 2n, 64n)),
    rounds: primes(80).map((p) => rootBits(p, 3n, 64n)),
  };
  const view = padded(message, 128, false);
  const state = [...constants512.initial];
  const words = new Array<bigint>(80).fill(0n);
  for (let at = 0; at < view.byteLength; at += 128) {
    for (let i = 0; i < 16; i++) words[i] = view.getBigUint64(at + i * 8);
    for (let i = 16; i < 80; i++) {
      const [x, y] = [words[i - 15] as bigint, words[i - 2] as bigint];
      const s0 = rotate64(x, 1n) ^ rotate64(x, 8n) ^ (x >> 7n);
      const s1 = rotate64(y, 19n) ^ rotate64(y, 61n) ^ (y >> 6n);
      words[i] = ((words[i - 16] as bigint) + s0 + (words[i - 7] as bigint) + s1) & MASK_64;
    }
    let [a, b, c, d, e, f, g, h] = state as [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint];
    for (let i = 0; i < 80; i++) {
      const s1 = rotate64(e, 14n) ^ rotate64(e, 18n) ^ rotate64(e, 41n);
      const choice = (e & f) ^ ((e ^ MASK_64) & g);
      const t1 = h + s1 + choice + (constants512.rounds[i] as bigint) + (words[i] as bigint);
      const t2 = (rotate64(a, 28n) ^ rotate64(a, 34n) ^ rotate64(a, 39n)) + ((a & b) ^ (a & c) ^ (b & c));
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) & MASK_64, c, b, a, (t1 + t2) & MASK_64];
    }
    for (const [i, x] of [a, b, c, d, e, f, g, h].entries()) state[i] = ((state[i] as bigint) + x) & MASK_64;
  }
  const out = new DataView(new ArrayBuffer(64));
  for (const [i, word] of state.entries()) out.setBigUint64(i * 8, word);
  return new Uint8Array(out.buffer);
}

/** Two hexadecimal digits a byte. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
