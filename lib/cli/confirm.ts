import { ApiError } from './api.js';
import type { Flags } from './command.js';

/** Whether somebody may answer. */
export const canAsk = (): boolean => process.stdin.isTTY === true;

/** Asks on a terminal; elsewhere -yes is needed. `refusal` says what to do instead. */
export async function confirm(flags: Flags, question: string, refusal: string): Promise<boolean> {
  if (flags.bool('yes')) return true;
  if (!canAsk()) throw new ApiError(0, refusal);
  const { createInterface } = await import('node:readline/promises');
  const reader = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await reader.question(`${question} [y/N] `);
  reader.close();
  return /^y(es)?$/i.test(answer.trim());
}
