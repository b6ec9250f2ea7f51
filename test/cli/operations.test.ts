import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Allocation } from '../../lib/structs/allocation.js';
import { mockTask } from '../scheduler/mock.js';
import {
  ALLOC_ID,
  alloc,
  createCliWorld,
  DEPLOYMENT_ID,
  deployment,
  EVAL_ID,
  evaluation,
  job,
  NODE_ID,
  Refusal,
} from './world.js';

const PERIODIC = {
  Enabled: true,
  Spec: '@daily',
  Specs: null,
  SpecType: 'cron',
  ProhibitOverlap: false,
  TimeZone: 'UTC',
};

const child = (ID: string, ParentID: string) => ({ ...job({ ID, Name: ID }), ParentID, Status: 'dead' });

const summary = { Children: { Pending: 1, Running: 2, Dead: 3 }, Summary: {} };

t.test('job status shows what the clock launched, and when it does so next', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/jobs': [job({ ID: 'night' }), child('night/periodic-1', 'night'), child('night/other', '')],
    'GET /v1/job/night': job({ ID: 'night', Type: 'batch', Periodic: PERIODIC }),
    'GET /v1/job/night/summary': summary,
  });
  const { out, code } = await world.run('job', 'status', 'night');
  t.equal(code, 0);
  t.match(out, /Next Periodic Launch = \d{4}-\d\d-\d\dT.* from now\)/);
  const zoned = job({ ID: 'night', Type: 'batch', Periodic: { ...PERIODIC, TimeZone: 'Asia/Kolkata' } });
  world.replies['GET /v1/job/night'] = zoned;
  t.match((await world.run('job', 'status', 'night')).out, /Launch = \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+05:30 \(/);
  t.match(out, /Children Job Summary\nPending {2}Running {2}Dead\n1 {8}2 {8}3/);
  t.match(out, /Previously Launched Jobs\nID +Status\nnight\/periodic-1 {2}dead$/m);
  t.notMatch(out, /night\/other/);
});

t.test('job status shows what may be dispatched, and what was', async (t) => {
  const parameterized = { Payload: 'required', MetaRequired: ['a', 'b'], MetaOptional: null };
  const world = await createCliWorld(t, {
    'GET /v1/jobs': [job({ ID: 'render' })],
    'GET /v1/job/render': job({ ID: 'render', Type: 'batch', ParameterizedJob: parameterized }),
    'GET /v1/job/render/summary': summary,
  });
  const { out } = await world.run('job', 'status', 'render');
  t.match(out, /Payload += required/);
  t.match(out, /Required Metadata = a, b\nOptional Metadata = <none>/);
  t.match(out, /No dispatched instances of parameterized job found/);
});

t.test('job dispatch sends payload, meta data and token', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/jobs': [job({ ID: 'render' })],
    'PUT /v1/job/render/dispatch': { DispatchedJobID: 'render/dispatch-1-abc', EvalID: '', EvalCreateIndex: 0 },
  });
  const dir = mkdtempSync(join(tmpdir(), 'meshnomad-cli-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'in'), 'hello');
  const args = ['-meta=a=b=c', '-idempotency-token', 'x', 'render', join(dir, 'in')];
  const { out, code } = await world.run('job', 'dispatch', ...args);
  t.same([code, out], [0, 'Dispatched Job ID = render/dispatch-1-abc\n']);
  t.match(world.asked.at(-1), /dispatch\?idempotency_token=x/);
  const body = JSON.parse(world.bodies.at(-1) ?? '');
  t.same([body.Payload, body.Meta], [Buffer.from('hello').toString('base64'), { a: 'b=c' }]);
  t.match((await world.run('job', 'dispatch', '-meta', 'nothing', 'render')).error, /key=value/);
});

t.test('job scale takes the only group, and asks when there are several', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/jobs': [job()],
    'GET /v1/job/web': job(),
    'PUT /v1/job/web/scale': { EvalID: 'e1b2c3d4-0000-4000-8000-000000000002', Warnings: '' },
  });
  const { out, code } = await world.run('job', 'scale', '-detach', 'web', '3');
  t.same([code, out], [0, 'Job scale successful\nEvaluation ID: e1b2c3d4-0000-4000-8000-000000000002\n']);
  const body = JSON.parse(world.bodies.at(-1) ?? '');
  t.same([body.Count, body.Target.Group], [3, 'front']);
  const groups = ['a', 'b'].map((Name) => ({ ...job().TaskGroups[0], Name }));
  world.replies['GET /v1/job/web'] = job({ TaskGroups: groups });
  t.match((await world.run('job', 'scale', 'web', '3')).error, /Group name required.*a, b/);
  t.match((await world.run('job', 'scale', 'web', 'a', 'many')).error, /whole number/);
});

