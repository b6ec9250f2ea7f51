import type { StateSnapshot } from '../../state/store.js';
import { watchKeys } from '../../state/watch.js';
import type { Allocation } from '../../structs/allocation.js';
import { MeshError } from '../../structs/errors.js';
import { groupOf } from '../../structs/group-of.js';
import type { DrainStrategy, Node } from '../../structs/node.js';
import type { DrainState } from '../../structs/rpc-drain.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { toMillis } from '../../util/clock.js';
import { answerQuery } from '../blocking.js';
import { nodeEvals } from '../node-evals.js';
import { drainEvent } from '../node-events.js';
import { propose } from '../propose.js';
import { type EndpointContext, requireFound, requireText, rfc3339 } from './context.js';
import { requireOwnNode } from './own-node.js';

const ZERO_TIME = '0001-01-01T00:00:00Z';

/** Drains of nodes: by people, and by a node whose agent is about to end. */
export function nodeDrainEndpoints(context: EndpointContext): RpcHandlers {
  const { consensus, store, now, random } = context;

  const drain = async (
    node: Node,
    { asked, markEligible, meta }: { asked: DrainStrategy | null; markEligible: boolean; meta: Meta | undefined },
  ): Promise<{ EvalIDs: string[]; Index: number }> => {
    const strategy = asked && drainStrategy(asked, now());
    // What leaves is the drainer's to say; only a node that takes work again is a reason to look at jobs now.
    const evals =
      !strategy && markEligible ? nodeEvals(store.snapshot(), node, 'node-update', { random, now: now() }) : [];
    const what = node.DrainStrategy ? 'updated' : 'set';
    const { index } = await propose(consensus, {
      type: 'node-drain',
      updates: {
        [node.ID]: {
          strategy,
          markEligible,
          ...(strategy ? {} : { outcome: 'canceled' as const }),
          meta: meta ?? null,
          event: drainEvent(strategy ? `Node drain strategy ${what}` : 'Node drain disabled', now()),
        },
      },
      at: rfc3339(now()),
      evals,
    });
    return { EvalIDs: evals.map(({ ID }) => ID), Index: index };
  };

  return {
    async 'Node.UpdateDrain'(args) {
      const node = requireFound(store.snapshot().nodeById(requireText(args.NodeID, 'node ID')), 'node');
      const { DrainStrategy: asked, MarkEligible: markEligible = false, Meta: meta } = args;
      if (!asked && !node.DrainStrategy && !markEligible) {
        return { EvalIDs: [], NodeModifyIndex: node.ModifyIndex, Index: node.ModifyIndex };
      }
      const done = await drain(node, { asked, markEligible, meta });
      return { ...done, NodeModifyIndex: done.Index };
    },

    async 'Node.DrainSelf'(args) {
      const node = requireOwnNode(context, args);
      const asked = requireFound(args.DrainStrategy, 'drain strategy');
      const { Index } = await drain(node, { asked, markEligible: false, meta: args.Meta });
      return { IsAlone: isAlone(node, store.snapshot()), Index };
    },

    async 'Node.OwnDrain'(args, call) {
      const keys = [watchKeys.node(requireText(args.NodeID, 'node ID')), watchKeys.allocsByNode(args.NodeID)];
      return answerQuery(context, args, call, keys, (state) => ({
        index: state.tableIndex('nodes', 'allocs'),
        // Who was purged meanwhile has nothing left to wait for.
        reply: { State: state.nodeById(args.NodeID) ? stateOf(requireOwnNode(context, args), state) : 'over' },
      }));
    },
  };
}

type Meta = Record<string, string>;

/** The drain as asked for, from now on. A deadline of 0 is none, a negative one is over at once. */
function drainStrategy(asked: Partial<DrainStrategy>, nowMs: number): DrainStrategy {
  const deadline = asked.Deadline ?? 0;
  if (!Number.isFinite(deadline))
    throw new MeshError('E_BAD_REQUEST', 'drain deadline must be a number of nanoseconds');
  return {
    Deadline: deadline,
    IgnoreSystemJobs: asked.IgnoreSystemJobs ?? false,
    StartedAt: rfc3339(nowMs),
    ForceDeadline: deadline > 0 ? rfc3339(nowMs + toMillis(deadline)) : ZERO_TIME,
  };
}

function isAlone({ ID: own }: Node, state: StateSnapshot): boolean {
  for (const { ID, Status, SchedulingEligibility } of state.nodes()) {
    if (ID !== own && Status === 'ready' && SchedulingEligibility === 'eligible') return false;
  }
  return true;
}

function stateOf({ ID, DrainStrategy: strategy, LastDrain: last }: Node, state: StateSnapshot): DrainState {
  if (strategy !== null) return 'drains';
  if ((last as { Status?: string } | null)?.Status === 'canceled') return 'canceled';
  return [...state.allocsByNode(ID)].some((alloc) => isEnding(alloc) || isWanted(alloc, state)) ? 'drains' : 'over';
}

/** At the deadline a drain is over as soon as its tasks are told to end. */
const isEnding = ({ DesiredStatus, ClientStatus }: Allocation): boolean =>
  DesiredStatus !== 'run' && (ClientStatus === 'running' || ClientStatus === 'pending');

/** Whoever takes over the data of an allocation fetches it from its node before it runs. */
function isWanted(alloc: Allocation, state: StateSnapshot): boolean {
  const group = groupOf(alloc.Job, alloc.TaskGroup);
  const next = group?.EphemeralDisk.Migrate ? state.allocById(alloc.NextAllocation) : undefined;
  return next?.DesiredStatus === 'run' && next.ClientStatus === 'pending';
}
