import type { StateSnapshot } from '../../state/store.js';
import { watchKeys } from '../../state/watch.js';
import { MeshError } from '../../structs/errors.js';
import type { Job, TaskGroup } from '../../structs/job.js';
import { isParent } from '../../structs/job-kind.js';
import type { RpcMethods } from '../../structs/rpc.js';
import type { GroupScaleStatus, JobScaleStatus } from '../../structs/scaling.js';
import { JOB_LIMITS } from '../../structs/validate/limits.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { toNanos } from '../../util/clock.js';
import type { Turns } from '../../util/turns.js';
import { answerQuery } from '../blocking.js';
import { newEval } from '../new-eval.js';
import { isTerminal } from '../node-evals.js';
import { propose } from '../propose.js';
import { type EndpointContext, namespaceOf, requireFound, requireText } from './context.js';
import { checkIndex, checkMayRegister } from './job-write.js';

type ScaleArgs = RpcMethods['Job.Scale']['args'];

/** The counts of groups: what they are, and how a person or an autoscaler changes one. */
export function jobScaleEndpoints(context: EndpointContext): RpcHandlers {
  const { consensus, store, now, random, config } = context;

  return {
    async 'Job.Scale'(args) {
      const state = store.snapshot();
      const job = requireFound(state.jobById(namespaceOf(args), requireText(args.JobID, 'job ID')), 'job');
      checkMayRegister(state);
      const group = checkScale(job, args, { state, countMax: config.jobs?.countMax ?? JOB_LIMITS.countMax });
      const count = args.Count ?? null;
      const { Namespace, ID: JobID, Priority, Type, JobModifyIndex } = job;
      const evaluation =
        count === null || isParent(job)
          ? null
          : newEval(
              { Namespace, JobID, Priority, Type, JobModifyIndex, TriggeredBy: 'job-scaling' },
              { random, now: now() },
            );
      const event = {
        group: group.Name,
        Time: toNanos(now()),
        Count: count,
        PreviousCount: group.Count,
        Message: args.Message ?? '',
        Error: args.Error ?? false,
        Meta: args.Meta ?? null,
        EvalID: evaluation?.ID ?? null,
      };
      if (count === null) {
        const { index } = await propose(consensus, { type: 'scaling-event', namespace: Namespace, id: JobID, event });
        return { EvalID: '', EvalCreateIndex: 0, JobModifyIndex, Warnings: '', Index: index };
      }
      const { index, value } = await propose(consensus, {
        type: 'job-register',
        job: {
          ...job,
          SubmitTime: toNanos(now()),
          TaskGroups: job.TaskGroups.map((one) => (one === group ? { ...one, Count: count } : one)),
        },
        eval: evaluation,
        submission: state.jobSubmission(Namespace, JobID, job.Version) ?? null,
        enforceJobModifyIndex: JobModifyIndex,
        scalingEvent: event,
      });
      // Fewer of what has proved itself start no deployment that could prove them: they are as good as before.
      if (job.Stable && count <= group.Count && value.job.Version !== job.Version) {
        const { Version: version } = value.job;
        await propose(consensus, { type: 'job-stability', namespace: Namespace, id: JobID, version, stable: true });
      }
      return {
        EvalID: evaluation?.ID ?? '',
        EvalCreateIndex: index,
        JobModifyIndex: value.job.JobModifyIndex,
        Warnings: '',
        Index: index,
      };
    },

    async 'Job.ScaleStatus'(args, call) {
      const [namespace, id] = [namespaceOf(args), requireText(args.JobID, 'job ID')];
      const keys = [watchKeys.job(namespace, id), watchKeys.allocsByJob(namespace, id)];
      return answerQuery(context, args, call, keys, async (state) => {
        const job = state.jobById(namespace, id);
        const events = state.scalingEvents(namespace, id);
        return {
          index: Math.max(job?.ModifyIndex ?? 1, events?.ModifyIndex ?? 1),
          reply: { JobScaleStatus: job ? await scaleStatus(job, state, context.turns) : null },
        };
      });
    },
  };
}

/** The group to be scaled, or the reason why it may not be. */
function checkScale(
  job: Job,
  args: ScaleArgs,
  { state, countMax }: { state: StateSnapshot; countMax: number },
): TaskGroup {
  const refuse = (why: string): never => {
    throw new MeshError('E_BAD_REQUEST', why);
  };
  const name = requireText(args.Target?.['Group'], 'task group name for scaling action');
  if (job.Type === 'system' || job.Type === 'sysbatch') refuse(`cannot scale jobs of type "${job.Type}"`);
  const group = job.TaskGroups.find(({ Name }) => Name === name);
  if (!group) {
    throw new MeshError('E_NOT_FOUND', `task group "${name}" specified for scaling does not exist in job`);
  }
  const { Count: count = null } = args;
  if (count === null) return group;
  if (args.Error) refuse('scaling action should not contain count if error is true');
  if (!Number.isSafeInteger(count) || count < 0) refuse("scaling action count can't be negative");
  const others = job.TaskGroups.reduce((sum, one) => sum + (one === group ? 0 : one.Count), 0);
  if (count + others > countMax) refuse(`the groups would ask for ${count + others} allocations; at most ${countMax}`);
  const { Scaling: policy } = group;
  if (policy && typeof policy.Max === 'number' && count > policy.Max) {
    refuse(`group count was greater than scaling policy maximum: ${count} > ${policy.Max}`);
  }
  if (policy && typeof policy.Min === 'number' && count < policy.Min) {
    refuse(`group count was less than scaling policy minimum: ${count} < ${policy.Min}`);
  }
  checkIndex({ Job: job, ...args }, job);
  const deployment = state.latestDeploymentByJob(job.Namespace, job.ID);
  if (
    deployment &&
    ['running', 'paused', 'pending', 'blocked', 'unblocking', 'initializing'].includes(deployment.Status)
  ) {
    refuse(`job scaling blocked due to active deployment: ${deployment.ID} is ${deployment.Status}`);
  }
  return group;
}

async function scaleStatus(job: Job, state: StateSnapshot, turns: Turns): Promise<JobScaleStatus> {
  const groups: Record<string, GroupScaleStatus> = {};
  const events = state.scalingEvents(job.Namespace, job.ID);
  for (const { Name, Count } of job.TaskGroups) {
    groups[Name] = {
      Desired: Count,
      Placed: 0,
      Running: 0,
      Healthy: 0,
      Unhealthy: 0,
      Events: events?.ScalingEvents[Name] ?? null,
    };
  }
  await turns.through(state.eachAllocOfJob(job.Namespace, job.ID), (alloc) => {
    const group = groups[alloc.TaskGroup];
    if (!group || isTerminal(alloc) || alloc.Job?.CreateIndex !== job.CreateIndex) return true;
    // A canary is not yet part of the group.
    if (alloc.DeploymentStatus?.Canary) return true;
    group.Placed++;
    if (alloc.ClientStatus === 'running') group.Running++;
    if (alloc.DeploymentStatus?.Healthy === true) group.Healthy++;
    if (alloc.DeploymentStatus?.Healthy === false) group.Unhealthy++;
    return true;
  });
  return {
    JobID: job.ID,
    Namespace: job.Namespace,
    JobCreateIndex: job.CreateIndex,
    JobModifyIndex: job.ModifyIndex,
    JobStopped: job.Stop,
    TaskGroups: groups,
  };
}