t.test('job restart leaves a roll-out in peace', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/jobs': [job()],
    'GET /v1/job/web': job(),
    'GET /v1/job/web/allocations': [alloc({ ClientStatus: 'running', DesiredStatus: 'run' })],
    'GET /v1/job/web/deployments': [{ ID: 'd1b2c3d4-0000-4000-8000-000000000003', Status: 'running' }],
    [`PUT /v1/client/allocation/${ALLOC_ID}/restart`]: {},
  });
  const refused = await world.run('job', 'restart', 'web');
  t.equal(refused.code, 1);
  t.match(refused.error, /did not finish: deployment "d1b2c3d4" is running; wait until it is over/);
  t.notOk(
    world.asked.some((asked) => asked.startsWith('PUT')),
    'nothing is restarted',
  );
  world.replies['GET /v1/job/web/deployments'] = [{ ID: 'd1', Status: 'successful' }];
  t.match(await world.run('job', 'restart', 'web'), {
    code: 0,
    out: /Job restart finished[\s\S]*restarted successfully/,
  });
});

t.test('job restart takes the groups and tasks that are named, and knows those of the job', async (t) => {
  const groups = ['a', 'b'].map((Name) => ({
    ...job().TaskGroups[0],
    Name,
    Tasks: [mockTask({ Name: `${Name}-task` })],
  }));
  const other = 'b1b2c3d4-0000-4000-8000-000000000001';
  const live = (ID: string, TaskGroup: string) =>
    alloc({
      ID,
      TaskGroup,
      ClientStatus: 'running',
      DesiredStatus: 'run',
      TaskStates: { [`${TaskGroup}-task`]: {} } as Allocation['TaskStates'],
    });
  const world = await createCliWorld(t, {
    'GET /v1/jobs': [job()],
    'GET /v1/job/web': job({ TaskGroups: groups }),
    'GET /v1/job/web/allocations': [live(ALLOC_ID, 'a'), live(other, 'b')],
    'GET /v1/job/web/deployments': [],
    [`PUT /v1/client/allocation/${other}/restart`]: {},
  });
  t.match(await world.run('job', 'restart', '-task=b-task', 'web'), { code: 0, out: /Restarting 1 allocation\n/ });
  t.same(JSON.parse(world.bodies.at(-1) ?? ''), { TaskName: 'b-task', AllTasks: false });
  const before = world.asked.length;
  t.match(await world.run('job', 'restart', '-group=c', 'web'), { code: 1, error: /no group "c": there are a, b/ });
  t.match(await world.run('job', 'restart', '-group=a', '-task=b-task', 'web'), {
    code: 1,
    error: /no task "b-task": there are a-task/,
  });
  t.notOk(world.asked.slice(before).some((asked) => asked.startsWith('PUT')));
});

t.test('job start takes back the version before the stop', async (t) => {
  const versions = [
    job({ Version: 3, Stop: true }),
    job({ Version: 2, Stop: true }),
    job({ Version: 1, Stop: false }),
    job({ Version: 0, Stop: false }),
  ];
  const world = await createCliWorld(t, {
    'GET /v1/jobs': [job()],
    'GET /v1/job/web/versions': { Versions: versions, Diffs: null },
    'PUT /v1/job/web/revert': { EvalID: EVAL_ID },
  });
  t.same(await world.run('job', 'start', '-detach', 'web'), { code: 0, out: `Evaluation ID: ${EVAL_ID}\n`, error: '' });
  t.same(JSON.parse(world.bodies.at(-1) ?? ''), { JobID: 'web', JobVersion: 1, EnforcePriorVersion: 3 });
  world.replies['GET /v1/job/web/versions'] = { Versions: versions.slice(2), Diffs: null };
  t.match(await world.run('start', 'web'), { code: 1, error: /job "web" has not been stopped/ });
  world.replies['GET /v1/job/web/versions'] = { Versions: versions.slice(0, 2), Diffs: null };
  t.match(await world.run('job', 'start', 'web'), { code: 1, error: /no version of job "web" that ran is kept/ });
});

