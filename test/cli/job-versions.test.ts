import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createHttpServer } from '../../lib/http/server.js';
import { localCaller } from '../../lib/transport/local.js';
import { silentLog } from '../../lib/util/log.js';
import { createTestWorld, type TestWorld } from '../server/world.js';
import { type Ran, runCli } from './world.js';

interface Stack extends TestWorld {
  address: string;
  /** Writes the job file anew and runs a command line, in which FILE stands for it. */
  run(job: string, ...argv: string[]): Promise<Ran>;
  env: Record<string, string>;
  /** The node's client starts what it should, and finds it healthy. */
  obeyed(): Promise<void>;
}

/** The command line, the HTTP API and a server with one node, in this process. */
async function createStack(t: Test): Promise<Stack> {
  const world = createTestWorld();
  const node = await world.addNode(1);
  const agent = {
    version: '1.2.3',
    self: () => ({ config: { Region: 'global' }, stats: {} }),
    members: () => ({ Members: [] }),
    health: () => ({ server: { ok: true, message: 'ok' }, client: null }),
    net: () => null,
    leave: async () => ({ ok: true as const, value: undefined }),
    servers: () => [],
    metrics: () => [],
    followLog: () => {},
    reload: async () => ({ ok: true as const, value: [] }),
  };
  const http = createHttpServer({ rpc: localCaller(world.server.handlers, {}), log: silentLog, agent });
  const port = await http.listen({ host: '127.0.0.1', port: 0 });
  const dir = mkdtempSync(join(tmpdir(), 'meshnomad-versions-'));
  t.teardown(async () => {
    rmSync(dir, { recursive: true });
    await http.close();
  });
  const file = join(dir, 'web.nomad.hcl');
  const stack: Stack = {
    ...world,
    address: `http://127.0.0.1:${port}`,
    env: {},
    obeyed: () => world.obey(node),
    async run(job, ...argv) {
      writeFileSync(file, job);
      const words = argv.map((word) => (word === 'FILE' ? file : word));
      const ran = await runCli(words, { NOMAD_ADDR: stack.address, ...stack.env });
      return { ...ran, out: ran.out.replaceAll(file, 'FILE'), error: ran.error.replaceAll(file, 'FILE') };
    },
  };
  return stack;
}

const webJob = ({ count = 1, image = 'one', more = '' } = {}): string => `variable "tag" {
  default = "none"
}
job "web" {
  group "front" {
    count = ${count}
    ${more}
    task "server" {
      driver = "mock_driver"
      config {
        image = "${image}:\${var.tag}"
      }
    }
  }
}
`;

t.test('job plan tells a new job, an unchanged one, and what a change forces', async (t) => {
  const stack = await createStack(t);
  const fresh = await stack.run(webJob(), 'job', 'plan', '-var', 'tag=a b', 'FILE');
  t.equal(fresh.code, 1, fresh.error);
  t.equal(
    fresh.out,
    `+ Job: "web"
+ Task Group: "front" (1 create)
  + Task: "server" (forces create)

Scheduler dry-run:
- All tasks successfully allocated.

Job Modify Index: 0
To submit the job with version verification run:

meshnomad job run -check-index 0 -var="tag=a b" FILE

When running the job with the check-index flag, the job will only be run if the
job modify index given matches the server-side version. If the index has
changed, another user has modified the job and the plan's results are
potentially invalid.
`,
  );
  t.equal((await stack.run(webJob(), 'job', 'run', '-detach', 'FILE')).code, 0);
  await stack.time.advance(1000);
  await stack.obeyed();
  await stack.time.advance(5000);
  const same = await stack.run(webJob(), 'job', 'plan', 'FILE');
  t.equal(same.code, 0);
  t.ok(
    same.out.startsWith('Job: "web"\nTask Group: "front" (1 ignore)\n  Task: "server"\n\nScheduler dry-run:\n'),
    same.out,
  );
  const changed = await stack.run(webJob({ count: 2, image: 'two' }), 'job', 'plan', 'FILE');
  t.equal(changed.code, 1);
  t.ok(
    changed.out.startsWith(`+/- Job: "web"
+/- Task Group: "front" (1 create, 1 ignore)
  +/- Count: "1" => "2" (forces create)
  +/- Task: "server" (forces create/destroy update)
    +/- Config {
      +/- image: "one:none" => "two:none"
        }

Scheduler dry-run:
`),
    changed.out,
  );
  t.notMatch((await stack.run(webJob({ count: 2 }), 'job', 'plan', '-diff=false', 'FILE')).out, /Job: "web"/);
  const verbose = await stack.run(
    webJob({ more: 'meta {\n a = "b"\n }' }),
    'job',
    'plan',
    '-verbose',
    '-force-color',
    'FILE',
  );
  t.match(verbose.out, '\u001b[32m+\u001b[0m Meta[a]: "b"');
  const data = await stack.run(webJob({ count: 2 }), 'job', 'plan', '-json-output', 'FILE');
  t.match(JSON.parse(data.out), { Diff: { Type: 'Edited', ID: 'web' } });
  t.equal((await stack.run(webJob(), 'job', 'plan', '-t', '{{.Diff.Type}}', 'FILE')).out, 'None\n');
});

