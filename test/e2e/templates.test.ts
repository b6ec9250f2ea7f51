// What a person keeps in variables and registers as services reaches files and variables of tasks, also when no server is there.
import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { type AllocStub, allocsOf, eventually, jobJson, TestAgent } from '../support/mesh-agent.js';

const template = (EmbeddedTmpl: string, more: object): object => ({
  EmbeddedTmpl,
  ChangeMode: 'noop',
  Splay: 0,
  Wait: { Min: 0, Max: 0 },
  ...more,
});

const SHOWS = 'echo "secret=$SECRET"; exec sleep 3600';

t.test(
  'variables and services reach a task, and a machine without servers starts it again',
  { timeout: 180_000 },
  async (t) => {
    const server = await TestAgent.start({ roles: { client: false } });
    t.teardown(() => server.dispose());
    const client = await TestAgent.start({
      roles: { server: false },
      config: `client {\n  servers = ["127.0.0.1:${server.rpcPort}"]\n}\n`,
    });
    t.teardown(() => client.dispose());
    const Templates = [
      template('SECRET={{ with nomadVar "nomad/jobs/tpl" }}{{ .secret }}{{ end }}\n', {
        DestPath: 'secrets/env',
        Envvars: true,
        ChangeMode: 'restart',
      }),
      template(
        '{{ range nomadService "db" }}{{ .Name }} {{ .Port }} {{ index .Tags 0 }}{{ end }}|{{ range nomadVarList }}{{ .Path }}{{ end }}',
        { DestPath: 'local/services' },
      ),
    ];
    await server.register(
      jobJson('tpl', {
        config: { command: '/bin/sh', args: ['-c', SHOWS] },
        task: { Templates },
        group: { RestartPolicy: { Attempts: 5, Interval: 60e9, Delay: 1e9, Mode: 'fail' } },
      }),
    );
    const alloc = await eventually('an allocation that waits', async () => {
      const [found] = await server.get<AllocStub[]>('/v1/job/tpl/allocations');
      const told = found?.TaskStates?.['t']?.Events.some(
        ({ DisplayMessage }) => DisplayMessage === 'Template is waiting for: nomadVar(nomad/jobs/tpl)',
      );
      return told ? found : undefined;
    });
    const log = (text: string): Promise<void> =>
      eventually(text, async () =>
        (await server.cli(['alloc', 'logs', alloc.ID])).out.endsWith(text) ? true : undefined,
      ).then(() => {});
    const dir = join(client.dir, 'data/alloc', alloc.ID, 't');
    const file = (text: string): Promise<void> =>
      eventually(text, () => (readFileSync(join(dir, 'local/services'), 'utf8') === text ? true : undefined)).then(
        () => {},
      );

    t.equal((await server.cli(['var', 'put', 'nomad/jobs/tpl', 'secret=one'])).code, 0);
    await allocsOf(server, 'tpl', 'running', 1);
    await log('secret=one\n');
    await file('|nomad/jobs/tpl');

    const Services = [
      { Name: 'db', PortLabel: '5432', Provider: 'nomad', Tags: ['main'], Address: '10.0.0.1', AddressMode: 'auto' },
    ];
    await server.register(jobJson('db', { task: { Services } }));
    await file('db 5432 main|nomad/jobs/tpl');

    t.equal((await server.cli(['var', 'put', '-force', 'nomad/jobs/tpl', 'secret=two'])).code, 0);
    await log('secret=two\n');

    // The power fails: agent and task are gone, and no server answers when the machine is back.
    await server.kill();
    await client.kill();
    const pids = await childrenOf(alloc.ID);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    client.launch();
    await eventually('the task to run again', async () => ((await childrenOf(alloc.ID)).length > 0 ? true : undefined));
    t.match(await environmentOf((await childrenOf(alloc.ID))[0] as number), /(^|\0)SECRET=two\0/);
    server.launch();
    await server.ready();
    await log('secret=two\n');
    for (const id of ['tpl', 'db']) await server.cli(['job', 'stop', '-purge', '-detach', id]);
    await eventually('the tasks to end', async () => {
      const allocs = await server.get<AllocStub[]>('/v1/allocations');
      return allocs.some(({ ClientStatus }) => ClientStatus === 'running') ? undefined : true;
    });
  },
);

/** The processes that have this allocation in their environment and are its task: `sleep`. */
async function childrenOf(allocId: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const environ = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
      return environ.includes(`NOMAD_ALLOC_ID=${allocId}`) && name === 'sleep\n' ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}

async function environmentOf(pid: number): Promise<string> {
  return await readFile(`/proc/${pid}/environ`, 'utf8');
}
