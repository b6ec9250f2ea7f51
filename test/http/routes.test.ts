import t from 'tap';
import { createHttpWorld } from './world.js';

const JOB = { Job: { ID: 'web', Name: 'web', Type: 'service' } };

interface Case {
  ask: string;
  body?: object;
  rpc: string;
  args?: object;
  reply?: object;
  /** What the body must be; left out: the whole reply is. */
  gives?: unknown;
}

const ALLOCATED = {
  Tasks: {
    a: { Cpu: { CpuShares: 100, ReservedCores: null }, Memory: { MemoryMB: 64, MemoryMaxMB: 128 }, Networks: null },
    b: { Cpu: { CpuShares: 50, ReservedCores: [0, 1] }, Memory: { MemoryMB: 32, MemoryMaxMB: 0 }, Networks: null },
  },
  Shared: { DiskMB: 300, Networks: [{ IP: 'x' }], Ports: null },
};
const NONE = { CPU: 0, Cores: 0, MemoryMB: 0, MemoryMaxMB: 0, DiskMB: 0, IOPS: 0, Networks: null };

// Every path of the API: what is asked behind it, with which arguments, and what comes back.
const CASES: Case[] = [
  {
    ask: 'PUT /v1/job/a%2Fb/dispatch?idempotency_token=x',
    body: { JobID: 'a/b', Payload: 'aGk=', Meta: { k: 'v' }, IdPrefixTemplate: 'p' },
    rpc: 'Job.Dispatch',
    args: { JobID: 'a/b', Payload: 'aGk=', Meta: { k: 'v' }, IdPrefixTemplate: 'p', IdempotencyToken: 'x' },
    reply: { DispatchedJobID: 'a/b/dispatch-1-2' },
  },
  {
    ask: 'GET /v1/job/web/dispatch/payload',
    rpc: 'Job.GetJob',
    args: { JobID: 'web' },
    reply: { Job: { Payload: 'aGk=' } },
    gives: { Payload: 'aGk=' },
  },
  {
    ask: 'PUT /v1/job/web/periodic/force',
    body: {},
    rpc: 'Periodic.Force',
    args: { JobID: 'web' },
    reply: { EvalID: 'e' },
  },
  {
    ask: 'PUT /v1/job/web/scale',
    body: { Count: 3, Target: { Group: 'g' }, Message: 'm', Meta: { n: 1 } },
    rpc: 'Job.Scale',
    args: { JobID: 'web', Count: 3, Target: { Group: 'g' }, Message: 'm', Meta: { n: 1 } },
    reply: { EvalID: 'e' },
  },
  {
    ask: 'PUT /v1/job/web/scale',
    body: { Target: { Group: 'g' }, Error: true },
    rpc: 'Job.Scale',
    args: { Count: null, Error: true },
    reply: { EvalID: '' },
  },
  {
    ask: 'GET /v1/job/web/scale',
    rpc: 'Job.ScaleStatus',
    args: { JobID: 'web' },
    reply: { JobScaleStatus: { JobID: 'web' } },
    gives: { JobID: 'web' },
  },
  {
    ask: 'GET /v1/node/pools?prefix=g',
    rpc: 'NodePool.List',
    args: { Prefix: 'g' },
    reply: { NodePools: [{ Name: 'gpu' }] },
    gives: [{ Name: 'gpu' }],
  },
  {
    ask: 'GET /v1/node/pool/gpu',
    rpc: 'NodePool.GetNodePool',
    args: { Name: 'gpu' },
    reply: { NodePool: { Name: 'gpu' } },
    gives: { Name: 'gpu' },
  },
  {
    ask: 'PUT /v1/node/pool/gpu',
    body: { Name: 'gpu', Description: 'cards' },
    rpc: 'NodePool.Upsert',
    args: { NodePool: { Name: 'gpu', Description: 'cards', Meta: null, SchedulerConfiguration: null } },
    gives: null,
  },
  { ask: 'DELETE /v1/node/pool/gpu', rpc: 'NodePool.Delete', args: { Name: 'gpu' }, gives: null },
  {
    ask: 'GET /v1/node/pool/gpu/nodes',
    rpc: 'NodePool.ListNodes',
    args: { Name: 'gpu' },
    reply: { Nodes: [] },
    gives: [],
  },
  {
    ask: 'GET /v1/node/pool/gpu/jobs',
    rpc: 'NodePool.ListJobs',
    args: { Name: 'gpu' },
    reply: { Jobs: [] },
    gives: [],
  },
  { ask: 'PUT /v1/system/reconcile/summaries', rpc: 'System.ReconcileJobSummaries', gives: null },
  { ask: 'GET /v1/jobs', rpc: 'Job.List', reply: { Jobs: [{ ID: 'a' }] }, gives: [{ ID: 'a' }] },
  {
    ask: 'GET /v1/jobs?prefix=we&meta=true',
    rpc: 'Job.List',
    args: { Prefix: 'we', Meta: true },
    reply: { Jobs: [] },
    gives: [],
  },
  {
    ask: 'PUT /v1/jobs',
    body: { ...JOB, EnforceIndex: true, JobModifyIndex: 9, EvalPriority: 70, PreserveCounts: true },
    rpc: 'Job.Register',
    args: { EnforceIndex: true, JobModifyIndex: 9, EvalPriority: 70, PreserveCounts: true },
    reply: { EvalID: 'e' },
  },
  {
    ask: 'POST /v1/jobs',
    body: { Job: { ...JOB.Job, Namespace: 'ops' } },
    rpc: 'Job.Register',
    args: { Namespace: 'ops' },
  },
  {
    ask: 'PUT /v1/jobs?namespace=dev',
    body: { Job: { ...JOB.Job, Namespace: 'ops' } },
    rpc: 'Job.Register',
    args: { Namespace: 'dev' },
  },
  { ask: 'PUT /v1/job/web', body: JOB, rpc: 'Job.Register' },
  { ask: 'PUT /v1/job/web/plan', body: { ...JOB, Diff: true }, rpc: 'Job.Plan', args: { Diff: true } },
  { ask: 'PUT /v1/validate/job', body: JOB, rpc: 'Job.Validate' },
  {
    ask: 'PUT /v1/job/a%2Fb/versions/golden%20one/tag',
    body: { Version: 3, Description: 'works' },
    rpc: 'Job.TagVersion',
    args: { JobID: 'a/b', Name: 'golden one', Version: 3, Tag: { Name: 'golden one', Description: 'works' } },
  },
  {
    ask: 'DELETE /v1/job/web/versions/golden/tag',
    rpc: 'Job.TagVersion',
    args: { JobID: 'web', Name: 'golden', Tag: null },
  },
  {
    ask: 'GET /v1/job/web',
    rpc: 'Job.GetJob',
    args: { JobID: 'web' },
    reply: { Job: { ID: 'web' } },
    gives: { ID: 'web' },
  },
  {
    ask: 'GET /v1/job/a%2Fb%20c/summary',
    rpc: 'Job.Summary',
    args: { JobID: 'a/b c' },
    reply: { JobSummary: { JobID: 'a/b c' } },
    gives: { JobID: 'a/b c' },
  },
  { ask: 'GET /v1/job/a/b', rpc: 'Job.GetJob', args: { JobID: 'a/b' }, reply: { Job: {} }, gives: {} },
  { ask: 'GET /v1/job/a%2F..%2Fb', rpc: 'Job.GetJob', args: { JobID: 'a/../b' }, reply: { Job: {} }, gives: {} },
  { ask: 'GET /v1/job/x%2Fplan', rpc: 'Job.GetJob', args: { JobID: 'x/plan' }, reply: { Job: {} }, gives: {} },
  { ask: 'GET /v1/job/b%C3%BCro', rpc: 'Job.GetJob', args: { JobID: 'büro' }, reply: { Job: {} }, gives: {} },
  {
    ask: 'DELETE /v1/job/web?purge=true&eval_priority=60&no_shutdown_delay=1',
    rpc: 'Job.Deregister',
    args: { JobID: 'web', Purge: true, EvalPriority: 60, NoShutdownDelay: true },
  },
  {
    ask: 'PUT /v1/job/web/evaluate',
    body: { EvalOptions: { ForceReschedule: true } },
    rpc: 'Job.Evaluate',
    args: { JobID: 'web', ForceReschedule: true },
  },
  {
    ask: 'GET /v1/job/web/allocations?all=true',
    rpc: 'Job.Allocations',
    args: { All: true },
    reply: { Allocations: [] },
    gives: [],
  },
  { ask: 'GET /v1/job/web/evaluations', rpc: 'Job.Evaluations', reply: { Evaluations: [] }, gives: [] },
  {
    ask: 'GET /v1/job/web/deployments?all=true',
    rpc: 'Job.Deployments',
    args: { All: true },
    reply: { Deployments: [] },
    gives: [],
  },
  { ask: 'GET /v1/job/web/deployment', rpc: 'Job.LatestDeployment', reply: { Deployment: null }, gives: null },
  {
    ask: 'GET /v1/job/web/versions',
    rpc: 'Job.Versions',
    reply: { Versions: [{ Version: 0 }], Diffs: null },
    gives: { Versions: [{ Version: 0 }], Diffs: null },
  },
  {
    ask: 'GET /v1/job/web/submission?version=2',
    rpc: 'Job.GetSubmission',
    args: { JobID: 'web', Version: 2 },
    reply: { Submission: { Source: 's' } },
    gives: { Source: 's' },
  },
  {
    ask: 'PUT /v1/job/web/revert',
    body: { JobVersion: 3, EnforcePriorVersion: 4 },
    rpc: 'Job.Revert',
    args: { JobVersion: 3, EnforcePriorVersion: 4 },
  },
  {
    ask: 'PUT /v1/job/web/stable',
    body: { JobVersion: 3, Stable: true },
    rpc: 'Job.Stable',
    args: { JobVersion: 3, Stable: true },
  },
  {
    ask: 'GET /v1/allocations',
    rpc: 'Alloc.List',
    args: { Resources: false, TaskStates: true },
    reply: { Allocations: [] },
    gives: [],
  },
  {
    ask: 'GET /v1/allocations?resources=true&task_states=false&reverse=true&per_page=2&next_token=5.x&filter=ID+%3D%3D+%22x%22',
    rpc: 'Alloc.List',
    args: { Resources: true, TaskStates: false, Reverse: true, PerPage: 2, NextToken: '5.x', Filter: 'ID == "x"' },
    reply: { Allocations: [] },
    gives: [],
  },
  {
    ask: 'GET /v1/allocation/abc',
    rpc: 'Alloc.GetAlloc',
    args: { AllocID: 'abc' },
    reply: { Alloc: { ID: 'abc', AllocatedResources: ALLOCATED } },
    gives: {
      ID: 'abc',
      AllocatedResources: ALLOCATED,
      // What Nomad's command line still reads.
      Resources: { CPU: 150, Cores: 2, MemoryMB: 96, MemoryMaxMB: 128, DiskMB: 300, IOPS: 0, Networks: [{ IP: 'x' }] },
      SharedResources: { ...NONE, DiskMB: 300, Networks: [{ IP: 'x' }] },
      TaskResources: {
        a: { ...NONE, CPU: 100, MemoryMB: 64, MemoryMaxMB: 128 },
        b: { ...NONE, CPU: 50, Cores: 2, MemoryMB: 32 },
      },
    },
  },
  {
    ask: 'PUT /v1/allocation/abc/stop?no_shutdown_delay=true',
    rpc: 'Alloc.Stop',
    args: { AllocID: 'abc', NoShutdownDelay: true },
  },
  {
    ask: 'GET /v1/evaluations?job=web&status=blocked',
    rpc: 'Eval.List',
    args: { FilterJobID: 'web', FilterEvalStatus: 'blocked' },
    reply: { Evaluations: [] },
    gives: [],
  },
  {
    ask: 'DELETE /v1/evaluations',
    body: { EvalIDs: ['e'] },
    rpc: 'Eval.Delete',
    args: { EvalIDs: ['e'], Filter: '' },
    reply: { Count: 1, Index: 7 },
    gives: { Count: 1 },
  },
  {
    ask: 'DELETE /v1/evaluations',
    body: { Filter: 'JobID == "a"' },
    rpc: 'Eval.Delete',
    args: { EvalIDs: [], Filter: 'JobID == "a"' },
    reply: { Count: 2, Index: 7 },
    gives: { Count: 2 },
  },
  { ask: 'GET /v1/evaluations/count', rpc: 'Eval.Count', reply: { Count: 4 }, gives: { Count: 4 } },
  { ask: 'GET /v1/evaluation/e1', rpc: 'Eval.GetEval', args: { EvalID: 'e1' }, reply: { Eval: {} }, gives: {} },
  {
    ask: 'GET /v1/evaluation/e1/allocations',
    rpc: 'Eval.Allocations',
    args: { EvalID: 'e1' },
    reply: { Allocations: [] },
    gives: [],
  },
  { ask: 'GET /v1/deployments', rpc: 'Deployment.List', reply: { Deployments: [] }, gives: [] },
  {
    ask: 'GET /v1/deployment/d1',
    rpc: 'Deployment.GetDeployment',
    args: { DeploymentID: 'd1' },
    reply: { Deployment: {} },
    gives: {},
  },
  {
    ask: 'GET /v1/deployment/allocations/d1',
    rpc: 'Deployment.Allocations',
    args: { DeploymentID: 'd1' },
    reply: { Allocations: [] },
    gives: [],
  },
  { ask: 'PUT /v1/deployment/fail/d1', rpc: 'Deployment.Fail', args: { DeploymentID: 'd1' } },
  {
    ask: 'PUT /v1/deployment/pause/d1',
    body: { DeploymentID: 'd1', Pause: true },
    rpc: 'Deployment.Pause',
    args: { DeploymentID: 'd1', Pause: true },
  },
  {
    ask: 'PUT /v1/deployment/promote/d1',
    body: { Groups: ['web'] },
    rpc: 'Deployment.Promote',
    args: { All: false, Groups: ['web'] },
  },
  {
    ask: 'PUT /v1/deployment/allocation-health/d1',
    body: { HealthyAllocationIDs: ['a'], UnhealthyAllocationIDs: null },
    rpc: 'Deployment.SetAllocHealth',
    args: { HealthyAllocationIDs: ['a'], UnhealthyAllocationIDs: [] },
  },
  {
    ask: 'GET /v1/nodes?resources=true&os=true',
    rpc: 'Node.List',
    args: { Resources: true, Os: true },
    reply: { Nodes: [] },
    gives: [],
  },
  { ask: 'GET /v1/node/n1', rpc: 'Node.GetNode', args: { NodeID: 'n1' }, reply: { Node: {} }, gives: {} },
  {
    ask: 'GET /v1/node/n1/allocations',
    rpc: 'Node.GetAllocs',
    args: { NodeID: 'n1' },
    reply: { Allocs: [] },
    gives: [],
  },
  { ask: 'PUT /v1/node/n1/evaluate', rpc: 'Node.Evaluate', args: { NodeID: 'n1' } },
  {
    ask: 'PUT /v1/node/n1/drain',
    body: { DrainSpec: { Deadline: 5e9, IgnoreSystemJobs: true }, MarkEligible: false, Meta: { why: 'dust' } },
    rpc: 'Node.UpdateDrain',
    args: {
      NodeID: 'n1',
      DrainStrategy: { Deadline: 5e9, IgnoreSystemJobs: true },
      MarkEligible: false,
      Meta: { why: 'dust' },
    },
  },
  {
    ask: 'PUT /v1/node/n1/drain',
    body: { DrainSpec: null, MarkEligible: true },
    rpc: 'Node.UpdateDrain',
    args: { DrainStrategy: null, MarkEligible: true },
  },
  {
    ask: 'PUT /v1/node/n1/eligibility',
    body: { Eligibility: 'ineligible' },
    rpc: 'Node.UpdateEligibility',
    args: { Eligibility: 'ineligible' },
  },
  { ask: 'PUT /v1/node/n1/purge', rpc: 'Node.Purge', args: { NodeID: 'n1' } },
  { ask: 'GET /v1/client/stats?node_id=n1', rpc: 'ClientStats.Stats', args: { NodeID: 'n1' } },
  { ask: 'GET /v1/client/metadata?node_id=n1', rpc: 'NodeMeta.Read', args: { NodeID: 'n1' } },
  {
    ask: 'PUT /v1/client/metadata',
    body: { NodeID: 'n1', Meta: { a: 'b', c: null } },
    rpc: 'NodeMeta.Apply',
    args: { NodeID: 'n1', Meta: { a: 'b', c: null } },
  },
  { ask: 'PUT /v1/client/gc?node_id=n1', rpc: 'Allocations.GarbageCollectAll', args: { NodeID: 'n1' }, gives: null },
  {
    ask: 'GET /v1/client/allocation/a1/stats?task=web',
    rpc: 'Allocations.Stats',
    args: { AllocID: 'a1', Task: 'web' },
  },
  {
    ask: 'PUT /v1/client/allocation/a1/restart',
    body: { TaskName: 'web', AllTasks: false },
    rpc: 'Allocations.Restart',
    args: { AllocID: 'a1', TaskName: 'web', AllTasks: false },
    gives: {},
  },
  {
    ask: 'PUT /v1/client/allocation/a1/signal',
    body: { Signal: 'SIGHUP', Task: 'web' },
    rpc: 'Allocations.Signal',
    args: { Signal: 'SIGHUP', Task: 'web' },
    gives: {},
  },
  { ask: 'PUT /v1/client/allocation/a1/gc', rpc: 'Allocations.GarbageCollect', args: { AllocID: 'a1' }, gives: {} },
  {
    ask: 'GET /v1/client/fs/ls/a1?path=alloc/logs',
    rpc: 'FileSystem.List',
    args: { AllocID: 'a1', Path: 'alloc/logs' },
    reply: { Files: [] },
    gives: [],
  },
  { ask: 'GET /v1/client/fs/ls/a1', rpc: 'FileSystem.List', args: { Path: '/' }, reply: { Files: [] }, gives: [] },
  {
    ask: 'GET /v1/client/fs/stat/a1?path=x',
    rpc: 'FileSystem.Stat',
    args: { Path: 'x' },
    reply: { Info: {} },
    gives: {},
  },
  { ask: 'GET /v1/status/leader', rpc: 'Status.Leader', reply: { Leader: '127.0.0.1:4647' }, gives: '127.0.0.1:4647' },
  { ask: 'GET /v1/status/peers', rpc: 'Status.Peers', reply: { Peers: ['127.0.0.1:4647'] }, gives: ['127.0.0.1:4647'] },
  { ask: 'PUT /v1/system/gc', rpc: 'System.GarbageCollect', gives: null },
  {
    ask: 'GET /v1/operator/scheduler/configuration',
    rpc: 'Operator.SchedulerGetConfiguration',
    reply: { SchedulerConfig: {} },
    gives: { SchedulerConfig: {}, Index: 7, LastContact: 0, KnownLeader: true },
  },
  {
    ask: 'PUT /v1/operator/scheduler/configuration?cas=5',
    body: { SchedulerAlgorithm: 'spread' },
    rpc: 'Operator.SchedulerSetConfiguration',
    args: { Cas: true, ModifyIndex: 5, Config: { SchedulerAlgorithm: 'spread' } },
    reply: { Updated: true },
    gives: { Updated: true, Index: 7 },
  },
];

