import { rangesOf } from '../../archive/index.js';
import type { Core } from '../../storage/index.js';
import { MeshError } from '../../structs/errors.js';
import type { BlockRanges } from '../../structs/rpc-volume-data.js';
import type { VolumeProgress } from '../../structs/volume-data.js';
import { clearOthers, requireRoom, SYNC_EVERY_BYTES } from './archive-core.js';

/** Blocks that are asked for at once: a MiB or two, some round trips' worth. */
const PARALLEL = 8;
/** When nobody has sent a block for so long, nobody will. */
const SILENCE_MS = 90_000;

/** The blocks of a core that are on this node. Throws E_NOT_FOUND when it does not go so far here. */
export async function blocksHere(core: Core, length: number): Promise<BlockRanges> {
  if (core.length < length) throw new MeshError('E_NOT_FOUND', 'a part of the copy is not on this node any more');
  const has: boolean[] = [];
  for (let block = 0; block < core.length; block++) has.push(await core.has(block));
  return rangesOf(has.length, (block) => has[block] === true).map(([start, end]) => [start, end]);
}

/**
 * Has exactly these blocks of a core on this node, from whoever is connected; answers how many others were let go. Throws E_TIMEOUT when nobody sends them, or
 * `signal` ended it, E_TOO_LARGE when the disk has not room.
 */
export async function copyBlocks(
  core: Core,
  ranges: BlockRanges,
  { folder, progress, signal }: { folder: string; progress: VolumeProgress; signal: AbortSignal },
): Promise<number> {
  const missing: number[] = [];
  let total = 0;
  for (const [start, end] of ranges) {
    total += end - start;
    for (let block = start; block < end; block++) if (!(await core.has(block))) missing.push(block);
  }
  const tell = (): void => {
    progress.Phase = `${total - missing.length} of ${total} blocks are copied`;
  };
  tell();
  let unchecked = SYNC_EVERY_BYTES;
  const blocks = patient(core, signal);
  const take = async (): Promise<void> => {
    for (let block = missing.shift(); block !== undefined; block = missing.shift()) {
      if (unchecked >= SYNC_EVERY_BYTES) {
        unchecked = 0;
        await requireRoom(folder, SYNC_EVERY_BYTES, 'it can hold no more copies of volumes');
      }
      const { length } = await blocks.get(block);
      unchecked += length;
      progress.Bytes += length;
      tell();
    }
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL }, take));
  } finally {
    // When one gives up, the others have nothing more to take.
    missing.length = 0;
  }
  return clearOthers(core, ranges, core.length);
}

/** Where blocks come from: a core, or a core with patience. */
export type Blocks = Pick<Core, 'key' | 'get'>;

/** A core whose blocks are not waited for without end. Rejects with E_TIMEOUT. */
export function patient(core: Core, signal: AbortSignal): Blocks {
  // One listener for all that is asked for at once: the signal is the agent's, and many others listen to it.
  const waiting = new Set<() => void>();
  const endAll = (): void => {
    for (const end of waiting) end();
  };
  const join = (end: () => void): void => {
    if (waiting.size === 0) signal.addEventListener('abort', endAll);
    waiting.add(end);
    if (signal.aborted) end();
  };
  const leave = (end: () => void): void => {
    waiting.delete(end);
    if (waiting.size === 0) signal.removeEventListener('abort', endAll);
  };
  return {
    key: core.key,
    get: (index) =>
      new Promise((resolve, reject) => {
        const giveUp = (why: string) => (): void => reject(new MeshError('E_TIMEOUT', why));
        const timer = setTimeout(giveUp('no node that has a copy sends it'), SILENCE_MS);
        const end = giveUp('it was given up: the agent ends');
        join(end);
        core
          .get(index)
          .then(resolve, reject)
          .finally(() => {
            clearTimeout(timer);
            leave(end);
          });
      }),
  };
}
