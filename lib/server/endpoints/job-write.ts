import type { StateSnapshot } from '../../state/store.js';
import type { Allocation } from '../../structs/allocation.js';
import { MeshError } from '../../structs/errors.js';
import type { Evaluation } from '../../structs/evaluation.js';
import type { Job } from '../../structs/job.js';
import { isParameterized, isParent } from '../../structs/job-kind.js';
import type { JobRegisterRequest, JobRegisterResponse } from '../../structs/rpc.js';
import { pastLaunches } from '../../structs/validate/launch.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { toNanos } from '../../util/clock.js';
import { driverConfigWarnings } from '../driver-configs.js';
import { admitJob, checkSubmission, listed, requireAdmitted } from '../job-admission.js';
import { keepCounts } from '../kept-counts.js';
import { memoryMaxWarnings } from '../memory-max.js';
import { newEval } from '../new-eval.js';
import { portions, propose } from '../propose.js';
import { policyWarnings, withPolicyIds } from '../scaling-policies.js';
import { requireMountAccess } from '../volume-access.js';
import { type EndpointContext, namespaceOf, requireFound, requireText } from './context.js';

/** What changes jobs. */
export function jobWriteEndpoints(context: EndpointContext): RpcHandlers {
  const { consensus, store, now, random, config } = context;
  const time = (): number => toNanos(now());

  const jobEval = (job: Job, triggeredBy: string, priority = job.Priority) =>
    newEval(
      {
        Namespace: job.Namespace,
        JobID: job.ID,
        Priority: priority,
        Type: job.Type,
        TriggeredBy: triggeredBy,
        JobModifyIndex: job.JobModifyIndex,
      },
      { random, now: now() },
    );

  const requireJob = (args: { Namespace?: string; JobID: string }): Job => {
    const id = requireText(args.JobID, 'job ID');
    return requireFound(store.snapshot().jobById(namespaceOf(args), id), 'job');
  };

  const register = async (args: JobRegisterRequest): Promise<JobRegisterResponse> => {
    const submission = checkSubmission(args.Submission, config.jobs);
    const { job: admitted, warnings: found } = requireAdmitted(await admitJob(args.Job, context, submission));
    const configs = await driverConfigWarnings(admitted, context, submission);
    const state = store.snapshot();
    checkEvalPriority(args.EvalPriority);
    checkMayRegister(state);
    const existing = state.jobById(admitted.Namespace, admitted.ID);
    checkIndex(args, existing);
    checkUpdate(admitted, existing);
    checkPool(admitted, state);
    requireMountAccess(context, args, admitted);
    const kept = keepCounts(admitted, existing, args.PreserveCounts);
    const job: Job = { ...withPolicyIds(kept.job), SubmitTime: time() };
    const warnings = listed(
      [
        ...found,
        ...kept.warnings,
        ...policyWarnings(job, context),
        ...memoryMaxWarnings(job, state),
        ...configs,
        ...pastLaunches(job, now()),
      ],
      'warning',
    );
    const runs = !isParent(job);
    const evaluation = runs ? jobEval(job, 'job-register', args.EvalPriority || job.Priority) : null;
    const { index, value } = await propose(consensus, {
      type: 'job-register',
      job,
      eval: evaluation,
      submission,
      ...(args.EnforceIndex ? { enforceJobModifyIndex: args.JobModifyIndex ?? 0 } : {}),
    });
    return {
      EvalID: evaluation?.ID ?? '',
      EvalCreateIndex: evaluation ? index : 0,
      JobModifyIndex: value.job.JobModifyIndex,
      Warnings: warnings,
      Index: index,
    };
  };

  return {
    'Job.Register': register,

    async 'Job.Validate'(args) {
      const submission = checkSubmission(args.Submission, config.jobs);
      const { job, errors, warnings: found } = await admitJob(args.Job, context, submission);
      const warnings = [
        ...found,
        ...(job ? [...policyWarnings(job, context), ...memoryMaxWarnings(job, store.snapshot())] : []),
        ...(job ? [...(await driverConfigWarnings(job, context, submission)), ...pastLaunches(job, now())] : []),
      ];
      return {
        DriverConfigValidated: true,
        ValidationErrors: errors.length > 0 ? errors : null,
        Error: listed(errors, 'error'),
        Warnings: listed(warnings, 'warning'),
      };
    },

    async 'Job.Deregister'(args) {
      const job = requireJob(args);
      checkEvalPriority(args.EvalPriority);
      const runs = !isParent(job);
      const evaluation = runs ? jobEval(job, 'job-deregister', args.EvalPriority || job.Priority) : null;
      const { index, value } = await propose(consensus, {
        type: 'job-deregister',
        namespace: job.Namespace,
        id: job.ID,
        purge: args.Purge ?? false,
        eval: evaluation,
        noShutdownDelay: args.NoShutdownDelay ?? false,
        time: time(),
      });
      return {
        EvalID: evaluation?.ID ?? '',
        EvalCreateIndex: evaluation ? index : 0,
        JobModifyIndex: value.jobModifyIndex,
        Index: index,
      };
    },

    async 'Job.Evaluate'(args) {
      const job = requireJob(args);
      if (job.Periodic !== null) throw new MeshError('E_BAD_REQUEST', "can't evaluate periodic job");
      if (isParameterized(job)) throw new MeshError('E_BAD_REQUEST', "can't evaluate parameterized job");
      const evaluation = jobEval(job, 'job-register');
      const { Namespace, ID: jobId } = job;
      const failed = args.ForceReschedule
        ? await context.turns.list(store.snapshot().eachAllocOfJob(Namespace, jobId), mayBeForced)
        : [];
      const force = (allocs: readonly Allocation[], evals: readonly Evaluation[]) =>
        propose(consensus, {
          type: 'allocs-desired-transition',
          transitions: Object.fromEntries(allocs.map(({ ID }) => [ID, { ForceReschedule: true }])),
          evals: [...evals],
          time: time(),
        });
      // The evaluation comes with the last of them: it is to see all.
      const parts = [...portions(failed)];
      const last = parts.pop() ?? [];
      for (const part of parts) await force(part, []);
      const { index } = await force(last, [evaluation]);
      return { EvalID: evaluation.ID, EvalCreateIndex: index, JobModifyIndex: job.JobModifyIndex, Index: index };
    },

    async 'Job.Revert'(args) {
      const current = requireJob(args);
      const { JobVersion: version, EnforcePriorVersion: prior } = args;
      if (typeof prior === 'number' && prior !== current.Version) {
        throw new MeshError('E_CONFLICT', `Current job has version ${current.Version}; enforcing version ${prior}`);
      }
      if (version === current.Version) {
        throw new MeshError('E_BAD_REQUEST', `can't revert to current version: job "${current.ID}" is at ${version}`);
      }
      const state = store.snapshot();
      const old = state.jobByVersion(current.Namespace, current.ID, version);
      if (!old) {
        throw new MeshError(
          'E_NOT_FOUND',
          `job "${current.ID}" in namespace "${current.Namespace}" at version ${version} not found`,
        );
      }
      const submission = state.jobSubmission(current.Namespace, current.ID, version);
      const job: Job = { ...old, Stop: false, VersionTag: null, SubmitTime: time() };
      const evaluation = isParent(job) ? null : jobEval(job, 'job-register');
      const { index, value } = await propose(consensus, {
        type: 'job-register',
        job,
        eval: evaluation,
        submission: submission ?? null,
        enforceJobModifyIndex: current.JobModifyIndex,
      });
      return {
        EvalID: evaluation?.ID ?? '',
        EvalCreateIndex: evaluation ? index : 0,
        JobModifyIndex: value.job.JobModifyIndex,
        Index: index,
      };
    },

    async 'Job.Stable'(args) {
      const job = requireJob(args);
      const { index } = await propose(consensus, {
        type: 'job-stability',
        namespace: job.Namespace,
        id: job.ID,
        version: args.JobVersion,
        stable: args.Stable,
      });
      return { Index: index };
    },

    async 'Job.TagVersion'(args) {
      const job = requireJob(args);
      const name = requireText(args.Name, 'tag name');
      const tag = args.Tag && { Name: name, Description: args.Tag.Description, TaggedTime: time() };
      const versions = store.snapshot().jobVersions(job.Namespace, job.ID);
      const { index } = await propose(consensus, {
        type: 'job-version-tag',
        namespace: job.Namespace,
        id: job.ID,
        version: tag ? versionToTag(job, versions, args) : versionWithTag(job, versions, name),
        tag,
      });
      return {
        Name: tag?.Name ?? '',
        Description: tag?.Description ?? '',
        TaggedTime: tag?.TaggedTime ?? 0,
        Index: index,
      };
    },
  };
}

