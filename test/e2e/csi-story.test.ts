import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { getOwnEngine, type TestEngine } from '../support/dockerd.js';
import { loggedCommands } from '../support/logged.js';
import { allocsOf, type CliResult, eventually, freePort, MESHNOMAD, TestAgent } from '../support/mesh-agent.js';
import { mayMount, ownMounts } from '../support/own-mounts.js';
import { type PluginHealth, tutorial, tutorialConfig, volumeFree } from './csi-tutorial.js';

// A real database: a plugin as a job, a volume, rows, stop -purge, and the rows again on another node; first as the tutorial tells
// it, then with agents killed in between.

ownMounts(import.meta.url);
const run = promisify(execFile);

const pluginJob = (root: string): string => `
job "plugin-csi-local" {
  type = "system"
  group "nodes" {
    task "plugin" {
      driver = "raw_exec"
      config {
        command = "${process.execPath}"
        args    = ["${MESHNOMAD}", "plugin", "csi-local", "-endpoint", "\${CSI_ENDPOINT}", "-node-id", "\${node.unique.id}", "-root", "${root}", "-shared"]
      }
      csi_plugin {
        id        = "csi-local"
        type      = "monolith"
        mount_dir = "/csi"
      }
      resources {
        cpu    = 20
        memory = 128
      }
    }
  }
}
`;

const SECRET = `to-be-seen-by-no-disk-${process.pid}`;
const VOLUME = `
type         = "csi"
id           = "db"
name         = "db"
plugin_id    = "csi-local"
capacity_min = "96MiB"
capability {
  access_mode     = "single-node-writer"
  attachment_mode = "file-system"
}
parameters {
  thin = "true"
}
secrets {
  password = "${SECRET}"
}
`;

const databaseJob = (driver: 'exec' | 'raw_exec', port: number): string => `
job "db" {
  group "db" {
    volume "data" {
      type            = "csi"
      source          = "db"
      access_mode     = "single-node-writer"
      attachment_mode = "file-system"
    }
    task "server" {
      driver      = "${driver}"
      user        = "postgres"
      kill_signal = "SIGINT"
      volume_mount {
        volume      = "data"
        destination = "/srv"
      }
      config {
        command = "/bin/sh"
        args = ["-c", <<SH
set -e
cd ${driver === 'exec' ? '/srv' : '"$NOMAD_TASK_DIR/../srv"'}
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
[ -d db ] || $bin/initdb --no-sync -D db -A trust >/dev/null
exec $bin/postgres -D db -p ${port} -k "" -c listen_addresses=127.0.0.1
SH
        ]
      }
      resources {
        cpu    = 50
        memory = 64
      }
    }
  }
}
`;

class Story {
  readonly dir = mkdtempSync(join(tmpdir(), 'csi-story-'));
  server!: TestAgent;
  readonly clients: TestAgent[] = [];
  port = 0;

  async begin(engine: TestEngine): Promise<void> {
    this.port = await freePort();
    this.server = await TestAgent.start({ roles: { client: false } });
    const servers = `client {\n  servers = ["127.0.0.1:${this.server.rpcPort}"]\n}\n${tutorialConfig(engine)}`;
    for (let i = 0; i < 2; i++) this.clients.push(await TestAgent.start({ roles: { server: false }, config: servers }));
  }

  async end(): Promise<void> {
    // The server stops the jobs while the clients live, which unmount.
    await this.server?.dispose();
    for (const client of this.clients) await client.dispose();
    rmSync(this.dir, { recursive: true, force: true });
  }

  file(name: string, text: string): string {
    const path = join(this.dir, name);
    writeFileSync(path, text);
    return path;
  }

  async cli(...args: string[]): Promise<CliResult> {
    const result = await this.server.cli(args);
    if (result.code !== 0) throw new Error(`${args.join(' ')}: ${result.out}${result.err}`);
    return result;
  }

  /** Once the database answers. */
  async sql(query: string): Promise<string> {
    const args = ['-h', '127.0.0.1', '-p', String(this.port), '-U', 'postgres', '-At', '-c', query];
    return eventually('the database', async () => (await run('psql', args)).stdout.trim());
  }

  async nodeOf(job: string): Promise<string> {
    const [alloc] = await allocsOf(this.server, job, 'running', 1);
    return (alloc as unknown as { NodeID: string }).NodeID;
  }

