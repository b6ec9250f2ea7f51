declare module 'corestore' {
  import type { EventEmitter } from 'node:events';
  import type { Duplex } from 'node:stream';

  export interface CoreOptions {
    /** The own core of this name; writable. */
    name?: string;
    /** Somebody's core. */
    key?: Uint8Array;
    encryption?: { key: Uint8Array };
  }

  export interface Range {
    destroy(): void;
  }

  export interface Hypercore extends EventEmitter {
    readonly key: Uint8Array;
    /** Blocks, as far as is known here. */
    readonly length: number;
    readonly fork: number;
    ready(): Promise<void>;
    append(blocks: readonly Uint8Array[]): Promise<{ length: number }>;
    /** Waits for the block to come from somebody; null when `wait` is false and it is not here. Rejects when the core is closed. */
    get(index: number, options?: { wait?: boolean; timeout?: number }): Promise<Uint8Array | null>;
    has(index: number): Promise<boolean>;
    clear(start: number, end: number): Promise<unknown>;
    /** What all sessions of the core share. */
    readonly state: { createWriteBatch(): { deleteTreeNode(index: number): void } };
    download(range: { start: number; end: number; linear?: boolean }): Range;
    update(options?: { wait?: boolean }): Promise<boolean>;
    /** As the store's, of this core alone. */
    replicate(isInitiator: boolean): Duplex;
    close(): Promise<void>;
  }

  class Corestore {
    constructor(folder: string);
    ready(): Promise<void>;
    get(options: CoreOptions): Hypercore;
    readonly storage: { compact(options: Record<string, number>): Promise<void>; close(): Promise<void> };
    /** One end of a replication: an encrypted stream of its own, to be piped through any duplex. */
    replicate(isInitiator: boolean): Duplex;
    close(): Promise<void>;
  }

  export default Corestore;
}
