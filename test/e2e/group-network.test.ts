// A group with a network of its own, as its user sees it: through kills of the agent, flushed rules and a reboot.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { insideLab, type LabPlace } from '../support/inside-lab.js';
import { type AllocStub, allocsOf, eventually, TestAgent } from '../support/mesh-agent.js';

const SERVER = `echo $$ > $NOMAD_ALLOC_DIR/server.pid; mkdir -p www; echo hello > www/index.html; exec busybox httpd -f -p $NOMAD_PORT_web -h www`;
const CLIENT = `echo $$ > $NOMAD_ALLOC_DIR/client.pid
while ! busybox wget -q -O $NOMAD_ALLOC_DIR/heard http://localhost:$NOMAD_PORT_web/; do sleep 0.1; done
{ hostname; cat /etc/hosts /etc/resolv.conf; env; } > $NOMAD_ALLOC_DIR/seen
exec sleep 3600`;

function job(place: LabPlace): object {
  const task = (Name: string, Driver: string, script: string): object => ({
    Name,
    Driver,
    Config: { command: '/bin/sh', args: ['-c', script] },
    Resources: { CPU: 20, MemoryMB: 64 },
  });
  const network = {
    Mode: 'bridge',
    Hostname: '${NOMAD_JOB_NAME}-${NOMAD_ALLOC_INDEX}.home',
    DNS: { Servers: ['10.9.0.2'], Searches: ['home'] },
    ReservedPorts: [{ Label: 'web', Value: 18_080, To: 8080 }],
    DynamicPorts: [{ Label: 'more', To: -1 }],
  };
  const tasks = [
    task('server', 'raw_exec', SERVER),
    task('client', 'exec', CLIENT),
    { ...task('idle', 'mock_driver', ''), Config: { run_for: '1h' } },
  ];
  const group = {
    Name: 'g',
    Networks: [network],
    Tasks: tasks,
    RestartPolicy: { Attempts: 10, Interval: 60e9, Delay: 100e6, Mode: 'delay' },
  };
  return { Job: { ID: place.name, Name: 'talk', Type: 'service', TaskGroups: [group] } };
}

interface SeenAlloc {
  ID: string;
  NetworkStatus: { InterfaceName: string; Address: string } | null;
  AllocatedResources: { Shared: { Ports: { Label: string; Value: number; To: number; HostIP: string }[] } };
}

/** A directory of this machine's CNI plugins that can be there and not be there. */
function newPlugins(): { dir: string; there: () => void; gone: () => void } {
  const dir = mkdtempSync('/tmp/meshnomad-cni-');
  const installed = ['/opt/cni/bin', '/usr/lib/cni', '/usr/libexec/cni'].find((one) => existsSync(join(one, 'bridge')));
  const there = (): void => {
    mkdirSync(dir, { recursive: true });
    for (const name of readdirSync(installed ?? '')) symlinkSync(join(installed ?? '', name), join(dir, name));
  };
  const gone = (): void => rmSync(dir, { recursive: true, force: true });
  there();
  return { dir, there, gone };
}