  mounted(): string[] {
    const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    return lines.filter((line) => this.clients.some(({ dir }) => line.includes(dir)));
  }
}

function facts(engine: TestEngine): void {
  const story = new Story();
  t.teardown(() => story.end().finally(() => engine.stop()));
  t.test('the tutorial of CSI works step by step, its plugins and its database in containers', async (t) => {
    await story.begin(engine);
    await tutorial(t, engine, { dir: story.dir, server: story.server, cli: (...args) => story.cli(...args) });
    await eventually('nothing mounted after the plugins', () => (story.mounted().length === 0 ? true : undefined));
  });
  t.test(
    'a database keeps its rows over stop -purge, another node, another driver, and the death of an agent',
    async (t) => {
      await story.cli('job', 'run', '-detach', story.file('plugin.nomad.hcl', pluginJob(join(story.dir, 'root'))));
      await eventually('two healthy nodes', async () => {
        const { NodesHealthy } = await story.server.get<PluginHealth>('/v1/plugin/csi/csi-local');
        return NodesHealthy === 2 || undefined;
      });
      await story.cli('volume', 'create', story.file('volume.hcl', VOLUME));
      t.match((await story.cli('volume', 'status')).out, /db\s+db\s+csi-local\s+true/);
      await story.cli('job', 'run', '-detach', story.file('db.nomad.hcl', databaseJob('exec', story.port)));
      await story.sql("create table items(name text); insert into items values ('glove'), ('hat')");
      const first = await story.nodeOf('db');
      t.match((await story.cli('volume', 'status', 'db')).out, /Access Mode\s+= single-node-writer/);
      t.not((await story.server.cli(['volume', 'delete', 'db'])).code, 0, 'a claimed volume is not deleted');

      await story.cli('job', 'stop', '-purge', '-detach', 'db');
      await eventually('nothing mounted', () => (story.mounted().length === 0 ? true : undefined));
      await story.cli('node', 'eligibility', '-disable', first);
      await story.cli('operator', 'root', 'keyring', 'rotate', '-full');
      await story.cli('job', 'run', '-detach', story.file('db.nomad.hcl', databaseJob('raw_exec', story.port)));
      t.equal(await story.sql('select string_agg(name, $$,$$) from items'), 'glove,hat');
      t.not(await story.nodeOf('db'), first, 'it runs elsewhere');
      await story.sql("insert into items values ('keyboard')");

      for (const target of story.mounted().flatMap((line) => line.split(' ')[4] ?? []))
        if (target.includes('/per-alloc/')) await run('umount', ['-l', target]);
      await eventually(
        'it is mounted again',
        () => story.mounted().some((line) => line.includes('/per-alloc/')) || undefined,
      );
      t.equal(await story.sql('select count(*) from items'), '3', 'though somebody had unmounted it');

      await Promise.all(story.clients.map((client) => client.kill()));
      for (const client of story.clients) client.launch();
      for (const client of story.clients) await client.ready();
      t.equal(await story.sql('select count(*) from items'), '3', 'the database outlives its agent');
      await story.cli('job', 'stop', '-purge', '-detach', 'db');
      await eventually('nothing mounted after the kill', () => (story.mounted().length === 0 ? true : undefined));
      await volumeFree(story.server, 'db');
      await eventually('the volume to be deleted', async () =>
        (await story.server.cli(['volume', 'delete', 'db'])).code === 0 ? true : undefined,
      );
      const logged = await loggedCommands(join(story.server.dir, 'data'));
      t.match(logged, /csi-volume-upsert/);
      t.notMatch(logged, SECRET, 'the log does not know it');
      for (const { dir } of [story.server, ...story.clients]) {
        t.match(
          await run('grep', ['-rc', SECRET, dir]).catch((error: { code: number }) => error.code),
          1,
          'kept nowhere',
        );
      }
      const { stdout } = await run('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE']);
      t.notMatch(stdout, story.dir, 'no loop device is left');
    },
  );
}

const engine = mayMount ? await getOwnEngine() : { missing: 'needs root' };
if ('missing' in engine) t.test('a database', { skip: engine.missing }, async () => {});
else if (!existsSync('/usr/lib/postgresql')) t.test('a database', { skip: 'needs postgresql' }, async () => {});
else facts(engine);
