// What a user can get wrong, told plainly: a clear message, the right code, the agent alive, nothing lost.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { allocsOf, cli, eventually, jobJson, TestAgent } from '../support/mesh-agent.js';

const work = mkdtempSync(join(tmpdir(), 'meshnomad-bad-'));
t.teardown(() => rmSync(work, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(work, name);
  writeFileSync(path, text);
  return path;
}

/** A job file of one raw_exec task; the parts can be replaced. */
function hcl(parts: { job?: string; group?: string; task?: string; driver?: string; config?: string } = {}): string {
  return `job "bad" {
  ${parts.job ?? ''}
  group "g" {
    ${parts.group ?? ''}
    task "t" {
      driver = "${parts.driver ?? 'raw_exec'}"
      config {
        ${parts.config ?? 'command = "/bin/true"'}
      }
      ${parts.task ?? ''}
    }
  }
}
`;
}

const FILES: [string, string, RegExp][] = [
  ['an unclosed block', 'job "x" {\n  group "g" {\n', /bad\.hcl:\d+,\d+/],
  ['a misspelt attribute', hcl({ group: 'cuont = 2' }), /bad\.hcl:4,5[\s\S]*count/],
  ['a misspelt block', hcl({ group: 'taks "x" {}' }), /bad\.hcl:4[\s\S]*task/],
  ['a wrong type', hcl({ group: 'count = "many"' }), /bad\.hcl:4[\s\S]*number/i],
  ['an unknown variable', hcl({ group: 'count = var.n' }), /bad\.hcl:4,\d+[\s\S]*n/],
  [
    'a port out of range',
    hcl({ group: 'network {\n port "p" {\n static = 70000\n }\n }' }),
    /bad\.hcl:[\s\S]*70000|65535/,
  ],
  ['an unknown driver', hcl({ driver: 'raw_exce' }), /raw_exce[\s\S]*raw_exec/],
  ['a feature of a later version', hcl({ job: 'namespace = "prod"' }), /namespace[\s\S]*not supported yet/],
  ['an unknown key of the driver', hcl({ config: 'comand = "/bin/true"' }), /comand[\s\S]*command/],
  ['nothing at all', '', /job/i],
];

t.test('with an agent', { timeout: 240_000 }, async (t) => {
  const agent = await TestAgent.start();
  t.teardown(() => agent.dispose());
  await agent.register(jobJson('good'));
  const [good] = await allocsOf(agent, 'good', 'running', 1);

  for (const [what, text, expected] of FILES) {
    await t.test(`job run refuses ${what}`, async (t) => {
      const path = file('bad.hcl', text);
      const run = await agent.cli(['job', 'run', '-detach', path]);
      const said = run.out + run.err;
      // A driver's own keys are known to the client that has the driver: there the task fails, with the reason.
      if (run.code === 0 && what.includes('key of the driver')) {
        const alloc = await eventually('the task to fail', async () => {
          const allocs =
            await agent.get<
              { ID: string; TaskStates: Record<string, { Events: { DisplayMessage: string }[] }> | null }[]
            >('/v1/job/bad/allocations');
          return allocs.find(({ TaskStates }) => JSON.stringify(TaskStates ?? {}).includes('comand'));
        });
        t.match(JSON.stringify(alloc.TaskStates), expected);
        await agent.cli(['job', 'stop', '-purge', '-detach', 'bad']);
        return;
      }
      t.equal(run.code, 1, said);
      t.match(said, expected);
      t.notMatch(said, /\n {4}at /, 'no stack trace');
    });
  }

  await t.test('the API refuses what is no job', async (t) => {
    for (const [body, expected] of [
      ['{', /JSON/],
      ['[]', /object/],
      ['{}', /Job must be specified/],
      ['{"Job":{}}', /Job ID/],
      ['{"Job":{"ID":"x","TaskGroups":"none"}}', /TaskGroups/],
      ['{"Job":{"ID":"x","TaskGroups":[{"Name":"g","Tasks":[{"Name":"t","Driver":7}]}]}}', /Driver/],
    ] as const) {
      const { status, text } = await agent.put('/v1/jobs', body);
      t.equal(status, 400, `${body}: ${text}`);
      t.match(text, expected);
    }
    const huge = JSON.stringify({ Job: { ID: 'huge', Meta: { x: 'y'.repeat(9 * 1024 * 1024) } } });
    t.equal((await agent.put('/v1/jobs', huge)).status, 413, 'a body of 9 MB is refused before it is parsed');
  });

  await t.test('a job source of 2 MB is refused, and said so', async (t) => {
    const path = file('big.hcl', `${hcl()}\n# ${'x'.repeat(2 * 1024 * 1024)}\n`);
    const run = await agent.cli(['job', 'run', '-detach', path]);
    t.equal(run.code, 1);
    t.match(run.err, /1048576|1 ?MB|too large|exceeds/i);
  });

  await t.test('a task whose program is absent fails with its name', async (t) => {
    await agent.register(
      jobJson('absent', {
        type: 'batch',
        config: { command: '/no/such/program' },
        group: { RestartPolicy: { Attempts: 0, Mode: 'fail', Interval: 24 * 3600e9, Delay: 15e9 } },
      }),
    );
    const [alloc] = await allocsOf(agent, 'absent', 'failed', 1);
    t.match(JSON.stringify(alloc?.TaskStates), /\/no\/such\/program/);
  });

  await t.test('a second agent on the same port or the same data is refused', async (t) => {
    const other = mkdtempSync(join(work, 'other-'));
    const samePort = file(
      'same-port.hcl',
      `data_dir = "${other}"\nports {\n  http = ${agent.port}\n}\nserver {\n  enabled = true\n}\n`,
    );
    const first = await cli(['agent', '-config', samePort]);
    t.equal(first.code, 1);
    t.match(first.out + first.err, new RegExp(`port ${agent.port} .*in use`));
    const sameData = file(
      'same-data.hcl',
      `data_dir = "${agent.dir}/data"\nports {\n  http = 0\n  rpc = 0\n}\nserver {\n  enabled = true\n}\n`,
    );
    const second = await cli(['agent', '-config', sameData]);
    t.equal(second.code, 1);
    t.match(second.out + second.err, /in use by process \d+/);
  });

  await t.test('what job inspect prints can be run again', async (t) => {
    const inspected = await agent.cli(['job', 'inspect', 'good']);
    const again = await agent.cli(['job', 'run', '-detach', '-json', file('inspected.json', inspected.out)]);
    t.equal(again.code, 0, again.err);
    const job = await agent.get<{ Version: number }>('/v1/job/good');
    t.equal(job.Version, 0, 'and is no new version');
  });

  await t.test('the good job ran on through all of it', async (t) => {
    const [after] = await allocsOf(agent, 'good', 'running', 1);
    t.equal(after?.ID, good?.ID);
    t.equal(after?.TaskStates?.['t']?.Restarts, 0);
  });
});

t.test('a configuration with a mistake is refused with its place', async (t) => {
  for (const [text, expected] of [
    ['data_dir = "/tmp/x"\nsevrer {\n  enabled = true\n}\n', /bad-agent\.hcl:2,1[\s\S]*server/],
    ['data_dir = [7, 8]\n', /bad-agent\.hcl:1/],
    ['ports {\n  htpp = 1\n}\n', /bad-agent\.hcl:2,3[\s\S]*http/],
    ['server {\n', /bad-agent\.hcl:/],
    ['{"data_dir": {"a": 7}}', /bad-agent\.hcl:1/],
    ['data_dir = "/tmp/x"\n', /nothing to do: set server \{ enabled = true \}/],
  ] as const) {
    const path = file('bad-agent.hcl', text);
    for (const command of [
      ['agent', '-config', path],
      ['config', 'validate', path],
    ]) {
      const run = await cli(command);
      t.equal(run.code, 1, `${command[0]}: ${run.out}${run.err}`);
      t.match(run.out + run.err, expected);
      t.notMatch(run.out + run.err, /\n {4}at /, 'no stack trace');
    }
  }
  const nowhere = await cli(['agent', '-config', join(work, 'absent.hcl')]);
  t.equal(nowhere.code, 1);
  t.match(nowhere.out + nowhere.err, /absent\.hcl/);
});

t.test('a data directory of another version is refused', async (t) => {
  const agent = await TestAgent.start({ roles: { client: false } });
  t.teardown(() => agent.dispose());
  await agent.register(jobJson('kept', { count: 0 }));
  await agent.terminate();
  // The first segment of the log, with the version in its head raised.
  const { readdirSync, readFileSync } = await import('node:fs');
  const folder = join(agent.dir, 'data/server/raft/log');
  const [segment] = readdirSync(folder).sort();
  const path = join(folder, segment as string);
  const bytes = readFileSync(path);
  const raised = Buffer.from(bytes);
  raised.fill(0xfe, 8, 12);
  writeFileSync(path, raised);
  const refused = await cli(['agent', '-config', join(agent.dir, 'agent.hcl')]);
  t.equal(refused.code, 1, refused.out + refused.err);
  t.match(refused.out + refused.err, /version|damaged/);
  writeFileSync(path, bytes);
  agent.launch();
  await agent.ready();
  t.equal((await agent.get<unknown[]>('/v1/jobs')).length, 1, 'and nothing of it was touched');
});

t.test(
  'a full disk refuses writes, and takes them again when there is room',
  { skip: process.getuid?.() === 0 ? false : 'only root can mount a small disk', timeout: 120_000 },
  async (t) => {
    const disk = join(work, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk]);
    t.teardown(() => execFileSync('umount', ['-l', disk]));
    const dataDir = join(disk, 'agent');
    mkdirSync(dataDir);
    const agent = await TestAgent.start({ roles: { client: false }, dataDir });
    t.teardown(() => agent.dispose());
    const filler = join(disk, 'filler');
    await agent.register(jobJson('before', { count: 0 }));
    execFileSync('sh', ['-c', `dd if=/dev/zero of=${filler} bs=64k 2>/dev/null || true`]);
    const big = { Meta: { filler: 'x'.repeat(500_000) } };
    const acknowledged: string[] = [];
    let refusal = '';
    for (let i = 0; i < 100 && refusal === ''; i++) {
      const { status, text } = await agent.put('/v1/jobs', jobJson(`full-${i}`, { count: 0, group: big }));
      if (status === 200) acknowledged.push(`full-${i}`);
      else refusal = `${status} ${text}`;
    }
    t.match(refusal, /^500 .*(space|disk|full)/i);
    t.ok((await fetch(`${agent.address}/v1/jobs`)).ok, 'it still answers');
    rmSync(filler);
    await eventually('writes to work again', async () =>
      (await agent.put('/v1/jobs', jobJson('after', { count: 0 }))).status === 200 ? true : undefined,
    );
    await agent.kill();
    agent.launch();
    await agent.ready();
    const ids = new Set((await agent.get<{ ID: string }[]>('/v1/jobs')).map(({ ID }) => ID));
    for (const id of ['before', ...acknowledged, 'after']) t.ok(ids.has(id), `${id} is there`);
  },
);
