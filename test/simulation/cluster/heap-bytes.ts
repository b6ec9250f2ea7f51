/** Bytes in use after all garbage is collected; 0 without --expose-gc. */
export function heapBytes(): number {
  if (!globalThis.gc) return 0;
  // What only finalizers held on to goes with the second.
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
