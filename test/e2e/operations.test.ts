// What the leader does of itself and on request, through the command line against an agent as a user runs it.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { AllocListStub, JobListStub } from '../../lib/structs/rpc.js';
import { cli, eventually, MESHNOMAD, TestAgent } from '../support/mesh-agent.js';

const task = (name: string, script: string, more = ''): string => `task "${name}" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args    = ["-c", ${JSON.stringify(script)}]
      }
      ${more}
    }`;

const JOBS = {
  night: `job "night" {
  type = "batch"
  periodic {
    cron      = "0 3 * * *"
    time_zone = "Europe/Berlin"
  }
  group "g" {
    ${task('t', 'echo launched')}
  }
}`,
  render: `job "render" {
  type = "batch"
  parameterized {
    payload       = "required"
    meta_required = ["input"]
  }
  group "g" {
    ${task('t', 'cp local/in.txt "$OUT"; echo "$NOMAD_META_input" >> "$OUT"', 'dispatch_payload {\n file = "in.txt"\n }\n env {\n OUT = "OUTFILE"\n }')}
  }
}`,
  web: `job "web" {
  group "g" {
    count = 1
    update {
      min_healthy_time = "0s"
    }
    ${task('t', 'trap "exit 0" TERM; while :; do sleep 0.1; done')}
  }
}`,
};

