// A machine in a network of its own is put to sleep by its agent and woken by a real magic packet, which another node of that network
// sends: nobody ever named its hardware address. Then the same by commands on the server, for which a running agent reads its policy
// again.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { ScalingStandings } from '../../lib/structs/rpc-scaling.js';
import { insideLab } from '../support/inside-lab.js';
import { cli, eventually, jobJson, MESHNOMAD, TestAgent } from '../support/mesh-agent.js';

/** `method`: how the target block of the policy goes on. */
const policy = (method: string): string => `scaling "gpu" {
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
      ${method}
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
    writeFileSync(join(folder, 'policies', 'gpu.hcl'), policy('method = "wol"'));
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
    const trained = join(folder, 'trained');
    const training = { command: 'sh', args: ['-c', `while [ ! -e ${trained} ]; do sleep 0.2; done`] };
    const job = jobJson('train', { type: 'batch', config: training }) as { Job: object };
    await nas.register({ Job: { ...job.Job, NodePool: 'gpu' } });
    await eventually(
      'it works',
      async () => {
        const allocs = await nas.get<{ ClientStatus: string; NodeID: string }[]>('/v1/job/train/allocations');
        return allocs.some(({ ClientStatus, NodeID }) => ClientStatus === 'running' && NodeID === ID) || undefined;
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

    // By hooks: one ends the agent, the other starts it on the machine, and each notes whom it was told of.
    const hook = (name: string, lines: string[]): string => {
      const path = join(folder, name);
      writeFileSync(
        path,
        `#!/bin/sh\nset -e\necho "$NODE_NAME $NODE_MAC" >>${folder}/${name}.told\n${lines.join('\n')}\n`,
      );
      chmodSync(path, 0o755);
      return path;
    };
    const start = [...place.outside, process.execPath, MESHNOMAD, 'agent', '-config', config].join(' ');
    const wakeHook = hook('wake-hook', [`${start} >>${folder}/tower.log 2>&1 </dev/null &`, `echo $! >${pidFile}`]);
    const sleepHook = hook('sleep-hook', [`kill -9 $(cat ${pidFile})`]);
    const told = (name: string): string => readFileSync(join(folder, `${name}.told`), 'utf8');
    writeFileSync(
      join(folder, 'policies', 'gpu.hcl'),
      policy(`method = "command"\n      wake_command = "${wakeHook}"\n      sleep_command = "${sleepHook}"`),
    );
    nas.signal('SIGHUP');
    await eventually('the policy was read again', async () => {
      const { Policies } = await nas.get<ScalingStandings>('/v1/autoscaler/status');
      return Policies[0]?.Target.Config['method'] === 'command' || undefined;
    });
    writeFileSync(trained, '');
    await reaches('down');
    t.equal(told('sleep-hook'), `tower ${called.trim()}\n`, 'by the hook, and no longer by its agent');
    t.teardown(() => {
      try {
        process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
      } catch {
        // It sleeps again.
      }
    });
    const again = jobJson('again', { type: 'batch', config: { command: 'true' } }) as { Job: object };
    const file = join(folder, 'again.json');
    writeFileSync(file, JSON.stringify({ Job: { ...again.Job, NodePool: 'gpu' } }));
    const ran = await cli(['job', 'run', '-json', file], { env: { NOMAD_ADDR: nas.address } });
    t.equal(ran.code, 0, ran.out + ran.err);
    const waking = `waking tower via ${wakeHook} …`;
    t.match(
      ran.out,
      new RegExp(`machines of node pool "gpu"[^]* ${waking}\\n[^]* ${waking} up \\d+ s[^]*created: node`),
    );
    t.equal(told('wake-hook'), `tower ${called.trim()}\n`);
    await eventually('it has the work that waited', async () => {
      const allocs = await nas.get<{ NodeID: string; ClientStatus: string }[]>('/v1/job/again/allocations');
      return allocs.some(({ NodeID, ClientStatus }) => NodeID === ID && ClientStatus === 'complete') || undefined;
    });
  });
});
