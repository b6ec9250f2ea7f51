import type { Millis } from '../util/clock.js';
import { propose } from './propose.js';
import type { ServerWorld } from './world.js';

// A node on which plans are refused again and again is not what the state says it is: schedulers keep choosing it and
// make no progress. It is taken out of the choice, and a person is told by its events.

export interface PlanRejectionLimits {
  /** So many refused plans on one node… */
  nodeThreshold: number;
  /** …within this time. */
  nodeWindowMs: Millis;
}

export interface PlanRejections {
  /** A plan was refused on these nodes. */
  note(nodeIds: readonly string[]): void;
  clear(): void;
}

/** Does nothing unless the configuration gives limits, as in Nomad. */
export function createPlanRejections(world: ServerWorld): PlanRejections {
  const limits = world.config.planRejections;
  const times = new Map<string, Millis[]>();

  const disable = async (nodeId: string): Promise<void> => {
    const at = world.now();
    world.log.warn('plans are refused on a node again and again: it takes no new work', { node: nodeId });
    try {
      await propose(world.consensus, {
        type: 'node-eligibility',
        id: nodeId,
        eligibility: 'ineligible',
        event: {
          Message: 'Node marked as ineligible for scheduling due to multiple plan rejections',
          Subsystem: 'Scheduler',
          Details: null,
          Timestamp: new Date(at).toISOString(),
          CreateIndex: 0,
        },
        evals: [],
      });
    } catch (error) {
      world.log.warn('could not mark a node as ineligible', { node: nodeId, reason: String(error) });
    }
  };

  return {
    note(nodeIds) {
      if (!limits) return;
      const now = world.now();
      for (const nodeId of nodeIds) {
        const recent = (times.get(nodeId) ?? []).filter((at) => at > now - limits.nodeWindowMs);
        recent.push(now);
        times.set(nodeId, recent);
        if (recent.length < limits.nodeThreshold) continue;
        times.delete(nodeId);
        void disable(nodeId);
      }
    },
    clear: () => times.clear(),
  };
}
