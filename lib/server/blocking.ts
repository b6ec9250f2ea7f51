import type { StateSnapshot } from '../state/store.js';
import type { WatchKey } from '../state/watch.js';
import { MeshError } from '../structs/errors.js';
import type { QueryMeta, QueryOptions } from '../structs/rpc.js';
import type { RpcContext } from '../transport/rpc.js';
import type { Random } from '../util/random.js';
import type { ServerWorld } from './world.js';

const WAIT_DEFAULT_MS = 300_000;
const WAIT_MAX_MS = 600_000;
/** A sixteenth of the wait at most is added at random: watchers that began together do not all return together. */
const JITTER_PART = 16;

/** How long a blocking query may wait. 0 or nothing asked = the default. */
export function waitMs(askedMs: number | undefined, random: Random): number {
  const base = askedMs !== undefined && askedMs > 0 ? Math.min(askedMs, WAIT_MAX_MS) : WAIT_DEFAULT_MS;
  return base + (base / JITTER_PART) * random.next();
}

/** What a query reads: the answer, and the index at which it last changed. */
export interface Reading<R> {
  index: number;
  reply: R;
}

/**
 * Answers a query. Unless a stale answer will do, everything committed before the call is in it. With MinQueryIndex it
 * waits until the index of the answer is above that, or for the time given; `keys` say what can change the answer.
 */
export async function answerQuery<R extends object>(
  world: ServerWorld,
  query: QueryOptions,
  context: RpcContext,
  keys: readonly WatchKey[],
  read: (state: StateSnapshot) => Reading<R>,
): Promise<R & QueryMeta> {
  if (query.AllowStale !== true) await world.consensus.readIndex();
  let reading = read(world.store.snapshot());
  const minIndex = query.MinQueryIndex ?? 0;
  if (minIndex > 0 && reading.index <= minIndex) {
    const deadline = world.now() + waitMs(query.MaxQueryTimeMs, world.random);
    while (reading.index <= minIndex && (await changed(world, context, keys, deadline))) {
      reading = read(world.store.snapshot());
    }
  }
  // An index of 0 would make the next query not block at all.
  return { ...reading.reply, ...meta(world, Math.max(1, reading.index)) };
}

/** What is said of every answer. */
export function meta(world: ServerWorld, index: number): QueryMeta {
  return {
    Index: index,
    LastContactMs: world.consensus.lastContactMs(),
    KnownLeader: world.consensus.leader !== '',
  };
}

/** Resolves with true when one of the keys was touched, with false when the time is over; rejects when the caller left. */
function changed(
  world: ServerWorld,
  { signal }: RpcContext,
  keys: readonly WatchKey[],
  deadlineMs: number,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      stop();
      reject(new MeshError('E_TIMEOUT', 'the caller no longer waits for this query'));
    };
    if (signal.aborted) {
      reject(new MeshError('E_TIMEOUT', 'the caller no longer waits for this query'));
      return;
    }
    const end = (touched: boolean): void => {
      stop();
      resolve(touched);
    };
    const unsubscribe = world.store.subscribe(keys, () => end(true));
    const cancel = world.timers.setTimeout(Math.max(0, deadlineMs - world.now()), () => end(false));
    signal.addEventListener('abort', leave, { once: true });
    const stop = (): void => {
      unsubscribe();
      cancel();
      signal.removeEventListener('abort', leave);
    };
  });
}
