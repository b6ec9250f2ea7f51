// A mesh over homes behind NATs, and on a network without internet: real agents in network namespaces.
import { execFileSync } from 'node:child_process';
import t from 'tap';
import { walkAllCommands } from '../support/every-command.js';
import { eventually, jobJson } from '../support/mesh-agent.js';
import { type Alloc, checkWork, machineAt, openDht, reached, runOn } from '../support/mesh-lab.js';
import type { Machine } from '../support/mesh-machines.js';
import { missingForLabs, Netlab } from '../support/netlab.js';
import { patience } from '../support/patience.js';

const skip = missingForLabs() ?? false;
const HEAL_MS_MAX = 10_000;

interface Report {
  Links: { RttMs: number; Path: { Kind: string; Address: string } }[];
}

const isNas = ({ Name }: { Name: string }): boolean => Name === 'nas';

const DATABASE = `set -e
cd "$NOMAD_TASK_DIR/../srv"
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
[ -d db/base ] || $bin/initdb --no-sync -D db -A trust -U postgres >/dev/null
exec $bin/postgres -D db -k "" -c listen_addresses=127.0.0.1
`;

/** PostgreSQL on a host volume; it is where the volume is. */
class Database {
  readonly #nas: Machine;
  #alloc = '';

  constructor(nas: Machine) {
    this.#nas = nas;
  }

  /** Its volume. */
  async create(NodeID: string): Promise<string> {
    const who = (flag: string): string => execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }).trim();
    const Parameters = { uid: who('-u'), gid: who('-g') };
    const Volume = { Name: 'db', NodeID, Parameters, Backup: { Replicas: 1 } };
    const made = await this.#nas.fetch('/v1/volume/host/create', { method: 'PUT', body: JSON.stringify({ Volume }) });
    if (made.status !== 200) throw new Error(made.text);
    const { ID } = (JSON.parse(made.text) as { Volume: { ID: string } }).Volume;
    await eventually('the volume', async () => {
      const { State } = await this.#nas.get<{ State: string }>(`/v1/volume/host/${ID}`);
      return State === 'ready' || undefined;
    });
    return ID;
  }

  async run(node: string): Promise<void> {
    const volume = { Name: 'data', Type: 'host', Source: 'db' };
    const job = jobJson('db', {
      config: { command: '/bin/sh', args: ['-c', DATABASE] },
      task: { User: 'postgres', KillSignal: 'SIGINT', VolumeMounts: [{ Volume: 'data', Destination: '/srv' }] },
      group: { Volumes: { data: volume } },
    });
    await this.#nas.register(job);
    await this.running(node);
  }

  async running(node: string): Promise<void> {
    this.#alloc = await eventually(`the database to run on ${node}`, async () => {
      const allocs = await this.#nas.get<Alloc[]>('/v1/job/db/allocations');
      return allocs.find(({ ClientStatus, NodeName }) => ClientStatus === 'running' && NodeName === node)?.ID;
    });
  }

  /** Once it answers. */
  sql(query: string): Promise<string> {
    const psql = `psql -h 127.0.0.1 -U postgres -Atqc "${query}"`;
    return eventually('the database to answer', async () => {
      const { code, out } = await this.#nas.cli(['alloc', 'exec', '-i=false', this.#alloc, '/bin/sh', '-c', psql]);
      return code === 0 ? out.trim() : undefined;
    });
  }

  /** Once the other home has the last backup. */
  async copied(): Promise<void> {
    await eventually('the copy in the other home', async () => {
      const { Health } = await this.#nas.get<{ Health: string }>('/v1/volume/backup/db');
      return Health === '' || undefined;
    });
  }
}

