import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { COMMANDS } from '../../lib/cli/commands.js';
import { formatTime } from '../../lib/cli/format.js';
import {
  ALLOC_ID,
  alloc,
  type CliWorld,
  createCliWorld,
  deployment,
  EVAL_ID,
  evaluation,
  job,
  MOMENT,
  NODE_ID,
  Refusal,
  runCli,
} from './world.js';

const WHEN = formatTime(MOMENT);
const AGO = /\d+(y|mo|d|h|m|s)(\d+(mo|d|h|m|s))? ago/g;

const stub = (changes: object = {}) => ({
  ID: 'web',
  Type: 'service',
  Priority: 50,
  Status: 'running',
  Stop: false,
  Periodic: false,
  ParameterizedJob: false,
  SubmitTime: MOMENT,
  ...changes,
});

t.test('every command has a help that begins with its usage', async (t) => {
  for (const [name, { summary, alias }] of Object.entries(COMMANDS)) {
    const { code, out, error } = await runCli([...name.split(' '), '-h']);
    t.equal(code, 0, name);
    t.equal(error, '', name);
    t.match(out, /^Usage: meshnomad [a-z]/, name);
    t.ok(out.includes('General options:'), name);
    t.ok(alias || summary !== '', `${name} has a line in the overview`);
  }
});

t.test('the overview lists what there is; a typing error is told with what is near', async (t) => {
  const { code, out } = await runCli(['-help']);
  t.equal(code, 0);
  t.match(out, /\n {4}job run +Registers a job/);
  t.notMatch(out, /\n {4}node-status/, 'second names are left out');
  const none = await runCli([]);
  t.equal(none.code, 127);
  t.equal(none.out, '');
  t.match(none.error, /^Usage: meshnomad/);
  t.match((await runCli(['job', '-h'])).out, /^Usage: meshnomad job <command>/);
  t.match(
    (await runCli(['job', 'tag', '-h'])).out,
    /^Usage: meshnomad job tag <command>[\s\S]*job tag apply[\s\S]*job tag unset/,
  );
  t.match((await runCli(['job', 'tag', 'aply'])).error, /did you mean "job tag apply"\?/);
  for (const [argv, near] of [
    [['job', 'rum', 'x.hcl'], /unknown command "job rum"; did you mean "job run"\?/],
    [['namespace', 'list'], /there is no command "namespace": there is one namespace, "default"/],
    [['acl'], /there is no command "acl": .*members of a mesh may do everything/],
    [['stauts'], /unknown command "stauts"; did you mean "status"\?/],
  ] as const) {
    const typed = await runCli([...argv]);
    t.equal(typed.code, 127);
    t.match(typed.error, near);
  }
  const flag = await runCli(['job', 'status', '-vebose']);
  t.equal(flag.code, 1);
  t.match(flag.error, /did you mean -verbose\?\nFor additional help try 'meshnomad job status -help'/);
  t.match((await runCli(['job', 'inspect'])).error, /takes one argument: <job>/);
});

t.test('job status lists the jobs', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/jobs': [stub(), stub({ ID: 'backup', Type: 'batch', Periodic: true, Status: 'dead', Stop: true })],
  });
  t.equal(
    (await world.run('job', 'status')).out,
    `ID      Type            Priority  Status          Submit Date
web     service         50        running         ${WHEN}
backup  batch/periodic  50        dead (stopped)  ${WHEN}
`,
  );
  world.replies['GET /v1/jobs'] = [];
  t.equal((await world.run('status')).out, 'No running jobs\n');
});

function jobReplies(): CliWorld['replies'] {
  return {
    'GET /v1/jobs': [stub(), stub({ ID: 'web-2' })],
    'GET /v1/job/web': job(),
    'GET /v1/job/web/summary': {
      Summary: { front: { Queued: 0, Complete: 1, Failed: 0, Running: 2, Starting: 0, Lost: 0, Unknown: 0 } },
    },
    'GET /v1/job/web/evaluations': [evaluation()],
    'GET /v1/job/web/deployment': deployment({ Status: 'successful' }),
    'GET /v1/job/web/allocations': [alloc()],
  };
}

