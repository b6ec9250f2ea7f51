// The data of a group follows it: within a machine, to another one by way of the servers, and not from one that is dead. That of a
// volume is made again of a copy of its backup.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type AllocStub, allocsOf, eventually, jobJson, TestAgent } from '../support/mesh-agent.js';

type Placed = AllocStub & { NodeID: string };

const SCRIPT = `
cd "$NOMAD_ALLOC_DIR/data"
if [ -f made ]; then sha256sum -c --quiet sums && echo "found what $(cat made) made, $(readlink deep/link), $(cat "$NOMAD_TASK_DIR/note")"
else
  head -c 3000000 /dev/urandom > big
  mkdir -p deep/er && echo x > deep/er/file && ln -s er/file deep/link && chmod 600 deep/er/file && : > empty
  sha256sum big deep/er/file empty > sums
  echo "$NOMAD_SHORT_ALLOC_ID" > made && echo noted > "$NOMAD_TASK_DIR/note" && echo began
fi
exec sleep 3600`;

const job = (round: number): object =>
  jobJson('disk', {
    config: { command: '/bin/sh', args: ['-c', SCRIPT] },
    task: { Env: { ROUND: String(round) } },
    group: {
      EphemeralDisk: { Sticky: true, Migrate: true, SizeMB: 10 },
      RestartPolicy: { Attempts: 0, Interval: 60e9, Delay: 1e9, Mode: 'fail' },
      ReschedulePolicy: { Attempts: 0, Unlimited: true, Delay: 5e9, DelayFunction: 'constant' },
    },
  });

t.test('data follows its group', { timeout: 180_000 }, async (t) => {
  const server = await TestAgent.start({
    roles: { client: false },
    config: 'server {\n  heartbeat_grace = "1s"\n  min_heartbeat_ttl = "1s"\n}\n',
  });
  t.teardown(() => server.dispose());
  const machines = new Map<string, TestAgent>();
  for (let i = 0; i < 2; i++) {
    const config = `client {\n  servers = ["127.0.0.1:${server.rpcPort}"]\n}\n`;
    const machine = await TestAgent.start({ roles: { server: false }, config });
    t.teardown(() => machine.dispose());
    const { stats } = await machine.get<{ stats: { client: { node_id: string } } }>('/v1/agent/self');
    machines.set(stats.client.node_id, machine);
  }
  const log = (alloc: Placed, text: string): Promise<string> =>
    eventually(`"${text}" in the log of ${alloc.ID}`, async () => {
      const { out } = await server.cli(['alloc', 'logs', alloc.ID]);
      return out.includes(text) ? out : undefined;
    });
  const next = (before: Placed): Promise<Placed> =>
    eventually('the next allocation', async () => {
      const allocs = (await allocsOf(server, 'disk', 'running', 1)) as Placed[];
      return allocs.find(({ ID, DesiredStatus }) => ID !== before.ID && DesiredStatus === 'run');
    });

  await server.register(job(1));
  const [first] = (await allocsOf(server, 'disk', 'running', 1)) as Placed[];
  if (!first) throw new Error('no allocation');
  await log(first, 'began');

  await server.register(job(2));
  const second = await next(first);
  t.equal(second.NodeID, first.NodeID, 'a sticky group stays where its data is');
  t.match(await log(second, 'found'), `found what ${first.ID.slice(0, 8)} made, er/file, noted`);

  t.equal((await server.cli(['node', 'drain', '-enable', '-yes', '-detach', second.NodeID])).code, 0);
  const third = await next(second);
  t.not(third.NodeID, second.NodeID);
  t.match(await log(third, 'found'), `found what ${first.ID.slice(0, 8)} made, er/file, noted`);
  const events = third.TaskStates?.['t']?.Events.map(({ DisplayMessage }) => DisplayMessage);
  t.match(
    events?.join('\n'),
    /Fetching the data of the previous allocation: 2\.9 MiB\n[\s\S]*Data of allocation \w+ was fetched/,
  );
  const there = machines.get(third.NodeID) as TestAgent;
  const dir = join(there.dir, 'data/alloc', third.ID);
  t.same(readdirSync(dir).sort(), ['alloc', 't'], 'nothing is left of the way');
  t.equal(readFileSync(join(dir, 'alloc/data/made'), 'utf8'), `${first.ID.slice(0, 8)}\n`);

  await server.cli(['node', 'eligibility', '-enable', second.NodeID]);
  const volume = await backedUpVolume(t, server, { there, elsewhere: machines.get(second.NodeID) as TestAgent });
  await there.kill();
  const fourth = await next(third);
  t.equal(fourth.NodeID, second.NodeID);
  await log(fourth, 'began');
  const told = (await allocsOf(server, 'disk', 'running', 1)).find(({ ID }) => ID === fourth.ID);
  t.match(
    told?.TaskStates?.['t']?.Events.map(({ DisplayMessage }) => DisplayMessage).join('\n'),
    /Starting without the data of allocation \w+: its node is gone/,
  );
  await volume.restoreElsewhere();
  // The machine comes back with its task, and ends it.
  there.launch();
  await there.ready();
  await eventually('the task that was taken for lost to end', () => (isThere(third.ID) ? undefined : true));
  await volume.isPutAside();
  await server.cli(['job', 'stop', '-purge', '-detach', 'disk']);
  await eventually('the tasks to end', async () => {
    const allocs = await server.get<AllocStub[]>('/v1/allocations');
    return allocs.some(({ ClientStatus }) => ClientStatus === 'running') ? undefined : true;
  });
});