t.test('periodic force, dispatch, scale, restart and drain', { timeout: 240_000 }, async (t) => {
  const agent = await TestAgent.start();
  t.teardown(() => agent.dispose());
  const dir = mkdtempSync(join(tmpdir(), 'meshnomad-operations-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const out = join(dir, 'out.txt');
  for (const [name, text] of Object.entries(JOBS)) {
    writeFileSync(join(dir, `${name}.hcl`), text.replace('OUTFILE', out));
  }
  const heard = follow(t, agent, ['monitor']);
  const heardGrave = follow(t, agent, ['monitor', '-log-level=error']);
  const heardOnNode = follow(t, agent, ['monitor', '-json', '-node-id', await onlyNode(agent)]);
  const run = async (...args: string[]): Promise<string> => {
    const ran = await cli(args, { env: { NOMAD_ADDR: agent.address } });
    t.equal(ran.code, 0, `${args.join(' ')}: ${ran.err}${ran.code === 0 ? '' : ran.out}`);
    return ran.out;
  };
  const refused = async (...args: string[]): Promise<string> => {
    const ran = await cli(args, { env: { NOMAD_ADDR: agent.address } });
    t.equal(ran.code, 1, args.join(' '));
    return ran.err;
  };
  const live = async (): Promise<AllocListStub[]> =>
    (await agent.get<AllocListStub[]>('/v1/job/web/allocations')).filter(
      ({ ClientStatus, DesiredStatus }) => ClientStatus === 'running' && DesiredStatus === 'run',
    );

  await t.test('periodic force', async (t) => {
    t.match(await run('job', 'run', join(dir, 'night.hcl')), /Job registration successful/);
    await run('job', 'periodic', 'force', 'night');
    const jobs = await agent.get<JobListStub[]>('/v1/jobs?prefix=night/periodic-');
    t.equal(jobs.length, 1);
    await eventually('the launch to end', async () => {
      const [job] = await agent.get<JobListStub[]>('/v1/jobs?prefix=night/periodic-');
      return job?.Status === 'dead' || undefined;
    });
  });

  await t.test('dispatch with a payload', async (t) => {
    await run('job', 'run', join(dir, 'render.hcl'));
    const input = join(dir, 'input.txt');
    writeFileSync(input, 'a payload\n');
    t.match(await refused('job', 'dispatch', '-meta', 'input=x', 'render'), /Payload is not provided/);
    const text = await run('job', 'dispatch', '-meta', 'input=a frame', '-idempotency-token', 'one', 'render', input);
    t.match(text, /Dispatched Job ID = render\/dispatch-\d+-[0-9a-f]{8}\nEvaluation ID {5}= [0-9a-f]{8}\n/);
    const written = await eventually('the task to write', () => {
      const found = readFileSync(out, 'utf8');
      return found.includes('a frame') ? found : undefined;
    });
    t.equal(written, 'a payload\na frame\n');
    const again = await run('job', 'dispatch', '-meta', 'input=b', '-idempotency-token', 'one', 'render', input);
    t.equal(again.split('\n')[0], text.split('\n')[0]);
  });

  await t.test('scale, restart', async (t) => {
    await run('job', 'run', join(dir, 'web.hcl'));
    await run('job', 'scale', 'web', '2');
    await eventually('two to run', async () => (await live()).length === 2 || undefined);
    t.match(await run('job', 'scaling-events', 'web'), /Task Group {2}Count {2}PrevCount {2}Date\ng {11}2 {6}1/);
    t.match(await refused('job', 'scale', 'web', 'nothing', '3'), /does not exist/);
    await eventually('the roll-out to be over', async () =>
      (await run('job', 'deployments', 'web')).includes('running') ? undefined : true,
    );
    t.match(await run('job', 'restart', '-batch-size=50%', 'web'), /Job restarted successfully!/);
    t.match(await run('job', 'allocs', 'web'), /running/);
    t.match(await run('job', 'deployments', 'web'), /successful/);
  });

  await t.test('drain and back', async (t) => {
    const [node] = await agent.get<{ ID: string }[]>('/v1/nodes');
    const id = node?.ID ?? '';
    t.match(await refused('node', 'drain', '-enable', '-disable', id), /Exactly one of/);
    const text = await run('node', 'drain', '-enable', '-force', '-m', 'new disk', id);
    t.match(text, /drain strategy set[\s\S]*Drain complete[\s\S]*have stopped/);
    t.equal((await live()).length, 0);
    t.match(await refused('node', 'eligibility', '-self'), /-enable.*-disable/);
    t.match(await run('node', 'eligibility', '-enable', '-self'), /scheduling eligibility set: eligible/);
    await eventually('the work to come back', async () => (await live()).length === 2 || undefined);
  });

  await t.test('its log is followed, here and by way of a node', async (t) => {
    await eventually('both to hear of a launch', async () => {
      await run('job', 'periodic', 'force', '-detach', 'night');
      const line = /Z \[INFO\] {2}server\.periodic: launched: /.test(heard());
      return (line && heardOnNode().includes('"@message":"launched"')) || undefined;
    });
    t.equal(heardGrave(), '', 'nothing was that grave');
  });

  await t.test('the rest of what an operator asks', async (t) => {
    t.match(await run('server', 'members'), /Name +Address +Port +Status +Leader[\s\S]*alive +true/);
    t.match(await run('operator', 'scheduler', 'get-config'), /Scheduler Algorithm +=/);
    await run('operator', 'scheduler', 'set-config', '-scheduler-algorithm=spread', '-preempt-system-scheduler=false');
    t.match(await run('operator', 'scheduler', 'get-config'), /= spread[\s\S]*System Scheduler +=/);
    const pool = join(dir, 'pool.hcl');
    await run('node', 'pool', 'init', pool);
    t.match(await run('node', 'pool', 'apply', pool), /Successfully applied node pool "example"!/);
    t.match(await run('node', 'pool', 'info', 'example'), /environment = prod/);
    t.match(await run('node', 'pool', 'list'), /all[\s\S]*default[\s\S]*example/);
    t.match(await run('node', 'pool', 'delete', 'example'), /deleted/);
    t.match(await run('eval', 'list', '-per-page=1'), /Results have been paginated/);
    await run('system', 'reconcile', 'summaries');
    t.match(await refused('deployment', 'promote', 'ffffffff'), /No deployment/);
  });
});

/** What a command that goes on prints meanwhile. */
function follow(t: import('tap').Test, agent: TestAgent, args: string[]): () => string {
  const child = spawn(process.execPath, [MESHNOMAD, ...args], {
    env: { ...process.env, NOMAD_ADDR: agent.address },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk;
  });
  return () => text;
}

function onlyNode(agent: TestAgent): Promise<string> {
  return eventually('the node', async () => (await agent.get<{ ID: string }[]>('/v1/nodes'))[0]?.ID);
}
