import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { MeshError } from '../structs/errors.js';
import type { Lock } from './lock.js';

/**
 * The few things that durable stores ask of a file system. Reads and writes go to the page cache and are synchronous;
 * sync is not, for it waits for the hardware. Tests put a disk in its place that crashes, lies and runs full.
 */
export interface Disk {
  makeDir(path: string): void;
  /** Names in a folder, in no order; none when it does not exist. */
  list(path: string): string[];
  /** `create` makes the file anew, `change` and `read` need it to be there. */
  open(path: string, mode: 'create' | 'change' | 'read'): DiskFile;
  rename(from: string, to: string): void;
  /** Removes a file if it is there. */
  remove(path: string): void;
  /** Makes names in a folder durable: needed after create, rename and remove. */
  syncDir(path: string): Promise<void>;
  /** Something that stays with a folder as long as it lies where it was made, and differs in a copy; '' or absent = unknown. */
  place?(path: string): string;
  /** Keeps others out of a folder, in place of a lock file there. */
  lock?(path: string): Lock;
}

export interface DiskFile {
  size(): number;
  /** Reads up to the length of `into`; returns how many bytes there were. */
  read(into: Uint8Array, position: number): number;
  /** Writes all bytes, or throws. */
  write(bytes: Uint8Array, position: number): void;
  /** What was written is on the medium when this resolves. After a rejection nothing is known of what was written. */
  sync(): Promise<void>;
  close(): void;
}

const FLAGS = {
  create: constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC,
  change: constants.O_RDWR,
  read: constants.O_RDONLY,
};

/** The real file system. */
export const nodeDisk: Disk = {
  makeDir: (path) => void mkdirSync(path, { recursive: true, mode: 0o700 }),
  list(path) {
    try {
      return readdirSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  },
  open: (path, mode) => openFile(openSync(path, FLAGS[mode], 0o600)),
  rename: renameSync,
  remove: (path) => rmSync(path, { force: true }),
  async syncDir(path) {
    const fd = openSync(path, 'r');
    try {
      await settle((done) => fsync(fd, done));
    } finally {
      closeSync(fd);
    }
  },
  place(path) {
    // The inode number alone: the time of birth is not kept by every file system, and Node then shows another time.
    return String(statSync(path, { bigint: true }).ino);
  },
};

function openFile(number: number): DiskFile {
  let open: number | null = number;
  // The number of a closed file may be that of another one by now, which a late write would damage.
  const fd = (): number => {
    if (open === null) throw new Error('the file is closed');
    return open;
  };
  return {
    size: () => fstatSync(fd()).size,
    read(into, position) {
      let done = 0;
      while (done < into.length) {
        const read = readSync(fd(), into, done, into.length - done, position + done);
        if (read === 0) break;
        done += read;
      }
      return done;
    },
    write(bytes, position) {
      // A nearly full disk takes less than it was given before it says so.
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(fd(), bytes, done, bytes.length - done, position + done);
      }
    },
    sync: () => settle((done) => fdatasync(fd(), done)),
    close() {
      closeSync(fd());
      open = null;
    },
  };
}

function settle(start: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => start((error) => (error ? reject(error) : resolve())));
}

const ADVICE: Record<string, string> = {
  ENOSPC: 'the disk is full: free some space there',
  EDQUOT: 'the quota is used up: free some space there',
  EROFS: 'the file system is read-only: look for errors in the kernel log',
  EIO: 'the disk reports an error: look at the kernel log, and replace the disk if it goes on',
  EACCES: 'permission is denied: the folder must belong to the user that runs the agent',
  EPERM: 'permission is denied: the folder must belong to the user that runs the agent',
};

/** A failure of the disk in words that help. A MeshError is passed on as it is. */
export function storageError(doing: string, path: string, cause: unknown): MeshError {
  if (cause instanceof MeshError) return cause;
  const { code = '', message = String(cause) } = cause as NodeJS.ErrnoException;
  return new MeshError('E_STORAGE', `cannot ${doing} ${path}: ${ADVICE[code] ?? message}${code && ` (${code})`}`, {
    cause,
  });
}