t.test('job restart tells its batches, and what has no replacement', async (t) => {
  const running = { ClientStatus: 'running', DesiredStatus: 'run' } as const;
  const other = 'b1b2c3d4-0000-4000-8000-000000000001';
  const world = await createCliWorld(t, {
    'GET /v1/jobs': [job()],
    'GET /v1/job/web': job(),
    'GET /v1/job/web/allocations': [0, 1, 2].map((i) => alloc({ ...running, Name: `web.front[${i}]` })),
    'GET /v1/job/web/deployments': [],
    [`PUT /v1/client/allocation/${ALLOC_ID}/restart`]: {},
    [`PUT /v1/allocation/${ALLOC_ID}/stop`]: { EvalID: EVAL_ID },
    [`GET /v1/evaluation/${EVAL_ID}`]: evaluation({ Status: 'complete' }),
    [`GET /v1/allocation/${ALLOC_ID}`]: alloc({ NextAllocation: other }),
    [`GET /v1/allocation/${other}`]: alloc({ ...running, ID: other }),
  });
  const { out } = await world.run('job', 'restart', '-batch-size=2', '-batch-wait=1ms', 'web');
  t.match(out, /Restarting 1st batch of 2 allocations\n[\s\S]*Waiting 1ms before restarting the next batch\n/);
  t.match(out, /Restarting 2nd batch of 1 allocation\n/);
  t.match(await world.run('job', 'restart', '-batch-wait=-1s', 'web'), { code: 1, error: /must not be negative/ });
  t.match(await world.run('job', 'restart', '-batch-wait=soon', 'web'), {
    code: 1,
    error: /-batch-wait must be "ask" or/,
  });
  const restarts = () => world.asked.filter((asked) => asked.startsWith('PUT')).length;
  const before = restarts();
  t.match(await world.run('job', 'restart', '-batch-wait=ask', 'web'), { code: 1, error: /asks on a terminal only/ });
  t.equal(restarts(), before, 'not only when the first batch is through');
  const moved = await world.run('job', 'restart', '-reschedule', 'web');
  t.match(moved.out, /"a1b2c3d4" replaced by "b1b2c3d4", waiting for "b1b2c3d4" to start running\n/);
  const metric = { NodesEvaluated: 1, NodesExhausted: 1, DimensionExhausted: { memory: 1 }, CoalescedFailures: 0 };
  world.replies[`GET /v1/evaluation/${EVAL_ID}`] = { ...evaluation(), FailedTGAllocs: { front: metric } };
  const stuck = await world.run('job', 'restart', '-reschedule', '-on-error=fail', 'web');
  t.match(stuck, {
    code: 1,
    error: /placement failures for group "front":\n[\s\S]*Dimension "memory" exhausted on 1 nodes/,
  });
  world.replies[`PUT /v1/client/allocation/${ALLOC_ID}/restart`] = new Refusal(504, 'the node is gone');
  world.replies[`PUT /v1/client/allocation/${other}/restart`] = {};
  world.replies['GET /v1/job/web/allocations'] = [alloc(running), alloc({ ...running, ID: other, Name: 'web.z[1]' })];
  const half = await world.run('job', 'restart', '-yes', 'web');
  t.match(half, { code: 1, error: /allocation "a1b2c3d4": .*the node is gone[\s\S]*1 of 2 allocations could not be/ });
  t.notMatch(half.out, /successfully/);
  world.replies['GET /v1/job/web'] = job({ Type: 'system' });
  t.match(await world.run('job', 'restart', '-reschedule', 'web'), { code: 1, error: /"system" are not allowed/ });
});