t.test('every path asks what it stands for', async (t) => {
  const world = await createHttpWorld(t);
  for (const { ask, body, rpc, args = {}, reply = {}, gives } of CASES) {
    const [method = '', path = ''] = ask.split(' ');
    world.calls.length = 0;
    world.script = { [rpc]: reply };
    const got = await world.send(path, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
    t.equal(got.status, 200, `${ask}: ${got.text}`);
    t.match(world.calls, [{ method: rpc, args }], ask);
    if (gives !== undefined) t.strictSame(got.json, gives, ask);
    else t.match(got.json, reply, ask);
  }
});

t.test('a read says its index, contact, leader and next page in headers; a write its index', async (t) => {
  const world = await createHttpWorld(t);
  world.script = { 'Job.List': { Jobs: [], NextToken: 'default.büro' }, 'Node.Purge': {} };
  const { headers } = await world.send('/v1/jobs');
  t.equal(headers['x-nomad-index'], '7');
  t.equal(headers['x-nomad-lastcontact'], '12', 'whole milliseconds: Go clients refuse others');
  t.equal(headers['x-nomad-knownleader'], 'true');
  t.equal(Buffer.from(headers['x-nomad-nexttoken'] as string, 'latin1').toString(), 'default.büro');
  const written = await world.send('/v1/node/n/purge', { method: 'PUT' });
  t.equal(written.headers['x-nomad-index'], '7');
  t.notOk('x-nomad-knownleader' in written.headers);
});

t.test('what is not there is a 404 in the words of Nomad', async (t) => {
  const world = await createHttpWorld(t);
  world.script = {
    'Job.GetJob': { Job: null },
    'Job.Summary': { JobSummary: null },
    'Job.Versions': { Versions: [] },
    'Alloc.GetAlloc': { Alloc: null },
    'Eval.GetEval': { Eval: null },
    'Deployment.GetDeployment': { Deployment: null },
    'Node.GetNode': { Node: null },
  };
  for (const [path, text] of [
    ['/v1/job/x', 'job not found'],
    ['/v1/job/x/summary', 'job not found'],
    ['/v1/job/x/versions', 'job versions not found'],
    ['/v1/allocation/x', 'alloc not found'],
    ['/v1/evaluation/x', 'eval not found'],
    ['/v1/deployment/x', 'deployment not found'],
    ['/v1/node/x', 'node not found'],
    ['/v1/nothing', 'no such path: /v1/nothing'],
    ['/v1/job/', 'no such path: /v1/job/'],
  ]) {
    const got = await world.send(path as string);
    t.equal(got.status, 404, path as string);
    t.equal(got.text, text as string);
    t.match(got.headers['content-type'], /^text\/plain/);
  }
});

t.test('a field of the wrong type is refused by its name', async (t) => {
  const world = await createHttpWorld(t);
  const job = JOB.Job;
  const cases: [string, string, unknown, RegExp][] = [
    ['PUT', '/v1/jobs', {}, /Job must be specified/],
    ['PUT', '/v1/jobs', { Job: null }, /Job must be specified/],
    ['PUT', '/v1/jobs', { Job: [] }, /Job must be an object/],
    ['PUT', '/v1/jobs', { Job: { Name: 'x' } }, /Job ID hasn't been provided/],
    ['PUT', '/v1/jobs', { Job: { ID: 5 } }, /ID/],
    ['PUT', '/v1/jobs', { Job: { ID: 'x', TaskGroups: {} } }, /TaskGroups/],
    ['PUT', '/v1/jobs', { Job: job, EnforceIndex: 'yes' }, /EnforceIndex must be true or false/],
    ['PUT', '/v1/jobs', { Job: job, JobModifyIndex: '5' }, /JobModifyIndex must be a number/],
    ['PUT', '/v1/jobs', { Job: job, EvalPriority: true }, /EvalPriority must be a number/],
    ['PUT', '/v1/jobs', { Job: job, Submission: 'x' }, /Submission must be an object/],
    ['PUT', '/v1/jobs', { Job: job, Submission: { Source: 1 } }, /Source must be a string/],
    ['PUT', '/v1/jobs', { Job: job, Submission: { Format: 'yaml' } }, /Format must be/],
    ['PUT', '/v1/job/other', { Job: job }, /Job ID does not match/],
    ['PUT', '/v1/jobs/parse', { JobHCL: 5 }, /JobHCL must be a string/],
    ['PUT', '/v1/jobs/parse', { JobHCL: ' ' }, /JobHCL is empty/],
    ['PUT', '/v1/jobs/parse', { JobHCL: 'job "x" {', Canonicalize: 1 }, /input.hcl:1/],
    [
      'PUT',
      '/v1/jobs/parse',
      { JobHCL: 'job "x" {\n  cuont = 2\n}' },
      /input.hcl:2,3-8: .*\n {2}2: {3}cuont = 2\n {7}\^{5}/,
    ],
    ['PUT', '/v1/job/web/revert', { JobVersion: {} }, /JobVersion must be a number/],
    ['PUT', '/v1/job/web/stable', { JobVersion: 1, Stable: 'x' }, /Stable must be true or false/],
    ['PUT', '/v1/job/web/evaluate', { EvalOptions: [] }, /EvalOptions must be an object/],
    ['PUT', '/v1/deployment/promote/d', { Groups: [5] }, /Groups must be a list of strings/],
    ['PUT', '/v1/deployment/promote/d', { DeploymentID: 'other' }, /Deployment ID does not match/],
    ['PUT', '/v1/deployment/allocation-health/d', { HealthyAllocationIDs: 'a' }, /must be a list of strings/],
    ['PUT', '/v1/node/n/drain', { DrainSpec: { Deadline: '5m' } }, /Deadline must be a number/],
    ['PUT', '/v1/node/n/eligibility', { Eligibility: 'maybe' }, /"eligible" or "ineligible"/],
    ['PUT', '/v1/client/allocation/a/signal', {}, /Signal is missing/],
    ['PUT', '/v1/operator/scheduler/configuration', { SchedulerAlgorithm: 'best' }, /"binpack" or "spread"/],
    ['PUT', '/v1/search', { Prefix: 'x', Context: 'constructor' }, /context must be one of/],
    ['GET', '/v1/jobs?index=-1', null, /^Invalid index$/],
    ['GET', '/v1/jobs?wait=soon', null, /^Invalid wait time$/],
    ['GET', '/v1/jobs?per_page=x', null, /per_page/],
    ['GET', '/v1/allocations?resources=perhaps', null, /as a bool/],
    ['GET', '/v1/job/x/submission', null, /version is missing/],
    ['GET', '/v1/job/%ZZ', null, /malformed escape/],
    ['GET', '/v1/client/fs/stat/a', null, /must provide a file path/],
    ['GET', '/v1/client/fs/logs/a?type=stdout', null, /must provide task name/],
    ['GET', '/v1/client/fs/logs/a?task=t', null, /stdout or stderr/],
    ['GET', '/v1/client/fs/logs/a?task=t&type=stdout&origin=middle', null, /invalid origin/],
    ['GET', '/v1/client/fs/readat/a?path=x', null, /offset is missing/],
    ['GET', '/v1/metrics?format=xml', null, /unknown format/],
    ['GET', '/v1/agent/monitor?log_level=loud', null, /Unknown log level: loud/],
  ];
  for (const [method, path, body, message] of cases) {
    const got = await world.send(path, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
    t.equal(got.status, 400, `${method} ${path} ${JSON.stringify(body)}: ${got.text}`);
    t.match(got.text, message);
  }
  t.strictSame(world.calls, [], 'nothing of it went further');
});

t.test('a body must be a JSON object', async (t) => {
  const world = await createHttpWorld(t);
  for (const [body, message] of [
    ['', /EOF/],
    ['{', /invalid JSON/],
    ['[]', /must be a JSON object/],
    ['null', /must be a JSON object/],
    ['\u00ff\u0000', /invalid JSON/],
  ] as const) {
    const got = await world.send('/v1/jobs', { method: 'PUT', body });
    t.equal(got.status, 400);
    t.match(got.text, message);
  }
});

t.test('a path of a later version says so; a wrong method is told from a wrong path', async (t) => {
  const world = await createHttpWorld(t);
  for (const path of ['/v1/search/fuzzy', '/v1/acl/tokens']) {
    const got = await world.send(path);
    t.equal(got.status, 501, path);
    t.match(got.text, /not supported yet/);
  }
  for (const [method, path] of [
    ['DELETE', '/v1/jobs'],
    ['PATCH', '/v1/jobs'],
    ['OPTIONS', '/v1/job/web'],
    ['GET', '/v1/job/web/plan'],
    ['PUT', '/v1/nodes'],
  ] as const) {
    const got = await world.send(path, { method });
    t.equal(got.status, 405, `${method} ${path}`);
    t.equal(got.text, 'Invalid method');
  }
});

t.test('a search looks at every kind, never blocks, and cuts after twenty', async (t) => {
  const world = await createHttpWorld(t);
  const nodes = Array.from({ length: 21 }, (_, i) => ({ ID: `ab${i}` }));
  world.script = {
    'Job.List': { Jobs: [{ ID: 'abc' }] },
    'Eval.List': { Evaluations: [] },
    'Alloc.List': { Allocations: [] },
    'Node.List': { Nodes: nodes },
    'Deployment.List': { Deployments: [] },
    'CSIVolume.List': { Volumes: [{ ID: 'abv' }] },
    'HostVolume.List': { Volumes: [] },
    'CSIPlugin.List': { Plugins: [] },
  };
  const body = JSON.stringify({ Prefix: 'ab', Context: 'all' });
  const all = (await world.send('/v1/search?index=7', { method: 'PUT', body })).json as Record<string, never>;
  t.strictSame(all['Matches'], {
    jobs: ['abc'],
    evals: [],
    allocs: [],
    nodes: nodes.slice(0, 20).map(({ ID }) => ID),
    deployment: [],
    volumes: ['abv'],
    host_volumes: [],
    plugins: [],
  });
  t.match(all['Truncations'], { jobs: false, nodes: true });
  t.ok(world.calls.every(({ args }) => args['Prefix'] === 'ab' && args['MinQueryIndex'] === undefined));
  world.calls.length = 0;
  await world.send('/v1/search', { method: 'POST', body: JSON.stringify({ Prefix: 'web-1', Context: '' }) });
  t.strictSame(
    world.calls.map(({ method }) => method),
    ['Job.List', 'CSIVolume.List', 'CSIPlugin.List'],
    'no id begins with what is not hexadecimal',
  );
});

t.test('what the agent says of itself', async (t) => {
  const world = await createHttpWorld(t, {
    agent: {
      health: () => ({ server: { ok: false, message: 'no leader' }, client: { ok: true, message: 'ok' } }),
      metrics: () => [
        { name: 'nomad.client.allocs.running', kind: 'gauge', value: 3, labels: { node_id: 'n"1' } },
        { name: 'nomad.client.allocs.running', kind: 'gauge', value: 4, labels: {} },
        { name: 'nomad.rpc.request', kind: 'counter', value: 9, labels: {} },
      ],
    },
  });
  t.strictSame((await world.send('/v1/regions')).json, ['here']);
  t.strictSame((await world.send('/v1/agent/servers')).json, ['127.0.0.1:4647']);
  t.strictSame((await world.send('/v1/agent/reload', { method: 'PUT' })).json, { Reloaded: ['log_level'] });
  const sick = await world.send('/v1/agent/health');
  t.equal(sick.status, 500);
  t.match(sick.json, { server: { ok: false, message: 'no leader' }, client: { ok: true } });
  t.equal((await world.send('/v1/agent/health?type=client')).status, 200);
  const json = (await world.send('/v1/metrics')).json;
  t.match(json, {
    Gauges: [{ Name: 'nomad.client.allocs.running', Value: 3, Labels: { node_id: 'n"1' } }, { Value: 4 }],
    Counters: [{ Name: 'nomad.rpc.request', Sum: 9 }],
  });
  const text = await world.send('/v1/metrics?format=prometheus');
  t.match(text.headers['content-type'], /^text\/plain/);
  t.equal(
    text.text,
    [
      '# TYPE nomad_client_allocs_running gauge',
      'nomad_client_allocs_running{node_id="n\\"1"} 3',
      'nomad_client_allocs_running 4',
      '# TYPE nomad_rpc_request counter',
      'nomad_rpc_request 9',
      '',
    ].join('\n'),
  );
});

t.test('a job file is parsed without leave to read the machine of the agent', async (t) => {
  const world = await createHttpWorld(t);
  const parse = (source: string, more: object = {}) =>
    world.send('/v1/jobs/parse', { method: 'PUT', body: JSON.stringify({ JobHCL: source, ...more }) });
  const source =
    'variable "n" {}\njob "web" {\n group "g" {\n count = var.n\n task "t" {\n driver = "docker"\n }\n }\n}';
  const got = await parse(source, { Variables: 'n = 3' });
  t.equal(got.status, 200, got.text);
  t.match(got.json, { ID: 'web', TaskGroups: [{ Count: 3 }] });
  t.match((await parse(source, { Variables: 'n = 3', Canonicalize: true })).json, { Type: 'service', Priority: 50 });
  t.match(await parse(source), { status: 400, text: /n/ });
  const reads = await parse('job "web" {\n meta {\n x = file("/etc/hostname")\n }\n}');
  t.match(reads, { status: 400, text: /file/ });
});