function versionToTag(
  job: Job,
  versions: readonly Job[],
  { Name, Version = 0, Latest }: { Name: string; Version?: number; Latest?: boolean },
): number {
  if (Latest && Version > 0) {
    throw new MeshError('E_BAD_REQUEST', `version must be zero when tagging latest, got: ${Version}`);
  }
  const wanted = Latest ? job.Version : Version;
  const holder = versions.find(({ VersionTag }) => VersionTag?.Name === Name);
  if (holder && holder.Version !== wanted) {
    throw new MeshError(
      'E_BAD_REQUEST',
      `tag "${Name}" already exists on a different version of job "${job.ID}": version ${holder.Version} has it`,
    );
  }
  if (!versions.some((version) => version.Version === wanted)) {
    throw new MeshError('E_NOT_FOUND', `job "${job.ID}" version ${wanted} not found`);
  }
  return wanted;
}

function versionWithTag(job: Job, versions: readonly Job[], name: string): number {
  const holder = versions.find(({ VersionTag }) => VersionTag?.Name === name);
  if (holder) return holder.Version;
  throw new MeshError('E_NOT_FOUND', `tag "${name}" not found on job "${job.ID}"`);
}

/** Refuses when somebody changed the job since the caller looked. The text's beginning is what clients look for. */
export function checkIndex(args: JobRegisterRequest, existing: Job | undefined): void {
  if (!args.EnforceIndex) return;
  const wanted = args.JobModifyIndex ?? 0;
  const refuse = (why: string): never => {
    throw new MeshError('E_CONFLICT', `Enforcing job modify index ${wanted}: ${why}`);
  };
  if (!existing) {
    if (wanted !== 0) refuse('job does not exist');
    return;
  }
  if (wanted === 0) refuse('job already exists');
  if (wanted !== existing.JobModifyIndex) {
    refuse(`job exists with conflicting job modify index: ${existing.JobModifyIndex}`);
  }
}

