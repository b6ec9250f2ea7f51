import { existsSync, writeFileSync } from 'node:fs';
import type { Context } from './command.js';

/** Writes an example file that is not there yet; the exit code. */
export function writeExample(
  { output }: Pick<Context, 'output'>,
  filename: string,
  text: string,
  what: string,
): number {
  if (existsSync(filename)) {
    output.error(`File ${JSON.stringify(filename)} already exists`);
    return 1;
  }
  try {
    writeFileSync(filename, text, { flag: 'wx' });
  } catch (error) {
    output.error(`Failed to write ${JSON.stringify(filename)}: ${(error as Error).message}`);
    return 1;
  }
  output.out(`Example ${what} written to ${filename}`);
  return 0;
}
