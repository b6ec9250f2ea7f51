import type { Allocation, AllocMetric, DesiredTransition } from '../structs/allocation.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { Job, TaskGroup } from '../structs/job.js';
import type { Node } from '../structs/node.js';
import type { AllocatedResources } from '../structs/resources.js';
import { type Millis, toNanos } from '../util/clock.js';
import { type Random, randomUuid } from '../util/random.js';

const NO_TRANSITION: DesiredTransition = {
  Migrate: null,
  Reschedule: null,
  ForceReschedule: null,
  NoShutdownDelay: null,
};

/** Makes the allocation that a selection stands for. */
export function buildAlloc(options: {
  evaluation: Evaluation;
  job: Job;
  group: TaskGroup;
  name: string;
  node: Node;
  resources: AllocatedResources;
  metrics: AllocMetric;
  deploymentId: string;
  canary: boolean;
  previous: Allocation | null;
  tracker: Allocation['RescheduleTracker'];
  now: Millis;
  random: Random;
}): Allocation {
  const { evaluation, job, node, now } = options;
  return {
    ID: randomUuid(options.random),
    Namespace: job.Namespace,
    EvalID: evaluation.ID,
    Name: options.name,
    NodeID: node.ID,
    NodeName: node.Name,
    JobID: job.ID,
    Job: job,
    TaskGroup: options.group.Name,
    AllocatedResources: options.resources,
    Metrics: options.metrics,
    DesiredStatus: 'run',
    DesiredDescription: '',
    DesiredTransition: NO_TRANSITION,
    ClientStatus: 'pending',
    ClientDescription: '',
    TaskStates: null,
    AllocStates: null,
    NetworkStatus: null,
    DeploymentID: options.deploymentId,
    DeploymentStatus: options.canary
      ? { Healthy: null, Timestamp: '0001-01-01T00:00:00Z', Canary: true, ModifyIndex: 0 }
      : null,
    PreviousAllocation: options.previous?.ID ?? '',
    NextAllocation: '',
    RescheduleTracker: options.tracker,
    FollowupEvalID: '',
    PreemptedAllocations: null,
    PreemptedByAllocation: '',
    CreateIndex: 0,
    ModifyIndex: 0,
    AllocModifyIndex: 0,
    CreateTime: toNanos(now),
    ModifyTime: toNanos(now),
  };
}
