import type { Duplex } from 'node:stream';
import { MeshError } from '../../structs/errors.js';
import type { RpcMethods } from '../../structs/rpc.js';
import type { RpcCaller, RpcMethod } from '../../transport/rpc.js';

// The methods that an autoscaler and its plugins call, asked of an agent's HTTP API.

type Query = Record<string, string | number | boolean | undefined>;
type Verb = 'GET' | 'PUT' | 'DELETE';

/** How the API is asked. A refusal is an error with the `status` of the answer; 0 when there was none. */
export interface AgentApi {
  ask<T>(
    method: Verb,
    path: string,
    options: { query?: Query; body?: unknown; signal: AbortSignal },
  ): Promise<{ value: T; index: number }>;
}

interface Ask<R> {
  verb?: Verb;
  path: string;
  query?: Query;
  body?: unknown;
  /** Absent = what was written is of no interest. */
  reply?(value: never, index: number): Omit<R, 'Index' | 'LastContactMs' | 'KnownLeader'>;
  /** The answer to a refusal with a status; absent = it is an error. */
  refused?: { status: number; reply: Omit<R, 'Index' | 'LastContactMs' | 'KnownLeader'> };
}

type Asks = { [M in RpcMethod]?: (args: RpcMethods[M]['args']) => Ask<RpcMethods[M]['reply']> };

const seg = encodeURIComponent;

const ASKS: Asks = {
  'Scaling.ListPolicies': () => ({ path: '/v1/scaling/policies', reply: (Policies) => ({ Policies }) }),
  'Scaling.GetPolicy': ({ ID }) => ({
    path: `/v1/scaling/policy/${seg(ID)}`,
    reply: (Policy) => ({ Policy }),
    refused: { status: 404, reply: { Policy: null } },
  }),
  'Scaling.Report': ({ Holder, Policies }) => ({
    verb: 'PUT',
    path: '/v1/autoscaler/status',
    body: { Holder, Policies },
  }),
  'Variables.Read': ({ Path }) => ({
    path: `/v1/var/${Path}`,
    reply: (Variable) => ({ Variable }),
    refused: { status: 404, reply: { Variable: null } },
  }),
  'Variables.Put': ({ Path, Items, CAS }) => ({
    verb: 'PUT',
    path: `/v1/var/${Path}`,
    query: { cas: CAS },
    body: { Path, Items },
    reply: (Variable) => ({ Variable, Conflict: null }),
    refused: { status: 409, reply: { Variable: null, Conflict: null } },
  }),
  'Variables.Delete': ({ Path, CAS }) => ({
    verb: 'DELETE',
    path: `/v1/var/${Path}`,
    query: { cas: CAS },
    reply: () => ({ Conflict: null }),
  }),
  'Job.ScaleStatus': ({ JobID }) => ({
    path: `/v1/job/${seg(JobID)}/scale`,
    reply: (JobScaleStatus) => ({ JobScaleStatus }),
    refused: { status: 404, reply: { JobScaleStatus: null } },
  }),
  'Job.LatestDeployment': ({ JobID }) => ({
    path: `/v1/job/${seg(JobID)}/deployment`,
    reply: (Deployment) => ({ Deployment }),
  }),
  'Job.Allocations': ({ JobID }) => ({
    path: `/v1/job/${seg(JobID)}/allocations`,
    reply: (Allocations) => ({ Allocations }),
  }),
  'Job.GetJob': ({ JobID }) => ({
    path: `/v1/job/${seg(JobID)}`,
    reply: (Job) => ({ Job }),
    refused: { status: 404, reply: { Job: null } },
  }),
  'Job.Scale': ({ JobID, Target, Count, Message, Error: isError, Meta, EnforceIndex, JobModifyIndex }) => ({
    verb: 'PUT',
    path: `/v1/job/${seg(JobID)}/scale`,
    body: { Target, Count, Message, Error: isError, Meta, EnforceIndex, JobModifyIndex },
    reply: (value) => value,
  }),
  'Allocations.Stats': ({ AllocID, Task }) => ({
    path: `/v1/client/allocation/${seg(AllocID)}/stats`,
    query: { task: Task },
    reply: (value) => value,
  }),
  'Alloc.GetAlloc': ({ AllocID }) => ({
    path: `/v1/allocation/${seg(AllocID)}`,
    reply: (Alloc) => ({ Alloc }),
    refused: { status: 404, reply: { Alloc: null } },
  }),
  'Eval.List': ({ FilterEvalStatus, FilterJobID }) => ({
    path: '/v1/evaluations',
    query: { status: FilterEvalStatus, job: FilterJobID },
    reply: (Evaluations) => ({ Evaluations }),
  }),
  'Node.List': ({ Resources }) => ({
    path: '/v1/nodes',
    query: { resources: Resources },
    reply: (Nodes) => ({ Nodes }),
  }),
  'Node.GetNode': ({ NodeID }) => ({
    path: `/v1/node/${seg(NodeID)}`,
    reply: (Node) => ({ Node }),
    refused: { status: 404, reply: { Node: null } },
  }),
  'Node.GetAllocs': ({ NodeID }) => ({
    path: `/v1/node/${seg(NodeID)}/allocations`,
    reply: (Allocs) => ({ Allocs }),
  }),
  'Node.UpdateDrain': ({ NodeID, DrainStrategy, MarkEligible, Meta }) => ({
    verb: 'PUT',
    path: `/v1/node/${seg(NodeID)}/drain`,
    body: { DrainSpec: DrainStrategy, MarkEligible, Meta },
    reply: (value) => value,
  }),
  'Node.UpdateEligibility': ({ NodeID, Eligibility }) => ({
    verb: 'PUT',
    path: `/v1/node/${seg(NodeID)}/eligibility`,
    body: { Eligibility },
    reply: (value) => value,
  }),
  'CSIVolume.List': ({ NodeID }) => ({
    path: '/v1/volumes',
    query: { type: 'csi', node_id: NodeID },
    reply: (Volumes) => ({ Volumes }),
  }),
  'Operator.RaftGetConfiguration': () => ({
    path: '/v1/operator/raft/configuration',
    reply: (Configuration) => ({ Configuration }),
  }),
  'ClientPower.Wake': ({ NodeID, MacAddress }) => ({
    verb: 'PUT',
    path: '/v1/client/power',
    query: { node_id: NodeID },
    body: { Action: 'wake', MacAddress },
  }),
  'ClientPower.Sleep': ({ NodeID }) => ({
    verb: 'PUT',
    path: '/v1/client/power',
    query: { node_id: NodeID },
    body: { Action: 'sleep' },
  }),
  'ClientPower.Sessions': ({ NodeID }) => ({
    path: '/v1/client/power',
    query: { node_id: NodeID },
    reply: (value) => value,
  }),
};

