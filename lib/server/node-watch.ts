import type { StateSnapshot } from '../state/store.js';
import { groupOf } from '../structs/group-of.js';
import type { Node, NodeStatus } from '../structs/node.js';
import type { Millis } from '../util/clock.js';
import { Heartbeats } from './heartbeat.js';
import type { LeaderPart } from './leader.js';
import { isTerminal, nodeEvals } from './node-evals.js';
import type { NodeLeases } from './node-leases.js';
import { propose } from './propose.js';
import { createAlarm } from './timers.js';
import type { ServerWorld } from './world.js';

/** A node whose status could not be written is looked at again after this. */
const RETRY_MS = 1_000;

/** A node with claims on volumes is heard twice at least before it has to stop what uses them (VOLUME_LEASE). */
const LEASE_TTL_MAX_MS = 20_000;

/** An alarm later than this means that this server itself was not there: suspended, starved, or its clock jumped. */
const LATE_MS = 5_000;

/** The leader's ear: who sends no heartbeat in time is down, or disconnected when its work may outlast that. */
export interface NodeWatch extends LeaderPart {
  /** The node was heard of; returns the time until its next heartbeat, which is short for one that has leases to renew. */
  beat(nodeId: string, options: { hasLeases: boolean }): Millis;
}

export function createNodeWatch(world: ServerWorld, leases: NodeLeases): NodeWatch {
  const { now, store } = world;
  const log = world.log.child('heartbeat');
  const heartbeats = new Heartbeats({
    random: world.random,
    ...(world.config.heartbeat && { limits: world.config.heartbeat }),
  });
  const alarm = createAlarm({ timers: world.timers, now, ring: () => look() });
  const retries = new Set<() => void>();
  let leads = false;

  const look = (): void => {
    const lateMs = now() - (heartbeats.dueMs() ?? now());
    if (lateMs > LATE_MS) {
      log.warn('heartbeats could not be heard for a while; nodes get time to report again', { lateMs });
      heartbeats.slept(now());
    }
    const silent = heartbeats.takeMissed(now());
    if (silent.spared.length > 0) {
      log.warn('many nodes are silent at once: this server may be cut off, so they are not yet taken for down', {
        nodes: silent.spared.length,
        known: heartbeats.size,
      });
    }
    for (const nodeId of silent.missed) void missed(nodeId);
    alarm.set(heartbeats.dueMs());
  };

  const missed = async (nodeId: string): Promise<void> => {
    const state = store.snapshot();
    const node = state.nodeById(nodeId);
    if (!leads || !node || node.Status === 'down') return;
    const status = statusAfterSilence(node, state);
    if (status === node.Status) return;
    log.warn('node missed its heartbeat', { node: nodeId, name: node.Name, status });
    try {
      await propose(world.consensus, {
        type: 'node-status',
        id: nodeId,
        status,
        updatedAt: Math.floor(now() / 1_000),
        event: {
          Message: 'Node heartbeat missed',
          Subsystem: 'Cluster',
          Details: null,
          Timestamp: new Date(now()).toISOString(),
          CreateIndex: 0,
        },
        evals: nodeEvals(state, { ...node, Status: status }, 'node-update', { random: world.random, now: now() }),
      });
    } catch (error) {
      log.warn('could not record that a node is down', { node: nodeId, reason: String(error) });
      const cancel = world.timers.setTimeout(RETRY_MS, () => {
        retries.delete(cancel);
        void missed(nodeId);
      });
      retries.add(cancel);
    }
  };

  // Gossip proposes, the heartbeat decides: who is found dead has to be heard of sooner, and is not down before that.
  world.peers?.onHealth((key, health) => {
    const member = store.snapshot().meshMember(key);
    if (!leads || !member || health === 'suspect') return;
    if (health === 'dead') heartbeats.hasten(member.NodeID, now());
    else heartbeats.relent(member.NodeID);
    alarm.set(heartbeats.dueMs());
  });

  return {
    name: 'node watch',
    begin(state) {
      leads = true;
      leases.begin(now());
      const alive: string[] = [];
      for (const node of state.nodes()) if (node.Status !== 'down') alive.push(node.ID);
      heartbeats.begin(alive, now(), world.group?.isJustRecovered() ? 'recovery' : 'election');
      const strangers = new Set(alive);
      let isMesh = false;
      for (const { Key, NodeID } of state.meshMembers()) {
        isMesh = true;
        strangers.delete(NodeID);
        if (world.peers?.health(Key) === 'dead') heartbeats.hasten(NodeID, now());
      }
      // Nodes that came with a snapshot of another mesh are no members of this one: nobody has to find the new leader first.
      if (isMesh) for (const nodeId of strangers) heartbeats.doubt(nodeId, now());
      alarm.set(heartbeats.dueMs());
    },
    end() {
      leads = false;
      for (const cancel of retries) cancel();
      retries.clear();
      heartbeats.clear();
      alarm.set(undefined);
    },
    saw({ changes }) {
      const eased = new Set<string>();
      for (const change of changes) {
        if (change.table === 'allocs') {
          // With the last allocation given up that might outlast the silence, its node is down like any other.
          const { before, after } = change;
          const isGivenUp = before && after && !isTerminal(before) && isTerminal(after);
          if (isGivenUp) eased.add(after.NodeID);
          continue;
        }
        if (change.table !== 'nodes' || !change.before) continue;
        if (!change.after || change.after.Status === 'down') heartbeats.forget(change.before.ID);
      }
      if (!leads || eased.size === 0) return;
      const state = store.snapshot();
      for (const nodeId of eased) if (state.nodeById(nodeId)?.Status === 'disconnected') void missed(nodeId);
    },
    beat(nodeId, { hasLeases }) {
      const ttlMs = heartbeats.beat(nodeId, now(), hasLeases ? LEASE_TTL_MAX_MS : undefined);
      alarm.set(heartbeats.dueMs());
      return ttlMs;
    },
  };
}

/** A silent node is disconnected when some allocation on it may outlast that (disconnect.lost_after), else down. */
function statusAfterSilence(node: Node, state: StateSnapshot): NodeStatus {
  const outlasts = state.allocsByNode(node.ID).some((alloc) => {
    if (isTerminal(alloc)) return false;
    const group = groupOf(alloc.Job, alloc.TaskGroup);
    return (group?.Disconnect?.LostAfter ?? 0) > 0;
  });
  return outlasts ? 'disconnected' : 'down';
}
