import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { importBusybox, type TestEngine } from '../support/dockerd.js';
import { allocsOf, type CliResult, eventually, freePort, ROOT, type TestAgent } from '../support/mesh-agent.js';

// The tutorial of stateful workloads with CSI, step by step: a driver in two halves as Docker jobs, the nodes' half privileged; a
// volume that exists already; a database in a container with its data on it; stop -purge; and the rows again, on the other node.
// Its job files are as they are written there, but for where programs come from: nothing is pulled in a test.

const DRIVER = fileURLToPath(new URL('../support/ebs-driver.js', import.meta.url));
const IMAGE = 'meshnomad-tutorial:1';
/** The machine's own programs. */
const PROGRAMS = ['/usr', '/lib', '/lib64', ROOT, process.execPath]
  .filter((path) => existsSync(path))
  .map((path) => `${path}:${path}:ro`);

interface Place {
  readonly dir: string;
  readonly server: TestAgent;
  /** Throws when it fails. */
  readonly cli: (...args: string[]) => Promise<CliResult>;
}

/** What a client's configuration must say for it. */
export const tutorialConfig = ({ endpoint }: Pick<TestEngine, 'endpoint'>): string => `
plugin "docker" {
  config {
    endpoint         = "${endpoint}"
    allow_privileged = true
    volumes {
      enabled = true
    }
  }
}
`;

const pluginTask = (half: 'controller' | 'node', cloud: string): string => `
    task "plugin" {
      driver = "docker"
      config {
        image      = "${IMAGE}"
        entrypoint = ["${process.execPath}", "${DRIVER}"]
        volumes    = ${JSON.stringify([...PROGRAMS, `${cloud}:${cloud}`])}
        args = [
          "${half}",
          "--endpoint=unix://csi/csi.sock",
          "--logtostderr",
          "--v=5",
          "--cloud=${cloud}",
          "--node-id=i-\${node.unique.id}",
        ]
        ${half === 'node' ? 'privileged = true' : ''}
      }
      csi_plugin {
        id        = "aws-ebs0"
        type      = "${half}"
        mount_dir = "/csi"
      }
      resources {
        cpu    = 100
        memory = 256
      }
    }`;

const controllerJob = (cloud: string): string => `
job "plugin-aws-ebs-controller" {
  datacenters = ["dc1"]
  group "controller" {
${pluginTask('controller', cloud)}
  }
}
`;

const nodesJob = (cloud: string): string => `
job "plugin-aws-ebs-nodes" {
  datacenters = ["dc1"]
  type = "system"
  group "nodes" {
${pluginTask('node', cloud)}
  }
}
`;

const VOLUME = `
type = "csi"
id = "mysql"
name = "mysql"
external_id = "vol-0b75"
plugin_id = "aws-ebs0"
capability {
  access_mode = "single-node-writer"
  attachment_mode = "file-system"
}
`;

/** What the image of a database begins with: it makes a database where there is none. */
const ENTRYPOINT = `#!/bin/sh
set -e
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
as="/usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups"
if [ ! -d "$2" ]; then
  mkdir "$2"
  chown 65534:65534 "$2"
  $as $bin/initdb --no-sync -D "$2" -U postgres -A trust >/dev/null
  echo 'host all all all trust' >> "$2/pg_hba.conf"
fi
exec $as $bin/postgres -D "$2" -k "" -c listen_addresses='*' -p $NOMAD_PORT_db
`;

const databaseJob = (entrypoint: string, port: number): string => `
job "mysql-server" {
  datacenters = ["dc1"]
  type = "service"
  group "mysql-server" {
    count = 1
    volume "mysql" {
      type = "csi"
      read_only = false
      source = "mysql"
      access_mode = "single-node-writer"
      attachment_mode = "file-system"
    }
    network {
      port "db" {
        static = ${port}
      }
    }
    restart {
      attempts = 10
      interval = "5m"
      delay = "25s"
      mode = "delay"
    }
    task "mysql-server" {
      driver = "docker"
      volume_mount {
        volume = "mysql"
        destination = "/srv"
        read_only = false
      }
      env {
        MYSQL_ROOT_PASSWORD = "password"
      }
      config {
        image      = "${IMAGE}"
        entrypoint = ["/bin/sh", "${entrypoint}"]
        volumes    = ${JSON.stringify([...PROGRAMS, `${entrypoint}:${entrypoint}:ro`])}
        args       = ["--datadir", "/srv/mysql"]
        ports      = ["db"]
      }
      kill_signal = "SIGINT"
      resources {
        cpu = 200
        memory = 1024
      }
      service {
        name = "mysql-server"
        port = "db"
        check {
          type = "tcp"
          interval = "10s"
          timeout = "2s"
        }
      }
    }
  }
}
`;

export interface PluginHealth {
  ControllersHealthy: number;
  NodesHealthy: number;
}

