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
    for (let outcome: Wakened = 'changed'; reading.index <= minIndex && outcome === 'changed'; ) {
      outcome = await waited(world, context, keys, deadline);
      if (outcome !== 'late') reading = read(world.store.snapshot());
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

/** `restored`: everything is another now, and what an index was worth is not known any more: who waits is answered. */
type Wakened = 'changed' | 'restored' | 'late';

/** Resolves when one of the keys was touched, or the time is over; rejects when the caller left. */
function waited(
  world: ServerWorld,
  { signal }: RpcContext,
  keys: readonly WatchKey[],
  deadlineMs: number,
): Promise<Wakened> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      stop();
      reject(new MeshError('E_TIMEOUT', 'the caller no longer waits for this query'));
    };
    if (signal.aborted) {
      reject(new MeshError('E_TIMEOUT', 'the caller no longer waits for this query'));
      return;
    }
    const end = (outcome: Wakened): void => {
      stop();
      resolve(outcome);
    };
    const unsubscribe = world.store.subscribe(keys, () => end('changed'));
    const forget = world.store.onRestore(() => end('restored'));
    const cancel = world.timers.setTimeout(Math.max(0, deadlineMs - world.now()), () => end('late'));
    signal.addEventListener('abort', leave, { once: true });
    const stop = (): void => {
      unsubscribe();
      forget();
      cancel();
      signal.removeEventListener('abort', leave);
    };
  });
}