t.test('the plan of a periodic job tells its next launch', async (t) => {
  const stack = await createStack(t);
  const periodic = webJob({ image: 'x' }).replace(
    'job "web" {',
    'job "web" {\n  type = "batch"\n  periodic {\n    crons = ["30 3 * * *"]\n  }',
  );
  const plan = JSON.parse((await stack.run(periodic, 'job', 'plan', '-json-output', 'FILE')).out);
  t.match(plan.NextPeriodicLaunch, /T03:30:00/);
  t.match(plan.Diff, { Type: 'Added', Objects: [{ Name: 'Datacenters' }, { Name: 'Periodic' }] });
  const still = JSON.parse((await stack.run(webJob(), 'job', 'plan', '-json-output', 'FILE')).out);
  t.equal(still.NextPeriodicLaunch, '0001-01-01T00:00:00Z');
  t.notMatch((await stack.run(webJob(), 'job', 'plan', 'FILE')).out, /next periodic launch/);
  t.match(
    (await stack.run(periodic, 'job', 'plan', 'FILE')).out,
    /- If submitted now, next periodic launch would be at \S+ \(\S+ (ago|from now)\)\./,
  );
});

t.test('a plan always has a diff, asked for or not', async (t) => {
  const stack = await createStack(t);
  const reply = await fetch(`${stack.address}/v1/job/web/plan`, {
    method: 'PUT',
    body: JSON.stringify({
      Job: { ID: 'web', TaskGroups: [{ Name: 'g', Tasks: [{ Name: 't', Driver: 'mock_driver' }] }] },
    }),
  });
  t.match(await reply.json(), {
    Diff: { Type: 'Added', ID: 'web', Fields: null, Objects: null, TaskGroups: null },
    Annotations: { DesiredTGUpdates: { g: { Place: 1 } } },
  });
});

t.test('check-index lets a job pass that nobody has changed meanwhile', async (t) => {
  const stack = await createStack(t);
  t.equal((await stack.run(webJob(), 'job', 'run', '-detach', '-check-index', '0', 'FILE')).code, 0);
  const again = await stack.run(webJob({ count: 2 }), 'job', 'run', '-detach', '-check-index', '0', 'FILE');
  t.equal(again.code, 1);
  t.match(again.error, /Enforcing job modify index 0: job already exists[^\n]*\nJob not updated\n$/);
  const index = stack.store.snapshot().jobById('default', 'web')?.JobModifyIndex ?? 0;
  t.equal(
    (await stack.run(webJob({ count: 2 }), 'job', 'run', '-detach', '-check-index', String(index), 'FILE')).code,
    0,
  );
  const kept = await stack.run(webJob({ count: 1, image: 'x' }), 'job', 'run', '-detach', '-preserve-counts', 'FILE');
  t.equal(kept.code, 0);
  t.equal(stack.store.snapshot().jobById('default', 'web')?.TaskGroups[0]?.Count, 2);
});

