// What a person keeps in variables and registers as services reaches files and variables of tasks, also when no server is there.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
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

/** A plugin that is given a password and makes a key of it, or says that it will not. */
const PLUGIN = `#!/bin/sh
case "$1" in
fingerprint) echo '{"type": "secrets", "version": "0.1.0"}' ;;
fetch) echo "asked with $TOKEN" >&2
  test "$TOKEN" = hunter2-again || { echo "{\\"error\\": \\"bad token $TOKEN\\"}"; exit 1; }
  echo "{\\"result\\": {\\"key\\": \\"key-of-$NOMAD_JOB_ID-$2\\"}}" ;;
esac
`;

const HUSH = `job "hush" {
  group "g" {
    restart {
      attempts = 20
      interval = "10m"
      delay    = "1s"
    }
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args    = ["-c", "cat $NOMAD_TASK_DIR/seen; echo $KEY as \${secret.db.user}; exec sleep 3600"]
      }
      secret "db" {
        provider = "nomad"
        path     = "shared/db"
        config {
          namespace = "default"
        }
      }
      secret "api" {
        provider = "keeper"
        path     = "api/main"
        env {
          TOKEN = "\${secret.db.password}"
        }
      }
      env {
        KEY = "\${secret.api.key}"
      }
      template {
        data        = "seen={{ env \\"secret.db.password\\" }}\\n"
        destination = "local/seen"
      }
      resources {
        cpu    = 20
        memory = 10
      }
    }
  }
}
`;

const SHOWS = 'echo "secret=$SECRET"; exec sleep 3600';

t.test(
  'variables and services reach a task, and a machine without servers starts it again',
  { timeout: 180_000 },
  async (t) => {
    const plugins = mkdtempSync(join(tmpdir(), 'secret-plugins-'));
    t.teardown(() => rmSync(plugins, { recursive: true, force: true }));
    mkdirSync(join(plugins, 'secrets'));
    writeFileSync(join(plugins, 'secrets/keeper'), PLUGIN, { mode: 0o755 });
    const server = await TestAgent.start({ roles: { client: false } });
    t.teardown(() => server.dispose());
    const client = await TestAgent.start({
      roles: { server: false },
      config: `client {\n  servers = ["127.0.0.1:${server.rpcPort}"]\n  common_plugin_dir = "${plugins}"\n}\n`,
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
      template('{{ range nomadService "db" }}{{ .Port }}{{ end }}', {
        DestPath: 'local/port',
        ChangeMode: 'script',
        ChangeScript: {
          Command: '/bin/sh',
          Args: ['-c', 'echo "in $NOMAD_TASK_NAME: $(cat local/port)" >> $NOMAD_ALLOC_DIR/told'],
          Timeout: 60e9,
        },
      }),
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
    const log = (text: string, id = alloc.ID): Promise<void> =>
      eventually(text, async () =>
        (await server.cli(['alloc', 'logs', id])).out.endsWith(text) ? true : undefined,
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
    await server.register(jobJson('db', { group: { Services } }));
    await file('db 5432 main|nomad/jobs/tpl');
    await eventually('the script of the change to be told of', async () => {
      const { TaskStates } = await server.get<AllocStub>(`/v1/allocation/${alloc.ID}`);
      const last = TaskStates?.['t']?.Events.at(-1);
      return last?.Type === 'Task hook message' && last.DisplayMessage === 'Template ran script /bin/sh'
        ? true
        : undefined;
    });
    t.equal(readFileSync(join(client.dir, 'data/alloc', alloc.ID, 'alloc/told'), 'utf8'), 'in t: 5432\n');

    t.equal((await server.cli(['var', 'put', '-force', 'nomad/jobs/tpl', 'secret=two'])).code, 0);
    await log('secret=two\n');

    writeFileSync(join(plugins, 'hush.nomad.hcl'), HUSH);
    const run = await server.cli(['job', 'run', '-detach', join(plugins, 'hush.nomad.hcl')]);
    t.equal(run.code, 0, run.err);
    const told = async (pattern: RegExp): Promise<string> =>
      await eventually(`an event ${pattern}`, async () => {
        const [found] = await server.get<AllocStub[]>('/v1/job/hush/allocations');
        const events = found?.TaskStates?.['t']?.Events ?? [];
        return events.some(({ DisplayMessage }) => pattern.test(DisplayMessage)) ? found?.ID : undefined;
      });
    const hushed = await told(/^Secret "db" is waiting for variable shared\/db$/);
    await server.cli(['var', 'put', 'shared/db', 'user=ada', 'password=hunter2-first']);
    await told(/secret "api": plugin "keeper": bad token \*\*\*/);
    await server.cli(['var', 'put', '-force', 'shared/db', 'user=ada', 'password=hunter2-again']);
    await log('seen=hunter2-again\nkey-of-hush-api/main as ada\n', hushed);
    const spoken = [
      JSON.stringify(await server.get(`/v1/allocation/${hushed}`)),
      JSON.stringify(await server.get('/v1/nodes')),
      client.log,
      server.log,
    ];
    for (const text of spoken) t.notMatch(text, /hunter2|key-of-hush/);

    // The power fails: agent and task are gone, and no server answers when the machine is back.
    await server.kill();
    await client.kill();
    const pids = [...(await childrenOf(alloc.ID)), ...(await childrenOf(hushed))];
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    client.launch();
    await eventually('the task to run again', async () => ((await childrenOf(alloc.ID)).length > 0 ? true : undefined));
    t.match(await environmentOf((await childrenOf(alloc.ID))[0] as number), /(^|\0)SECRET=two\0/);
    await eventually('the task with secrets to run again', async () =>
      (await childrenOf(hushed)).length > 0 ? true : undefined,
    );
    t.match(await environmentOf((await childrenOf(hushed))[0] as number), /(^|\0)KEY=key-of-hush-api\/main\0/);
    server.launch();
    await server.ready();
    await log('secret=two\n');
    for (const id of ['tpl', 'db', 'hush']) await server.cli(['job', 'stop', '-purge', '-detach', id]);
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
