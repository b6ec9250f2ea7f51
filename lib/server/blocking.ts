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

/** A thousand callers who waited for one change are neither woken nor answered in one turn: each counts as so many rows of a list. */
const WAKING_COSTS = 10;

/**
 * Answers a query. Unless a stale answer will do, everything committed before the call is in it. With MinQueryIndex it
 * waits until the index of the answer is above that, or for the time given; `keys` say what can change the answer. A read of
 * much may take several turns: it reads one state, which nobody changes.
 */
export async function answerQuery<R extends object>(
  world: ServerWorld,
  query: QueryOptions,
  context: RpcContext,
  keys: readonly WatchKey[],
  read: (state: StateSnapshot) => Reading<R> | Promise<Reading<R>>,
): Promise<R & QueryMeta> {
  if (query.AllowStale !== true) await world.consensus.readIndex();
  const minIndex = query.MinQueryIndex ?? 0;
  const reading =
    minIndex > 0
      ? await readAfter(world, { query, context, keys, minIndex }, read)
      : await read(world.store.snapshot());
  // An index of 0 would make the next query not block at all.
  return { ...reading.reply, ...meta(world, Math.max(1, reading.index)) };
}

/** Reads until the answer is newer than what the caller knows, or the time is over. */
async function readAfter<R extends object>(
  world: ServerWorld,
  ask: { query: QueryOptions; context: RpcContext; keys: readonly WatchKey[]; minIndex: number },
  read: (state: StateSnapshot) => Reading<R> | Promise<Reading<R>>,
): Promise<Reading<R>> {
  const deadlineMs = world.now() + waitMs(ask.query.MaxQueryTimeMs, world.random);
  let outcome: Wakened = 'changed';
  for (;;) {
    // Listens before it reads: what changes while it reads is missed by nobody.
    const ear = listen(world, ask.keys, ask.context, deadlineMs);
    try {
      const reading = await read(world.store.snapshot());
      if (reading.index > ask.minIndex || outcome === 'restored') return reading;
      outcome = await ear.heard;
      if (outcome === 'late') return reading;
    } finally {
      ear.close();
    }
    if (outcome === 'left') throw new MeshError('E_TIMEOUT', 'the caller no longer waits for this query');
  }
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
type Wakened = 'changed' | 'restored' | 'late' | 'left';

/** Hears when one of the keys is touched, the time is over or the caller has left; to be closed in any case. */
function listen(
  world: ServerWorld,
  keys: readonly WatchKey[],
  { signal }: RpcContext,
  deadlineMs: number,
): { heard: Promise<Wakened>; close: () => void } {
  let close = (): void => {};
  const heard = new Promise<Wakened>((resolve) => {
    const end = (outcome: Wakened): void => {
      close();
      resolve(outcome);
    };
    const leave = (): void => end('left');
    if (signal.aborted) {
      resolve('left');
      return;
    }
    let waking: Wakened | null = null;
    const wake = (outcome: Wakened): void => {
      const isDue = waking !== null;
      // Whatever else changes: after a restore it is answered.
      if (waking !== 'restored') waking = outcome;
      if (isDue) return;
      const turn = world.turns.take(WAKING_COSTS);
      if (turn) void turn.then(() => end(waking ?? outcome));
      else end(outcome);
    };
    const forget = world.store.onRestore(() => wake('restored'));
    const unsubscribe = world.store.subscribe(keys, () => wake('changed'));
    const cancel = world.timers.setTimeout(Math.max(0, deadlineMs - world.now()), () => end('late'));
    signal.addEventListener('abort', leave, { once: true });
    close = () => {
      unsubscribe();
      forget();
      cancel();
      signal.removeEventListener('abort', leave);
    };
  });
  return { heard, close: () => close() };
}