t.test('work on a machine behind another NAT', { skip, timeout: 600_000 }, async (t) => {
  const lab = await Netlab.open({
    homes: { A: { nat: 'cone' }, B: { nat: 'cone' }, C: { nat: 'symmetric' }, D: { nat: 'cone' } },
  });
  t.teardown(() => lab.close());
  const testnet = await openDht(lab);

  const nas = await machineAt(t, lab, 'homeA1', { testnet, name: 'nas' });
  await nas.start('init', '-name=home');
  const berta = await machineAt(t, lab, 'homeB1', { testnet, name: 'berta' });
  await berta.start('join', await nas.invite());
  t.comment(`joined from behind another NAT in ${String((await berta.step('joined'))['Ms'])} ms`);
  const alloc = await runOn(nas, 'berta');
  t.match(await berta.get<Report>('/v1/agent/net'), { Links: [{ Path: { Kind: 'direct' } }] });
  await checkWork(t, nas, alloc);

  const db = new Database(nas);
  await t.test('a volume with a database goes through both NATs to the other home', { timeout: 180_000 }, async (t) => {
    const ID = await db.create((await nas.get<{ ID: string; Name: string }[]>('/v1/nodes')).find(isNas)?.ID ?? '');
    await db.run('nas');
    await db.sql("create table items(name text); insert into items values ('bike'), ('chair')");
    const backup = await nas.cli(['volume', 'backup', 'db']);
    t.equal(backup.code, 0, backup.err);
    await db.copied();
    await db.sql("insert into items values ('glove')");
    t.equal((await nas.cli(['job', 'stop', '-purge', '-detach', 'db'])).code, 0);
    const moved = await nas.cli(['volume', 'move', '-node=berta', 'db']);
    t.equal(moved.code, 0, moved.err);
    t.match(await nas.get(`/v1/volume/host/${ID}`), { NodeID: alloc.NodeID });
    await db.run('berta');
    t.equal(await db.sql('select string_agg(name, chr(32)) from items'), 'bike chair glove');
  });

  await t.test('the disk of a group goes with it from one home to the other', async (t) => {
    const script =
      'cd $NOMAD_ALLOC_DIR/data; test -f sums || { head -c 2000000 /dev/urandom > big; sha256sum big > sums; }; sha256sum -c sums; exec sleep 3600';
    const runBag = (node: string): Promise<Alloc> =>
      runOn(nas, node, { id: 'bag', script, disk: { Sticky: true, Migrate: true, SizeMB: 10 } });
    const first = await runBag('berta');
    t.equal(first.NodeID, alloc.NodeID);
    const second = await runBag('nas');
    t.not(second.NodeID, first.NodeID);
    const { out } = await eventually('the word of the task', async () => {
      const log = await nas.cli(['alloc', 'logs', second.ID]);
      return log.out === '' ? undefined : log;
    });
    t.equal(out, 'big: OK\n');
    const status = await nas.cli(['alloc', 'status', second.ID]);
    t.match(status.out, new RegExp(`Data of allocation ${first.ID.slice(0, 8)}\\S* was fetched`));
    t.equal((await nas.cli(['job', 'stop', '-purge', '-detach', 'bag'])).code, 0);
  });

  await t.test('a laptop behind a symmetric NAT sees all of it', { timeout: 300_000 }, async (t) => {
    const laptop = await machineAt(t, lab, 'homeC1', { testnet, name: 'laptop' });
    // Its invite says which DHT the mesh meets in.
    const args = ['operator', 'login', '-name=ada', '-'];
    const login = await laptop.operator(args, await nas.invite('-role=operator'));
    t.equal(login.code, 0, login.err);
    const began = performance.now();
    const status = await laptop.operator(['job', 'status', '-json', 'far']);
    t.equal(status.code, 0, status.err);
    t.comment(`${status.err.trim()} after ${Math.round(performance.now() - began)} ms`);
    const logs = await laptop.operator(['alloc', 'logs', alloc.ID]);
    t.equal(logs.out, 'hello from far.g[0]\n', logs.err);
    await t.test('and every command works from there', (t) =>
      walkAllCommands(t, { laptop, server: nas, node: 'berta' }),
    );
  });

  await t.test('a router that gets another public address', { timeout: 70_000 }, async (t) => {
    await lab.setPublicAddress('A', 77);
    const ms = await reached(nas, alloc);
    t.comment(`healed after ${ms} ms`);
    t.ok(ms < patience(HEAL_MS_MAX), `${ms} ms`);
  });

  await t.test('a machine that gets another address at home', { timeout: 70_000 }, async (t) => {
    await lab.setAddress('homeB1', 55);
    const ms = await reached(nas, alloc);
    t.comment(`healed after ${ms} ms`);
    t.ok(ms < patience(HEAL_MS_MAX), `${ms} ms`);
  });

  for (const up of [true, false]) {
    await t.test(`a VPN that takes all traffic ${up ? 'comes up' : 'goes down'}`, { timeout: 70_000 }, async (t) => {
      await lab.setVpn('homeB1', 'D', up);
      const ms = await reached(nas, alloc);
      t.comment(`healed after ${ms} ms`);
      t.ok(ms < patience(HEAL_MS_MAX), `${ms} ms`);
    });
  }

  const allocs = await nas.get<(Alloc & { TaskStates: object })[]>('/v1/job/far/allocations');
  t.match(allocs, [
    { ID: alloc.ID, NodeID: alloc.NodeID, ClientStatus: 'running', TaskStates: { t: { Restarts: 0 } } },
  ]);
  t.equal(allocs.length, 1, 'through all of it the work went on where it was');
  await checkWork(t, nas, alloc);
  await nas.cli(['job', 'stop', '-purge', '-detach', 'far']);

  await t.test(
    'a lost machine: its database goes on elsewhere as the last backup has it',
    { timeout: 180_000 },
    async (t) => {
      await db.sql("insert into items values ('hat')");
      const backup = await nas.cli(['volume', 'backup', 'db']);
      t.equal(backup.code, 0, backup.err);
      await db.copied();
      await db.sql("insert into items values ('lost')");
      await berta.end('SIGKILL');
      berta.killAll();
      await eventually('the node to be down', async () => {
        const nodes = await nas.get<{ ID: string; Status: string }[]>('/v1/nodes');
        return nodes.find(({ ID }) => ID === alloc.NodeID)?.Status === 'down' || undefined;
      });
      const asked = await nas.cli(['volume', 'restore', 'db']);
      t.match(asked, {
        code: 1,
        err: /node berta is down.* since backup \w{8}, made (\d+m)?\d+s ago, is lost: say so with -force/,
      });
      const restored = await nas.cli(['volume', 'restore', '-force', 'db']);
      t.match(
        restored,
        { code: 0, out: /Volume db \(\w{8}\) is on node \w{8} as it was (\d+m)?\d+s ago/ },
        restored.err,
      );
      await db.running('nas');
      t.equal(await db.sql('select string_agg(name, chr(32)) from items'), 'bike chair glove hat');
      t.equal((await nas.cli(['job', 'stop', '-purge', '-detach', 'db'])).code, 0);
    },
  );
});

