import type { StateSnapshot } from '../state/store.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { Node } from '../structs/node.js';
import { toNanos } from '../util/clock.js';
import { type DrainStep, drainStep } from './drain-rules.js';
import { GroupTallies } from './group-tallies.js';
import type { LeaderPart } from './leader.js';
import { newEval } from './new-eval.js';
import { portions, propose } from './propose.js';
import { createAlarm } from './timers.js';
import type { ServerWorld } from './world.js';

const RETRY_MS = 1_000;

/** Moves work off draining nodes, step by step, and ends the drain when nothing is left (drain-rules.ts). */
export function createDrainer(world: ServerWorld): LeaderPart {
  const { store, now, timers } = world;
  const log = world.log.child('drainer');
  const draining = new Set<string>();
  const tallies = new GroupTallies(store, world.turns);
  const alarm = createAlarm({ timers, now, ring: () => look() });
  let leads = false;
  let lookIsDue = false;
  let busy = false;
  let askedMeanwhile = false;

  const lookSoon = (): void => {
    if (lookIsDue || draining.size === 0) return;
    lookIsDue = true;
    timers.soon(() => {
      lookIsDue = false;
      look();
    });
  };

  const look = (): void => {
    if (!leads) return;
    // While a step is being committed the state does not show it yet.
    if (busy) {
      askedMeanwhile = true;
      return;
    }
    busy = true;
    lookAtAll()
      .catch((error: unknown) => {
        log.warn('could not go on with a drain', { reason: String(error) });
        if (leads) alarm.set(now() + RETRY_MS);
      })
      .finally(() => {
        busy = false;
        if (askedMeanwhile) lookSoon();
        askedMeanwhile = false;
      });
  };

  const lookAtAll = async (): Promise<void> => {
    let due: number | undefined;
    for (const nodeId of [...draining]) {
      const here = store.snapshot().allocsByNode(nodeId);
      const turn = world.turns.take(here.length + 1);
      if (turn) await turn;
      await tallies.count(here);
      // Each node is judged on a state that shows what was asked of the one before: they may share a group.
      const state = store.snapshot();
      const node = state.nodeById(nodeId);
      if (!node?.DrainStrategy) {
        draining.delete(nodeId);
        continue;
      }
      const step = drainStep(node, { state, healthy: (group) => tallies.of(group), now: now() });
      if (step.dueMs !== undefined) due = Math.min(due ?? step.dueMs, step.dueMs);
      await take(step, node, state);
    }
    if (draining.size === 0) tallies.clear();
    if (leads) alarm.set(due);
  };

  const take = async (step: DrainStep, node: Node, state: StateSnapshot): Promise<void> => {
    if (step.migrate.length > 0) {
      for (const ids of portions(step.migrate)) {
        await propose(world.consensus, {
          type: 'allocs-desired-transition',
          transitions: Object.fromEntries(ids.map((id) => [id, { Migrate: true }])),
          evals: drainEvals(ids, state),
          time: toNanos(now()),
        });
      }
      return;
    }
    if (!step.done) return;
    log.info('node is drained', { node: node.ID, name: node.Name });
    const at = new Date(now()).toISOString();
    const event = {
      Message: 'Node drain complete',
      Subsystem: 'Drain',
      Details: step.forced ? { deadline_reached: 'true' } : null,
      Timestamp: at,
      CreateIndex: 0,
    };
    await propose(world.consensus, {
      type: 'node-drain',
      updates: { [node.ID]: { strategy: null, markEligible: false, outcome: 'complete', event } },
      at,
      evals: [],
    });
  };

  const drainEvals = (allocIds: readonly string[], state: StateSnapshot): Evaluation[] => {
    const evals = new Map<string, Evaluation>();
    for (const id of allocIds) {
      const alloc = state.allocById(id);
      const job = alloc && state.jobById(alloc.Namespace, alloc.JobID);
      if (!job) continue;
      const { Namespace, ID: JobID, Priority, Type, JobModifyIndex } = job;
      const seed = { Namespace, JobID, Priority, Type, JobModifyIndex, TriggeredBy: 'node-drain' };
      evals.set(`${Namespace}\0${JobID}`, newEval(seed, { random: world.random, now: now() }));
    }
    return [...evals.values()];
  };

  return {
    name: 'drainer',
    begin(state) {
      leads = true;
      for (const node of state.nodes()) if (node.DrainStrategy) draining.add(node.ID);
      lookSoon();
    },
    end() {
      leads = false;
      draining.clear();
      tallies.clear();
      alarm.set(undefined);
    },
    saw({ changes }) {
      let concerns = false;
      for (const change of changes) {
        tallies.saw(change);
        if (change.table === 'nodes' && change.after?.DrainStrategy) draining.add(change.after.ID);
        if (change.table === 'nodes' || change.table === 'allocs' || change.table === 'csi_volumes') concerns = true;
      }
      if (concerns) lookSoon();
    },
  };
}
