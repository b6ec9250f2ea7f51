import type { Allocation } from '../structs/allocation.js';
import type { NodeClientAllocsReply } from '../structs/rpc.js';
import type { RpcCaller } from '../transport/rpc.js';
import { backoffMs } from '../util/backoff.js';
import type { Millis } from '../util/clock.js';
import type { Log } from '../util/log.js';
import type { Random } from '../util/random.js';
import { diffAllocs, type KnownAlloc } from './alloc-diff.js';
import { sleep, type Timers } from './timers.js';

const WAIT_MS: Millis = 300_000;
/** The wait, the server's jitter of a sixteenth, and the way. */
const CALL_TIMEOUT_MS: Millis = WAIT_MS * 1.0625 + 10_000;
const PULL_TIMEOUT_MS: Millis = 30_000;
const RETRY = { baseMs: 100, maxMs: 15_000 };
/** Pause after an answer that could not be used: the server is catching up. */
const STALE_PAUSE_MS: Millis = 1_000;

export interface AllocWatcherOptions {
  rpc: RpcCaller;
  identity: { nodeId: string; secretId: string };
  known: () => ReadonlyMap<string, KnownAlloc>;
  /** The newest index acted on, from the client's memory. */
  lastIndex: () => number;
  /** Does what an answer asks for, then notes its index. */
  act: (change: { changed: Allocation[]; remove: string[]; index: number }) => void;
  timers: Timers;
  random: Random;
  log: Log;
}

const STALE =
  'a server answered from an older state than this node has acted on: ignored until it has caught up ' +
  '(if the data of the servers was reset on purpose, give this client an empty data_dir too)';

/** Follows what the servers want of this node: asks by index, pulls whole what has changed, and hands it on. */
export class AllocWatcher {
  private readonly options: AllocWatcherOptions;
  /** The next answer is to be newer than this; 0 = whatever there is. */
  private askAfter = 0;

  constructor(options: AllocWatcherOptions) {
    this.options = options;
  }

  /** Runs until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; ) {
      try {
        const useful = await this.askOnce(signal);
        attempt = 0;
        if (!useful) await sleep(this.options.timers, STALE_PAUSE_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        const why = error instanceof Error ? error.message : String(error);
        this.options.log[attempt < 4 ? 'debug' : 'warn']('cannot learn what to run, will ask again', { why });
        const delayMs = backoffMs({ attempt: attempt++, ...RETRY, random: this.options.random });
        await sleep(this.options.timers, delayMs, signal);
      }
    }
  }

  /** Asks, waits for the answer and acts on it; false when it was of no use. */
  private async askOnce(signal: AbortSignal): Promise<boolean> {
    const { rpc, identity, known, lastIndex } = this.options;
    const args = {
      NodeID: identity.nodeId,
      SecretID: identity.secretId,
      MinQueryIndex: this.askAfter,
      MaxQueryTimeMs: WAIT_MS,
      AllowStale: true,
    };
    const answer = await rpc.call('Node.GetClientAllocs', args, { signal, timeoutMs: CALL_TIMEOUT_MS });
    const diff = diffAllocs({
      known: known(),
      answer: answer.Allocs,
      answerIndex: answer.Index,
      lastIndex: lastIndex(),
    });
    if (diff.kind === 'stale') {
      this.options.log.warn(STALE, {
        answered: answer.Index,
        acted: lastIndex(),
      });
      this.askAfter = lastIndex() - 1;
      return false;
    }
    const changed = await this.pull(diff.pull, answer, signal);
    if (changed.length > 0 || diff.remove.length > 0) {
      this.options.act({ changed, remove: diff.remove, index: answer.Index });
    }
    if (changed.length < diff.pull.length) return false;
    this.askAfter = answer.Index;
    return true;
  }

  private async pull(ids: string[], answer: NodeClientAllocsReply, signal: AbortSignal): Promise<Allocation[]> {
    if (ids.length === 0) return [];
    const { rpc, identity, log } = this.options;
    const newest = Math.max(...ids.map((id) => answer.Allocs[id] ?? 0));
    const args = {
      AllocIDs: ids,
      NodeID: identity.nodeId,
      SecretID: identity.secretId,
      // A server that lags behind the one that answered first waits until it knows them too.
      MinQueryIndex: newest - 1,
      AllowStale: true,
    };
    const reply = await rpc.call('Alloc.GetAllocs', args, { signal, timeoutMs: PULL_TIMEOUT_MS });
    const usable = reply.Allocs.filter(
      (alloc) => alloc.NodeID === identity.nodeId && alloc.AllocModifyIndex >= (answer.Allocs[alloc.ID] ?? Infinity),
    );
    if (usable.length < ids.length)
      log.warn('a server did not give all allocations', { asked: ids.length, usable: usable.length });
    return usable;
  }
}
