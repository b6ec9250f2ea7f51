import { err, ok, type Result } from '../../util/result.js';
import { base64Decode } from './base64.js';

/** The bytes between the first pair of PEM lines; null when there is none. */
function pemBlock(source: string): { headers: string; bytes: Uint8Array } | null {
  const match = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n([\s\S]*?)-----END \1-----/.exec(source);
  if (!match) return null;
  const [, , inside = ''] = match;
  const headers = inside.split('\n').filter((line) => line.includes(':'));
  const bytes = base64Decode(
    inside
      .split('\n')
      .filter((line) => !line.includes(':'))
      .join('')
      .replace(/\s/g, ''),
  );
  return bytes && { headers: headers.join('\n'), bytes };
}

/** The whole numbers in a DER sequence, as PKCS #1 has them; null when it is something else. */
function derIntegers(bytes: Uint8Array): bigint[] | null {
  const read = (at: number): { tag: number; start: number; end: number } | null => {
    const [tag, first] = [bytes[at], bytes[at + 1]];
    if (tag === undefined || first === undefined) return null;
    const count = first < 0x80 ? 0 : first & 0x7f;
    if (count > 3) return null;
    let length = count === 0 ? first : 0;
    for (let i = 0; i < count; i++) length = length * 256 + (bytes[at + 2 + i] ?? 0);
    const start = at + 2 + count;
    return start + length <= bytes.length ? { tag, start, end: start + length } : null;
  };
  const outer = read(0);
  if (outer?.tag !== 0x30) return null;
  const found: bigint[] = [];
  for (let at = outer.start; at < outer.end; ) {
    const item = read(at);
    if (item?.tag !== 2) return null;
    found.push(toNumber(bytes.subarray(item.start, item.end)));
    at = item.end;
  }
  return found;
}

function toNumber(bytes: Uint8Array): bigint {
  let number = 0n;
  for (const byte of bytes) number = (number << 8n) | BigInt(byte);
  return number;
}

function powerModulo(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base % modulus;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

const KEY_BYTES_MAX = 2048;

/** Decrypts RSA with the padding of PKCS #1 v1.5; the key is in PEM, without a password. */
export function rsaDecrypt(ciphertext: string, privateKey: string): Result<Uint8Array, string> {
  const encrypted = base64Decode(ciphertext);
  if (!encrypted)
    return err(`failed to decode input ${JSON.stringify(ciphertext)}: cipher text must be base64-encoded`);
  const block = pemBlock(privateKey);
  if (!block) return err('failed to parse key: no key found');
  if (block.headers.includes('4,ENCRYPTED'))
    return err('failed to parse key: password protected keys are not supported. Please decrypt the key prior to use');
  const [version, modulus, , exponent] = derIntegers(block.bytes) ?? [];
  if (version !== 0n || !modulus || !exponent)
    return err('failed to parse key: an RSA key in PKCS #1 is needed (BEGIN RSA PRIVATE KEY)');
  const size = Math.ceil(modulus.toString(16).length / 2);
  if (size > KEY_BYTES_MAX) return err('failed to parse key: it is too large');
  if (toNumber(encrypted) >= modulus || encrypted.length > size) return err('crypto/rsa: decryption error');
  const plain = powerModulo(toNumber(encrypted), exponent, modulus)
    .toString(16)
    .padStart(size * 2, '0');
  const bytes = Uint8Array.from(plain.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  // 0, 2, at least eight random bytes other than 0, 0, and the message.
  const end = bytes.indexOf(0, 2);
  if (bytes[0] !== 0 || bytes[1] !== 2 || end < 10) return err('crypto/rsa: decryption error');
  return ok(bytes.subarray(end + 1));
}
