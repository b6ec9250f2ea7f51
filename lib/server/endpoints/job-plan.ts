import { diffJobsInTurns, emptyDiff } from '../../jobspec/diff.js';
import { annotateDiff } from '../../jobspec/diff-annotate.js';
import type { Planner, StateReader } from '../../scheduler/ports.js';
import type { StateSnapshot } from '../../state/store.js';
import type { Evaluation } from '../../structs/evaluation.js';
import type { Job } from '../../structs/job.js';
import { isPeriodicActive, nextPeriodicLaunch } from '../../structs/job-kind.js';
import type { Plan } from '../../structs/plan.js';
import { pastLaunches } from '../../structs/validate/launch.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import type { Millis } from '../../util/clock.js';
import { isEqual } from '../../util/equal.js';
import { GROUPS_PER_TURN, mapInTurns, type Resting } from '../../util/turns.js';
import { driverConfigWarnings } from '../driver-configs.js';
import { admitJob, checkSubmission, listed, requireAdmitted } from '../job-admission.js';
import { keepCounts } from '../kept-counts.js';
import { memoryMaxWarnings } from '../memory-max.js';
import { newEval } from '../new-eval.js';
import { policyWarnings, withPolicyIds } from '../scaling-policies.js';
import { type EndpointContext, namespaceOf, rfc3339 } from './context.js';
import { checkIndex, checkPool } from './job-write.js';

const ZERO_TIME = '0001-01-01T00:00:00Z';

/** What would happen if the job were registered: a scheduler runs on a state in which it is; nothing is stored. */
export function jobPlanEndpoints(context: EndpointContext): RpcHandlers {
  const { turns } = context;
  return {
    async 'Job.Plan'(args, { signal }) {
      const submission = checkSubmission(args.Submission, context.config.jobs);
      const { job: admitted, warnings } = requireAdmitted(await admitJob(args.Job, context, submission));
      const configs = await driverConfigWarnings(admitted, context, submission);
      await context.consensus.readIndex();
      signal.throwIfAborted();
      const state = context.store.snapshot();
      const existing = state.jobById(namespaceOf({ Namespace: admitted.Namespace }), admitted.ID);
      checkIndex(args, existing);
      checkPool(admitted, state);
      const kept = keepCounts(admitted, existing, args.PreserveCounts);
      const job = await turns.toEnd(asRegistered(withPolicyIds(kept.job), existing, state.index + 1));
      const evaluation = newEval(
        {
          Namespace: job.Namespace,
          JobID: job.ID,
          Priority: job.Priority,
          Type: job.Type,
          TriggeredBy: 'job-register',
          JobModifyIndex: job.JobModifyIndex,
          AnnotatePlan: true,
        },
        { random: context.random, now: context.now() },
      );
      const { planner, plans, evals } = recordingPlanner();
      await context.schedule(evaluation, {
        state: withJob(state, job),
        planner,
        now: context.now(),
        random: context.random,
        log: context.log.child('plan'),
        yieldTurn: () => new Promise((resolve) => context.timers.soon(resolve)),
      });
      signal.throwIfAborted();
      const outcome = evals.findLast(({ ID }) => ID === evaluation.ID);
      const created = evals.filter(({ ID }) => ID !== evaluation.ID);
      const annotations = plans[0]?.Annotations ?? { DesiredTGUpdates: {}, PreemptedAllocs: null };
      return {
        Annotations: annotations,
        FailedTGAllocs: outcome?.FailedTGAllocs ?? null,
        JobModifyIndex: existing?.JobModifyIndex ?? 0,
        CreatedEvals: created.length > 0 ? created : null,
        Diff: args.Diff
          ? annotateDiff(
              await turns.toEnd(diffJobsInTurns(existing ?? null, job, { contextual: true })),
              annotations.DesiredTGUpdates,
            )
          : emptyDiff(job.ID, existing ? 'Edited' : 'Added'),
        NextPeriodicLaunch: nextLaunch(job, context.now()),
        Warnings: listed(
          [
            ...warnings,
            ...kept.warnings,
            ...policyWarnings(job, context),
            ...memoryMaxWarnings(job, state),
            ...configs,
            ...pastLaunches(job, context.now()),
          ],
          'warning',
        ),
        Index: state.index,
      };
    },
  };
}

