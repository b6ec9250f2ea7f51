import type { StateReader } from '../../../lib/scheduler/ports.js';
import { schedule } from '../../../lib/scheduler/schedule.js';
import type { StateSnapshot } from '../../../lib/state/store.js';
import type { Job } from '../../../lib/structs/job.js';
import type { Plan } from '../../../lib/structs/plan.js';
import { mockEval } from '../../scheduler/mock.js';
import { heapBytes } from './heap-bytes.js';
import type { ClusterWorld } from './world.js';

/** What the scheduler remembers beside the state itself, in bytes; zeros without --expose-gc. */
export interface SchedulerView {
  /** For each allocation of the cluster: the nodes as columns, what is in use on each, and the lists that evaluations have asked for. */
  readonly keptBytes: number;
  /** For each placement of a draft, on top: what is held of it when its plan is handed in. */
  readonly plannedBytes: number;
}

/** The same state, but that no job has anything yet. */
function withoutAllocs(state: StateSnapshot): StateReader {
  return {
    index: state.index,
    ...(state.nodesVersion && { nodesVersion: state.nodesVersion }),
    nodes: () => state.nodes(),
    nodeById: (id) => state.nodeById(id),
    jobById: (namespace, id) => state.jobById(namespace, id),
    jobByVersion: (namespace, id, version) => state.jobByVersion(namespace, id, version),
    allocById: (id) => state.allocById(id),
    allocsByJob: () => [],
    allocsByNode: (id) => state.allocsByNode(id),
    usageByNode: (id) => state.usageByNode(id),
    portsByNode: (id) => state.portsByNode(id),
    latestDeploymentByJob: () => undefined,
    schedulerConfig: () => state.schedulerConfig(),
  };
}

/**
 * Weighs the view: a snapshot nobody has looked at is looked at by an evaluation of every job, and one more of a service that has to place
 * all its allocations once more.
 */
export async function schedulerView(
  { store, now, random }: ClusterWorld,
  jobs: readonly Job[],
): Promise<SchedulerView> {
  const state = store.snapshot();
  const before = heapBytes();
  let planned = { bytes: 0, placements: 0 };
  let base = 0;
  const planner = {
    async submitPlan(plan: Plan) {
      const placements = Object.values(plan.NodeAllocation).flat().length;
      if (base > 0) planned = { bytes: heapBytes() - base, placements };
      return { result: { ...plan, RejectedNodes: [], RefreshIndex: 0, AllocIndex: 1 }, state: null };
    },
    updateEval: async () => {},
    createEval: async () => {},
    reblockEval: async () => {},
  };
  for (const job of jobs) await schedule(mockEval(job), { state, planner, now: now(), random });
  const after = heapBytes();
  base = after;
  const service = jobs.find(({ Type }) => Type === 'service');
  if (service) await schedule(mockEval(service), { state: withoutAllocs(state), planner, now: now(), random });
  return {
    keptBytes: (after - before) / Math.max(1, state.count('allocs')),
    plannedBytes: planned.bytes / Math.max(1, planned.placements),
  };
}
