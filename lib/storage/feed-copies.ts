import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cores } from './cores.js';

const NAME = 'copies.json';
/** The segment that is read, the one before it for others who come from there, and one of another feed. */
const KEPT = 3;

interface Copy {
  readonly Key: string;
  readonly Secret: string;
}

/** Remembers whose segments are copied here, so that old ones give their place back, over restarts too. */
export class FeedCopies {
  readonly #folder: string;
  readonly #cores: Cores;
  #copies: Copy[];

  constructor(folder: string, cores: Cores) {
    this.#folder = folder;
    this.#cores = cores;
    this.#copies = read(folder);
  }

  /** A segment is read from now on; the oldest copies go. */
  async use(copy: Copy): Promise<void> {
    const others = this.#copies.filter(({ Key }) => Key !== copy.Key);
    const old = others.splice(0, Math.max(0, others.length - KEPT + 1));
    if (others.length === this.#copies.length - 1 && this.#copies.at(-1)?.Key === copy.Key) return;
    for (const { Key, Secret } of old) {
      const core = await this.#cores.other(Buffer.from(Key, 'hex'), Buffer.from(Secret, 'hex'));
      await core.clear(0, core.length);
      await core.close();
    }
    this.#copies = [...others, { Key: copy.Key, Secret: copy.Secret }];
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const path = join(this.#folder, NAME);
    writeFileSync(`${path}.tmp`, JSON.stringify(this.#copies), { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
  }
}

function read(folder: string): Copy[] {
  try {
    const copies = JSON.parse(readFileSync(join(folder, NAME), 'utf8')) as Copy[];
    const isKey = (text: unknown): boolean => typeof text === 'string' && /^[0-9a-f]{64}$/.test(text);
    return copies.filter(({ Key, Secret }) => isKey(Key) && isKey(Secret));
  } catch {
    // Nothing was copied, or the list is damaged: then old copies stay, which only costs their place.
    return [];
  }
}
