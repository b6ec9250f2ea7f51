import type { Entry } from '../../lib/raft/index.js';

/** The same history in every process. */
export function entryOf(index: number): Entry {
  const text = `entry ${index} ${'x'.repeat(index % 300)}`;
  return { index, term: 1 + Math.floor(index / 1000), type: 'command', data: Buffer.from(text) };
}
