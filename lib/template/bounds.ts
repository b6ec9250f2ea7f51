import { extentOf } from './extent.js';
import type { Value } from './values.js';

/** What an execution may come to. */
interface Bounds {
  /** Parts of the template that are gone through: a template that takes more has lost its way. */
  steps: number;
  /** Characters that it puts out: nobody reads a larger file, and it must fit into memory. */
  output: number;
  /** Characters of all that functions make: it is in memory, and must fit there. */
  made: number;
  /** What one call is given, and what all calls are; see extentOf. */
  call: number;
  given: number;
}

/** Where nobody waits for it. */
const FULL: Bounds = {
  steps: 5_000_000,
  output: 32 * 1024 * 1024,
  made: 100_000_000,
  call: Infinity,
  given: Infinity,
};
/** Where others wait: the slowest function takes some 10 µs for each character, the others a thousandth of that. */
const LIGHT: Bounds = {
  steps: 50_000,
  output: 1024 * 1024,
  made: 1024 * 1024,
  call: 8 * 1024,
  given: 256 * 1024,
};

/** A template that was to be light is not: it is to be executed where nobody waits for it. */
export class HeavyTemplate extends Error {}

/** After so many parts it is asked whether there is time left. */
const STEPS_BETWEEN_LOOKS = 16;

/** What one execution has come to so far. It ends the execution, by `fail` or as heavy, where that is too much. */
export class Account {
  private readonly bounds: Bounds;
  private readonly options: { light: boolean; isOverdue?: () => boolean; fail: (message: string) => never };
  private steps = 0;
  private written = 0;
  private made = 0;
  private given = 0;

  constructor(options: { light: boolean; isOverdue?: () => boolean; fail: (message: string) => never }) {
    this.options = options;
    this.bounds = options.light ? LIGHT : FULL;
  }

  /** One part more is gone through. */
  step(): void {
    const { steps } = this.bounds;
    if (++this.steps > steps) this.over(`the template takes more than ${steps} steps`);
    if (this.steps % STEPS_BETWEEN_LOOKS !== 0) return;
    if (this.options.isOverdue?.()) this.over('the template takes too long');
  }

  /** So many characters are put out. */
  write(chars: number): void {
    const { output } = this.bounds;
    this.written += chars;
    if (this.written > output) this.over(`the template puts out more than ${output} characters`);
  }

  /** A call is about to begin: a light execution lets none begin that would take long. */
  give(values: readonly Value[], effort: ((args: readonly Value[]) => number) | undefined): void {
    if (!this.options.light) return;
    const { call, given } = this.bounds;
    const extent = Math.max(effort?.(values) ?? 0, extentOf(values, call));
    this.given += extent;
    if (extent > call || this.given > given) throw new HeavyTemplate();
  }

  /** A function has made what comes to so many characters. */
  make(chars: number): void {
    this.made += chars;
    if (this.made > this.bounds.made) this.over('the template makes more than fits into memory');
  }

  private over(message: string): never {
    if (this.options.light) throw new HeavyTemplate();
    return this.options.fail(message);
  }
}