/** Refuses while the operator lets no jobs in. */
export function checkMayRegister(state: StateSnapshot): void {
  if (!state.schedulerConfig().RejectJobRegistration) return;
  throw new MeshError(
    'E_PERMISSION_DENIED',
    'job registration, dispatch and scale are disabled by the scheduler configuration',
  );
}

/** A job may not become another kind of job while it runs: its allocations would follow two sets of rules. */
function checkUpdate(job: Job, existing: Job | undefined): void {
  if (!existing || existing.Stop || existing.Type === job.Type) return;
  throw new MeshError(
    'E_BAD_REQUEST',
    `cannot change the type of job "${job.ID}" from "${existing.Type}" to "${job.Type}": stop it first, or choose another ID`,
  );
}

/** Refuses a job whose node pool there is not. */
export function checkPool(job: Job, state: StateSnapshot): void {
  if (state.nodePoolByName(job.NodePool)) return;
  const known = state.nodePools().map(({ Name }) => Name);
  throw new MeshError(
    'E_BAD_REQUEST',
    `job "${job.ID}" is in nonexistent node pool "${job.NodePool}": there are ${known.join(', ')}`,
  );
}

function checkEvalPriority(priority: number | undefined): void {
  if (priority === undefined || priority === 0 || (priority >= 1 && priority <= 100)) return;
  throw new MeshError('E_BAD_REQUEST', `eval priority must be between 1 and 100, not ${priority}`);
}

const mayBeForced = (alloc: { ClientStatus: string; NextAllocation: string }): boolean =>
  (alloc.ClientStatus === 'failed' || alloc.ClientStatus === 'lost') && alloc.NextAllocation === '';
