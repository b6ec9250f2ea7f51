import { type Flags, UsageError } from './command.js';

/** What a line is taken for when -n asks for lines: the API counts bytes. */
const BYTES_PER_LINE = 120;
const LINES = 10;

/** Where a stream begins, and how many of the lines that are there already are shown; undefined = all of them. */
export interface Tail {
  origin: 'start' | 'end';
  offset: number;
  lastLines: number | undefined;
}

/** What -tail, -n and -c say; throws a UsageError on what does not go together. */
export function tailOf(flags: Flags): Tail {
  const lines = flags.int('n');
  const bytes = flags.int('c');
  if (lines !== undefined && bytes !== undefined) throw new UsageError('-n and -c exclude each other');
  for (const [name, value = 0] of Object.entries({ n: lines, c: bytes }))
    if (value < 0) throw new UsageError(`-${name} must not be negative (${value})`);
  if (bytes !== undefined) return { origin: 'end', offset: bytes, lastLines: undefined };
  if (lines === undefined && !flags.bool('tail')) return { origin: 'start', offset: 0, lastLines: undefined };
  const lastLines = lines ?? LINES;
  return { origin: 'end', offset: lastLines * BYTES_PER_LINE, lastLines };
}