/** Once nobody has a claim on it. */
export async function volumeFree(server: TestAgent, id: string): Promise<void> {
  await eventually('the volume to be free', async () => {
    const { Claims } = await server.get<{ Claims: unknown[] }>(`/v1/volume/csi/${id}`);
    return Claims.length === 0 || undefined;
  });
}

class Tutorial {
  readonly #place: Place;
  readonly #cloud: string;

  constructor(place: Place) {
    this.#place = place;
    this.#cloud = join(place.dir, 'cloud');
    mkdirSync(join(this.#cloud, 'vol-0b75'), { recursive: true });
  }

  cli(...args: string[]): Promise<CliResult> {
    return this.#place.cli(...args);
  }

  file(name: string, text: string): string {
    const path = join(this.#place.dir, name);
    writeFileSync(path, text);
    return path;
  }

  /** Runs both plugins, until both are healthy everywhere. */
  async deployPlugin(): Promise<void> {
    await this.cli('job', 'run', '-detach', this.file('plugin-ebs-controller.nomad.hcl', controllerJob(this.#cloud)));
    await this.cli('job', 'run', '-detach', this.file('plugin-ebs-nodes.nomad.hcl', nodesJob(this.#cloud)));
    await eventually('a controller and two nodes', async () => {
      const { ControllersHealthy, NodesHealthy } =
        await this.#place.server.get<PluginHealth>('/v1/plugin/csi/aws-ebs0');
      return (ControllersHealthy === 1 && NodesHealthy === 2) || undefined;
    });
  }

  databaseFile(port: number): string {
    const entrypoint = this.file('entrypoint', ENTRYPOINT);
    return this.file('mysql.nomad.hcl', databaseJob(entrypoint, port));
  }

  /** Where the cloud has attached the volume; undefined = to no machine. */
  attachedTo(): string | undefined {
    const file = join(this.#cloud, 'vol-0b75.attached');
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  }

  async detached(): Promise<void> {
    await eventually('it is detached', () => (this.attachedTo() === undefined ? true : undefined));
  }

  async running(): Promise<{ ID: string; NodeID: string }> {
    const [alloc] = await allocsOf(this.#place.server, 'mysql-server', 'running', 1);
    return alloc as unknown as { ID: string; NodeID: string };
  }

  /** Asks the database, which is found by its service, once it answers. */
  async sql(query: string): Promise<string> {
    return eventually('the database', async () => {
      const [found] = await this.#place.server.get<{ Address: string; Port: number }[]>('/v1/service/mysql-server');
      const args = ['-h', found?.Address ?? '', '-p', `${found?.Port}`, '-U', 'postgres', '-At', '-c', query];
      return (await promisify(execFile)('psql', args)).stdout.trim();
    });
  }
}

/** Leaves nothing in the mesh. */
export async function tutorial(t: Test, engine: TestEngine, place: Place): Promise<void> {
  await importBusybox(engine, IMAGE);
  const its = new Tutorial(place);
  const { cli } = place;
  await its.deployPlugin();
  await cli('volume', 'register', its.file('volume.hcl', VOLUME));
  t.match((await cli('plugin', 'status', 'aws-ebs0')).out, /Controllers Healthy\s+= 1[\s\S]*Nodes Healthy\s+= 2/);
  t.match((await cli('volume', 'status', 'mysql')).out, /Schedulable\s+= true[\s\S]*No allocations placed/);

  const job = its.databaseFile(await freePort());
  t.match((await cli('run', '-detach', job)).out, /registered in the mesh's own catalogue/);
  await its.sql("create table items(name text); insert into items values ('bike'), ('glove')");
  const first = await its.running();
  t.equal(its.attachedTo(), `i-${first.NodeID}`);
  t.match((await cli('service', 'info', 'mysql-server')).out, /\d+\.\d+\.\d+\.\d+:\d+/);
  t.match((await cli('alloc', 'status', first.ID)).out, /CSI Volumes:\nID\s+Read Only\nmysql\s+false/);
  t.match((await cli('volume', 'status', 'mysql')).out, /Access Mode\s+= single-node-writer/);

  await cli('stop', '-purge', '-detach', 'mysql-server');
  t.match((await place.server.cli(['job', 'status', 'mysql'])).err, /No job\(s\) with prefix or ID "mysql" found/i);
  await its.detached();
  await cli('node', 'eligibility', '-disable', first.NodeID);
  await cli('run', '-detach', job);
  t.equal(await its.sql('select string_agg(name, $$,$$) from items'), 'bike,glove');
  t.not((await its.running()).NodeID, first.NodeID, 'on the other node');
  // In one breath, as a person types it.
  await cli('stop', '-purge', 'mysql-server');
  await cli('volume', 'deregister', 'mysql');
  t.equal(its.attachedTo(), undefined);
  await cli('node', 'eligibility', '-enable', first.NodeID);
  for (const half of ['controller', 'nodes']) await cli('stop', '-purge', '-detach', `plugin-aws-ebs-${half}`);
}
