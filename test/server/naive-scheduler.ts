import { allocsFit } from '../../lib/scheduler/fit.js';
import type { Schedule } from '../../lib/server/worker.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Evaluation } from '../../lib/structs/evaluation.js';
import type { Job, TaskGroup } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import type { Plan } from '../../lib/structs/plan.js';
import { randomUuid } from '../../lib/util/random.js';
import { mockAlloc, mockAllocated } from '../scheduler/mock.js';

const isOver = ({ ClientStatus, DesiredStatus }: Allocation): boolean =>
  DesiredStatus !== 'run' || ['complete', 'failed', 'lost'].includes(ClientStatus);

/** The simplest scheduler that keeps `count` allocations of each group on ready nodes: what a server is tested with. */
export const naiveScheduler: Schedule = async (evaluation, { state, planner, random }) => {
  const job = state.jobById(evaluation.Namespace, evaluation.JobID);
  const plan: Plan = {
    EvalID: evaluation.ID,
    EvalToken: '',
    Priority: evaluation.Priority,
    AllAtOnce: job?.AllAtOnce ?? false,
    Job: job ?? null,
    NodeUpdate: {},
    NodeAllocation: {},
    NodePreemptions: {},
    Deployment: null,
    DeploymentUpdates: [],
    Annotations: null,
    SnapshotIndex: state.index,
  };
  const stop = (alloc: Allocation, ClientStatus: Allocation['ClientStatus']): void => {
    plan.NodeUpdate[alloc.NodeID] ??= [];
    plan.NodeUpdate[alloc.NodeID]?.push({ ...alloc, DesiredStatus: 'stop', DesiredDescription: 'test', ClientStatus });
  };
  const usable = (node: Node): boolean => node.Status === 'ready' && node.SchedulingEligibility === 'eligible';
  const room = (node: Node, alloc: Allocation): boolean => {
    const freed = (plan.NodeUpdate[node.ID] ?? []).map(({ ID }) => ID);
    const held = state.allocsByNode(node.ID).filter(({ ID }) => !freed.includes(ID));
    return allocsFit(node, [...held, ...(plan.NodeAllocation[node.ID] ?? []), alloc]).fits;
  };
  const place = (group: TaskGroup, runs: Job): boolean => {
    const alloc = mockAlloc(runs, {
      ID: randomUuid(random),
      EvalID: evaluation.ID,
      TaskGroup: group.Name,
      ClientStatus: 'pending',
      AllocatedResources: mockAllocated({ cpu: group.Tasks[0]?.Resources.CPU ?? 100, memory: 10, disk: 10 }),
    });
    const node = [...state.nodes()].find((candidate) => usable(candidate) && room(candidate, alloc));
    if (!node) return false;
    plan.NodeAllocation[node.ID] ??= [];
    plan.NodeAllocation[node.ID]?.push({ ...alloc, NodeID: node.ID, NodeName: node.Name });
    return true;
  };

  const failed: Evaluation['FailedTGAllocs'] = {};
  const allocs = state.allocsByJob(evaluation.Namespace, evaluation.JobID).filter((alloc) => !isOver(alloc));
  const kept = allocs.filter((alloc) => {
    const node = state.nodeById(alloc.NodeID);
    const lost = !node || node.Status === 'down';
    const leaves = !job || job.Stop || lost || alloc.DesiredTransition.Migrate === true;
    if (leaves) stop(alloc, lost ? 'lost' : alloc.ClientStatus);
    return !leaves;
  });
  if (job && !job.Stop) {
    for (const group of job.TaskGroups) {
      const own = kept.filter(({ TaskGroup }) => TaskGroup === group.Name);
      for (const surplus of own.slice(group.Count)) stop(surplus, surplus.ClientStatus);
      const missing = group.Count - own.length;
      for (let i = 0; i < missing; i++) if (!place(group, job)) failed[group.Name] = {} as never;
    }
  }
  const { result, state: fresh } = await planner.submitPlan(plan);
  if (result.RefreshIndex > 0 && fresh) {
    await naiveScheduler(evaluation, { state: fresh, planner, random, now: 0, log: undefined as never });
    return;
  }
  const hasFailed = Object.keys(failed).length > 0;
  if (hasFailed && evaluation.Status === 'blocked') {
    await planner.reblockEval({ ...evaluation, EscapedComputedClass: true });
    return;
  }
  if (hasFailed) {
    const blocked: Evaluation = {
      ...evaluation,
      ID: randomUuid(random),
      Status: 'blocked',
      TriggeredBy: 'queued-allocs',
      PreviousEval: evaluation.ID,
      EscapedComputedClass: true,
    };
    await planner.createEval(blocked);
    await planner.updateEval({ ...evaluation, Status: 'complete', FailedTGAllocs: failed, BlockedEval: blocked.ID });
    return;
  }
  await planner.updateEval({ ...evaluation, Status: 'complete' });
};