t.test('flags of node drain that contradict each other are refused before anything is asked', async (t) => {
  const world = await createCliWorld(t);
  const cases: [string[], RegExp][] = [
    [[NODE_ID], /Exactly one of/],
    [['-enable', '-disable', NODE_ID], /Exactly one of/],
    [['-enable', '-force', '-no-deadline', NODE_ID], /exclude each other/],
    [['-enable', '-deadline', '0s', NODE_ID], /above zero/],
    [['-disable', '-deadline', '5m', NODE_ID], /goes with -enable/],
    [['-enable', '-keep-ineligible', NODE_ID], /goes with -disable/],
    [['-monitor', '-detach', NODE_ID], /exclude each other/],
    [['-enable', '-self', NODE_ID], /no arguments/],
  ];
  for (const [args, message] of cases) {
    const ran = await world.run('node', 'drain', ...args);
    t.equal(ran.code, 1, args.join(' '));
    t.match(ran.error, message);
  }
  t.same(world.asked, []);
});

t.test('node drain sends what was asked for; a prefix needs -yes', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/nodes': [{ ID: NODE_ID }],
    [`GET /v1/node/${NODE_ID}`]: { ID: NODE_ID, DrainStrategy: null },
    [`PUT /v1/node/${NODE_ID}/drain`]: { NodeModifyIndex: 5 },
  });
  const sent = () => JSON.parse(world.bodies.at(-1) ?? '');
  await world.run('node', 'drain', '-enable', '-detach', '-ignore-system', '-m', 'why', NODE_ID);
  t.same(sent(), { DrainSpec: { Deadline: 3_600e9, IgnoreSystemJobs: true }, Meta: { message: 'why' } });
  await world.run('node', 'drain', '-enable', '-detach', '-no-deadline', NODE_ID);
  t.equal(sent().DrainSpec.Deadline, 0);
  await world.run('node', 'drain', '-enable', '-detach', '-force', NODE_ID);
  t.equal(sent().DrainSpec.Deadline, -1);
  await world.run('node', 'drain', '-disable', '-keep-ineligible', NODE_ID);
  t.same(sent(), { DrainSpec: null, MarkEligible: false, Meta: {} });
  t.match((await world.run('node', 'drain', '-disable', 'f1b2')).error, /prefix of node/);
  t.equal((await world.run('node', 'drain', '-disable', '-yes', 'f1b2')).code, 0);
  t.match((await world.run('node', 'drain', '-monitor', NODE_ID)).out, /No drain strategy set/);
  const strategies = [{ DrainSpec: {} }, null];
  world.replies[`GET /v1/node/${NODE_ID}`] = () => ({ ID: NODE_ID, DrainStrategy: strategies.shift() ?? null });
  world.replies[`GET /v1/node/${NODE_ID}/allocations`] = [];
  const { out } = await world.run('node', 'drain', '-monitor', NODE_ID);
  t.match(out, /^\S+: Monitoring node "f1b2c3d4-.*Ctrl-C to detach monitoring\n.*Drain complete/);
  const canceled = { ID: NODE_ID, DrainStrategy: null, LastDrain: { Status: 'canceled' } };
  let drains = 2;
  world.replies[`GET /v1/node/${NODE_ID}`] = () =>
    drains-- > 0 ? { ID: NODE_ID, DrainStrategy: { DrainSpec: {} }, ModifyIndex: 4 } : canceled;
  // What is left says nothing: that the drain is over is seen at the node.
  world.replies[`GET /v1/node/${NODE_ID}/allocations`] = (request: IncomingMessage) =>
    request.url?.includes('wait') ? new Promise(() => {}) : [alloc({ ClientStatus: 'running' })];
  t.match((await world.run('node', 'drain', '-monitor', NODE_ID)).out, /Drain of node f1b2c3d4-\S+ was canceled\n$/);
});

t.test('a node is purged by its whole id, or by a prefix with -yes', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/nodes': [{ ID: NODE_ID }],
    [`GET /v1/node/${NODE_ID}`]: { ID: NODE_ID },
    [`PUT /v1/node/${NODE_ID}/purge`]: {},
  });
  t.match((await world.run('node', 'purge', 'f1b2')).error, /prefix of node/);
  t.equal((await world.run('node', 'purge', NODE_ID)).out, `Node "${NODE_ID}" purged\n`);
});

