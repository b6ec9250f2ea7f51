import { assert } from '../../util/assert.js';

// Blowfish begins with the digits of pi: 18 words of its key array, then 4 boxes of 256 words.
const WORDS = 18 + 4 * 256;
let piWords: Uint32Array | undefined;

/** The words of pi behind the point, by Machin's formula. */
function digitsOfPi(): Uint32Array {
  if (piWords) return piWords;
  const bits = BigInt(WORDS * 32);
  const one = 1n << (bits + 64n);
  const arctanOfInverse = (x: bigint): bigint => {
    let power = one / x;
    let sum = power;
    for (let n = 3n, sign = -1n; power > 0n; n += 2n, sign = -sign) {
      power /= x * x;
      sum += (sign * power) / n;
    }
    return sum;
  };
  const pi = 4n * (4n * arctanOfInverse(5n) - arctanOfInverse(239n));
  const fraction = ((pi - 3n * one) >> 64n).toString(16).padStart(WORDS * 8, '0');
  piWords = Uint32Array.from({ length: WORDS }, (_, i) => Number.parseInt(fraction.slice(i * 8, i * 8 + 8), 16));
  return piWords;
}

interface Cipher {
  readonly keys: Uint32Array;
  readonly boxes: Uint32Array;
}

/** Encrypts the 64 bits in `block` where they lie. */
function encrypt({ keys, boxes }: Cipher, block: Uint32Array): void {
  let left = (block[0] as number) ^ (keys[0] as number);
  let right = block[1] as number;
  for (let i = 1; i <= 16; i++) {
    const sum = ((boxes[left >>> 24] as number) + (boxes[256 + ((left >>> 16) & 255)] as number)) | 0;
    const mixed = ((sum ^ (boxes[512 + ((left >>> 8) & 255)] as number)) + (boxes[768 + (left & 255)] as number)) | 0;
    const next = right ^ mixed ^ (keys[i] as number);
    right = left;
    left = next;
  }
  block[0] = right ^ (keys[17] as number);
  block[1] = left;
}

/** The bytes again and again, as words. */
function wordsOf(bytes: Uint8Array, count: number): Uint32Array {
  let at = 0;
  return Uint32Array.from({ length: count }, () => {
    let word = 0;
    for (let i = 0; i < 4; i++) word = (word << 8) | (bytes[at++ % bytes.length] as number);
    return word;
  });
}

function expandKey(cipher: Cipher, key: Uint32Array, salt: Uint32Array): void {
  const { keys, boxes } = cipher;
  for (let i = 0; i < 18; i++) keys[i] = (keys[i] as number) ^ (key[i] as number);
  const block = new Uint32Array(2);
  for (const [array, shift] of [
    [keys, 0],
    [boxes, 2],
  ] as const) {
    for (let i = 0; i < array.length; i += 2) {
      const at = (i + shift) % 4;
      block[0] = (block[0] as number) ^ (salt[at] as number);
      block[1] = (block[1] as number) ^ (salt[at + 1] as number);
      encrypt(cipher, block);
      array[i] = block[0] as number;
      array[i + 1] = block[1] as number;
    }
  }
}

const ALPHABET = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** Six bits a character, in bcrypt's own order. */
function encode(bytes: Uint8Array): string {
  let text = '';
  for (let bit = 0; bit < bytes.length * 8; bit += 6) {
    const pair = ((bytes[bit >> 3] as number) << 8) | (bytes[(bit >> 3) + 1] ?? 0);
    text += ALPHABET[(pair >> (10 - (bit & 7))) & 63];
  }
  return text;
}

const NO_SALT = new Uint32Array(4);
const MAGIC = 'OrpheanBeholderScryDoubt';

/** bcrypt (version 2a) of at most 72 bytes, with 16 bytes of salt; takes 2^cost rounds. */
export function bcrypt(password: Uint8Array, salt: Uint8Array, cost: number): string {
  assert(salt.length === 16, 'bcrypt: a salt has 16 bytes');
  const pi = digitsOfPi();
  const cipher: Cipher = { keys: pi.slice(0, 18), boxes: pi.slice(18) };
  const key = wordsOf(new Uint8Array([...password, 0]), 18);
  const saltKey = wordsOf(salt, 18);
  expandKey(cipher, key, wordsOf(salt, 4));
  for (let round = 0; round < 2 ** cost; round++) {
    expandKey(cipher, key, NO_SALT);
    expandKey(cipher, saltKey, NO_SALT);
  }
  const text = wordsOf(new TextEncoder().encode(MAGIC), 6);
  for (let i = 0; i < 6; i += 2) for (let round = 0; round < 64; round++) encrypt(cipher, text.subarray(i, i + 2));
  const bytes = new Uint8Array(24);
  for (const [i, word] of text.entries()) new DataView(bytes.buffer).setUint32(i * 4, word);
  return `$2a$${String(cost).padStart(2, '0')}$${encode(salt)}${encode(bytes.subarray(0, 23))}`;
}
