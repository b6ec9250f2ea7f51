import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { refuse } from './failure.js';

type Algorithm = 'md5' | 'sha1' | 'sha256' | 'sha512';

const BY_LENGTH: Readonly<Record<number, Algorithm>> = { 32: 'md5', 40: 'sha1', 64: 'sha256', 128: 'sha512' };

interface Checksum {
  algorithm: Algorithm;
  /** In small hexadecimal digits. */
  digest: string;
}

/**
 * What `checksum = "…"` asks for: `sha256:DIGEST`, a bare digest, or `file:URL` of a list of digests, which `fetchText`
 * gets. Throws ArtifactError for anything else.
 */
export async function readChecksum(
  text: string,
  name: string,
  fetchText: (url: string) => Promise<string>,
): Promise<Checksum> {
  const colon = text.indexOf(':');
  const kind = colon < 0 ? '' : text.slice(0, colon);
  const rest = text.slice(colon + 1);
  if (kind === 'file') return findInList(await fetchText(rest), name, rest);
  const digest = rest.toLowerCase();
  const algorithm = BY_LENGTH[digest.length];
  if (!/^[0-9a-f]+$/.test(digest) || !algorithm || (kind !== '' && kind !== algorithm)) {
    throw refuse(`the checksum ${JSON.stringify(text)} is no md5, sha1, sha256 or sha512 in hexadecimal, nor file:URL`);
  }
  return { algorithm, digest };
}

/** Lists of GNU coreutils (`DIGEST  NAME`) and BSD (`SHA256 (NAME) = DIGEST`), and a digest alone. */
function findInList(list: string, name: string, url: string): Checksum {
  for (const line of list.split(/\r?\n/)) {
    const bsd = /^(MD5|SHA1|SHA256|SHA512) \((.+)\) = ([0-9a-fA-F]+)\s*$/.exec(line);
    const gnu = /^([0-9a-fA-F]+)(?:\s+[ *]?(\S.*?))?\s*$/.exec(line.trim());
    const [digest, file] = bsd ? [bsd[3], bsd[2]] : [gnu?.[1], gnu?.[2]];
    if (digest === undefined) continue;
    const algorithm = BY_LENGTH[digest.length];
    if (algorithm && (file === undefined || basename(file) === name))
      return { algorithm, digest: digest.toLowerCase() };
  }
  throw refuse(`${url} has no checksum of ${name}`);
}

/** Throws ArtifactError when the file is not what the checksum says. */
export async function verify(file: string, { algorithm, digest }: Checksum): Promise<void> {
  const hash = createHash(algorithm);
  for await (const piece of createReadStream(file)) hash.update(piece as Buffer);
  const found = hash.digest('hex');
  if (found !== digest) throw refuse(`checksums did not match: expected ${algorithm} ${digest}, got ${found}`);
}