t.test('deployment commands say what they did', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/deployments': [deployment()],
    [`GET /v1/deployment/${DEPLOYMENT_ID}`]: deployment(),
    [`PUT /v1/deployment/pause/${DEPLOYMENT_ID}`]: { EvalID: '' },
    [`PUT /v1/deployment/fail/${DEPLOYMENT_ID}`]: { EvalID: '', RevertedJobVersion: 4 },
    [`PUT /v1/deployment/promote/${DEPLOYMENT_ID}`]: { EvalID: '' },
    [`PUT /v1/deployment/unblock/${DEPLOYMENT_ID}`]: new Refusal(400, "can't unblock deployment"),
  });
  t.equal((await world.run('deployment', 'pause', 'd1b2')).out, 'Deployment "d1b2c3d4" paused\n');
  t.equal((await world.run('deployment', 'resume', 'd1b2')).out, 'Deployment "d1b2c3d4" resumed\n');
  t.match((await world.run('deployment', 'fail', 'd1b2')).out, /failed\. Auto-reverted to job version 4\./);
  await world.run('deployment', 'promote', '-group=a', '-group=b', 'd1b2');
  t.same(JSON.parse(world.bodies.at(-1) ?? '').Groups, ['a', 'b']);
  t.equal((await world.run('deployment', 'unblock', 'd1b2')).code, 1);
  t.match((await world.run('deployment', 'list')).out, /ID +Job ID +Job Version +Status/);
});

t.test('eval list asks for what the flags say', async (t) => {
  const world = await createCliWorld(t, { 'GET /v1/evaluations': [evaluation({ Status: 'blocked' })] });
  const { out } = await world.run('eval', 'list', '-job=web', '-status=blocked', '-per-page=3');
  t.match(out, /e1b2c3d4 .*blocked +N\/A - In Progress/);
  t.match(world.asked.at(-1), /job=web&status=blocked.*per_page=3/);
});

t.test('eval delete sends what is to go, by id or by a filter', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/evaluations': [evaluation()],
    [`GET /v1/evaluation/${EVAL_ID}`]: evaluation(),
    'DELETE /v1/evaluations': { Count: 1 },
  });
  t.match(await world.run('eval', 'delete', '-yes', EVAL_ID), { code: 0, out: /deleted 1 evaluation\n/ });
  t.same(JSON.parse(world.bodies.at(-1) ?? ''), { Filter: `ID == "${EVAL_ID}"` });
  t.match(await world.run('eval', 'delete', '-yes', '-filter=JobID == "a"'), { code: 0 });
  t.same(JSON.parse(world.bodies.at(-1) ?? ''), { Filter: 'JobID == "a"' });
});

t.test('the scheduler configuration is written back with its index', async (t) => {
  const SchedulerConfig = {
    SchedulerAlgorithm: 'binpack',
    PreemptionConfig: {},
    PauseEvalBroker: true,
    ModifyIndex: 7,
  };
  const path = '/v1/operator/scheduler/configuration';
  const world = await createCliWorld(t, {
    [`GET ${path}`]: { SchedulerConfig },
    [`PUT ${path}`]: { Updated: true },
  });
  const set = (...args: string[]) => world.run('operator', 'scheduler', 'set-config', ...args);
  const flags = ['-preempt-batch-scheduler=true', '-pause-eval-broker=false', '-node-limit-for-feasibility-checks=20'];
  t.match((await set(...flags)).out, /updated!/);
  t.match(world.asked.at(-1), /cas=7/);
  const body = JSON.parse(world.bodies.at(-1) ?? '');
  t.same([body.PreemptionConfig.BatchSchedulerEnabled, body.PauseEvalBroker], [true, false]);
  t.equal(body.NodeLimitForFeasibilityChecks, 20);
  world.replies[`PUT ${path}`] = { Updated: false };
  t.equal((await set('-check-index=3')).code, 1);
  t.equal((await set('-scheduler-algorithm=magic')).code, 1);
});