t.test('job status says when what has failed is tried again', async (t) => {
  const world = await createCliWorld(t, jobReplies());
  const waits = evaluation({ ID: 'c9b2c3d4-0000', Status: 'pending', WaitUntil: '2026-01-02T03:04:05Z' });
  const broken = alloc({ ClientStatus: 'failed', FollowupEvalID: waits.ID });
  world.replies['GET /v1/job/web/evaluations'] = [waits];
  world.replies['GET /v1/job/web/allocations'] = [broken];
  const { out } = await world.run('job', 'status', 'web');
  t.match(out, /Future Rescheduling Attempts\nTask Group +Eval ID +Eval Time\nfront +c9b2c3d4 +2026-01-0\d/);
  world.replies['GET /v1/job/web/allocations'] = [alloc({ ...broken, NextAllocation: 'other' })];
  t.notMatch((await world.run('job', 'status', 'web')).out, /Future/, 'not of one that has been replaced');
});

t.test('job status shows a job by its exact name, though another begins so', async (t) => {
  const world = await createCliWorld(t, jobReplies());
  const { code, out } = await world.run('job', 'status', 'web');
  t.equal(code, 0);
  t.equal(
    out.replace(AGO, '<ago>').replace(/Created +/, 'Created  '),
    `ID            = web
Name          = web
Submit Date   = ${WHEN}
Type          = service
Priority      = 50
Datacenters   = dc1,dc2
Namespace     = default
Node Pool     = default
Status        = running
Periodic      = false
Parameterized = false

Summary
Task Group  Queued  Starting  Running  Failed  Complete  Lost  Unknown
front       0       0         2        0       1         0     0

Latest Deployment
ID          = d1b2c3d4
Status      = successful
Description = Deployment is running

Deployed
Task Group  Desired  Placed  Healthy  Unhealthy  Progress Deadline
front       2        2       1        0          ${formatTime(MOMENT + 6e11)}

Allocations
ID        Node ID   Task Group  Version  Desired  Status   Created  Modified
a1b2c3d4  f1b2c3d4  front       2        run      running  <ago>  <ago>
`,
  );
  const short = await world.run('job', 'status', '-short', 'web');
  t.notMatch(short.out, /Summary/);
  const [parts] = JSON.parse((await world.run('job', 'status', '-json', 'web')).out) as object[];
  t.strictSame(Object.keys(parts ?? {}).sort(), ['Allocations', 'Evaluations', 'LatestDeployment', 'Summary']);
  const template = '{{range .}}{{len .Allocations}} {{.LatestDeployment.Status}}{{end}}';
  t.equal((await world.run('job', 'status', '-t', template, 'web')).out, '1 successful\n');
  t.match(await world.run('job', 'status', '-t', '{{.ID', 'web'), { code: 1, error: /-t: / });
  t.match(await world.run('job', 'status', '-t', 'x', '-json', 'web'), { code: 1, error: /exclude each other/ });
});

t.test('a prefix that several have is answered with them', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/jobs': [stub({ ID: 'web-1' }), stub({ ID: 'web-2' })],
    'GET /v1/allocations': [alloc(), alloc({ ID: 'a1b2ffff-0000', Name: 'db.data[0]' })],
  });
  const jobs = await world.run('job', 'status', 'we');
  t.equal(jobs.code, 1);
  t.match(jobs.error, /^Prefix matched multiple jobs\n\nID +Type[\s\S]*web-1 [\s\S]*web-2 /);
  const allocs = await world.run('alloc', 'status', 'a1b2');
  t.match(allocs.error, /^Prefix matched multiple allocations\n\nID +Name[\s\S]*a1b2c3d4-0000-4000-8000-000000000001/);
  t.match((await world.run('alloc', 'status', 'a')).error, /^the id of an allocation must have two characters/);
  world.replies['GET /v1/jobs'] = [];
  t.match((await world.run('job', 'stop', 'nix')).error, /No job\(s\) with prefix or ID "nix" found/);
});

