import type { SigningKey } from './signature.js';
import { signBytes } from './signature.js';

/** Signs claims as a JSON Web Token (RFC 7519) with EdDSA (RFC 8037). `id` tells which key checks it. */
export function signJwt(claims: Record<string, unknown>, key: SigningKey, id: string): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'EdDSA', kid: id, typ: 'JWT' })}.${part(claims)}`;
  return `${text}.${signBytes(key, Buffer.from(text)).toString('base64url')}`;
}
