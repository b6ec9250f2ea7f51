import { type FSWatcher, watch } from 'node:fs';
import { sleep, type Timers } from '../timers.js';

/** Where the kernel does not tell of changes (network file systems), files are looked at this often. */
const POLL_MS = 1_000;

/** Says when a directory may have changed: by inotify, and by looking from time to time. */
export class ChangeWatch {
  private readonly timers: Timers;
  private readonly watcher: FSWatcher | null;
  private changed = false;
  private wake = new AbortController();

  constructor(folder: string, timers: Timers) {
    this.timers = timers;
    this.watcher = watchFolder(folder, () => {
      this.changed = true;
      this.wake.abort();
    });
  }

  /** Settles at the next change, after the poll interval, or when `signal` is aborted; at once if one was missed. */
  async next(signal: AbortSignal): Promise<void> {
    if (!this.changed) await sleep(this.timers, POLL_MS, signal, this.wake.signal);
    this.changed = false;
    this.wake = new AbortController();
  }

  close(): void {
    this.watcher?.close();
  }
}

function watchFolder(folder: string, onChange: () => void): FSWatcher | null {
  try {
    const watcher = watch(folder, { persistent: false }, onChange);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    // No inotify instances left, or a file system without: polling does it alone.
    return null;
  }
}
