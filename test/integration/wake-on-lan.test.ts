// A machine in a network of its own is put to sleep by its agent and woken by a real magic packet, which another node of that network
// sends: nobody ever named its hardware address.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { insideLab } from '../support/inside-lab.js';
import { cli, eventually, jobJson, MESHNOMAD, TestAgent } from '../support/mesh-agent.js';

const POLICY = `scaling "gpu" {
  min = 0
  max = 1
  policy {
    cooldown            = "1s"
    evaluation_interval = "1s"
    check "wanted" {
      query = "wanted"
      strategy "pass-through" {
      }
    }
    target "power" {
      node_pool = "gpu"
      method    = "wol"
    }
  }
}
`;

/** A network card that listens while its machine sleeps: ends, and tells the address, when a magic packet comes. */
const CARD = `
const socket = require('node:dgram').createSocket({ type: 'udp4', reuseAddr: true });
socket.on('message', (packet) => {
  const hex = packet.toString('hex');
  if (!/^f{12}([0-9a-f]{12})\\1{15}$/.test(hex)) return;
  process.stdout.write(hex.slice(12, 24).match(/../g).join(':') + '\\n', () => process.exit(0));
});
socket.bind(9, () => process.stderr.write('listening\\n'));
`;

insideLab(import.meta.url, (place) => {
  t.test('a machine is woken over the network by its neighbour', { timeout: 230_000 }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'wol-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    mkdirSync(join(folder, 'policies'));
    writeFileSync(join(folder, 'policies', 'gpu.hcl'), POLICY);
    const nas = await TestAgent.start({
      name: 'nas',
      config: `mesh {\n  secret = "wake up, tower"\n}\naddresses {\n  rpc = "${place.address}"\n}
autoscaler {\n  policy_dir = "${join(folder, 'policies')}"\n}
server {\n  heartbeat_grace = "1s"\n  min_heartbeat_ttl = "1s"\n}\n`,
    });
    t.teardown(() => nas.dispose());

    const [command = '', ...enter] = place.outside;
    const children = new Set<ChildProcess>();
    let said = '';
    const outside = (...args: string[]): ChildProcess => {
      const child = spawn(command, [...enter, process.execPath, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
      children.add(child);
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
      return child;
    };
    t.teardown(() => {
      for (const child of children) child.kill('SIGKILL');
    });
    const pidFile = join(folder, 'pid');
    const config = join(folder, 'tower.hcl');
    writeFileSync(
      config,
      `name = "tower"
data_dir = "${join(folder, 'tower')}"
mesh {\n  secret = "wake up, tower"\n}
ports {\n  http = 0\n}
client {
  enabled   = true
  node_pool = "gpu"
  servers   = ["${place.address}:${nas.rpcPort}"]
  power {
    sleep = ["sh", "-c", "kill -9 $(cat ${pidFile})"]
  }
}
plugin "raw_exec" {\n  config {\n    enabled = true\n  }\n}
`,
    );
    const switchOn = (): void => {
      writeFileSync(pidFile, String(outside(MESHNOMAD, 'agent', '-config', config).pid));
    };
    const tower = async () =>
      (await nas.get<{ ID: string; Name: string; Status: string }[]>('/v1/nodes')).find(({ Name }) => Name === 'tower');
    const reaches = (status: string) =>
      eventually(
        `tower to be ${status}`,
        async () => {
          const { Status = 'unknown' } = (await tower()) ?? {};
          if (Status !== status) throw new Error(`it is ${Status}:\n${said.slice(-2_000)}`);
          return true;
        },
        90_000,
      );
    switchOn();
    await reaches('ready');
    await reaches('down');
    const { ID = '' } = (await tower()) ?? {};
    const { NodeResources } = await nas.get<{
      NodeResources: { NodeNetworks: { MacAddress: string; Addresses: { Address: string }[] }[] };
    }>(`/v1/node/${ID}`);
    const card = outside('-e', CARD);
    let called = '';
    card.stdout?.on('data', (chunk) => (called += chunk));
    await new Promise((resolve) => card.stderr?.once('data', resolve));
    card.once('exit', switchOn);
    const job = jobJson('train', { type: 'batch', config: { command: 'true' } }) as { Job: object };
    await nas.register({ Job: { ...job.Job, NodePool: 'gpu' } });
    await eventually(
      'its work is done',
      async () => {
        const allocs = await nas.get<{ ClientStatus: string; NodeID: string }[]>('/v1/job/train/allocations');
        return allocs.some(({ ClientStatus, NodeID }) => ClientStatus === 'complete' && NodeID === ID) || undefined;
      },
      120_000,
    );
    const own = NodeResources.NodeNetworks.filter(({ Addresses }) =>
      Addresses.some(({ Address }) => Address === '10.9.0.2'),
    );
    t.same(
      own.map(({ MacAddress }) => MacAddress),
      [called.trim()],
      'by the address it had told itself',
    );
    const { out } = await cli(['autoscaler', 'status', 'gpu'], { env: { NOMAD_ADDR: nas.address } });
    t.match(out, /tower sleeps/);
    t.match(out, /waking tower via nas …/);
  });
});
