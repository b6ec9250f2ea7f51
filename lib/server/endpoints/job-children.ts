import { MeshError } from '../../structs/errors.js';
import type { Job, ParameterizedJobConfig } from '../../structs/job.js';
import { isParameterized, isPeriodicActive } from '../../structs/job-kind.js';
import type { JobDispatchResponse, RpcMethods } from '../../structs/rpc.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { dispatchedJob } from '../child-jobs.js';
import { newEval } from '../new-eval.js';
import { propose } from '../propose.js';
import { type EndpointContext, namespaceOf, requireFound, requireText } from './context.js';
import { checkMayRegister } from './job-write.js';

/** A payload may be as long as this, as in Nomad. */
const PAYLOAD_BYTES_MAX = 16 * 1024;

type DispatchArgs = RpcMethods['Job.Dispatch']['args'];

/** Jobs made of jobs: dispatched by a person, launched by one instead of the clock. */
export function jobChildrenEndpoints(context: EndpointContext): RpcHandlers {
  const { consensus, store, now, random } = context;
  /** Dispatches on their way, by token: the second of two at once must not make a second job. */
  const underway = new Map<string, Promise<JobDispatchResponse>>();

  const requireJob = (args: { Namespace?: string; JobID: string }): Job =>
    requireFound(store.snapshot().jobById(namespaceOf(args), requireText(args.JobID, 'job ID')), 'job');

  const dispatch = async (parent: Job, args: DispatchArgs): Promise<JobDispatchResponse> => {
    const token = args.IdempotencyToken ?? '';
    const known = token === '' ? undefined : findByToken(context, parent, token);
    if (known) {
      return {
        DispatchedJobID: known.ID,
        JobCreateIndex: known.CreateIndex,
        EvalID: '',
        EvalCreateIndex: 0,
        Index: known.ModifyIndex,
      };
    }
    const unique = Math.floor(random.next() * 2 ** 32);
    const seed = {
      payload: args.Payload ? args.Payload : null,
      meta: args.Meta ?? {},
      token,
      idPrefix: args.IdPrefixTemplate ?? '',
      priority: args.Priority ?? 0,
      unique: unique.toString(16).padStart(8, '0'),
    };
    const job = dispatchedJob(parent, seed, now());
    // What is periodic as well is launched by the clock, not now.
    const { Namespace, ID: JobID, Priority, Type } = job;
    const evaluation = job.Periodic
      ? null
      : newEval({ Namespace, JobID, Priority, Type, TriggeredBy: 'job-register' }, { random, now: now() });
    const { index } = await propose(consensus, { type: 'job-register', job, eval: evaluation, submission: null });
    return {
      DispatchedJobID: JobID,
      JobCreateIndex: index,
      EvalID: evaluation?.ID ?? '',
      EvalCreateIndex: evaluation ? index : 0,
      Index: index,
    };
  };

  return {
    async 'Job.Dispatch'(args) {
      const parent = requireJob(args);
      checkMayRegister(store.snapshot());
      checkDispatch(parent, args);
      if (!args.IdempotencyToken) return dispatch(parent, args);
      const key = `${parent.Namespace}\0${parent.ID}\0${args.IdempotencyToken}`;
      const other = underway.get(key);
      if (other) return { ...(await other), EvalID: '', EvalCreateIndex: 0 };
      const own = dispatch(parent, args).finally(() => underway.delete(key));
      underway.set(key, own);
      return own;
    },

    async 'Periodic.Force'(args) {
      const job = requireJob(args);
      if (!job.Periodic) throw new MeshError('E_BAD_REQUEST', "can't force launch non-periodic job");
      if (!isPeriodicActive(job)) {
        throw new MeshError(
          'E_BAD_REQUEST',
          `can't force launch job "${job.ID}": it is stopped or its schedule disabled`,
        );
      }
      const { evalId, index } = await context.periodic.force(job);
      return { EvalID: evalId, EvalCreateIndex: index, Index: index };
    },
  };
}

function findByToken({ store }: EndpointContext, parent: Job, token: string): Job | undefined {
  const children = store.snapshot().jobChildren(parent.Namespace, parent.ID);
  return children.find(({ DispatchIdempotencyToken }) => DispatchIdempotencyToken === token);
}

/** Refuses what the parameterized block does not allow, each with the reason. */
function checkDispatch(job: Job, args: DispatchArgs): void {
  const config = job.ParameterizedJob;
  if (!config || !isParameterized(job)) throw refusal(`Specified job "${job.ID}" is not a parameterized job`);
  if (job.Stop) throw refusal(`Specified job "${job.ID}" is stopped`);
  const priority = args.Priority ?? 0;
  if (priority < 0 || priority > 100) throw refusal(`Job priority must lie between 1 and 100, not ${priority}`);
  checkPayload(config, args.Payload ?? '');
  checkMeta(config, Object.keys(args.Meta ?? {}));
}

function checkPayload(config: ParameterizedJobConfig, payload: string): void {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(payload)) throw refusal('Payload is not base64');
  const bytes = Math.floor((payload.replace(/=+$/, '').length * 3) / 4);
  if (bytes > 0 && config.Payload === 'forbidden') throw refusal('Payload is not allowed: the job forbids one');
  if (bytes === 0 && config.Payload === 'required') {
    throw refusal('Payload is not provided but required by parameterized job');
  }
  if (bytes > PAYLOAD_BYTES_MAX) throw refusal(`Payload exceeds maximum size; ${bytes} > ${PAYLOAD_BYTES_MAX}`);
}

function checkMeta(config: ParameterizedJobConfig, given: readonly string[]): void {
  const required = config.MetaRequired ?? [];
  const allowed = [...required, ...(config.MetaOptional ?? [])];
  const extra = given.filter((key) => !allowed.includes(key));
  if (extra.length > 0) throw refusal(`Dispatch request included unpermitted metadata keys: ${extra.join(', ')}`);
  const missing = required.filter((key) => !given.includes(key));
  if (missing.length > 0) throw refusal(`Dispatch did not provide required meta keys: ${missing.join(', ')}`);
}

const refusal = (why: string): MeshError => new MeshError('E_BAD_REQUEST', why);
