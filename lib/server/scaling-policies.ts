import { createHash } from 'node:crypto';
import { pluginProblems, readPolicy } from '../scaling/policy.js';
import type { StateSnapshot } from '../state/store.js';
import { AUTOSCALER_LOCK } from '../structs/autoscaling.js';
import type { Job, ScalingPolicy } from '../structs/job.js';
import type { ServerWorld } from './world.js';

/** A group's scaling policy has the same id as long as the group has its name: an UUID made of job and group. */
export function withPolicyIds(job: Job): Job {
  if (!job.TaskGroups.some(({ Scaling }) => Scaling !== null)) return job;
  const TaskGroups = job.TaskGroups.map((group) =>
    group.Scaling === null
      ? group
      : { ...group, Scaling: { ...group.Scaling, ID: policyId(job, group.Name), Target: targetOf(job, group.Name) } },
  );
  return { ...job, TaskGroups };
}

function policyId({ Namespace, ID }: Pick<Job, 'Namespace' | 'ID'>, group: string): string {
  const hex = createHash('sha256').update(`scaling\0${Namespace}\0${ID}\0${group}`).digest('hex');
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-5$3-8$4-$5');
}

const targetOf = ({ Namespace, ID }: Job, Group: string): Record<string, string> => ({ Namespace, Job: ID, Group });

/** Policies in force or not, of jobs that are not stopped, with their namespaces. */
export function* scalingPolicies(
  state: StateSnapshot,
  namespace: string,
): Generator<{ job: Job; policy: ScalingPolicy }> {
  for (const job of state.scaledJobs(namespace)) {
    if (job.Stop) continue;
    for (const { Scaling } of job.TaskGroups) {
      if (!Scaling) continue;
      const { CreateIndex, JobModifyIndex: ModifyIndex } = job;
      yield { job, policy: { ...Scaling, CreateIndex, ModifyIndex } };
    }
  }
}

/** What is wrong with the policies of a job, for who registers it. Other autoscalers may know more: it is no error. */
export function policyWarnings(job: Job, { config, store }: Pick<ServerWorld, 'config' | 'store'>): string[] {
  const { Namespace, Path } = AUTOSCALER_LOCK;
  // One of a process of its own has plugins of its own.
  const isOurs = store.snapshot().variableByPath(Namespace, Path) === undefined;
  const { scalerProblem } = config;
  return job.TaskGroups.flatMap(({ Name, Scaling }) => {
    if (!Scaling?.Enabled || Scaling.Policy === null || Object.keys(Scaling.Policy).length === 0) return [];
    const read = readPolicy(Scaling);
    if (read.ok) {
      const missing = scalerProblem && isOurs ? pluginProblems(read.value, scalerProblem) : [];
      return missing.map(({ path, message }) => `the scaling policy of group "${Name}": ${path} ${message}`);
    }
    return read.error.map(
      ({ path, message }) => `the scaling policy of group "${Name}" has no effect: ${path} ${message}`,
    );
  });
}
