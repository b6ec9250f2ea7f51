import { join } from 'node:path';
import type { HardState, StableStore } from '../raft/index.js';
import { EMPTY_HARD_STATE } from '../raft/index.js';
import { MeshError } from '../structs/errors.js';
import { crc32c } from './crc32c.js';
import type { Disk } from './disk.js';
import { nodeDisk, storageError } from './disk.js';
import { readSmallFile, replaceSmallFile } from './small-file.js';

const NAME = 'vote.json';
const VERSION = 1;

/**
 * Term and vote in a small file that is replaced as a whole: written beside, synced, renamed, and the folder synced.
 * Throws MeshError when the file is damaged or of another version: a forgotten vote could be given twice.
 */
export function openStable(folder: string, options: { disk?: Disk } = {}): StableStore {
  const { disk = nodeDisk } = options;
  const path = join(folder, NAME);
  let state: HardState;
  try {
    disk.makeDir(folder);
    const text = readSmallFile(disk, folder, NAME);
    state = text === null ? EMPTY_HARD_STATE : parse(text, path);
  } catch (error) {
    throw storageError('read', path, error);
  }
  return {
    load: () => state,
    async save(next) {
      try {
        await replaceSmallFile(disk, folder, NAME, print(next));
        state = next;
      } catch (error) {
        throw storageError('write', path, error);
      }
    },
  };
}

/** Term and vote of an agent that keeps no state. */
export function memoryStable(): StableStore {
  let state = EMPTY_HARD_STATE;
  return {
    load: () => state,
    async save(next) {
      state = next;
    },
  };
}

function checksum(state: HardState): number {
  return crc32c(new TextEncoder().encode(JSON.stringify([state.term, state.vote, state.commit])));
}

function print(state: HardState): string {
  const { term, vote, commit } = state;
  return `${JSON.stringify({ format: VERSION, term, vote, commit, crc32c: checksum(state) })}\n`;
}

function parse(text: string, path: string): HardState {
  let read: Partial<HardState & { format: number; crc32c: number }>;
  try {
    read = JSON.parse(text);
  } catch {
    read = {};
  }
  const { format, term, vote, commit } = read;
  if (typeof format === 'number' && format !== VERSION) {
    throw new MeshError(
      'E_NOT_SUPPORTED',
      `${path} has format version ${format}, this program reads version ${VERSION}: start the version of meshnomad that wrote it`,
    );
  }
  if (format === VERSION && typeof term === 'number' && typeof vote === 'string' && typeof commit === 'number') {
    const state = { term, vote, commit };
    if (checksum(state) === read.crc32c) return state;
  }
  throw new MeshError(
    'E_STORAGE',
    `${path} is damaged: without it this server could vote twice; restore the data directory from a backup or let this server join anew`,
  );
}
