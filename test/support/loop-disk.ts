import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const CHUNK = Buffer.alloc(1 << 20, 1);

const run = (file: string, ...args: string[]): string => execFileSync(file, args, { stdio: 'pipe' }).toString().trim();

/**
 * A small ext4 of its own on a loop device, mounted where a machine keeps its data: it can run full, and the power can be cut. What the
 * file system has not handed down yet is lost then, as it would be on no medium.
 */
export class LoopDisk {
  readonly #image: string;
  readonly #mountPoint: string;
  readonly #filler: string;
  #state: 'mounted' | 'off' | 'unmounted' = 'unmounted';

  constructor(folder: string, mountPoint: string, sizeMb = 512) {
    this.#image = join(folder, 'disk.img');
    this.#mountPoint = mountPoint;
    this.#filler = join(mountPoint, 'filler');
    const image = openSync(this.#image, 'w');
    ftruncateSync(image, sizeMb << 20);
    closeSync(image);
    run('mkfs.ext4', '-q', '-m', '0', this.#image);
    mkdirSync(mountPoint, { recursive: true });
    this.#mount();
  }

  #mount(): void {
    // The journal is written when somebody syncs, not every five seconds: so that a power cut has something to take.
    run('mount', '-o', 'loop,commit=600', this.#image, this.#mountPoint);
    this.#state = 'mounted';
  }

  /** Leaves not a byte. */
  fill(): void {
    const file = openSync(this.#filler, 'w');
    try {
      for (let size = CHUNK.length; size > 0; ) {
        try {
          writeSync(file, CHUNK, 0, size);
        } catch {
          size >>= 1;
        }
      }
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    rmSync(this.#filler, { force: true });
  }

  /** The power was cut: nobody may have a file open on it. Only what was synced, or by chance written, is there afterwards. */
  cutPower(): void {
    // From here on nothing reaches the medium, not even with the unmount, which would write everything.
    if (this.#state === 'mounted') run('xfs_io', '-x', '-c', 'shutdown', this.#mountPoint);
    if (this.#state === 'mounted') this.#state = 'off';
    if (this.#state === 'off') run('umount', this.#mountPoint);
    this.#state = 'unmounted';
    // Another mount namespace that had it mounted would give back the file system that was shut down.
    if (run('losetup', '--associated', this.#image) !== '') throw new Error(`${this.#image} is in use`);
    this.#mount();
  }

  close(): void {
    try {
      run('umount', '--lazy', this.#mountPoint);
    } catch {
      // It was never mounted.
    }
  }
}