t.test('alloc status shows addresses, resources, states and events', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/allocations': [alloc()],
    [`GET /v1/allocation/${ALLOC_ID}`]: alloc(),
    [`GET /v1/client/allocation/${ALLOC_ID}/stats`]: {
      Tasks: {
        server: {
          ResourceUsage: { MemoryStats: { RSS: 3 * 2 ** 20, Usage: 0 }, CpuStats: { TotalTicks: 12.4, Percent: 2 } },
        },
      },
    },
  });
  const { out } = await world.run('alloc', 'status', 'a1b2');
  t.equal(
    out.replace(AGO, '<ago>'),
    `ID                  = ${ALLOC_ID}
Eval ID             = e1b2c3d4
Name                = web.front[0]
Node ID             = f1b2c3d4
Node Name           = pi
Job ID              = web
Job Version         = 0
Client Status       = running
Client Description  = Tasks are running
Desired Status      = run
Desired Description = <none>
Created             = <ago>
Modified            = <ago>

Allocation Addresses:
Label  Dynamic  Address
*http  yes      192.0.2.7:23456 -> 8080

Task "server" is "running"
Task Resources:
CPU         Memory           Disk     Addresses
12/500 MHz  3.0 MiB/256 MiB  300 MiB   

Task Events:
Started At     = ${formatTime(MOMENT + 4e9)}
Finished At    = N/A
Total Restarts = 1
Last Restart   = ${formatTime(MOMENT + 3e9)}

Recent Events:
Time                  Type      Description
${formatTime(MOMENT + 4e9)}  Started   Task started by client
${WHEN}  Received  Task received by client
`.replace('Time                  Type', `${'Time'.padEnd(WHEN.length)}  Type`),
  );
});

t.test('node status lists nodes and shows one', async (t) => {
  const node = {
    ID: NODE_ID,
    Name: 'pi',
    NodePool: 'default',
    NodeClass: '',
    Datacenter: 'dc1',
    Drain: false,
    DrainStrategy: null,
    SchedulingEligibility: 'eligible',
    Status: 'ready',
    StatusDescription: '',
    Attributes: {},
    Drivers: {
      docker: { Detected: true, Healthy: true },
      raw_exec: { Detected: true, Healthy: false },
      exec: { Detected: false },
    },
    NodeResources: { Cpu: { CpuShares: 4000 }, Memory: { MemoryMB: 4096 }, Disk: { DiskMB: 10240 } },
    ReservedResources: { Cpu: { CpuShares: 0 }, Memory: { MemoryMB: 0 }, Disk: { DiskMB: 0 } },
    Events: [],
  };
  const world = await createCliWorld(t, {
    'GET /v1/nodes': [node],
    [`GET /v1/node/${NODE_ID}`]: node,
    [`GET /v1/node/${NODE_ID}/allocations`]: [alloc()],
  });
  t.equal(
    (await world.run('node', 'status')).out,
    `ID        Node Pool  DC   Name  Class   Drain  Eligibility  Status
f1b2c3d4  default    dc1  pi    <none>  false  eligible     ready
`,
  );
  const { out } = await world.run('node', 'status', 'f1');
  t.match(out, /^Driver Status += docker,raw_exec \(unhealthy\)$/m);
  t.match(
    out,
    /Allocated Resources\nCPU +Memory +Disk +Alloc Count\n500\/4000 MHz {2}256 MiB\/4.0 GiB {2}300 MiB\/10 GiB {2}1\n/,
  );
  t.match(out, /Uptime += <unknown>/, 'a node that cannot be asked is shown all the same');
  const drain = { Deadline: 3600e9, ForceDeadline: '2026-05-01T10:00:00Z', StartedAt: '', IgnoreSystemJobs: true };
  for (const [DrainStrategy, said] of [
    [drain, /^Drain += true; 2026-05-01T\S+ deadline; ignoring system jobs$/m],
    [{ ...drain, Deadline: 0, ForceDeadline: '0001-01-01T00:00:00Z' }, /^Drain += true; no deadline; ignoring/m],
    [{ ...drain, Deadline: -1, IgnoreSystemJobs: false }, /^Drain += true; force drain$/m],
  ] as const) {
    world.replies[`GET /v1/node/${NODE_ID}`] = { ...node, DrainStrategy };
    t.match((await world.run('node', 'status', 'f1')).out, said);
  }
  world.replies[`GET /v1/node/${NODE_ID}`] = node;
  t.equal((await world.run('node', 'status', '-quiet')).out, 'f1b2c3d4\n');
  const part = { Size: 1024, Used: 512, Available: 512, UsedPercent: 50, InodesUsedPercent: 3 };
  world.replies['GET /v1/client/stats'] = {
    Memory: { Total: 4096, Available: 1024, Used: 3072, Free: 512 },
    CPU: [{ CPU: 'cpu0', User: 12.5, System: 2, Idle: 85.5 }],
    DiskStats: [{ Device: '/dev/sda', Mountpoint: '/', ...part }],
    AllocDirStats: part,
    DeviceStats: [],
    Uptime: 60,
    CPUTicksConsumed: 500,
  };
  world.replies['GET /v1/volumes'] = [{ ID: 'db', Name: 'db' }];
  const usage = { ResourceUsage: { CpuStats: { TotalTicks: 250 }, MemoryStats: { RSS: 2048, Usage: 0 } }, Tasks: {} };
  world.replies[`GET /v1/client/allocation/${alloc().ID}/stats`] = usage;
  const detailed = (await world.run('node', 'status', '-stats', 'f1')).out;
  t.match(detailed, /Allocation Resource Utilization\nCPU +Memory\n250\/4000 MHz {2}2.0 KiB\/4.0 GiB\n/);
  t.match(detailed, /^CSI Volumes += db$/m);
  t.match(
    detailed,
    /CPU Stats\nCPU += cpu0\nUser += 12.50%\n[\s\S]*Memory Stats\nTotal +=[\s\S]*Disk Stats\nDevice += \/dev\/sda\n/,
  );
});

