import { existsSync, renameSync, rmSync } from 'node:fs';
import { open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type Corestore from 'corestore';
import type { Hypercore } from 'corestore';
import type { Log } from '../util/log.js';
import { storageError } from './disk.js';

/** An append-only log of blocks that others may copy. Nothing in it survives a power cut for certain. */
export interface Core {
  /** By it others find and verify the core. */
  readonly key: Uint8Array;
  /** Blocks, as far as is known here. */
  readonly length: number;
  append(blocks: readonly Uint8Array[]): Promise<void>;
  /** A block that is here, or null. */
  local(index: number): Promise<Uint8Array | null>;
  /** Whether the block is here. */
  has(index: number): Promise<boolean>;
  /** A block, from whoever has it; waits for it without end. Rejects when the core is closed. */
  get(index: number): Promise<Uint8Array>;
  /** Frees the place of blocks from `start` up to but not including `end`. */
  clear(start: number, end: number): Promise<void>;
  /** Has everything from `start` on (up to `end`) fetched ahead, until the returned function is called. */
  fetch(start: number, end?: number): () => void;
  /** Hears when there is more of it; returns how to stop listening. */
  onLonger(listener: () => void): () => void;
  /** As that of all cores, for this one alone: what goes wrong with another one is no matter here. */
  replicate(stream: Duplex, side: Side): void;
  close(): Promise<void>;
}

/** One end of a replication asks the other one for it; both may want something. */
export type Side = 'asks' | 'answers';

/** All cores of this process: they share one store, one set of file handles, and each replication. */
export interface Cores {
  /** The own core of that name; made when it is not there. Null for blocks that are encrypted already. */
  own(name: string, secret: Uint8Array | null): Promise<Core>;
  /** Somebody else's core. `secret` decrypts its blocks; null: they are taken as they are. */
  other(key: Uint8Array, secret: Uint8Array | null): Promise<Core>;
  /** What was appended until now survives a power cut, once this has resolved. */
  sync(): Promise<void>;
  /** Bytes on the disk. */
  size(): Promise<number>;
  /** Writes the store anew without the blocks that were cleared. */
  compact(): Promise<void>;
  /** Copies cores to and from whoever is at the other end; both ends ask for what they want. Ends with the stream. */
  replicate(stream: Duplex, side: Side): void;
  close(): Promise<void>;
  /** Closes it and puts it aside as damaged. Returns the folder to open instead, for as long as this process runs. */
  condemn(): Promise<string>;
}

/** RocksDB's words for: whatever was deleted goes, wherever it lies. */
const ALWAYS = { force: 1, ofAnyAge: 1, alsoTheLast: 2 };

/** How many damaged stores are kept for a look: one. */
const DAMAGED = '.damaged';
/** In place of a store that was found damaged while it was open, until the next start. */
const INSTEAD = '.instead';

/**
 * Opens the cores of a folder; the packages behind it are loaded now and not before. A store that cannot be opened is put
 * aside (`….damaged`) and begun anew, with a word in the log: all that is in it can be had again. Unless `mustLast`: then that
 * throws E_STORAGE. `onCopy`
 * is called when the store is a copy of another one, or was put back: it is opened all the same then, and may be read and copied from, but
 * no own core that is in it may be written any more, for others may have more of it. Without it such a store is a damaged one.
 */
export async function openCores(
  folder: string,
  options: { log: Log; mustLast?: boolean; onCopy?: () => Promise<void> },
): Promise<Cores> {
  const { default: Store } = await import('corestore');
  if (existsSync(`${folder}${INSTEAD}`) && !existsSync(folder)) renameSync(`${folder}${INSTEAD}`, folder);
  await clearUnborn(folder);
  let store = new Store(folder);
  try {
    await store.ready();
  } catch (error) {
    await abandon(store);
    if (options.onCopy && (error as { code?: unknown }).code === COPIED) {
      options.log.warn('the store of cores is a copy, or was put back: what others have of it is not written again', {
        folder,
      });
      await options.onCopy();
      await rm(join(folder, BIRTH_FILE));
      const { onCopy: _, ...rest } = options;
      return openCores(folder, { ...rest, mustLast: true });
    }
    if (options.mustLast === true) throw storageError('open', folder, error);
    options.log.error('the store of cores is damaged and begun anew', { folder, error: (error as Error).message });
    try {
      putAside(folder);
      store = new Store(folder);
      await store.ready();
    } catch (second) {
      throw storageError('open', folder, second);
    }
  }
  return new HypercoreCores(store, folder);
}

function putAside(folder: string): void {
  rmSync(`${folder}${DAMAGED}`, { recursive: true, force: true });
  renameSync(folder, `${folder}${DAMAGED}`);
}

/** A store that could not be opened does not close what is below it, which would keep its lock for as long as this process runs. */
async function abandon(store: Corestore): Promise<void> {
  await store.close().catch(() => {});
  await store.storage.close().catch(() => {});
}

/** The first thing that a store writes of itself. */
const BIRTH_FILE = 'CORESTORE';

/** The word of that file's checks for: it is not where it was made. */
const COPIED = 'DEVICE_FILE';

/** A store whose process was killed while it was being made has an empty file, which the next one would take for a foreign one. */
async function clearUnborn(folder: string): Promise<void> {
  const path = join(folder, BIRTH_FILE);
  const info = await stat(path).catch(() => null);
  if (info?.size === 0) await rm(path);
}

class HypercoreCores implements Cores {
  readonly #store: Corestore;
  readonly #folder: string;
  readonly #streams = new Set<Duplex>();

  constructor(store: Corestore, folder: string) {
    this.#store = store;
    this.#folder = folder;
  }

  own(name: string, secret: Uint8Array | null): Promise<Core> {
    return this.#ready(this.#store.get({ name, ...encryptedBy(secret) }));
  }

  other(key: Uint8Array, secret: Uint8Array | null): Promise<Core> {
    return this.#ready(this.#store.get({ key, ...encryptedBy(secret) }));
  }

  async #ready(core: Hypercore): Promise<Core> {
    return asCore(await ready(core), (stream, side) => this.#join(stream, core.replicate(side === 'asks')));
  }

  /** The store writes to its log before an append has resolved, and does not sync it. More than one may be in use. */
  async sync(): Promise<void> {
    const folder = join(this.#folder, 'db');
    const logs = (await readdir(folder)).filter((name) => name.endsWith('.log'));
    for (const path of [...logs.map((name) => join(folder, name)), folder]) {
      const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
        // It was written into a table meanwhile, which is synced.
        if (error.code === 'ENOENT') return null;
        throw error;
      });
      await file?.sync().finally(() => file.close());
    }
  }

  async size(): Promise<number> {
    const folder = join(this.#folder, 'db');
    const names = await readdir(folder);
    const sizes = names.map((name) =>
      stat(join(folder, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    );
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  }

  compact(): Promise<void> {
    return this.#store.storage.compact({
      blobGarbageCollectionPolicy: ALWAYS.force,
      blobGarbageCollectionAgeCutoff: ALWAYS.ofAnyAge,
      bottommostLevelCompaction: ALWAYS.alsoTheLast,
    });
  }

  replicate(stream: Duplex, side: Side): void {
    this.#join(stream, this.#store.replicate(side === 'asks'));
  }

  #join(stream: Duplex, end: Duplex): void {
    this.#streams.add(stream);
    // An error of either is the end of both; whoever lent the stream hears of it there.
    const stop = (): void => {
      this.#streams.delete(stream);
      stream.destroy();
      end.destroy();
    };
    for (const one of [stream, end]) one.on('error', stop).on('close', stop);
    stream.pipe(end).pipe(stream);
  }

  async close(): Promise<void> {
    for (const stream of this.#streams) stream.destroy();
    await this.#store.close();
  }

  async condemn(): Promise<string> {
    // What cannot be read can make it fail.
    await this.close().catch(() => {});
    putAside(this.#folder);
    // What could not be read holds on to the lock, which goes by the name of the folder.
    return `${this.#folder}${INSTEAD}`;
  }
}

function encryptedBy(secret: Uint8Array | null): { encryption?: { key: Uint8Array } } {
  return secret === null ? {} : { encryption: { key: secret } };
}

async function ready(core: Hypercore): Promise<Hypercore> {
  // A peer that breaks the protocol is dropped; without a listener it would end this process.
  core.on('error', () => {});
  await core.ready();
  keepTree(core);
  return core;
}

function asCore(core: Hypercore, replicate: Core['replicate']): Core {
  return {
    key: core.key,
    get length() {
      return core.length;
    },
    async append(blocks) {
      await core.append(blocks);
    },
    local: (index) => core.get(index, { wait: false }),
    has: (index) => core.has(index),
    async get(index) {
      const block = await core.get(index);
      if (block === null) throw new Error('the core is closed');
      return block;
    },
    async clear(start, end) {
      await core.clear(start, end);
    },
    fetch(start, end = -1) {
      const range = core.download({ start, end, linear: true });
      return () => range.destroy();
    },
    onLonger(listener) {
      core.on('append', listener);
      return () => core.off('append', listener);
    },
    replicate,
    close: () => core.close(),
  };
}

/**
 * Has a core keep its hashes when blocks are cleared. The package removes some that prove neighbours which stay, and who has not
 * copied those yet never could; 40 bytes a block are no price for that.
 */
function keepTree({ state }: Hypercore): void {
  if (Object.hasOwn(state, 'createWriteBatch')) return;
  const create = state.createWriteBatch.bind(state);
  state.createWriteBatch = () => {
    const batch = create();
    batch.deleteTreeNode = () => {};
    return batch;
  };
}
