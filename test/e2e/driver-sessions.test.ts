// What a person does with a running task, on every driver: a command inside by pipe and by terminal, an action of the job,
// and the agent killed in between.
import t, { type Test } from 'tap';
import { getEngine, importBusybox } from '../support/dockerd.js';
import { removeCgroup } from '../support/leftovers.js';
import { allocsOf, eventually, jobJson, MESHNOMAD, TestAgent } from '../support/mesh-agent.js';
import { startPodman } from '../support/podman.js';

const IMAGE = 'localhost/meshnomad-test:1';
const CGROUP = `meshnomad-e2e-${process.pid}`;
const SCRIPT = 'trap "echo asked; exit 0" INT TERM USR1; i=0; while :; do i=$((i+1)); echo beat $i; sleep 0.1; done';

const [docker, podman] = [await getEngine(), await startPodman()];
t.teardown(async () => {
  for (const engine of [docker, podman]) if (!('missing' in engine)) await engine.stop();
  removeCgroup(CGROUP);
});
const missing =
  process.getuid?.() === 0 ? [docker, podman].flatMap((e) => ('missing' in e ? [e.missing] : [])) : ['root'];

const sh = { command: '/bin/sh', args: ['-c', SCRIPT] };
const inImage = { image: IMAGE, network_mode: 'none', ...sh };
const DRIVERS: Record<string, object> = { raw_exec: sh, exec: sh, docker: inImage, podman: inImage };

const skip = missing.length > 0 ? `needs ${missing.join(', ')}` : false;
t.test('people reach into tasks of every driver', { skip, timeout: 240_000 }, async (t) => {
  if ('missing' in docker || 'missing' in podman) return;
  await Promise.all([docker, podman].map((engine) => importBusybox(engine, IMAGE)));
  const config = [
    `plugin "docker" {\n  config {\n    endpoint = "${docker.endpoint}"\n  }\n}`,
    `plugin "podman" {\n  config {\n    socket_path = "${podman.endpoint}"\n  }\n}`,
    `plugin "exec" {\n  config {\n    cgroup_parent = "${CGROUP}"\n  }\n}`,
  ];
  const agent = await TestAgent.start({ config: config.join('\n') });
  t.teardown(() => agent.dispose());
  const allocs = await startJobs(agent);

  for (const [driver, alloc] of Object.entries(allocs)) {
    await t.test(`${driver}: a command by pipe, an action, a terminal`, async (t) => {
      const piped = await agent.cli(['alloc', 'exec', alloc, '/bin/sh', '-c', 'cat; echo err >&2; exit 3'], {
        input: 'from here\n',
      });
      t.same(piped, { code: 3, out: 'from here\n', err: 'err\n' });
      const absent = await agent.cli(['alloc', 'exec', alloc, '/bin/absent']);
      t.not(absent.code, 0);
      t.match(absent.out + absent.err, /\/bin\/absent/);
      t.notMatch(absent.out + absent.err, /defect/);
      const action = await agent.cli(['action', `-job=${jobOf(driver)}`, 'greet'], { input: 'x\n' });
      t.match(action, { code: 4, out: `hello t of ${jobOf(driver)}: x\n` });
      await terminal(t, agent, alloc);
    });
  }

  const listed = await agent.get<object[]>(`/v1/job/${jobOf('exec')}/actions`);
  t.match(listed, [{ Name: 'greet', Command: '/bin/sh', JobID: jobOf('exec'), TaskGroupName: 'g', TaskName: 't' }]);
  const wrong = await agent.cli(['action', `-job=${jobOf('exec')}`, 'gret']);
  t.match(wrong, { code: 1, err: /no such action "gret" \(it has: g\/t greet\)/ });

  await agent.kill();
  agent.launch();
  await agent.ready();
  for (const [driver, alloc] of Object.entries(allocs)) {
    await t.test(
      `${driver}: the same task after the agent was killed, and the signal of its job ends it`,
      async (t) => {
        const before = await beats(agent, alloc);
        await eventually(`${driver} to go on`, async () =>
          (await beats(agent, alloc)).length > before.length + 3 ? true : undefined,
        );
        const all = await beats(agent, alloc);
        t.same(
          all,
          all.map((_, i) => `beat ${i + 1}`),
          'no line is lost, none is there twice',
        );
        await agent.cli(['job', 'stop', '-detach', jobOf(driver)]);
        await allocsOf(agent, jobOf(driver), 'complete', 1);
        const text = (await agent.cli(['alloc', 'logs', alloc])).out;
        t.ok(text.endsWith('asked\n'), 'it was asked, not killed');
      },
    );
  }
});

const jobOf = (driver: string): string => `on-${driver.replace('_', '-')}`;

async function startJobs(agent: TestAgent): Promise<Record<string, string>> {
  for (const [driver, config] of Object.entries(DRIVERS)) {
    await eventually(`driver ${driver} to be healthy`, async () => {
      const [node] = await agent.get<{ Drivers: Record<string, { Healthy: boolean }> }[]>('/v1/nodes');
      return node?.Drivers[driver]?.Healthy || undefined;
    });
    const greet = {
      Name: 'greet',
      Command: '/bin/sh',
      Args: ['-c', 'read x; echo "hello ${NOMAD_TASK_NAME} of $NOMAD_JOB_NAME: $x"; exit 4'],
    };
    const task = { KillSignal: 'SIGUSR1', KillTimeout: 20e9, Actions: [greet], Resources: { CPU: 20, MemoryMB: 32 } };
    await agent.register(jobJson(jobOf(driver), { driver, config, task }));
  }
  const result: Record<string, string> = {};
  for (const driver of Object.keys(DRIVERS)) {
    const [alloc] = await allocsOf(agent, jobOf(driver), 'running', 1);
    result[driver] = alloc?.ID ?? '';
    await eventually(`${driver} to print`, async () =>
      (await beats(agent, alloc?.ID ?? '')).length > 0 ? true : undefined,
    );
  }
  return result;
}

async function beats(agent: TestAgent, alloc: string): Promise<string[]> {
  const { out } = await agent.cli(['alloc', 'logs', alloc]);
  return out.split('\n').filter((line) => line.startsWith('beat'));
}

/** A session as at a screen: the command sees a terminal of its size, and of its new size. */
async function terminal(t: Test, agent: TestAgent, alloc: string): Promise<void> {
  const pty = await import('@lydell/node-pty').catch(() => undefined);
  if (!pty) return t.comment('node-pty is not installed');
  const script = 'until [ "$(stty size)" = "44 111" ]; do stty size; sleep 0.1; done; echo seen; exit 5';
  const screen = pty.spawn(process.execPath, [MESHNOMAD, 'alloc', 'exec', alloc, '/bin/sh', '-c', script], {
    cols: 99,
    rows: 33,
    env: { ...process.env, NOMAD_ADDR: agent.address } as Record<string, string>,
  });
  let text = '';
  screen.onData((data) => {
    text += data;
  });
  const ended = new Promise<number>((resolve) => screen.onExit(({ exitCode }) => resolve(exitCode)));
  await eventually('the first size', () => text.includes('33 99') || undefined);
  screen.resize(111, 44);
  t.equal(await ended, 5);
  t.match(text, /seen\r+\n/);
}