t.test('versions are told with what they changed, named, gone back to, and forgotten', async (t) => {
  const stack = await createStack(t);
  for (const [count, image] of [
    [1, 'one'],
    [1, 'two'],
    [3, 'two'],
  ] as const) {
    t.equal((await stack.run(webJob({ count, image }), 'job', 'run', '-detach', 'FILE')).code, 0);
  }
  const history = (await stack.run('', 'job', 'history', '-p', 'web')).out;
  t.match(
    history,
    `Diff        = 
+/- Job: "web"
+/- Task Group: "front"
  +/- Count: "1" => "3"
      Task: "server"

Version     = 1`,
  );
  t.match(
    history,
    /image: "one:none" => "two:none"\n {8}\}\n\nVersion {5}= 0\nStable {6}= false\nSubmit Date = [^\n]+\n$/,
  );

  const tagged = await stack.run(
    '',
    'job',
    'tag',
    'apply',
    '-name',
    'golden',
    '-description',
    'works',
    '-version',
    '0',
    'web',
  );
  t.equal(tagged.out, 'Job version 0 tagged with name "golden"\n', tagged.error);
  const against = (await stack.run('', 'job', 'history', '-p', '-diff-tag', 'golden', '-version', '2', 'web')).out;
  t.match(against, /Count: "1" => "3"[\s\S]*image: "one:none" => "two:none"/);
  t.match(
    (await stack.run('', 'job', 'history', '-version', '0', 'web')).out,
    /Tag Name {8}= golden\nTag Description = works/,
  );
  t.match(await stack.run('', 'job', 'history', '-p', '-diff-tag', 'silver', 'web'), {
    code: 1,
    error: /tag "silver" not found/,
  });
  t.match(await stack.run('', 'job', 'history', '-p', '-diff-version', '9', 'web'), {
    code: 1,
    error: /version 9 not found/,
  });
  t.match(await stack.run('', 'job', 'history', '-diff-version', '1', 'web'), {
    code: 1,
    error: /only be used with -p/,
  });
  t.match(await stack.run('', 'job', 'history', '-p', '-json', 'web'), { code: 1, error: /exclusive/ });
  t.match(
    (await stack.run('', 'job', 'history', '-full', '-version', '0', 'web')).out,
    /Full[^\n]*= JSON Job:\n\{\n {4}"ID": "web"/,
  );
  t.match(await stack.run('', 'job', 'tag', 'apply', '-name', 'golden', 'web'), {
    code: 1,
    error: /tag "golden" already exists on a different version/,
  });
  t.match(await stack.run('', 'job', 'tag', 'apply', 'web'), { code: 1, error: /A version tag name is required/ });

  const reverted = await stack.run('', 'job', 'revert', '-detach', 'web', 'golden');
  t.match(reverted, { code: 0, out: /^Evaluation ID: \S+\n$/ });
  t.match(stack.store.snapshot().jobById('default', 'web'), {
    Version: 3,
    VersionTag: null,
    TaskGroups: [{ Count: 1 }],
  });
  t.match(await stack.run('', 'job', 'revert', 'web', '3'), { code: 1, error: /can't revert to current version/ });
  t.match(await stack.run('', 'job', 'revert', 'web', 'silver'), { code: 1, error: /its tags are golden/ });
  t.match(await stack.run('', 'job', 'revert', 'web'), { code: 1, error: /takes 2 arguments: <job> <version\|tag>/ });

  t.equal(
    (await stack.run('', 'job', 'tag', 'unset', '-name', 'golden', 'web')).out,
    'Tag "golden" removed from job "web"\n',
  );
  t.match(await stack.run('', 'job', 'tag', 'unset', '-name', 'golden', 'web'), {
    code: 1,
    error: /tag "golden" not found on job "web"/,
  });
});

t.test('what was handed in is kept: source, format and all variables, those of the environment too', async (t) => {
  const stack = await createStack(t);
  stack.env = { NOMAD_VAR_tag: 'from-env', NOMAD_VAR_other: 'ignored' };
  const source = webJob();
  t.equal((await stack.run(source, 'job', 'run', '-detach', 'FILE')).code, 0);
  t.strictSame(stack.store.snapshot().jobSubmission('default', 'web', 0), {
    Source: source,
    Format: 'hcl2',
    VariableFlags: { tag: 'from-env' },
    Variables: '',
  });
  t.equal((await stack.run('', 'job', 'inspect', '-hcl', 'web')).out, source);
  t.match(JSON.parse((await stack.run('', 'job', 'inspect', 'web')).out), {
    Job: { TaskGroups: [{ Tasks: [{ Config: { image: 'one:from-env' } }] }] },
  });
  const output = JSON.parse((await stack.run(source, 'job', 'run', '-output', 'FILE')).out);
  t.equal(output.Job.Region, null, 'no default is filled in');
  t.equal((await stack.run(JSON.stringify(output), 'job', 'run', '-detach', '-json', 'FILE')).code, 0);
  t.equal(stack.store.snapshot().jobById('default', 'web')?.Version, 0, 'the JSON is the same job');
});

t.test('the API tells where in the source an error is, when it has the source', async (t) => {
  const stack = await createStack(t);
  const source =
    'job "web" {\n  group "g" {\n    count = -1\n    task "t" {\n      driver = "docker"\n      vault {}\n    }\n  }\n}\n';
  const ask = async (path: string, body: object): Promise<string> => {
    const reply = await fetch(`${stack.address}${path}`, { method: 'PUT', body: JSON.stringify(body) });
    return reply.text();
  };
  const Job = JSON.parse(await ask('/v1/jobs/parse', { JobHCL: source })) as object;
  const told = JSON.parse(await ask('/v1/validate/job', { Job, Submission: { Source: source, Format: 'hcl2' } }));
  t.match(told.ValidationErrors, [
    /^job\.hcl:3,5-15: .*count must not be negative/,
    /^job\.hcl:6,7-12: `vault` cannot/,
  ]);
  t.match(await ask('/v1/jobs', { Job, Submission: { Source: source, Format: 'hcl2' } }), /job\.hcl:3,5-15/);
  t.match(JSON.parse(await ask('/v1/validate/job', { Job })).ValidationErrors, [
    /^Task group g validation failed: count/,
  ]);
  const wrong = await ask('/v1/jobs/parse', { JobHCL: source.replace('count', 'cuont').replace('driver', 'dirver') });
  t.match(wrong, /input\.hcl:3,5-10: .*Did you mean "count"\?\n {2}3: {5}cuont = -1\n {9}\^{5}\n/);
  t.match(wrong, /\ninput\.hcl:5,7-13: .*Did you mean "driver"\?\n/);
});
