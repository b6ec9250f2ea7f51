import { dirname } from 'node:path';
import type { Disk, DiskFile } from '../../lib/storage/index.js';
import type { Random } from '../../lib/util/random.js';
import { randomInt } from '../../lib/util/random.js';

interface Inode {
  /** What programs see. */
  current: Uint8Array;
  /** What is on the medium. */
  durable: Uint8Array;
  unsynced: { position: number; bytes: Uint8Array }[];
}

interface NameChange {
  readonly folder: string;
  readonly before: [string, Inode | undefined][];
  readonly undo: () => void;
}

/** What a power failure leaves of unsynced data: any bytes of any write, or a clean cut. */
const SECTOR = 64;

/** A file system in memory that loses what was not synced, runs full, fails, and flips bits. */
export class FaultyDisk implements Disk {
  readonly #files = new Map<string, Inode>();
  #nameChanges: NameChange[] = [];
  /** Bytes that fit on the disk. */
  capacity = Number.POSITIVE_INFINITY;
  /** The next sync of a file fails once, and what it should have written is lost though programs still see it. */
  failNextSync = false;
  /** Fails every operation that changes something, as a disk that went read-only. */
  failing = false;
  /** Fails every read, as a medium does that is coming to its end. */
  failingReads = false;
  /** After so many more operations that change something the power goes. */
  operationsLeft = Number.POSITIVE_INFINITY;
  operations = 0;
  /** Where the disk lies: a copy lies elsewhere. */
  location = 'here';

  #change(): void {
    if (this.failing) throw failure('EIO');
    if (this.operationsLeft-- <= 0) throw failure('EIO', 'the power is gone');
    this.operations++;
  }

  makeDir(): void {}

  list(path: string): string[] {
    return [...this.#files.keys()].filter((name) => dirname(name) === path).map((name) => name.slice(path.length + 1));
  }

  get usedBytes(): number {
    return [...this.#files.values()].reduce((sum, { current }) => sum + current.length, 0);
  }

  paths(): string[] {
    return [...this.#files.keys()];
  }

  open(path: string, mode: 'create' | 'change' | 'read'): DiskFile {
    let inode = this.#files.get(path);
    if (mode === 'create') {
      this.#change();
      const before = inode;
      inode = { current: new Uint8Array(0), durable: new Uint8Array(0), unsynced: [] };
      this.#rename(dirname(path), [[path, before]]);
      this.#files.set(path, inode);
    }
    if (inode === undefined) throw failure('ENOENT', path);
    return this.#handle(inode);
  }

  #handle(inode: Inode): DiskFile {
    return {
      size: () => inode.current.length,
      read: (into, position) => {
        if (this.failingReads) throw failure('EIO');
        const found = inode.current.subarray(position, position + into.length);
        into.set(found);
        return found.length;
      },
      write: (bytes, position) => {
        this.#change();
        const used = this.usedBytes;
        const growth = Math.max(0, position + bytes.length - inode.current.length);
        const fits = bytes.length - Math.max(0, Math.min(bytes.length, used + growth - this.capacity));
        const written = bytes.slice(0, fits);
        inode.current = overwrite(inode.current, written, position);
        inode.unsynced.push({ position, bytes: written });
        if (fits < bytes.length) throw failure('ENOSPC');
      },
      sync: async () => {
        this.#change();
        if (this.failNextSync) {
          this.failNextSync = false;
          inode.unsynced = [];
          throw failure('EIO');
        }
        for (const { position, bytes } of inode.unsynced) inode.durable = overwrite(inode.durable, bytes, position);
        inode.unsynced = [];
      },
      close() {},
    };
  }

  rename(from: string, to: string): void {
    this.#change();
    const inode = this.#files.get(from);
    if (inode === undefined) throw failure('ENOENT', from);
    this.#rename(dirname(to), [
      [from, inode],
      [to, this.#files.get(to)],
    ]);
    this.#files.delete(from);
    this.#files.set(to, inode);
  }

  remove(path: string): void {
    this.#change();
    const inode = this.#files.get(path);
    if (inode === undefined) return;
    this.#rename(dirname(path), [[path, inode]]);
    this.#files.delete(path);
  }

  #rename(folder: string, before: [string, Inode | undefined][]): void {
    const undo = (): void => {
      for (const [path, inode] of before) {
        if (inode === undefined) this.#files.delete(path);
        else this.#files.set(path, inode);
      }
    };
    this.#nameChanges.push({ folder, before, undo });
  }

  async syncDir(path: string): Promise<void> {
    this.#change();
    this.#nameChanges = this.#nameChanges.filter(({ folder }) => folder !== path);
  }

  /** The power fails and comes back: of unsynced data anything may be there, of unsynced names the older part. */
  crash(random: Random): void {
    const keep = randomInt(random, this.#nameChanges.length + 1);
    for (const { undo } of this.#nameChanges.slice(keep).reverse()) undo();
    this.#nameChanges = [];
    // Nothing, everything, or some of it.
    const share = [0, 0.5, 1][randomInt(random, 3)] as number;
    for (const inode of this.#files.values()) {
      for (const { position, bytes } of inode.unsynced) {
        for (let at = 0; at < bytes.length; at += SECTOR) {
          if (random.next() >= share) continue;
          const whole = bytes.subarray(at, at + SECTOR);
          // The last sector may itself be cut at any byte.
          const part = random.next() < 0.2 ? whole.subarray(0, randomInt(random, whole.length + 1)) : whole;
          inode.durable = overwrite(inode.durable, part, position + at);
        }
      }
      inode.unsynced = [];
      inode.current = inode.durable.slice();
    }
    this.operationsLeft = Number.POSITIVE_INFINITY;
    this.failing = false;
  }

  /** What a power failure now would leave of a file that is replaced as a whole; '' when it is not there. */
  durableText(path: string): string {
    let inode = this.#files.get(path);
    for (const change of this.#nameChanges.toReversed()) {
      const before = change.before.find(([name]) => name === path);
      if (before !== undefined) inode = before[1];
    }
    return inode === undefined ? '' : new TextDecoder().decode(inode.durable);
  }

  /** What is on the medium now, on a disk elsewhere. */
  copy(location: string): FaultyDisk {
    const other = new FaultyDisk();
    other.location = location;
    for (const [path, { durable }] of this.#files) {
      other.#files.set(path, { current: durable.slice(), durable: durable.slice(), unsynced: [] });
    }
    return other;
  }

  /** The bytes of a file, to be damaged in place. */
  bytes(path: string): Uint8Array {
    const inode = this.#files.get(path);
    if (inode === undefined) throw failure('ENOENT', path);
    inode.current = inode.durable;
    return inode.current;
  }
}

function overwrite(target: Uint8Array, bytes: Uint8Array, position: number): Uint8Array {
  let result = target;
  if (position + bytes.length > target.length) {
    result = new Uint8Array(position + bytes.length);
    result.set(target);
  }
  result.set(bytes, position);
  return result;
}

function failure(code: string, message = code): Error {
  return Object.assign(new Error(message), { code });
}