t.test('what is not named stays in force when the scheduler configuration is written first', async (t) => {
  const path = '/v1/operator/scheduler/configuration';
  const SchedulerConfig = { SchedulerAlgorithm: 'binpack', PreemptionConfig: {}, ModifyIndex: 0 };
  const world = await createCliWorld(t, {
    [`GET ${path}`]: { SchedulerConfig },
    [`PUT ${path}`]: { Updated: true },
    'GET /v1/nodes': [{}, {}, {}],
  });
  const set = async (...args: string[]) => {
    const { out } = await world.run('operator', 'scheduler', 'set-config', ...args);
    return [JSON.parse(world.bodies.at(-1) ?? '').SchedulerAlgorithm, /stays "spread"/.test(out)];
  };
  t.same(await set('-preempt-batch-scheduler=true'), ['spread', true], 'three nodes spread');
  t.same(await set('-scheduler-algorithm=binpack'), ['binpack', false]);
  world.replies['GET /v1/nodes'] = [{}, {}, {}, {}, {}];
  t.same(await set('-preempt-batch-scheduler=true'), ['binpack', false], 'five pack');
  world.replies[`GET ${path}`] = { SchedulerConfig: { ...SchedulerConfig, ModifyIndex: 7 } };
  world.replies['GET /v1/nodes'] = [{}];
  t.same(await set('-preempt-batch-scheduler=true'), ['binpack', false], 'what was set stays');
});

t.test('operator api sends what it is told, and prints what comes', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/jobs': [{ ID: 'web' }],
    'DELETE /v1/job/web': new Refusal(403, 'Permission denied'),
  });
  const api = (...args: string[]) => world.run('operator', 'api', ...args);
  t.match(await api('-X', 'GET', '-filter=Status == "dead"', '/v1/jobs?prefix=w'), { code: 0, out: '[{"ID":"web"}]' });
  t.equal(world.asked.at(-1), 'GET /v1/jobs?prefix=w&filter=Status%20%3D%3D%20%22dead%22');
  t.match(await api('-X=get', 'jobs'), { code: 0, out: '[{"ID":"web"}]' });
  t.match(await api('-X', 'delete', '/v1/job/web'), { code: 1, out: 'Permission denied' });
  t.match(await api('-X=get', '-verbose', '/v1/jobs'), { code: 0, error: /> GET \/v1\/jobs[\s\S]*< 200/ });
  t.match(await api('http://other/v1/jobs'), { code: 1, error: /-address/ });
  t.match(await api('-X=SING', '/v1/jobs'), { code: 1, error: /-X must be one of/ });
  t.match(await api('-H', 'nothing', '/v1/jobs'), { code: 1, error: /name: value/ });
});

t.test('a node pool file is read with its mistakes', async (t) => {
  const world = await createCliWorld(t, { 'PUT /v1/node/pools': null });
  const dir = mkdtempSync(join(tmpdir(), 'meshnomad-cli-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'pool.hcl');
  const apply = (text: string) => {
    writeFileSync(file, text);
    return world.run('node', 'pool', 'apply', file);
  };
  const good = await apply(
    'node_pool "gpu" {\n description = "cards"\n meta {\n n = 3\n }\n scheduler_config {\n scheduler_algorithm = "spread"\n }\n}\n',
  );
  t.equal(good.out, 'Successfully applied node pool "gpu"!\n');
  t.same(JSON.parse(world.bodies.at(-1) ?? ''), {
    Name: 'gpu',
    Description: 'cards',
    Meta: { n: '3' },
    SchedulerConfiguration: { SchedulerAlgorithm: 'spread', MemoryOversubscriptionEnabled: null },
  });
  t.match((await apply('node_pool "gpu" {\n descripton = "x"\n}\n')).error, /2,2-.*descripton/);
  t.match((await apply('job "x" {}\n')).error, /one node_pool block/);
  t.match((await apply('node_pool "a" {\n constraint {}\n}\n')).error, /no block "constraint"/);
  t.match((await apply('node_pool "a" {')).error, /pool\.hcl:1/);
});

t.test('lists are asked for by filter and page', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/node/pools': [],
    'GET /v1/node/pool/gpu/nodes': [],
    'GET /v1/node/pool/gpu/jobs': [],
    'GET /v1/nodes': [],
  });
  const page = ['-filter', 'Name == "x"', '-per-page=2', '-page-token=abc'];
  for (const [words, args] of [
    [['node', 'pool', 'list'], []],
    [['node', 'pool', 'nodes'], ['gpu']],
    [['node', 'pool', 'jobs'], ['gpu']],
    [['node', 'status'], []],
  ] as const) {
    t.equal((await world.run(...words, ...page, ...args)).code, 0, words.join(' '));
    t.match(world.asked.at(-1), /filter=Name.*per_page=2.*next_token=abc/, words.join(' '));
    t.equal((await world.run(...words, '-per-page=x', ...args)).code, 1, `${words.join(' ')}: a number is asked for`);
  }
});
