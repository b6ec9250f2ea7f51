// Leaders that are killed, frozen and cut off while a claim on a CSI volume is between two steps: three servers and a machine with a
// plugin, whose calls are held until the leader that asked is gone. Whoever leads next goes on where it stopped.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { CsiClaim } from '../../lib/structs/csi.js';
import { eventually, jobJson } from '../support/mesh-agent.js';
import { Machine } from '../support/mesh-machines.js';
import { missingForLabs, Netlab } from '../support/netlab.js';

const DRIVER = fileURLToPath(new URL('../support/ebs-driver.js', import.meta.url));
const ON_BOX = { LTarget: '${node.unique.name}', RTarget: 'lan4', Operand: '=' };
/** An election and whatever the new leader has to find out first. */
const ELECTION_MS = 120_000;
/** Heartbeats of the test's: what a lost leader leaves is found soon. */
const CONFIG = 'server {\n  heartbeat_grace = "2s"\n  min_heartbeat_ttl = "4s"\n}';

interface Story {
  lab: Netlab;
  servers: Machine[];
  box: Machine;
  dir: string;
}

/** A step of the plugin's that is held once it is done, so that its answer is on its way when the leader goes. */
class Held {
  readonly #file: string;
  readonly #sign: string;

  constructor(dir: string, name: string) {
    this.#file = join(dir, 'hold', `after-${name}`);
    this.#sign = join(dir, 'hold', `${name}.held`);
    writeFileSync(this.#file, '');
  }

  reached(): Promise<true> {
    return eventually(this.#sign, () => existsSync(this.#sign) || undefined, ELECTION_MS);
  }

  release(): void {
    rmSync(this.#file);
  }
}

interface RaftServers {
  Servers: { Node: string; Voter: boolean; Leader: boolean }[];
}

const groupAt = (machine: Machine): Promise<RaftServers> => machine.get('/v1/operator/raft/configuration?stale');

/** Who leads, in the eyes of all of these. */
function leaderOf(machines: readonly Machine[], all: readonly Machine[] = machines): Promise<Machine> {
  const probe = async (): Promise<Machine | undefined> => {
    const seen = await Promise.all(
      machines.map(async (machine) => (await groupAt(machine)).Servers.find(({ Leader }) => Leader)?.Node),
    );
    const [first] = new Set(seen);
    if (new Set(seen).size !== 1 || first === undefined) return undefined;
    return all.find(({ name }) => name === first.split('.')[0]);
  };
  return eventually('a leader', probe, ELECTION_MS);
}

async function begin(lab: Netlab, dir: string): Promise<Story> {
  for (const name of ['cloud/vol-1', 'hold']) mkdirSync(join(dir, name), { recursive: true });
  const machines = await Promise.all(
    [1, 2, 3, 4].map((n) =>
      Machine.make({
        testnet: { bootstrap: [] },
        mdns: true,
        name: `lan${n}`,
        config: CONFIG,
        place: (file, args, options) => lab.spawn(`lan${n}`, file, args, options),
      }),
    ),
  );
  t.teardown(() => Promise.all(machines.map((machine) => machine.dispose())));
  const [first, second, third, box] = machines as [Machine, Machine, Machine, Machine];
  await first.start('init', '-name=home');
  for (const other of [second, third]) await other.start('join', await first.invite('-role=server'));
  await box.start('join', await first.invite());
  await eventually(
    'three voters',
    async () => (await groupAt(first)).Servers.filter(({ Voter }) => Voter).length === 3 || undefined,
    ELECTION_MS,
  );
  return { lab, servers: [first, second, third], box, dir };
}

async function runPlugin({ servers, dir }: Story): Promise<void> {
  const [server] = servers as [Machine];
  for (const type of ['controller', 'node'] as const) {
    const flags = ['--endpoint=${CSI_ENDPOINT}', `--cloud=${dir}/cloud`, '--node-id=i-box', `--hold=${dir}/hold`];
    const task = {
      Name: 'plugin',
      Driver: 'raw_exec',
      Config: { command: process.execPath, args: [DRIVER, type, ...flags] },
      CSIPluginConfig: { ID: 'ebs', Type: type, MountDir: '/csi' },
      Resources: { CPU: 20, MemoryMB: 80 },
    };
    await server.register({
      Job: {
        ID: `ebs-${type}`,
        Name: `ebs-${type}`,
        Type: 'service',
        Datacenters: ['*'],
        Constraints: [ON_BOX],
        TaskGroups: [{ Name: 'g', Tasks: [task] }],
      },
    });
  }
  await eventually('a healthy plugin', async () => {
    const plugin = await server.get<{ NodesHealthy: number; ControllersHealthy: number }>('/v1/plugin/csi/ebs');
    return (plugin.NodesHealthy === 1 && plugin.ControllersHealthy === 1) || undefined;
  });
  const capability = { AccessMode: 'single-node-writer', AttachmentMode: 'file-system' };
  const volume = { ID: 'db', Name: 'db', ExternalID: 'vol-1', PluginID: 'ebs', RequestedCapabilities: [capability] };
  const body = JSON.stringify({ Volumes: [volume] });
  const { status, text } = await server.fetch('/v1/volume/csi/db', { method: 'PUT', body });
  if (status !== 200) throw new Error(text);
}

/** A task that writes rows with its name into the volume, for as long as it runs. */
const writer = (id: string): object =>
  jobJson(id, {
    config: {
      command: '/bin/sh',
      args: ['-c', `cd "$NOMAD_TASK_DIR/../data" && while :; do echo ${id} >> rows; sync -d rows; sleep 0.1; done`],
    },
    task: { KillTimeout: 2e9, VolumeMounts: [{ Volume: 'data', Destination: '/data' }] },
    group: {
      Constraints: [ON_BOX],
      Volumes: {
        data: {
          Name: 'data',
          Type: 'csi',
          Source: 'db',
          AccessMode: 'single-node-writer',
          AttachmentMode: 'file-system',
        },
      },
    },
  });

async function tell(t: Test, story: Story): Promise<void> {
  const { lab, servers, dir } = story;
  const others = (machine: Machine): Machine[] => servers.filter((one) => one !== machine);
  const claims = async (at: Machine): Promise<CsiClaim[]> =>
    (await at.get<{ Claims: CsiClaim[] }>('/v1/volume/csi/db')).Claims;
  /** The one claim, once it stands so: a new leader has to look around first. */
  const claimAt = (at: Machine, state: string, waitsFor: RegExp): Promise<CsiClaim> => {
    const probe = async (): Promise<CsiClaim | undefined> => {
      const [claim, ...others] = await claims(at);
      const isSo = others.length === 0 && claim?.State === state && waitsFor.test(claim.WaitsFor);
      return isSo ? claim : undefined;
    };
    return eventually(`a claim that is ${state} and waits for ${waitsFor}`, probe, ELECTION_MS);
  };
  const rows = (): string[] => {
    const file = join(dir, 'cloud/vol-1/rows');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  };
  const writes = (id: string): Promise<true> =>
    eventually(`${id} to write`, () => rows().includes(id) || undefined, ELECTION_MS);
  const attached = (): boolean => existsSync(join(dir, 'cloud/vol-1.attached'));

  const publish = new Held(dir, 'ControllerPublishVolume');
  await (servers[0] as Machine).register(writer('a'));
  await publish.reached();
  const killed = await leaderOf(servers);
  await killed.end('SIGKILL');
  let leader = await leaderOf(others(killed));
  await claimAt(leader, 'taken', /the controller to attach it/);
  publish.release();
  await writes('a');
  await killed.start('up');
  leader = await leaderOf(servers);

  await leader.register(writer('b'));
  const unpublish = new Held(dir, 'NodeUnpublishVolume');
  await leader.fetch('/v1/job/a', { method: 'DELETE' });
  await unpublish.reached();
  const frozen = await leaderOf(servers);
  process.kill(frozen.pid, 'SIGSTOP');
  leader = await leaderOf(others(frozen));
  const held = await claimAt(leader, 'unpublishing', /to unmount it/);
  const detach = new Held(dir, 'ControllerUnpublishVolume');
  unpublish.release();
  await detach.reached();
  process.kill(frozen.pid, 'SIGCONT');
  const cut = await leaderOf(servers);
  await lab.setCable(cut.name, false);
  leader = await leaderOf(others(cut));
  const { AllocationID, Fence } = held;
  const detaching = await claimAt(leader, 'node-detached', /the controller to detach/);
  t.match(detaching, { AllocationID, Fence, Proof: 'node' });
  t.notOk(rows().includes('b'), 'nobody else has the volume yet');
  detach.release();
  await writes('b');
  await lab.setCable(cut.name, true);
  leader = await leaderOf(servers);

  t.equal(rows().lastIndexOf('a') + 1, rows().indexOf('b'), 'two never write at the same time');
  t.ok(attached());
  await leader.fetch('/v1/job/b?purge=true', { method: 'DELETE' });
  await eventually('the volume to be free', async () => (await claims(leader)).length === 0 || undefined, ELECTION_MS);
  t.notOk(attached(), 'and detached');
}

const missing = missingForLabs();

t.test('a claim goes on with whoever leads next', { skip: missing ?? false, timeout: 280_000 }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), `csi-leader-${process.pid}-`));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const lab = await Netlab.open({ lan: 4 });
  t.teardown(() => lab.close());
  const story = await begin(lab, dir);
  await runPlugin(story);
  await tell(t, story);
});
