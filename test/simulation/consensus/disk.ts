import type { Disk, DiskFile } from '../../../lib/storage/index.js';
import type { FaultyDisk } from '../../storage/faulty-disk.js';
import type { SimProcess } from './time.js';

/** How long the hardware takes, in milliseconds. */
export interface DiskSpeed {
  syncMs: () => number;
}

/** A disk as one run of a program sees it: after a crash that run changes nothing any more. */
export function mountDisk(disk: FaultyDisk, process: SimProcess, speed: DiskSpeed): Disk {
  const alive = (): void => {
    if (process.dead) throw new Error('the process is dead');
  };
  const wait = (): Promise<void> => {
    return new Promise((resolve) => process.timers.setTimeout(speed.syncMs(), resolve));
  };
  const mountFile = (file: DiskFile): DiskFile => ({
    size: () => file.size(),
    read: (into, position) => file.read(into, position),
    write(bytes, position) {
      alive();
      file.write(bytes, position);
    },
    async sync() {
      await wait();
      alive();
      await file.sync();
    },
    close: () => file.close(),
  });
  return {
    makeDir: () => disk.makeDir(),
    list: (path) => disk.list(path),
    open(path, mode) {
      alive();
      return mountFile(disk.open(path, mode));
    },
    rename(from, to) {
      alive();
      disk.rename(from, to);
    },
    remove(path) {
      alive();
      disk.remove(path);
    },
    async syncDir(path) {
      await wait();
      alive();
      await disk.syncDir(path);
    },
    place: () => disk.location,
    lock: () => ({ release() {} }),
  };
}
