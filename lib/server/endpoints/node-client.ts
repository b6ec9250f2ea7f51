import type { StateSnapshot } from '../../state/store.js';
import { watchKeys } from '../../state/watch.js';
import { MeshError } from '../../structs/errors.js';
import type { Evaluation } from '../../structs/evaluation.js';
import type { Node, NodeStatus } from '../../structs/node.js';
import type { ClientAllocUpdate, NodeUpdateReply } from '../../structs/rpc.js';
import { wasStoppedApart } from '../../structs/separation.js';
import { wasStoppedMidway } from '../../structs/stopped.js';
import { reportProblem } from '../../structs/validate/client-report.js';
import { devicesProblem, topologyProblem } from '../../structs/validate/hardware.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { toNanos } from '../../util/clock.js';
import type { Turns } from '../../util/turns.js';
import { answerQuery } from '../blocking.js';
import { withDeclaredServices } from '../declared-services.js';
import { newEval } from '../new-eval.js';
import { changedNodeEvals, isClientTerminal, nodeEvals } from '../node-evals.js';
import { nodeEvent, registrationEvent } from '../node-events.js';
import { portions, propose } from '../propose.js';
import { type EndpointContext, requireText } from './context.js';
import { checkSecret, requireOwnNode } from './own-node.js';

/** A report is as much work as so many rows of a list that is looked through. */
const REPORT_COSTS = 4;
const STATUSES: readonly NodeStatus[] = ['initializing', 'ready', 'down', 'disconnected'];

