import { availableParallelism, loadavg } from 'node:os';

/**
 * A limit of time that the product promises, on a machine that does nothing else: longer by as much as this one has more to do than it
 * has cores for. So a promise is held to on a quiet machine, and a busy one makes nothing fail.
 */
export function patience(ms: number): number {
  return ms * Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());
}
