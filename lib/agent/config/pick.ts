import type { Checked } from './read.js';

/** Reads a section whose types `readFields` has checked; what is not there gives what is said instead. */
export class Picker {
  readonly #section: Checked;

  constructor(section: unknown) {
    this.#section = (section ?? {}) as Checked;
  }

  get<T>(key: string, otherwise: T): T {
    const value = this.#section[key];
    return value === undefined ? otherwise : (value as T);
  }

  /** A text, or null when it is not given or empty. */
  text(key: string): string | null {
    return this.get<string>(key, '') || null;
  }

  number(key: string): number | null {
    return this.get<number | null>(key, null);
  }

  section(key: string): Picker {
    return new Picker(this.#section[key]);
  }

  /** The section as it is, in Nomad's words. */
  whole(key: string): Record<string, unknown> {
    return { ...((this.#section[key] ?? {}) as Record<string, unknown>) };
  }

  has(key: string): boolean {
    return this.#section[key] !== undefined;
  }

  labelled<T>(key: string, make: (label: string, section: Picker) => T): Record<string, T> {
    const blocks = (this.#section[key] ?? {}) as Record<string, unknown>;
    return Object.fromEntries(
      Object.entries(blocks).map(([label, section]) => [label, make(label, new Picker(section))]),
    );
  }
}
