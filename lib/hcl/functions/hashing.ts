import { ok } from '../../util/result.js';
import type { HclFunction } from '../context.js';
import { STRING } from '../types.js';
import { stringValue } from '../values.js';
import { utf8Text } from './base64.js';
import { define, onText, refuse, text, textOf } from './define.js';
import { hex, md5, sha1, sha256, sha512 } from './hash.js';
import { rsaDecrypt } from './rsa.js';
import { parseUuid, printUuid } from './uuid.js';

/** About a hundredth of a second. */
const RSA_STEPS = 10_000;

function hashed(hash: (bytes: Uint8Array) => Uint8Array): HclFunction {
  const fn = onText((value) => hex(hash(new TextEncoder().encode(value))));
  return { ...fn, cost: ([value]) => 1 + textOf(value).length / 2 };
}

/** The namespaces of RFC 4122 with a name; they differ in one digit. */
const NAMESPACES: Record<string, string> = { dns: '0', url: '1', oid: '2', x500: '4' };

/** The functions of cryptography that need no chance. */
export const HASHING_FUNCTIONS: Record<string, HclFunction> = {
  md5: hashed(md5),
  sha1: hashed(sha1),
  sha256: hashed(sha256),
  sha512: hashed(sha512),
  rsadecrypt: {
    ...define([text('ciphertext'), text('privatekey')], STRING, ([ciphertext, key]) => {
      const decrypted = rsaDecrypt(textOf(ciphertext), textOf(key));
      if (!decrypted.ok) return refuse(decrypted.error);
      const plain = utf8Text(decrypted.value);
      return plain === null ? refuse('the decrypted text is not valid UTF-8') : ok(stringValue(plain));
    }),
    cost: () => RSA_STEPS,
  },
  uuidv5: define([text('namespace'), text('name')], STRING, ([namespace, name]) => {
    const given = textOf(namespace);
    const digit = NAMESPACES[given];
    const bytes = parseUuid(digit === undefined ? given : `6ba7b81${digit}-9dad-11d1-80b4-00c04fd430c8`);
    if (!bytes) return refuse(`uuidv5() doesn't support namespace ${given} (it is no UUID, nor dns, url, oid or x500)`);
    const message = new TextEncoder().encode(textOf(name));
    return ok(stringValue(printUuid(sha1(new Uint8Array([...bytes, ...message])).subarray(0, 16), 5)));
  }),
};
