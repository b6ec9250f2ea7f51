import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LIBRARIES = ['x86_64', 'aarch64'].map((arch) => `/usr/lib/${arch}-linux-gnu/faketime/libfaketimeMT.so.1`);

/** Why clocks cannot be set for single programs here; undefined when they can. */
export function missingForClocks(): string | undefined {
  return LIBRARIES.some((path) => existsSync(path)) ? undefined : 'faketime is not installed';
}

/** The clock on the wall as one machine's programs see it. What measures durations goes on as it does. */
export class WallClock {
  readonly #file: string;
  offsetMs = 0;

  constructor(folder: string) {
    this.#file = join(folder, 'clock');
    this.set(0);
  }

  /** For the environment of a program that is to live by it. */
  get env(): Record<string, string> {
    return {
      LD_PRELOAD: LIBRARIES.find((path) => existsSync(path)) ?? '',
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** It is seen within a second, also by programs that run. */
  set(offsetMs: number): void {
    this.offsetMs = offsetMs;
    const seconds = Math.round(offsetMs / 1000);
    writeFileSync(`${this.#file}.new`, `${seconds < 0 ? '' : '+'}${seconds}s\n`);
    renameSync(`${this.#file}.new`, this.#file);
  }
}