/** A volume on a machine that is about to be lost, and a copy of its backup on another one. */
async function backedUpVolume(
  t: Test,
  server: TestAgent,
  { there, elsewhere }: { there: TestAgent; elsewhere: TestAgent },
) {
  const nodeIdOf = async (machine: TestAgent): Promise<string> =>
    (await machine.get<{ stats: { client: { node_id: string } } }>('/v1/agent/self')).stats.client.node_id;
  const [nodeId, otherId] = [await nodeIdOf(there), await nodeIdOf(elsewhere)];
  const Volume = { Name: 'db', PluginID: 'mkdir', NodeID: nodeId, Backup: { Replicas: 1 } };
  const made = await server.put('/v1/volume/host/create', { Volume });
  t.equal(made.status, 200, made.text);
  const { ID } = (JSON.parse(made.text) as { Volume: { ID: string } }).Volume;
  const dirOf = (machine: TestAgent): string => join(machine.dir, 'data/host_volumes', ID);
  await eventually('the node to show the volume', async () => {
    const { State } = await server.get<{ State: string }>(`/v1/volume/host/${ID}`);
    return State === 'ready' ? true : undefined;
  });
  writeFileSync(join(dirOf(there), 'rows'), 'x'.repeat(1_000_000));
  const backup = await server.cli(['volume', 'backup', 'db']);
  t.match(backup, { code: 0, out: /Backup \w+: 1 files, 977 KiB/ }, backup.err);
  await eventually('the copy on the other machine', async () => {
    const archive = await server.get<{ Copies: Record<string, string[]> }>('/v1/volume/backup/db');
    return Object.values(archive.Copies)[0]?.includes(otherId) ? true : undefined;
  });
  writeFileSync(join(dirOf(there), 'late'), 'after the backup');
  return {
    async restoreElsewhere(): Promise<void> {
      const refused = await server.cli(['volume', 'restore', 'db']);
      t.match(refused, {
        code: 1,
        err: /is down\. Elsewhere, what was written to volume "db" since backup \w+, made .* ago, is lost/,
      });
      const restored = await server.cli(['volume', 'restore', '-force', 'db']);
      t.match(restored, { code: 0, out: /of backup \w+, made .* ago/ }, restored.err);
      t.same(readdirSync(dirOf(elsewhere)), ['rows']);
      t.equal(readFileSync(join(dirOf(elsewhere), 'rows'), 'utf8'), 'x'.repeat(1_000_000));
      t.match(await server.get(`/v1/volume/host/${ID}`), { NodeID: otherId, State: 'ready' });
    },
    /** What no backup had is not thrown away. */
    async isPutAside(): Promise<void> {
      const left = await eventually('the old directory to be put aside', () => {
        const names = readdirSync(join(there.dir, 'data/host_volumes'));
        return names.length === 1 && names[0]?.startsWith(`${ID}.left-`) ? names[0] : undefined;
      });
      t.same(readdirSync(join(there.dir, 'data/host_volumes', left)).sort(), ['late', 'rows']);
    },
  };
}

/** Whether a process of the allocation lives on this machine. */
function isThere(allocId: string): boolean {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`NOMAD_ALLOC_ID=${allocId}`);
    } catch {
      return false;
    }
  });
}
