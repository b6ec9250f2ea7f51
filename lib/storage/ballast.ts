import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, rmSync, statfsSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const NAME = 'ballast';
const SIZE_BYTES = 2 << 20;
/** A start needs less: a lock, a few small files, the first records. */
const STEP_BYTES = 512 << 10;
/** With less room than this a start may fail halfway. */
const SCARCE_BYTES = 256 << 10;
/** Only what is left over is laid aside. */
const PLENTY_BYTES = 64 << 20;

/**
 * Room on the disk of a data directory that is kept for the start of an agent: one that cannot start for want of a few kilobytes could
 * not remove what has ended either. It is given up in steps, and laid aside again when there is plenty.
 */
export class Ballast {
  private readonly folder: string;
  private readonly path: string;

  /** The folder must exist. */
  constructor(folder: string) {
    this.folder = folder;
    this.path = join(folder, NAME);
  }

  /** Before anything is written: gives a step up where the disk is full. True when it did. */
  giveUp(): boolean {
    const size = this.size();
    if (size === 0 || this.available() >= SCARCE_BYTES) return false;
    // A shorter file needs no room, also on a full disk.
    if (size > STEP_BYTES) truncateSync(this.path, size - STEP_BYTES);
    else rmSync(this.path, { force: true });
    return true;
  }

  /** Lays aside what is missing, where there is plenty of room. Throws what the disk refuses. */
  fill(): void {
    const size = this.size();
    if (size >= SIZE_BYTES || this.available() < PLENTY_BYTES) return;
    const fd = openSync(this.path, size === 0 ? 'w' : 'r+', 0o600);
    try {
      // Zeros would take no room on a file system that compresses.
      const chunk = randomFillSync(Buffer.alloc(STEP_BYTES));
      for (let done = size; done < SIZE_BYTES; done += chunk.length) writeSync(fd, chunk, 0, chunk.length, done);
    } finally {
      closeSync(fd);
    }
  }

  private size(): number {
    return statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
  }

  private available(): number {
    const { bsize, bavail } = statfsSync(this.folder);
    return bsize * bavail;
  }
}
