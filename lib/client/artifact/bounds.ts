import { setMaxListeners } from 'node:events';
import { statfs } from 'node:fs/promises';
import { formatBytes } from '../../util/byte-size.js';
import type { Millis } from '../../util/clock.js';

/** Left for everybody else on the disk. */
const FREE_BYTES_MIN = 64 * 1024 * 1024;
const LOOK_MS: Millis = 500;

/** The time and the room that all of something may take. */
export class Bounds {
  /** Aborted by the caller's signal, by the end of the time, and when the disk is almost full. */
  readonly signal: AbortSignal;
  private readonly own = new AbortController();
  private readonly timers: NodeJS.Timeout[];
  /** Why it was ended here; null: it was not. */
  why: string | null = null;

  constructor(dir: string, { timeoutMs, signal }: { timeoutMs: Millis; signal: AbortSignal }) {
    this.signal = AbortSignal.any([signal, this.own.signal]);
    // Each attempt at a connection listens to it.
    setMaxListeners(0, this.signal);
    this.timers = [
      setTimeout(() => this.abort(`it took longer than ${timeoutMs / 1000} s`), timeoutMs),
      setInterval(() => void this.look(dir), LOOK_MS),
    ];
  }

  /** Whether there is room left. */
  async look(dir: string): Promise<void> {
    const disk = await statfs(dir).catch(() => null);
    if (!disk) return;
    const free = disk.bavail * disk.bsize;
    if (free < FREE_BYTES_MIN) this.abort(`the disk of ${dir} has only ${formatBytes(free)} left`);
  }

  end(): void {
    for (const timer of this.timers) clearTimeout(timer);
  }

  private abort(why: string): void {
    this.why ??= why;
    this.own.abort();
  }
}
