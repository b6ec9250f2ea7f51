import type { DrainState } from '../structs/rpc-drain.js';
import type { RpcCaller } from '../transport/rpc.js';
import { type Millis, toNanos } from '../util/clock.js';
import { formatDuration } from '../util/duration.js';
import type { Log } from '../util/log.js';
import type { AgentConfig } from './config/index.js';

/** How long servers may take to be found, and to take the drain. */
const ASK_MAX_MS = 15_000;
/** How often the log says how far it is, at least. */
const TELL_MS = 10_000;
const LOOK_MS = 1_000;

export interface DrainWorld {
  drain: NonNullable<AgentConfig['client']['drainOnShutdown']>;
  node: { NodeID: string; SecretID: string };
  rpc: Pick<RpcCaller, 'call'>;
  /** How long a task may take to end. */
  killMaxMs: Millis;
  /** How many allocations run here. */
  running: () => number;
  /** Milliseconds that only go forward. */
  now: () => Millis;
  sleep: (ms: Millis) => Promise<unknown>;
  log: Log;
}

/**
 * Moves the work off this node before its agent ends: settles when that is done, or when the deadline is over and what was left
 * has had its time to end. Never rejects: an agent that is told to end must end. The node takes no work afterwards, as after each
 * drain, until somebody says so.
 */
export async function drainOnShutdown(world: DrainWorld): Promise<void> {
  const { drain, node, killMaxMs, running, now, log } = world;
  const endMs = now() + drain.deadlineMs + killMaxMs;
  try {
    await begin(world);
    let toldMs = now();
    for (let looked = await look(world); looked !== 'over'; looked = await look(world)) {
      if (looked === 'canceled') return log.warn('somebody has canceled the drain: the agent ends, its tasks go on');
      if (now() >= endMs) return log.warn('the deadline of the drain is over: the agent ends', { running: running() });
      if (now() - toldMs >= TELL_MS) {
        toldMs = now();
        const left = formatDuration(toNanos(Math.max(0, Math.round((endMs - killMaxMs - now()) / 1000) * 1000)));
        log.info('the node drains', { running: running(), 'until the deadline': left });
      }
      await world.sleep(LOOK_MS);
    }
    log.info(`the node is drained; to have it take work again: meshnomad node eligibility -enable ${node.NodeID}`);
  } catch (error) {
    log.error('the node was not drained: the agent ends, its tasks go on', { error: (error as Error).message });
  }
}

/** While the servers have no leader they are asked again. */
async function begin({ drain, node, rpc, running, now, sleep, log }: DrainWorld): Promise<void> {
  const giveUpMs = now() + Math.min(ASK_MAX_MS, drain.deadlineMs);
  const strategy = {
    Deadline: drain.force ? -1 : toNanos(drain.deadlineMs),
    IgnoreSystemJobs: drain.ignoreSystemJobs,
    ForceDeadline: '0001-01-01T00:00:00Z',
    StartedAt: '0001-01-01T00:00:00Z',
  };
  const args = { ...node, DrainStrategy: strategy, Meta: { message: 'the agent shuts down' } };
  const deadline = drain.force ? 'at once' : formatDuration(toNanos(drain.deadlineMs));
  for (;;) {
    try {
      const { IsAlone: isAlone } = await rpc.call('Node.DrainSelf', args, { timeoutMs: ASK_MAX_MS });
      log.info('the node drains before the agent ends', { running: running(), deadline });
      if (isAlone)
        log.warn('no other node takes work: it can only end here, and what has not ended is stopped at the deadline', {
          deadline,
        });
      return;
    } catch (error) {
      if (now() >= giveUpMs) throw error;
      await sleep(LOOK_MS);
    }
  }
}

/** A server that is asked while it loses its leader says no more than that: the next look finds another. */
async function look({ node, rpc }: DrainWorld): Promise<DrainState> {
  try {
    return (await rpc.call('Node.OwnDrain', node, { timeoutMs: ASK_MAX_MS })).State;
  } catch {
    return 'drains';
  }
}