t.test('status finds out what an id is', async (t) => {
  const world = await createCliWorld(t, {
    'PUT /v1/search': { Matches: { jobs: [], allocs: [], evals: [EVAL_ID], nodes: [], deployment: [] } },
    'GET /v1/evaluations': [evaluation()],
    [`GET /v1/evaluation/${EVAL_ID}`]: evaluation(),
  });
  t.match((await world.run('status', 'e1b2')).out, /^ID +=[\s\S]*TriggeredBy +=[\s\S]*Placement Failures += false/);
  world.replies[`GET /v1/evaluation/${EVAL_ID}`] = evaluation({ Status: 'blocked', QueuedAllocations: { web: 1 } });
  t.match((await world.run('eval', 'status', 'e1b2')).out, /Placement Failures += N\/A - In Progress/);
  world.replies['PUT /v1/search'] = { Matches: { jobs: ['e1'], evals: [EVAL_ID] } };
  t.match((await world.run('status', 'e')).error, /^Multiple matches found for id "e"\n\njobs:\n {2}e1\nevals:/);
  world.replies['PUT /v1/search'] = { Matches: { jobs: null } };
  t.match(await world.run('status', 'zz'), { code: 1, error: /Unable to resolve ID: zz/ });
});

t.test('job run registers a file, detached or refused', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'meshnomad-cli-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'web.nomad');
  writeFileSync(
    file,
    'variable "n" {}\njob "web" {\n  group "front" {\n    count = var.n\n    task "server" {\n      driver = "raw_exec"\n    }\n  }\n}\n',
  );
  const world = await createCliWorld(t, { 'PUT /v1/jobs': { EvalID: EVAL_ID, Warnings: '' } });
  t.strictSame(await world.run('job', 'run', '-detach', '-check-index', '4', '-var', 'n=2', file), {
    code: 0,
    out: `Job registration successful\nEvaluation ID: ${EVAL_ID}\n`,
    error: '',
  });
  t.match(JSON.parse(world.bodies[0] as string), {
    Job: { ID: 'web', TaskGroups: [{ Count: 2 }] },
    EnforceIndex: true,
    JobModifyIndex: 4,
    Submission: { Format: 'hcl2', VariableFlags: { n: '2' }, Source: /^variable/ },
  });
  const printed = await world.run('job', 'run', '-output', '-var=n=2', file);
  t.match(JSON.parse(printed.out), { Job: { ID: 'web' } });
  t.equal(world.asked.length, 1, '-output asks nobody');
  world.replies['PUT /v1/jobs'] = new Refusal(400, 'unknown driver "dokcer"');
  t.match(await world.run('run', '-var=n=2', file), {
    code: 1,
    error: 'Error submitting job: Unexpected response code: 400 (unknown driver "dokcer")\n',
  });
  t.match(await world.run('job', 'run', file), { code: 1, error: /n/ });
  t.match(await world.run('job', 'run', join(dir, 'none.hcl')), { code: 1, error: /^no file / });
  t.match(await world.run('job', 'run', dir), { code: 1, error: /is a directory/ });
  writeFileSync(file, 'job "web" {\n  group "front" {\n    cuont = 1\n  }\n}\n');
  const wrong = await world.run('job', 'run', file);
  t.equal(wrong.code, 1);
  t.match(wrong.error, /web\.nomad:3[\s\S]*cuont/);
  const template = (data: string): string =>
    `job "web" {\n group "front" {\n task "server" {\n driver = "raw_exec"\n template {\n destination = "local/a"\n data = ${JSON.stringify(data)}\n }\n }\n }\n}\n`;
  writeFileSync(file, template('a\n{{ range .x }}'));
  t.match(await world.run('job', 'run', file), {
    code: 1,
    error: /web\.nomad:7[\s\S]*template 1 cannot be parsed[\s\S]*local\/a:2: unexpected EOF/,
  });
  writeFileSync(file, template('{{ with $x := newFunction "a" | other }}{{ $x }}{{ end }}'));
  world.replies['PUT /v1/jobs'] = { EvalID: EVAL_ID, Warnings: '' };
  t.equal(
    (await world.run('job', 'run', '-detach', file)).code,
    0,
    'which functions there are is for the node to know',
  );
});

