import type { Evaluation } from '../structs/evaluation.js';
import type { Job } from '../structs/job.js';
import type { ScalingStanding } from '../structs/rpc-scaling.js';
import { type ApiClient, ApiError } from './api.js';

/** How often the autoscaler is asked. */
const WAIT = '2s';
/** A decision that was under way when the work came did not know of it: the second one counts. */
const DECISIONS = 2;
/** Results after which no machine is to be expected. */
const HOPELESS = ['nothing', 'no-op', 'failed'];

/**
 * Waits with a blocked evaluation for the machines that the autoscaler wakes for it, and tells what it does. True: it is blocked
 * no more. False: nothing scales the pool of its job, or no machine is to be expected; the reason is told.
 */
export async function awaitWaking(id: string, api: ApiClient, tell: (text: string) => void): Promise<boolean> {
  const watch = await watchOf(id, api);
  if (!watch) return false;
  if (!watch.isBlocked) return true;
  const hopeless = new Map<string, Set<number>>();
  const told = new Map<string, number>();
  tell(`Waiting for machines of ${watch.machines}, which the autoscaler wakes`);
  for (let index = 0, first = true; ; first = false) {
    const reply = await api.get<Evaluation>(`/v1/evaluation/${id}`, { index, wait: WAIT });
    index = reply.index;
    const policies = await policiesOf(watch.pool, api);
    for (const { ID, Notes, State } of policies) {
      // What was done before, for others, is no news here; what is being done now is.
      const news = first ? Notes.slice(State === 'scaling' ? -1 : Notes.length) : Notes;
      for (const { Seq, Text } of news) if (Seq > (told.get(ID) ?? 0)) tell(Text);
      told.set(ID, Notes.at(-1)?.Seq ?? 0);
    }
    if (reply.value.Status !== 'blocked') return true;
    const open = policies.filter(({ ID, Last, State }) => {
      const seen = hopeless.get(ID) ?? new Set();
      hopeless.set(ID, seen);
      if (!Last || State === 'scaling' || !HOPELESS.includes(Last.Result)) return true;
      seen.add(Last.AtMs);
      return seen.size <= DECISIONS;
    });
    if (open.length > 0) continue;
    for (const { ID, Last } of policies) tell(`Policy ${JSON.stringify(ID)} wakes no machine: ${Last?.Reason ?? ''}`);
    return false;
  }
}

/** The pool that an evaluation waits for, and what is scaled of it; undefined when nothing is, or the agent cannot say. */
async function watchOf(
  id: string,
  api: ApiClient,
): Promise<{ pool: string; machines: string; isBlocked: boolean } | undefined> {
  try {
    const { JobID, Namespace, Status } = (await api.get<Evaluation>(`/v1/evaluation/${id}`)).value;
    const job = await api.get<Job>(`/v1/job/${encodeURIComponent(JobID)}`, { namespace: Namespace });
    const pool = job.value.NodePool;
    const [policy] = await policiesOf(pool, api);
    if (!policy) return undefined;
    const { node_pool, node_class } = policy.Target.Config;
    const machines = node_pool === undefined ? `node class "${node_class}"` : `node pool "${node_pool}"`;
    return { pool, machines, isBlocked: Status === 'blocked' };
  } catch (error) {
    // Servers of another kind know no such path: then there is nothing to wait for.
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

/** A policy of a class may be of use to every pool. */
async function policiesOf(pool: string, api: ApiClient): Promise<ScalingStanding[]> {
  const { value } = await api.get<{ Policies: ScalingStanding[] }>('/v1/autoscaler/status');
  return value.Policies.filter(
    ({ Target, State }) =>
      ['power', 'nodes'].includes(Target.Name) &&
      (Target.Config['node_pool'] ?? pool) === pool &&
      ['idle', 'evaluating', 'scaling'].includes(State),
  );
}