t.test('a network without internet, all machines started again', { skip, timeout: 120_000 }, async (t) => {
  const lab = await Netlab.open({ lan: 3 });
  t.teardown(() => lab.close());
  const testnet = { bootstrap: [] };
  const one = await machineAt(t, lab, 'lan1', { testnet, mdns: true });
  const two = await machineAt(t, lab, 'lan2', { testnet, mdns: true });
  const three = await machineAt(t, lab, 'lan3', { testnet, mdns: true });
  await one.start('init', '-name=home');
  await two.start('join', await one.invite());
  await three.start('join', await one.invite());
  t.comment(
    `joined in ${String((await two.step('joined'))['Ms'])} and ${String((await three.step('joined'))['Ms'])} ms`,
  );
  const machines = [one, two, three];
  await Promise.all(machines.map((machine) => machine.end('SIGKILL')));
  const began = performance.now();
  await Promise.all([three, two, one].map((machine) => machine.start('up')));
  await eventually('all nodes to be there', async () => {
    const members = await one.get<{ Health: string }[]>('/v1/mesh/members');
    return members.filter(({ Health }) => Health === 'alive').length === 3 || undefined;
  });
  const ms = Math.round(performance.now() - began);
  t.comment(`back after ${ms} ms`);
  t.ok(ms < patience(HEAL_MS_MAX), `${ms} ms`);
});