t.test('job plan ends with 0, 1 or 255', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'meshnomad-cli-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'web.nomad');
  writeFileSync(
    file,
    'job "web" {\n  group "front" {\n    task "server" {\n      driver = "raw_exec"\n    }\n  }\n}\n',
  );
  const none = { Ignore: 1, Place: 0, Migrate: 0, Stop: 0, InPlaceUpdate: 0, DestructiveUpdate: 0, Canary: 0 };
  const plan = (update: object) => ({
    Annotations: { DesiredTGUpdates: { front: update } },
    Diff: {
      Type: 'Edited',
      ID: 'web',
      Fields: null,
      Objects: null,
      TaskGroups: [
        {
          Type: 'Edited',
          Name: 'front',
          Fields: null,
          Objects: null,
          Tasks: null,
          Updates: { create: 2, destroy: 1, ignore: 1 },
        },
      ],
    },
    FailedTGAllocs: null,
    JobModifyIndex: 7,
    Warnings: '',
  });
  const world = await createCliWorld(t, { 'PUT /v1/job/web/plan': plan(none) });
  t.equal((await world.run('job', 'plan', file)).code, 0);
  world.replies['PUT /v1/job/web/plan'] = plan({ ...none, Place: 2, Stop: 1 });
  const { code, out } = await world.run('job', 'plan', file);
  t.equal(code, 1);
  t.match(
    out,
    /^\+\/- Job: "web"\n\+\/- Task Group: "front" \(2 create, 1 destroy, 1 ignore\)\n\nScheduler dry-run:\n- All tasks successfully allocated\./,
  );
  t.match(out, `meshnomad job run -check-index 7 ${file}`);
  const victims = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ ID: `${i}1234567-0`, JobID: 'low', TaskGroup: 'g' }));
  const preempting = (count: number) => {
    const base = plan({ ...none, Place: 1 });
    return { ...base, Annotations: { ...base.Annotations, PreemptedAllocs: victims(count) } };
  };
  world.replies['PUT /v1/job/web/plan'] = preempting(2);
  t.match(
    (await world.run('job', 'plan', file)).out,
    /\n\nPreemptions:\n\nAlloc ID +Job ID +Task Group\n01234567-\S+ +low +g\n1123/,
  );
  world.replies['PUT /v1/job/web/plan'] = preempting(12);
  t.match((await world.run('job', 'plan', file)).out, /\n\nPreemptions:\n\nJob ID +Preempted Allocations\nlow +12\n/);
  world.replies['PUT /v1/job/web/plan'] = new Refusal(500, 'No cluster leader');
  t.equal((await world.run('job', 'plan', file)).code, 255);
  t.equal((await world.run('job', 'plan', join(dir, 'none'))).code, 255);
  t.equal((await world.run('job', 'plan')).code, 255);
});

t.test('job stop asks for the whole name unless it is told otherwise', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/jobs': [stub()],
    'DELETE /v1/job/web': { EvalID: EVAL_ID },
  });
  t.match(await world.run('job', 'stop', 'w'), { code: 1, error: /prefix of job "web"/ });
  t.equal((await world.run('job', 'stop', '-detach', '-yes', '-purge', 'w')).out, `${EVAL_ID}\n`);
  t.ok(world.asked.includes('DELETE /v1/job/web?purge=true'));
  world.replies['GET /v1/jobs'] = [stub(), { ...stub(), ID: 'db' }];
  world.replies['DELETE /v1/job/db'] = { EvalID: EVAL_ID };
  t.same(await world.run('job', 'stop', '-detach', 'db', 'web'), {
    code: 0,
    out: `${EVAL_ID}\n${EVAL_ID}\n`,
    error: '',
  });
  const asked = world.asked.length;
  t.match(await world.run('job', 'stop', '-detach', 'db', 'none'), { code: 1, error: /multiple jobs/ });
  t.notOk(
    world.asked.slice(asked).some((one) => one.startsWith('DELETE')),
    'all or none',
  );
});

