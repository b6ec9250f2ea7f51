import { totalmem } from 'node:os';
import type { Facts, Fingerprint } from './fact.js';

/** The machine's memory. */
export const memoryFingerprint: Fingerprint = {
  name: 'memory',
  // Virtual machines are given more, and less, while they run.
  periodMs: 60_000,
  async run({ config }): Promise<Facts> {
    const bytes = config.memoryTotalMb === null ? totalmem() : config.memoryTotalMb * 1024 * 1024;
    return {
      memoryMb: Math.floor(bytes / 1024 / 1024),
      attributes: { 'memory.totalbytes': String(bytes) },
    };
  },
};
