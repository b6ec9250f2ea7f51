import { renameSync, rmSync } from 'node:fs';
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
  /** A block, from whoever has it; waits for it without end. Rejects when the core is closed. */
  get(index: number): Promise<Uint8Array>;
  /** Frees the place of blocks from `start` up to but not including `end`. */
  clear(start: number, end: number): Promise<void>;
  /** Has everything from `start` on (up to `end`) fetched ahead, until the returned function is called. */
  fetch(start: number, end?: number): () => void;
  /** Hears when there is more of it; returns how to stop listening. */
  onLonger(listener: () => void): () => void;
  close(): Promise<void>;
}

/** All cores of this process: they share one store, one set of file handles, and each replication. */
export interface Cores {
  /** The own core of that name; made when it is not there. */
  own(name: string, secret: Uint8Array): Promise<Core>;
  /** Somebody else's core. `secret` decrypts its blocks. */
  other(key: Uint8Array, secret: Uint8Array): Promise<Core>;
  /** Copies cores to and from whoever is at the other end; both ends ask for what they want. Ends with the stream. */
  replicate(stream: Duplex, side: 'asks' | 'answers'): void;
  close(): Promise<void>;
}

/** How many damaged stores are kept for a look: one. */
const DAMAGED = '.damaged';

/**
 * Opens the cores of a folder; the packages behind it are loaded now and not before. A store that cannot be opened is put
 * aside (`….damaged`) and begun anew, with a word in the log: all that is in it can be had again.
 */
export async function openCores(folder: string, options: { log: Log }): Promise<Cores> {
  const { default: Store } = await import('corestore');
  let store = new Store(folder);
  try {
    await store.ready();
  } catch (error) {
    options.log.error('the store of cores is damaged and begun anew', { folder, error: (error as Error).message });
    await store.close().catch(() => {});
    try {
      rmSync(`${folder}${DAMAGED}`, { recursive: true, force: true });
      renameSync(folder, `${folder}${DAMAGED}`);
      store = new Store(folder);
      await store.ready();
    } catch (second) {
      throw storageError('open', folder, second);
    }
  }
  return new HypercoreCores(store);
}

class HypercoreCores implements Cores {
  readonly #store: Corestore;
  readonly #streams = new Set<Duplex>();

  constructor(store: Corestore) {
    this.#store = store;
  }

  own(name: string, secret: Uint8Array): Promise<Core> {
    return ready(this.#store.get({ name, encryption: { key: secret } }));
  }

  other(key: Uint8Array, secret: Uint8Array): Promise<Core> {
    return ready(this.#store.get({ key, encryption: { key: secret } }));
  }

  replicate(stream: Duplex, side: 'asks' | 'answers'): void {
    const end = this.#store.replicate(side === 'asks');
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
}

async function ready(core: Hypercore): Promise<Core> {
  // A peer that breaks the protocol is dropped; without a listener it would end this process.
  core.on('error', () => {});
  await core.ready();
  return {
    key: core.key,
    get length() {
      return core.length;
    },
    async append(blocks) {
      await core.append(blocks);
    },
    local: (index) => core.get(index, { wait: false }),
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
    close: () => core.close(),
  };
}
