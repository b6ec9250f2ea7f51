import type { QueryMeta } from '../structs/rpc.js';
import type { Answer } from './router.js';

/** The answer to a read: the value, which nobody changes any more, and the index to block on next. */
export function read(value: unknown, meta: QueryMeta): Answer {
  return {
    value,
    shared: true,
    index: meta.Index,
    lastContactMs: meta.LastContactMs,
    knownLeader: meta.KnownLeader,
    ...(meta.NextToken ? { nextToken: meta.NextToken } : {}),
    ...(meta.Alone ? { alone: true } : {}),
  };
}

/** The answer to a write: its body, which for most of them repeats the indexes. */
export function written(value: unknown, index: number): Answer {
  return { value, index };
}