/** As Go prints times: the zero time when the clock does not launch the job. */
function nextLaunch(job: Job, now: Millis): string {
  const next = job.Periodic && isPeriodicActive(job) ? nextPeriodicLaunch(job.Periodic, now) : undefined;
  return next === undefined ? ZERO_TIME : rfc3339(next);
}

/**
 * The job with the version and indexes it would have if it were written at `index`: an unchanged one keeps those it has, and by
 * that the scheduler knows that its allocations may stay as they are.
 */
function* asRegistered(job: Job, existing: Job | undefined, index: number): Resting<Job> {
  if (!existing) return { ...job, CreateIndex: index, ModifyIndex: index, JobModifyIndex: index };
  const {
    Status,
    StatusDescription,
    Stable,
    Version,
    VersionTag,
    SubmitTime,
    CreateIndex,
    ModifyIndex,
    JobModifyIndex,
  } = existing;
  const server = {
    Status,
    StatusDescription,
    Stable,
    VersionTag,
    SubmitTime,
    CreateIndex,
    ModifyIndex,
    JobModifyIndex,
  };
  const same = yield* isSame(existing, { ...job, ...server, Version });
  return same ? existing : { ...job, ...server, Version: Version + 1, ModifyIndex: index, JobModifyIndex: index };
}

/** Whether two jobs are equal, group by group. */
function* isSame({ TaskGroups: before, ...existing }: Job, { TaskGroups: after, ...wanted }: Job): Resting<boolean> {
  if (before.length !== after.length || !isEqual(existing, wanted)) return false;
  const same = yield* mapInTurns(after, (group, i) => isEqual(before[i], group), GROUPS_PER_TURN);
  return same.every(Boolean);
}

/** The state as if the job were stored. Everything is handed on: a plan that knows less than the scheduler tells something else. */
function withJob(
  state: StateSnapshot,
  job: Job,
): Required<Omit<StateReader, 'nodesVersion'>> & Pick<StateReader, 'nodesVersion'> {
  const isIt = (namespace: string, id: string): boolean => namespace === job.Namespace && id === job.ID;
  return {
    index: state.index,
    ...(state.nodesVersion ? { nodesVersion: state.nodesVersion } : {}),
    nodes: () => state.nodes(),
    nodeById: (id) => state.nodeById(id),
    jobById: (namespace, id) => (isIt(namespace, id) ? job : state.jobById(namespace, id)),
    jobByVersion: (namespace, id, version) =>
      isIt(namespace, id) && version === job.Version ? job : state.jobByVersion(namespace, id, version),
    allocById: (id) => state.allocById(id),
    allocsByJob: (namespace, id) => state.allocsByJob(namespace, id),
    eachAllocOfJob: (namespace, id) => state.eachAllocOfJob(namespace, id),
    allocsByNode: (nodeId) => state.allocsByNode(nodeId),
    latestDeploymentByJob: (namespace, id) => state.latestDeploymentByJob(namespace, id),
    schedulerConfig: () => state.schedulerConfig(),
    nodePoolByName: (name) => state.nodePoolByName(name),
    usageByNode: (nodeId) => state.usageByNode(nodeId),
    portsByNode: (nodeId) => state.portsByNode(nodeId),
    csiVolumeById: (namespace, id) => state.csiVolumeById(namespace, id),
    claimedCsiVolumes: () => state.claimedCsiVolumes(),
    allocsWithCsi: (namespace) => state.allocsWithCsi(namespace),
    hostVolumeById: (id) => state.hostVolumeById(id),
    hostVolumeClaimsByGroup: (namespace, id, group) => state.hostVolumeClaimsByGroup(namespace, id, group),
  };
}

/** A planner that writes down what it is told. Plans are taken at their word: nothing is in flight, and the state is the scheduler's own. */
function recordingPlanner(): { planner: Planner; plans: Plan[]; evals: Evaluation[] } {
  const plans: Plan[] = [];
  const evals: Evaluation[] = [];
  const record = async (evaluation: Evaluation): Promise<void> => {
    evals.push(evaluation);
  };
  const planner: Planner = {
    async submitPlan(plan) {
      plans.push(plan);
      return { result: { ...plan, RejectedNodes: [], RefreshIndex: 0, AllocIndex: 0 }, state: null };
    },
    updateEval: record,
    createEval: record,
    reblockEval: record,
  };
  return { planner, plans, evals };
}