t.test('history, inspect, signals, restarts and the rest', async (t) => {
  const versions = { Versions: [job({ Version: 1, Stable: true }), job({ Version: 0, Stable: false })], Diffs: null };
  const world = await createCliWorld(t, {
    'GET /v1/jobs': [stub()],
    'GET /v1/job/web': job({ Version: 1 }),
    'GET /v1/job/web/versions': versions,
    'GET /v1/job/web/submission': { Source: 'job "web" {}\n' },
    'GET /v1/allocations': [alloc()],
    [`GET /v1/allocation/${ALLOC_ID}`]: alloc(),
    [`PUT /v1/client/allocation/${ALLOC_ID}/signal`]: {},
    [`PUT /v1/client/allocation/${ALLOC_ID}/restart`]: {},
    'PUT /v1/system/gc': null,
    'GET /v1/agent/self': { stats: { raft: { term: '3' }, client: { node_id: NODE_ID, known_servers: '1' } } },
  });
  t.equal(
    (await world.run('job', 'history', 'web')).out,
    `Version     = 1\nStable      = true\nSubmit Date = ${WHEN}\n\nVersion     = 0\nStable      = false\nSubmit Date = ${WHEN}\n`,
  );
  t.match(await world.run('job', 'history', '-version=9', 'web'), { code: 1, error: /no version 9 \(kept: 1, 0\)/ });
  t.match(JSON.parse((await world.run('job', 'inspect', '-version', '0', 'web')).out), {
    Job: { ID: 'web', Version: 0 },
  });
  t.equal((await world.run('inspect', '-hcl', 'web')).out, 'job "web" {}\n');
  t.equal((await world.run('alloc', 'signal', '-s', 'SIGHUP', 'a1', 'server')).code, 0);
  t.equal(world.bodies.at(-1), '{"Signal":"SIGHUP","Task":"server"}');
  t.match(await world.run('alloc', 'signal', 'a1', 'nobody'), { code: 1, error: /Could not find task named: nobody/ });
  t.equal((await world.run('alloc', 'restart', '-all-tasks', 'a1')).code, 0);
  t.equal(world.bodies.at(-1), '{"TaskName":"","AllTasks":true}');
  t.equal((await world.run('system', 'gc')).code, 0);
  t.equal(
    (await world.run('agent-info')).out,
    `client\n  known_servers = 1\n  node_id = ${NODE_ID}\nraft\n  term = 3\n`,
  );
});

t.test('logs and files come out as they are', async (t) => {
  const data = (text: string): string => JSON.stringify({ Data: Buffer.from(text).toString('base64') });
  const world = await createCliWorld(t, {
    'GET /v1/allocations': [alloc()],
    [`GET /v1/allocation/${ALLOC_ID}`]: alloc(),
    [`GET /v1/client/fs/logs/${ALLOC_ID}`]: (request: { url?: string }, response: { end(text: string): void }) =>
      response.end(data(request.url?.includes('type=stderr') ? 'bad\n' : '1\n2\n3\n')),
    [`GET /v1/client/fs/stat/${ALLOC_ID}`]: {
      Name: 'x',
      IsDir: false,
      Size: 3,
      FileMode: '-rw-r--r--',
      ModTime: '2026-05-01T10:00:00Z',
    },
    [`GET /v1/client/fs/stream/${ALLOC_ID}`]: (_: unknown, response: { end(text: string): void }) =>
      response.end(data('abc')),
  });
  t.equal((await world.run('alloc', 'logs', 'a1')).out, '1\n2\n3\n');
  t.equal((await world.run('alloc', 'logs', '-n', '1', 'a1')).out, '3\n');
  t.match(world.asked.at(-1), /task=server&type=stdout&follow=false&origin=end&offset=120$/);
  t.match(await world.run('alloc', 'logs', '-stderr', 'a1'), { out: 'bad\n', error: '', code: 0 });
  t.match(await world.run('logs', '-f', 'a1'), { out: '1\n2\n3\n', error: 'bad\n' });
  t.equal((await world.run('alloc', 'fs', 'a1', 'x')).out, 'abc');
  for (const argv of [
    ['alloc', 'logs', 'a1'],
    ['alloc', 'fs', 'a1', 'x'],
  ]) {
    t.match(await world.run(...argv, '-n', '-3'), { code: 1, error: /^-n must not be negative \(-3\)/ });
    t.match(await world.run(...argv, '-n', '3', '-c', '5'), { code: 1, error: /^-n and -c exclude each other/ });
  }
  t.equal(
    (await world.run('alloc', 'fs', '-stat', '-H', 'a1', 'x')).out,
    `${'Mode'.padEnd(10)}  Size  ${'Modified Time'.padEnd(WHEN.length)}  Content Type  Name\n-rw-r--r--  3     ${WHEN}  <none>        x\n`,
  );
});

