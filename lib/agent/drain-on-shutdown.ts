import type { Allocation } from '../structs/allocation.js';
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
  nodeId: string;
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
  const { drain, nodeId, killMaxMs, running, now, log } = world;
  const endMs = now() + drain.deadlineMs + killMaxMs;
  try {
    const begun = await begin(world);
    await tellOfStart(world);
    let toldMs = now();
    for (let looked = await look(world, begun); looked !== 'over'; looked = await look(world, begun)) {
      if (looked === 'canceled') return log.warn('somebody has canceled the drain: the agent ends, its tasks go on');
      if (now() >= endMs) return log.warn('the deadline of the drain is over: the agent ends', { running: running() });
      if (now() - toldMs >= TELL_MS) {
        toldMs = now();
        const left = formatDuration(toNanos(Math.max(0, Math.round((endMs - killMaxMs - now()) / 1000) * 1000)));
        log.info('the node drains', { running: running(), 'until the deadline': left });
      }
      await world.sleep(LOOK_MS);
    }
    log.info(`the node is drained; to have it take work again: meshnomad node eligibility -enable ${nodeId}`);
  } catch (error) {
    log.error('the node was not drained: the agent ends, its tasks go on', { error: (error as Error).message });
  }
}

/** The index at which the servers know of the drain; while they have no leader they are asked again. */
async function begin({ drain, nodeId, rpc, now, sleep }: DrainWorld): Promise<number> {
  const giveUpMs = now() + Math.min(ASK_MAX_MS, drain.deadlineMs);
  const strategy = {
    Deadline: drain.force ? -1 : toNanos(drain.deadlineMs),
    IgnoreSystemJobs: drain.ignoreSystemJobs,
    ForceDeadline: '0001-01-01T00:00:00Z',
    StartedAt: '0001-01-01T00:00:00Z',
  };
  const args = { NodeID: nodeId, DrainStrategy: strategy, Meta: { message: 'the agent shuts down' } };
  for (;;) {
    try {
      return (await rpc.call('Node.UpdateDrain', args, { timeoutMs: ASK_MAX_MS })).Index;
    } catch (error) {
      if (now() >= giveUpMs) throw error;
      await sleep(LOOK_MS);
    }
  }
}

async function tellOfStart({ drain, nodeId, rpc, running, log }: DrainWorld): Promise<void> {
  const deadline = drain.force ? 'at once' : formatDuration(toNanos(drain.deadlineMs));
  log.info('the node drains before the agent ends', { running: running(), deadline });
  // Not knowing this keeps no work here.
  const known = await rpc.call('Node.List', {}, { timeoutMs: ASK_MAX_MS }).catch(() => undefined);
  const isOpen = known?.Nodes.some(
    ({ ID, Status, SchedulingEligibility }) =>
      ID !== nodeId && Status === 'ready' && SchedulingEligibility === 'eligible',
  );
  if (known && !isOpen)
    log.warn('no other node takes work: it can only end here, and what has not ended is stopped at the deadline', {
      deadline,
    });
}

/** A server that is asked while it loses its leader says no more than that: the next look finds another. */
async function look({ nodeId, rpc }: DrainWorld, begun: number): Promise<'drains' | 'canceled' | 'over'> {
  try {
    const { Node: node } = await rpc.call('Node.GetNode', { NodeID: nodeId }, { timeoutMs: ASK_MAX_MS });
    if (!node) return 'over';
    // What a server that lags behind has not heard of is not done.
    if (node.ModifyIndex < begun || node.DrainStrategy !== null) return 'drains';
    if ((node.LastDrain as { Status?: string } | null)?.Status === 'canceled') return 'canceled';
    const { Allocs } = await rpc.call('Node.GetAllocs', { NodeID: nodeId }, { timeoutMs: ASK_MAX_MS });
    for (const alloc of Allocs) if (isEnding(alloc) || (await isWantedFrom(alloc, rpc))) return 'drains';
    return 'over';
  } catch {
    return 'drains';
  }
}

/** At the deadline a drain is over as soon as its tasks are told to end. */
const isEnding = ({ DesiredStatus, ClientStatus }: Allocation): boolean =>
  DesiredStatus !== 'run' && (ClientStatus === 'running' || ClientStatus === 'pending');

/** Whoever takes over the data of an allocation fetches it from here before it runs. */
async function isWantedFrom(alloc: Allocation, rpc: DrainWorld['rpc']): Promise<boolean> {
  const group = alloc.Job?.TaskGroups.find(({ Name }) => Name === alloc.TaskGroup);
  if (!group?.EphemeralDisk.Migrate || alloc.NextAllocation === '') return false;
  const { Alloc: next } = await rpc.call(
    'Alloc.GetAlloc',
    { AllocID: alloc.NextAllocation },
    { timeoutMs: ASK_MAX_MS },
  );
  return next?.DesiredStatus === 'run' && next.ClientStatus === 'pending';
}
