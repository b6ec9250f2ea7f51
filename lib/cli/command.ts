import type { ApiClient } from './api.js';

/** A flag of a command. `bool` takes no value (but may be given one with =), `list` may be given several times. */
export interface FlagSpec {
  type: 'bool' | 'string' | 'int' | 'duration' | 'list';
  help: string;
  /** Shown in the help as the value's name. */
  value?: string;
}

export type FlagValue = boolean | string | number | string[];

/** The flags as given; absent ones are undefined (bool: false, list: empty). Durations are nanoseconds. */
export interface Flags {
  bool(name: string): boolean;
  /** For a bool that defaults to true: what was given, or undefined. */
  optionalBool(name: string): boolean | undefined;
  string(name: string): string | undefined;
  int(name: string): number | undefined;
  duration(name: string): number | undefined;
  list(name: string): string[];
}

/** Takes bytes as they are. */
export interface Sink {
  write(data: Uint8Array | string): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

/** Where a command writes: results to `out`, everything else to `error`. */
export interface Output {
  /** Standard output and standard error, for what must not be touched: logs and files. */
  readonly raw: { out: Sink; error: Sink };
  readonly tty: boolean;
  readonly columns: number;
  readonly color: boolean;
  out(text: string): void;
  error(text: string): void;
}

/** What a command is run with. */
export interface Context {
  args: string[];
  flags: Flags;
  output: Output;
  env: Record<string, string | undefined>;
  /** The client of the agent's HTTP API, made from the flags and the environment on first use. */
  api(): Promise<ApiClient>;
}

/** One command: same shape everywhere. */
export interface Command {
  /** `meshnomad job run [options] <path>`. */
  usage: string;
  /** What it does: first a sentence, then whatever the reader needs. */
  about: string;
  flags: Record<string, FlagSpec>;
  /** Needs no agent: leaves the flags of the connection out. */
  local?: boolean;
  /** Everything after the first argument belongs to another program (`alloc exec`). */
  passThrough?: boolean;
  /** Exit code of a failure; default 1. */
  failureCode?: number;
  /** Resolves to the exit code. */
  run(context: Context): Promise<number>;
}

/** A mistake of the user: told with a pointer to the help, no stack, exit code 1. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}