function tests(place: LabPlace): void {
  t.test('a group of two drivers on the bridge', { timeout: 180_000 }, async (t) => {
    const plugins = newPlugins();
    t.teardown(plugins.gone);
    const agent = await TestAgent.start({
      config: `client {\n  cni_path = "${plugins.dir}"\n  bridge_network_name = "${place.name}"\n}\nplugin "exec" {\n}`,
    });
    t.teardown(() => agent.dispose());
    await agent.register(job(place));
    const [{ ID }] = (await allocsOf(agent, place.name, 'running', 1)) as [AllocStub];
    const file = (name: string): string =>
      execFileSync('cat', [`${agent.dir}/data/alloc/${ID}/alloc/${name}`]).toString();
    const [enter = '', ...args] = place.outside;
    const isReached = (host = place.address): true | undefined => {
      const out = execFileSync(enter, [...args, 'busybox', 'wget', '-q', '-O-', `http://${host}:18080/`], {
        stdio: 'pipe',
        timeout: 3000,
      });
      return out.toString() === 'hello\n' ? true : undefined;
    };

    t.equal(
      await eventually('the client to hear the server on localhost', () => file('heard') || undefined),
      'hello\n',
    );
    const seen = await eventually('what the client sees', () =>
      /^NOMAD_TASK_NAME=client$/m.test(file('seen')) ? file('seen') : undefined,
    );
    const alloc = await agent.get<SeenAlloc>(`/v1/allocation/${ID}`);
    const address = alloc.NetworkStatus?.Address as string;
    t.match(alloc.NetworkStatus, { InterfaceName: 'eth0', Address: /^172\.26\.64\./ });
    const more = alloc.AllocatedResources.Shared.Ports.find(({ Label }) => Label === 'more');
    for (const line of [
      'talk-0.home',
      `${address} talk-0.home talk-0`,
      'nameserver 10.9.0.2',
      'search home',
      `NOMAD_ALLOC_ADDR_web=${address}:8080`,
      `NOMAD_ALLOC_IP_web=${address}`,
      'NOMAD_ALLOC_INTERFACE_web=eth0',
      `NOMAD_ADDR_web=${place.address}:18080`,
      'NOMAD_PORT_web=8080',
      'NOMAD_HOST_PORT_web=18080',
      `NOMAD_PORT_more=${more?.Value}`,
      `NOMAD_ALLOC_ADDR_more=${address}:${more?.Value}`,
    ])
      t.ok(seen.split('\n').includes(line), `${line}\n${seen}`);
    t.ok(await eventually('an answer from outside', () => isReached()));
    const { out } = await agent.cli(['alloc', 'status', ID]);
    t.match(
      out,
      /Allocation Addresses \(mode = "bridge"\):\n.*\n\*web +no +10\.9\.0\.1:18080 -> 8080\n\*more +yes +10\.9\.0\.1:\d+ -> \d+/,
    );

    const pids = [file('server.pid'), file('client.pid')];
    await agent.kill();
    t.ok(isReached(), 'no agent is needed for it to be reached');
    execFileSync('iptables', ['-F']);
    execFileSync('iptables', ['-t', 'nat', '-F']);
    agent.launch();
    await agent.ready();
    t.ok(await eventually('what was flushed while no agent ran', () => isReached()));
    t.same([file('server.pid'), file('client.pid')], pids, 'the tasks never noticed');

    await agent.kill();
    reboot(place, ID);
    // Such as a file system that is mounted later.
    plugins.gone();
    agent.launch();
    await agent.ready();
    await eventually('its tasks to wait for the plugins', async () => {
      const { out } = await agent.cli(['alloc', 'status', ID]);
      return /Task Setup +CNI plugin "loopback": is not installed/.test(out) || undefined;
    });
    plugins.there();
    t.ok(await eventually('the group after a reboot', () => isReached()));
    t.not(file('server.pid'), pids[0]);
    await allocsOf(agent, place.name, 'running', 1);

    moveTo('10.9.0.77');
    await eventually('the node to tell its new address', async () => {
      const [{ ID: node }] = await agent.get<[{ ID: string }]>('/v1/nodes');
      const { Attributes } = await agent.get<{ Attributes: Record<string, string> }>(`/v1/node/${node}`);
      return Attributes['unique.network.ip-address'] === '10.9.0.77' || undefined;
    });
    t.ok(await eventually('the group at the new address', () => isReached('10.9.0.77')));

    t.equal((await agent.cli(['job', 'stop', '-purge', place.name])).code, 0);
    await eventually('its network to go', () => (existsSync(`/run/meshnomad/networks/${ID}`) ? undefined : true));
    t.same(
      readdirSync('/run/netns').filter((name) => name.includes(ID)),
      [],
    );
    t.notMatch(execFileSync('iptables-save').toString(), new RegExp(ID));
    t.notMatch(execFileSync('ip', ['-o', 'link']).toString(), /veth/);
  });
}

/** Gives the node another address, as a DHCP server may. */
function moveTo(address: string): void {
  for (const command of [
    'addr flush dev eth0',
    `addr add ${address}/24 dev eth0`,
    'route replace default via 10.9.0.254',
  ])
    execFileSync('ip', command.split(' '));
}

/** Takes from the allocation what a restart of the machine takes. */
function reboot(place: LabPlace, allocId: string): void {
  const name = `meshnomad-${allocId}`;
  const pids = execFileSync('ip', ['netns', 'pids', name]).toString().split('\n').filter(Boolean);
  for (const pid of pids) process.kill(Number(pid), 'SIGKILL');
  execFileSync('ip', ['netns', 'del', name]);
  execFileSync('ip', ['link', 'del', place.name]);
  for (const table of ['filter', 'nat'])
    for (const action of ['-F', '-X']) execFileSync('iptables', ['-t', table, action]);
  rmSync(`/run/meshnomad/networks/${allocId}`, { recursive: true });
  rmSync(`/run/meshnomad/ipam/${place.name}`, { recursive: true });
}

insideLab(import.meta.url, tests);
