/** Milliseconds since the Unix epoch, handed into the pure layers by the shells. */
export type Millis = number;
/** Nanoseconds, as Nomad's JSON carries durations and times (times lose their last digits above 2^53: harmless). */
export type Nanos = number;

export const NANOS_PER_MS = 1_000_000;

export function toNanos(ms: Millis): Nanos {
  return ms * NANOS_PER_MS;
}

export function toMillis(ns: Nanos): Millis {
  return ns / NANOS_PER_MS;
}