t.test('deployments and evaluations, the newest first', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/deployments': [deployment(), deployment({ ID: 'd2b2c3d4', CreateIndex: 9, Status: 'failed' })],
    'GET /v1/evaluations': [evaluation()],
  });
  t.match(await world.run('deployment', 'status', '-monitor', '-json', 'd1b2'), {
    code: 1,
    error: /-monitor goes with neither -json nor -t/,
  });
  t.match((await world.run('deployment', 'status')).out, /^ID +Job ID[^\n]*\nd2b2c3d4 [^\n]*failed[^\n]*\nd1b2c3d4 /);
  t.equal(
    (await world.run('eval', 'status')).out,
    `ID        Priority  Triggered By  Job ID  Status    Placement Failures
e1b2c3d4  50        job-register  web     complete  false
`,
  );
});

t.test('an agent that cannot be reached is told with what to do', async (t) => {
  for (const [argv, message] of [
    [['-address=http://127.0.0.1:9'], /^no agent answers at 127.0.0.1:9: start one \("meshnomad agent -dev" to try\)/],
    [['-address=127.0.0.1:4646'], /is no address of an agent: write it as http:/],
    [['-address=http://none.invalid:1'], /the name in none.invalid:1 is not known/],
    [['-address=https://127.0.0.1:9', '-ca-cert=/none.pem'], /^cannot read \/none.pem: ENOENT/],
    [['-address=https://127.0.0.1:9', '-ca-path=/none'], /^cannot read \/none: ENOENT/],
    [
      ['-address=https://127.0.0.1:9', '-client-cert=package.json', '-client-key=package.json'],
      /^the certificate or key given cannot be used/,
    ],
  ] as const) {
    const { code, error } = await runCli(['status', ...argv]);
    t.equal(code, 1, argv.join(' '));
    t.match(error, message, argv.join(' '));
    t.notMatch(error, /defect/);
  }
  const world = await createCliWorld(t, {
    'GET /v1/jobs': (_: unknown, response: { destroy(): void }) => void response.destroy(),
    'GET /v1/nodes': (_: unknown, response: { end(text: string): void }) => void response.end('<html>'),
    'GET /v1/deployments': (
      _: unknown,
      response: { writeHead(status: number, headers: object): void; write(text: string): void; destroy(): void },
    ) => {
      response.writeHead(200, { 'Content-Length': '100' });
      response.write('[');
      setImmediate(() => response.destroy());
    },
  });
  t.match(await world.run('status'), { code: 1, error: /closed the connection before it answered/ });
  t.match(await world.run('node', 'status'), { code: 1, error: /not with JSON/ });
  t.match(await world.run('deployment', 'status'), {
    code: 1,
    error: /closed the connection in the middle of its answer/,
  });
  t.match(await runCli(['status', `-address=${world.address.replace('http', 'https')}`]), {
    code: 1,
    error: /does not speak https|closed the connection/,
  });
});

t.test('region, namespace, token and a path before the API go with every request', async (t) => {
  const world = await createCliWorld(t, {});
  let token: unknown;
  world.replies['GET /mesh/v1/jobs'] = (request: { headers: Record<string, unknown> }) => {
    token = [request.headers['x-nomad-token'], request.headers['authorization']];
    return [];
  };
  const { code } = await runCli(['job', 'status', '-namespace', '*', '-address', `${world.address}/mesh/`], {
    NOMAD_REGION: 'eu',
    NOMAD_NAMESPACE: 'ops',
    NOMAD_TOKEN: 's3',
    NOMAD_HTTP_AUTH: 'u:p',
  });
  t.equal(code, 0);
  t.strictSame(world.asked, ['GET /mesh/v1/jobs?region=eu&namespace=*']);
  t.strictSame(token, ['s3', 'Basic dTpw']);
});
