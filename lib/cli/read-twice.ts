import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** As many contents are remembered; older ones are read twice again. */
const REMEMBERED_MAX = 500;

/**
 * Reads a file a second time, with the other parser (second-reading.ts). To load that one takes three times as long as
 * all the rest, so a content on which both have agreed is remembered, in the user's cache folder, and not read twice
 * again. Null when they agree, otherwise the message to show.
 */
export async function readTwice(
  source: string,
  filename: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | null> {
  const digest = createHash('sha256').update(`${PARSERS}\n${source}`).digest('base64url');
  const cache = env['XDG_CACHE_HOME'] || (env['HOME'] ? join(env['HOME'], '.cache') : null);
  const folder = cache && join(cache, 'meshnomad');
  const remembered = folder ? recall(folder) : [];
  if (remembered.includes(digest)) return null;
  const { readAgain } = await import('./second-reading.js');
  const disagreement = await readAgain(source, filename, folder);
  if (disagreement === null && folder) remember(folder, [...remembered.slice(1 - REMEMBERED_MAX), digest]);
  return disagreement;
}

/** Raised when either parser reads a file in another way than before. */
const PARSERS = 'hcl2-parser 1.0.3, meshnomad 1';
const NAME = 'read-twice';

function recall(folder: string): string[] {
  try {
    return readFileSync(join(folder, NAME), 'utf8').split('\n').slice(0, REMEMBERED_MAX);
  } catch {
    return [];
  }
}

/** A cache that cannot be written is none. */
function remember(folder: string, digests: readonly string[]): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(folder, NAME), digests.join('\n'));
  } catch {
    // Without it the next time takes as long as this one.
  }
}