/** Calls what the autoscaler needs over the HTTP API of an agent, and nothing else. */
export function rpcOverApi(api: AgentApi): RpcCaller {
  const never = new AbortController().signal;
  return {
    async call(method, args, { signal = never, timeoutMs } = {}) {
      const make = ASKS[method] as ((given: typeof args) => Ask<object>) | undefined;
      if (!make) throw new MeshError('E_NOT_SUPPORTED', `${method} is not asked over the HTTP API`);
      const { verb = 'GET', path, query, body, reply, refused } = make(args);
      const given = {
        query: { ...optionsOf(args), ...query },
        signal: timeoutMs === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        ...(body === undefined ? {} : { body }),
      };
      const meta = { LastContactMs: 0, KnownLeader: true };
      try {
        const { value, index } = await api.ask<never>(verb, path, given);
        return { ...meta, Index: index, ...reply?.(value, index) } as never;
      } catch (error) {
        if (!refused || (error as { status?: number }).status !== refused.status) throw error;
        return { ...meta, Index: 0, ...refused.reply } as never;
      }
    },
    stream: (method): Duplex => {
      throw new MeshError('E_NOT_SUPPORTED', `${method} is not asked over the HTTP API`);
    },
  };
}

/** What every method takes, as the API has it in the address. */
function optionsOf(args: object): Query {
  const { Namespace, MinQueryIndex, MaxQueryTimeMs } = args as {
    Namespace?: string;
    MinQueryIndex?: number;
    MaxQueryTimeMs?: number;
  };
  return {
    namespace: Namespace,
    index: MinQueryIndex || undefined,
    wait: MaxQueryTimeMs === undefined ? undefined : `${MaxQueryTimeMs}ms`,
  };
}