/** What a client says about itself and its allocations, and asks about its work. Each proves it is the node it names. */
export function nodeClientEndpoints(context: EndpointContext): RpcHandlers {
  const { consensus, store, now, random, turns } = context;
  const removals = watchRemovals(context);

  /** A node that the leader has just registered may not be known here yet, where it is linked. */
  const caughtUpWith = async (nodeId: string): Promise<void> => {
    if (!consensus.isLeader && !store.snapshot().nodeById(nodeId)) await consensus.readIndex();
  };

  /** A heartbeat only counts with the leader: another would forget it. */
  const requireLeader = (): void => {
    if (!consensus.isLeader) throw new MeshError('E_NO_LEADER', 'No cluster leader here: ask another server');
  };

  /** To be asked only once a majority stood behind this server since the request came. */
  const reply = (node: Node, index: number, evals: readonly Evaluation[]): NodeUpdateReply => {
    const renews = node.Status !== 'down' && hasLeases(node, store.snapshot());
    if (renews) context.leases.renewed(node.ID, now());
    return {
      HeartbeatTTLMs: node.Status === 'down' ? 0 : context.nodeWatch.beat(node.ID, { hasLeases: renews }),
      NodeModifyIndex: node.ModifyIndex,
      EvalIDs: evals.map(({ ID }) => ID),
      Servers: context.config.servers?.() ?? [],
      ...(renews ? { LeaseRenewed: true } : {}),
      Index: index,
    };
  };

  return {
    async 'Node.Register'({ Node: handedIn }) {
      requireLeader();
      const node = admitNode(handedIn);
      const state = store.snapshot();
      const existing = state.nodeById(node.ID);
      if (existing) checkSecret(existing, node.SecretID);
      const world = { random, now: now() };
      let evals: Evaluation[] = [];
      if (changesWork(existing?.Status, node.Status)) evals = nodeEvals(state, node, 'node-update', world);
      else if (existing && node.Status === 'ready') evals = changedNodeEvals(state, existing, node, world);
      const { index, value } = await propose(consensus, {
        type: 'node-register',
        node: { ...node, StatusUpdatedAt: Math.floor(now() / 1_000) },
        event: registrationEvent(existing, node, now()),
        evals,
      });
      return reply(value.node, index, evals);
    },

    async 'Node.UpdateStatus'(args) {
      requireLeader();
      const node = requireOwnNode(context, args);
      const { Status: status } = args;
      if (!STATUSES.includes(status)) {
        throw new MeshError('E_BAD_REQUEST', `invalid status "${String(status)}" for node`);
      }
      if (node.Status === status) {
        // Who was deposed and does not know it must renew nothing.
        if (hasLeases(node, store.snapshot())) await consensus.readIndex();
        return reply(node, store.index, []);
      }
      const evals = changesWork(node.Status, status)
        ? nodeEvals(store.snapshot(), { ...node, Status: status }, 'node-update', { random, now: now() })
        : [];
      const { index, value } = await propose(consensus, {
        type: 'node-status',
        id: node.ID,
        status,
        updatedAt: Math.floor(now() / 1_000),
        event:
          node.Status === 'initializing'
            ? null
            : nodeEvent(status === 'ready' ? 'Node reregistered by heartbeat' : `Node is ${status}`, now()),
        evals,
      });
      return reply(value.node, index, evals);
    },

    async 'Node.GetClientAllocs'(args, call) {
      await caughtUpWith(args.NodeID);
      requireOwnNode(context, args);
      const nodeId = args.NodeID;
      const keys = [watchKeys.allocsByNode(nodeId)];
      const answer = await answerQuery(context, args, call, keys, (state) => {
        const allocs: Record<string, number> = {};
        let index = Math.max(1, removals.lastOf(nodeId));
        for (const alloc of state.allocsByNode(nodeId)) {
          allocs[alloc.ID] = alloc.AllocModifyIndex;
          index = Math.max(index, alloc.ModifyIndex);
        }
        return { index, reply: { Allocs: allocs, seenAt: state.index } };
      });
      const { seenAt, ...rest } = answer;
      // The index of what was looked at, not of the last change: it never goes back, so a client can tell an older view.
      return { ...rest, Index: seenAt };
    },

    async 'Node.UpdateAlloc'(args) {
      const node = requireOwnNode(context, args);
      requireHeard(node);
      await requireReadable(args.Alloc, turns);
      let { index } = store;
      // A machine that comes back may report thousands. What follows from a part goes with it: no failure is stored without its evaluation.
      for (const part of portions(args.Alloc, weightOf)) {
        const state = store.snapshot();
        const updates = part.flatMap((update) => {
          const alloc = state.allocById(update.ID);
          return alloc?.NodeID === node.ID ? [withDeclaredServices(update, alloc)] : [];
        });
        if (updates.length === 0) continue;
        const evals = updateEvals(updates, state, context);
        const time = toNanos(now());
        ({ index } = await propose(consensus, { type: 'allocs-client-update', allocs: updates, evals, time }));
      }
      return { Index: index };
    },

    async 'Alloc.GetAllocs'(args, call) {
      await caughtUpWith(args.NodeID);
      requireOwnNode(context, args);
      const keys = args.AllocIDs.map((id) => watchKeys.alloc(id));
      return answerQuery(context, args, call, keys, (state) => {
        const allocs = args.AllocIDs.flatMap((id) => {
          const alloc = state.allocById(id);
          return alloc?.NodeID === args.NodeID ? [alloc] : [];
        });
        return { index: state.index, reply: { Allocs: allocs } };
      });
    },
  };
}

/** The index at which an allocation of a node was last forgotten, if only by a restore: nothing that is left shows it. */
function watchRemovals({ store }: EndpointContext): { lastOf(nodeId: string): number } {
  const last = new Map<string, number>();
  let restored = 0;
  store.onRestore((index) => {
    restored = index;
  });
  store.onCommit(({ index, changes }) => {
    for (const change of changes) {
      if (change.table === 'allocs' && change.before && !change.after) last.set(change.before.NodeID, index);
      if (change.table === 'nodes' && change.before && !change.after) last.delete(change.before.ID);
    }
  });
  return { lastOf: (nodeId) => Math.max(restored, last.get(nodeId) ?? 0) };
}

/** Whether volumes are claimed on a node, or may be at any moment. */
function hasLeases({ ID, CSINodePlugins }: Node, state: StateSnapshot): boolean {
  if (Object.keys(CSINodePlugins ?? {}).length > 0) return true;
  return state.claimedCsiVolumes().some(({ Claims }) => Object.values(Claims).some(({ NodeID }) => NodeID === ID));
}

/** Most of a long report is the events of its tasks: two of them are as much as the rest of it. */
function weightOf({ TaskStates }: ClientAllocUpdate): number {
  let events = 0;
  for (const { Events } of Object.values(TaskStates ?? {})) events += Events?.length ?? 0;
  return 1 + events / 2;
}

/** What would be stored as it came, and break whoever reads it, is refused as a whole; looked through in turns, for it may be much. */
async function requireReadable(reports: unknown, turns: Turns): Promise<void> {
  if (!Array.isArray(reports)) throw new MeshError('E_BAD_REQUEST', 'the reports on allocations are no list');
  for (const part of portions(reports)) {
    const turn = turns.take(part.length * REPORT_COSTS);
    if (turn) await turn;
    for (const report of part) {
      const wrong = reportProblem(report);
      if (wrong !== null) throw new MeshError('E_BAD_REQUEST', `the report on an allocation cannot be used: ${wrong}`);
    }
  }
}

/**
 * Throws E_CONFLICT for a node that counts as gone, as Nomad does: what it says is taken once it was heard of. Before that the
 * scheduler would call its work out of reach again, with every report anew.
 */
function requireHeard({ ID, Status }: Node): void {
  if (Status !== 'down' && Status !== 'disconnected') return;
  throw new MeshError('E_CONFLICT', `node ${ID} is ${Status} here, and has to be heard of before it reports`);
}

function admitNode(node: Node | undefined): Node {
  if (!node) throw new MeshError('E_BAD_REQUEST', 'missing node for client registration');
  requireText(node.ID, 'node ID for client registration');
  requireText(node.SecretID, 'node secret ID for client registration');
  requireText(node.Name, 'node name for client registration');
  requireText(node.Datacenter, 'datacenter for client registration');
  if (!node.Attributes || Object.keys(node.Attributes).length === 0) {
    throw new MeshError('E_BAD_REQUEST', 'missing attributes for client registration');
  }
  const status = node.Status ?? 'initializing';
  if (!STATUSES.includes(status)) throw new MeshError('E_BAD_REQUEST', `invalid status "${String(status)}" for node`);
  const wrong = devicesProblem(node.NodeResources?.Devices) ?? topologyProblem(node.NodeResources?.Processors);
  if (wrong !== null) throw new MeshError('E_BAD_REQUEST', `the node's hardware cannot be read: ${wrong}`);
  return { ...node, Status: status, NodePool: node.NodePool || 'default' };
}

/** Whether a change of status changes what should run where. */
function changesWork(before: NodeStatus | undefined, after: NodeStatus): boolean {
  if (before === after || after === 'initializing') return false;
  return after === 'ready' || before !== undefined;
}

/** Jobs to look at because an allocation failed, is over though it should run, or came back from the unknown. */
function updateEvals(
  updates: readonly ClientAllocUpdate[],
  state: StateSnapshot,
  { random, now }: EndpointContext,
): Evaluation[] {
  const evals = new Map<string, Evaluation>();
  for (const update of updates) {
    const alloc = state.allocById(update.ID);
    const job = alloc && state.jobById(alloc.Namespace, alloc.JobID);
    if (!alloc || !job || isClientTerminal(alloc.ClientStatus)) continue;
    const failed = update.ClientStatus === 'failed' && alloc.DesiredStatus === 'run' && alloc.FollowupEvalID === '';
    const back = alloc.ClientStatus === 'unknown' && update.ClientStatus !== 'unknown';
    // Its node may never have been down: then nothing else has its place filled. Services end when they are stopped, as does work
    // that was not done, so the state must be an older one, restored from a snapshot.
    const stopped =
      update.ClientStatus === 'complete' &&
      alloc.DesiredStatus === 'run' &&
      (job.Type === 'service' ||
        job.Type === 'system' ||
        wasStoppedApart(update.TaskStates) ||
        wasStoppedMidway({ ...alloc, TaskStates: update.TaskStates }));
    if (!failed && !stopped && !back) continue;
    const { Namespace, ID: JobID, Priority, Type, JobModifyIndex } = job;
    const key = `${Namespace}\0${JobID}`;
    if (evals.has(key)) continue;
    const seed = {
      Namespace,
      JobID,
      Priority,
      Type,
      JobModifyIndex,
      TriggeredBy: back ? 'reconnect' : 'alloc-failure',
    };
    evals.set(key, newEval(seed, { random, now: now() }));
  }
  return [...evals.values()];
}
