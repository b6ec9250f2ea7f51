// Networks of groups, made by the real CNI plugins.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { DEFAULT_NETWORK_CONFIG, type NetworkConfig } from '../../lib/client/config.js';
import { GroupNetworks, type NetworkAsk } from '../../lib/client/network/group-networks.js';
import { readRecord, recordDir, writeRecord } from '../../lib/client/network/record.js';
import { systemTimers, type Timers } from '../../lib/client/timers.js';
import type { Driver } from '../../lib/plugin/sdk/driver.js';
import { createLog } from '../../lib/util/log.js';
import { FakeTimers } from '../client/fakes.js';
import { insideLab, type LabPlace } from '../support/inside-lab.js';
import { eventually } from '../support/mesh-agent.js';

let next = 0;

function newAsk(place: LabPlace, ask: Partial<NetworkAsk> = {}): NetworkAsk {
  const allocId = `${place.name}-${++next}`;
  const signal = new AbortController().signal;
  return {
    allocId,
    mode: 'bridge',
    ports: [],
    hostname: '',
    args: {},
    maker: null,
    signal,
    onChange: async () => {},
    onLook: () => {},
    ...ask,
  };
}

function port(Value: number, To: number, HostIP = ''): NetworkAsk['ports'][number] {
  return { Label: 'p', Value, To, HostIP, IgnoreCollision: false };
}

/** Networks of one agent; a second one with the same `stateDir` is its next life. */
function newNetworks(place: LabPlace, stateDir: string, change: Partial<NetworkConfig> & { timers?: Timers } = {}) {
  const { timers = systemTimers(() => Date.now()), ...settings } = change;
  const said: string[] = [];
  const config = {
    ...DEFAULT_NETWORK_CONFIG,
    bridge: { ...DEFAULT_NETWORK_CONFIG.bridge, name: place.name },
    ...settings,
  };
  const networks = new GroupNetworks({
    config: () => config,
    stateDir: () => stateDir,
    drivers: {},
    timers,
    log: createLog(({ message, fields }) => said.push(`${message} ${JSON.stringify(fields)}`)),
  });
  return { networks, said };
}

/** Answers with its name on a port inside a namespace. */
function serve(netns: string, at: number): { pid: number; end: () => void } {
  const script = `require('net').createServer(s => s.end('hello')).listen(${at}, '::')`;
  const child = spawn('nsenter', [`--net=${netns}`, process.execPath, '-e', script], { stdio: 'ignore' });
  return { pid: child.pid ?? -1, end: () => child.kill('SIGKILL') };
}

/** Prints what a port says: node -e ASK host port. */
const ASK = `require('net').connect(+process.argv[2], process.argv[1]).on('data', d => process.stdout.write(d)).on('error', () => process.exit(1)).setTimeout(2000, () => process.exit(1))`;

/** What a port of the host says to the neighbour; throws when nobody answers. */
function askFromOutside(place: LabPlace, at: number): string {
  const [file = '', ...args] = place.outside;
  return execFileSync(file, [...args, process.execPath, '-e', ASK, place.address, String(at)], {
    stdio: 'pipe',
  }).toString();
}

function answers(place: LabPlace, at: number): Promise<string> {
  return eventually(`an answer on port ${at}`, () => askFromOutside(place, at) || undefined, 10_000);
}

function run(file: string, ...args: string[]): string {
  return execFileSync(file, args, { stdio: 'pipe' }).toString();
}

/** Everything there is of allocations: namespaces, interfaces, rules, addresses and records. */
function leftovers(place: LabPlace): string[] {
  const names = run('ip', '-o', 'link')
    .split('\n')
    .filter((line) => line.includes('veth'));
  const rules = run('iptables-save')
    .split('\n')
    .filter((line) => line.includes(place.name) && !line.includes(`-o ${place.name} `));
  const addresses = readdirSync(`/run/meshnomad/ipam/${place.name}`).filter((name) => /^\d|:/.test(name));
  const mine = (dir: string): string[] => readdirSync(dir).filter((name) => name.includes(`${place.name}-`));
  return [
    ...names,
    ...rules,
    ...addresses,
    ...mine('/run/netns').filter((name) => name.startsWith('meshnomad-')),
    ...mine('/run/meshnomad/networks'),
  ];
}

function tests(place: LabPlace): void {
  const stateDir = mkdtempSync(join(tmpdir(), `${place.name}-`));
  t.teardown(() => rmSync(stateDir, { recursive: true, force: true }));
  const { networks, said } = newNetworks(place, stateDir);

  t.test(
    'a bridge with ports: reached from outside, from the host and from loopback, and it reaches out',
    async (t) => {
      const ask = newAsk(place, { ports: [port(21_000, 80)] });
      const made = await networks.ensure(ask);
      const server = serve(made.netnsPath, 80);
      t.teardown(() => server.end());
      t.match(made.status, { InterfaceName: 'eth0', Address: /^172\.26\.64\.\d+$/, AddressIPv6: '' });
      t.equal(await answers(place, 21_000), 'hello');
      for (const host of [place.address, '127.0.0.1', made.status?.Address]) {
        const at = host === made.status?.Address ? 80 : 21_000;
        t.equal(run(process.execPath, '-e', ASK, host as string, String(at)), 'hello', `${host}:${at}`);
      }
      // The neighbour knows nothing of the bridge's addresses: what comes must have the host's.
      const peer = spawn(
        place.outside[0] as string,
        [
          ...place.outside.slice(1),
          process.execPath,
          '-e',
          `require('net').createServer(s => s.end(s.remoteAddress)).listen(9000, '0.0.0.0')`,
        ],
        { stdio: 'ignore' },
      );
      t.teardown(() => peer.kill('SIGKILL'));
      const outside = place.address.replace(/\.1$/, '.2');
      const seen = await eventually(
        'the neighbour',
        () => run('nsenter', `--net=${made.netnsPath}`, process.execPath, '-e', ASK, outside, '9000') || undefined,
        10_000,
      );
      t.equal(seen, place.address);
      t.same(await networks.ensure(ask), made, 'what is there is left as it is');
      await networks.remove(ask.allocId);
      t.same(leftovers(place), []);
      await networks.remove(ask.allocId);
    },
  );

  t.test('tasks of two groups reach each other over the bridge', async (t) => {
    const [one, two] = await Promise.all([networks.ensure(newAsk(place)), networks.ensure(newAsk(place))]);
    t.not(one.status?.Address, two.status?.Address);
    const server = serve(one.netnsPath, 80);
    t.teardown(() => server.end());
    const said = await eventually(
      'the other group',
      () =>
        run('nsenter', `--net=${two.netnsPath}`, process.execPath, '-e', ASK, one.status?.Address as string, '80') ||
        undefined,
      10_000,
    );
    t.equal(said, 'hello');
    for (const { netnsPath } of [one, two]) await networks.remove(netnsPath.replace('/run/netns/meshnomad-', ''));
    t.same(leftovers(place), []);
  });

  t.test('lost rules are put back without touching the cable', async (t) => {
    const ask = newAsk(place, { ports: [port(21_001, 80)] });
    const made = await networks.ensure(ask);
    const server = serve(made.netnsPath, 80);
    t.teardown(() => server.end());
    await answers(place, 21_001);
    // A connection that is open all the while.
    const open = createConnection(80, made.status?.Address);
    const before = (await readRecord(ask.allocId))?.result;
    for (const args of [
      ['-F'],
      ['-t', 'nat', '-F'],
      ['-D', 'NOMAD-ADMIN', '1'],
      ['-t', 'nat', '-F', 'CNI-HOSTPORT-DNAT'],
    ]) {
      run('iptables', ...args);
      t.same(await networks.ensure(ask), made);
      t.equal(askFromOutside(place, 21_001), 'hello', args.join(' '));
    }
    open.destroy();
    t.same((await readRecord(ask.allocId))?.result, before, 'the same interfaces');
    t.equal(said.filter((line) => line.includes('made anew')).length, 0, said.join('\n'));
    t.match(said.join('\n'), /rules of a network were gone and are back/);
    await networks.remove(ask.allocId);
    t.same(leftovers(place), []);
  });

  t.test('a lost cable is laid anew, with the same addresses', async (t) => {
    const ask = newAsk(place, { ports: [port(21_002, 80)] });
    const made = await networks.ensure(ask);
    const mac = (): string =>
      run('ip', '-n', `meshnomad-${ask.allocId}`, '-o', 'link', 'show', 'eth0').split('ether ')[1] ?? '';
    const first = mac();
    const server = serve(made.netnsPath, 80);
    t.teardown(() => server.end());
    run('ip', '-n', `meshnomad-${ask.allocId}`, 'link', 'del', 'eth0');
    t.same(await networks.ensure(ask), made);
    t.equal(mac(), first, 'its neighbours need not find out');
    t.equal(await answers(place, 21_002), 'hello');
    run('ip', 'link', 'del', place.name);
    t.same(await networks.ensure(ask), made, 'after the bridge too');
    t.equal(askFromOutside(place, 21_002), 'hello');
    await networks.remove(ask.allocId);
    t.same(leftovers(place), []);
  });

  t.test('a namespace that lost its name gets it back from the tasks in it; without any it is made anew', async (t) => {
    const ask = newAsk(place, { ports: [port(21_003, 80)] });
    const made = await networks.ensure(ask);
    const server = serve(made.netnsPath, 80);
    t.teardown(() => server.end());
    await answers(place, 21_003);
    run('ip', 'netns', 'del', `meshnomad-${ask.allocId}`);
    t.same(await networks.ensure(ask), made);
    t.equal(run('ip', 'netns', 'pids', `meshnomad-${ask.allocId}`).trim(), String(server.pid));
    t.equal(askFromOutside(place, 21_003), 'hello');
    server.end();
    await eventually('its end', () =>
      run('ip', 'netns', 'pids', `meshnomad-${ask.allocId}`) === '' ? true : undefined,
    );
    run('ip', 'netns', 'del', `meshnomad-${ask.allocId}`);
    // As after a reboot of the machine: nothing is left but what the client's memory says.
    rmSync(recordDir(ask.allocId), { recursive: true });
    const again = await networks.ensure(ask);
    const next = serve(again.netnsPath, 80);
    t.teardown(() => next.end());
    t.equal(await answers(place, 21_003), 'hello');
    await networks.remove(ask.allocId);
    next.end();
  });

  t.test('what an agent left of allocations that are no more is removed by its next life, and only that', async (t) => {
    const [gone, kept, foreign] = [newAsk(place), newAsk(place), newAsk(place)];
    await networks.ensure(gone);
    await networks.ensure(kept);
    const other = newNetworks(place, `${stateDir}-other`).networks;
    await other.ensure(foreign);
    // Its agent was killed between the record and the namespace.
    const half = newAsk(place, { mode: 'none' });
    await networks.ensure(half);
    run('ip', 'netns', 'del', `meshnomad-${half.allocId}`);
    const ending = new AbortController();
    const { networks: nextLife } = newNetworks(place, stateDir);
    const serving = nextLife.serve((id) => id === kept.allocId, ending.signal);
    const there = (): string[] =>
      readdirSync('/run/meshnomad/networks').filter((name) => name.startsWith(`${place.name}-`));
    await eventually('the leftovers to go', () => (there().length === 2 ? true : undefined), 10_000);
    ending.abort();
    await serving;
    t.same(there().sort(), [kept.allocId, foreign.allocId].sort());
    await nextLife.remove(kept.allocId);
    await other.remove(foreign.allocId);
    t.same(leftovers(place), []);
  });

  t.test(
    'what is broken while the agent runs is mended by itself, and whoever uses it hears what it is now',
    async (t) => {
      const timers = new FakeTimers();
      const { networks, said } = newNetworks(place, stateDir, { timers });
      const heard: unknown[] = [];
      const onChange = async (network: unknown): Promise<void> => void heard.push(network);
      const ask = newAsk(place, { ports: [port(21_005, 80)], onChange });
      const made = await networks.ensure(ask);
      const none = newAsk(place, { mode: 'none', onChange });
      await networks.ensure(none);
      const ending = new AbortController();
      const serving = networks.serve(() => true, ending.signal);
      /** One turn of the watch. */
      const turn = async (): Promise<void> => {
        await eventually('the watch to wait', () => (timers.delays.length > 0 ? true : undefined));
        timers.advance(60_000);
        await eventually('the watch to have looked', () => (timers.delays.length > 0 ? true : undefined));
      };
      await turn();
      t.same([heard, said], [[], []], 'what is whole is left alone');
      run('iptables', '-t', 'nat', '-F');
      await turn();
      t.same(heard.splice(0), [made]);
      t.match(said.splice(0).join(), /are back/);
      const second = newAsk(place, { onChange });
      const neighbour = await networks.ensure(second);
      run('ip', 'link', 'del', place.name);
      await turn();
      t.same(heard.splice(0), [made, neighbour], 'who is on a bridge that another one has brought back');
      t.match(said.splice(0).join(), /made anew/);
      for (const args of [
        ['addr', 'flush', 'dev', place.name],
        ['link', 'set', place.name, 'down'],
      ]) {
        run('ip', ...args);
        await turn();
        t.same(heard.splice(0), [made], args.join(' '));
        t.match(said.splice(0).join(), /made anew/);
      }
      run('ip', 'netns', 'del', `meshnomad-${none.allocId}`);
      run('ip', 'netns', 'del', `meshnomad-${ask.allocId}`);
      await turn();
      t.equal(heard.length, 2);
      const server = serve(made.netnsPath, 80);
      t.teardown(() => server.end());
      t.equal(await answers(place, 21_005), 'hello');
      ending.abort();
      await serving;
      for (const { allocId } of [ask, second, none]) await networks.remove(allocId);
      server.end();
      t.same(leftovers(place), []);
    },
  );

  t.test('a call of plugins that the agent did not live to finish is taken back, and made again', async (t) => {
    const ask = newAsk(place, { ports: [port(21_006, 80)] });
    await networks.ensure(ask);
    const record = await readRecord(ask.allocId);
    if (!record) throw new Error('there is no record');
    await writeRecord({ ...record, result: null });
    const nextLife = newNetworks(place, stateDir);
    const made = await nextLife.networks.ensure(ask);
    t.same(nextLife.said, [], 'at the first attempt');
    const server = serve(made.netnsPath, 80);
    t.teardown(() => server.end());
    t.equal(await answers(place, 21_006), 'hello');
    await networks.remove(ask.allocId);
    server.end();
    t.same(leftovers(place), []);
  });

  t.test('none has loopback and nothing else', async (t) => {
    const ask = newAsk(place, { mode: 'none' });
    const made = await networks.ensure(ask);
    t.equal(made.status, null);
    const links = run('nsenter', `--net=${made.netnsPath}`, 'ip', '-o', 'link', 'show', 'up').trim().split('\n');
    t.match(links, [/ lo: /]);
    t.equal(links.length, 1);
    await networks.remove(ask.allocId);
  });

  t.test('cni/NAME is the network of that name, with its arguments; unknown ones are named', async (t) => {
    const cniConfigDir = join(stateDir, 'cni');
    mkdirSync(cniConfigDir);
    const ipam = { type: 'host-local', subnet: '10.99.0.0/24', dataDir: '/run/meshnomad/ipam' };
    const conf = {
      cniVersion: '0.4.0',
      name: place.name,
      type: 'ptp',
      ipMasq: false,
      ipam,
      dns: { nameservers: ['10.99.0.1'] },
    };
    writeFileSync(join(cniConfigDir, '10.conf'), JSON.stringify(conf));
    writeFileSync(join(cniConfigDir, '20.conflist'), '{');
    const { networks, said } = newNetworks(place, stateDir, { cniConfigDir });
    const ask = newAsk(place, { mode: `cni/${place.name}`, args: { IP: '10.99.0.77' } });
    const made = await networks.ensure(ask);
    t.match(made.status, { Address: '10.99.0.77', InterfaceName: 'eth0', DNS: { Servers: ['10.99.0.1'] } });
    t.same(await networks.ensure(ask), made);
    run('ip', '-n', `meshnomad-${ask.allocId}`, 'link', 'del', 'eth0');
    t.same(await networks.ensure(ask), made, 'mended');
    await networks.remove(ask.allocId);
    // A restart of the machine takes the record and the namespace, and leaves the address that the plugin has on disk.
    await networks.ensure(ask);
    const leases = (): string[] => readdirSync(`/run/meshnomad/ipam/${place.name}`).filter((name) => /^\d/.test(name));
    const forgetAll = (): void => {
      run('ip', 'netns', 'delete', `meshnomad-${ask.allocId}`);
      rmSync(`/run/meshnomad/networks/${ask.allocId}`, { recursive: true });
    };
    forgetAll();
    t.same((await networks.ensure(ask)).status?.Address, '10.99.0.77', 'it is not refused what it had');
    t.same(leases(), ['10.99.0.77']);
    t.notMatch(said.join('\n'), /will be tried again/);
    forgetAll();
    await networks.remove(ask.allocId, ask.mode);
    t.same(leases(), [], 'it is given back by an allocation that does not run again');
    const nowhere = newAsk(place, { mode: 'cni/nowhere' });
    await t.rejects(networks.ensure(nowhere), /no CNI network "nowhere" in .*20\.conflist is not JSON/);
    await networks.remove(nowhere.allocId);
    // The kernel takes the cable of a namespace that was deleted in its own time.
    await eventually('the cable to go', () => !run('ip', '-o', 'link').includes('veth') || undefined, 30_000);
    t.same(leftovers(place), []);
  });

  t.test('what others break of cni/NAME is mended by itself: rules as such, all else by a new cable', async (t) => {
    const cniConfigDir = join(stateDir, 'cni-watched');
    mkdirSync(cniConfigDir);
    const routes = [{ dst: '0.0.0.0/0' }];
    const ipam = { type: 'host-local', subnet: '10.98.0.0/24', dataDir: '/run/meshnomad/ipam', routes };
    const plugins = [
      { type: 'ptp', ipMasq: true, ipam },
      { type: 'firewall' },
      { type: 'portmap', capabilities: { portMappings: true } },
    ];
    const list = { cniVersion: '0.4.0', name: place.name, plugins };
    writeFileSync(join(cniConfigDir, '10.conflist'), JSON.stringify(list));
    const timers = new FakeTimers();
    const { networks, said } = newNetworks(place, stateDir, { timers, cniConfigDir });
    const ask = newAsk(place, { mode: `cni/${place.name}`, ports: [port(21_009, 80)], args: { IP: '10.98.0.77' } });
    const made = await networks.ensure(ask);
    const server = serve(made.netnsPath, 80);
    t.teardown(() => server.end());
    t.equal(await answers(place, 21_009), 'hello');
    const ending = new AbortController();
    const serving = networks.serve(() => true, ending.signal);
    const turn = async (): Promise<void> => {
      await eventually('the watch to wait', () => (timers.delays.length > 0 ? true : undefined));
      timers.advance(60_000);
      await eventually('the watch to have looked', () => (timers.delays.length > 0 ? true : undefined));
    };
    await turn();
    t.same(said, [], 'what is whole is left alone');
    for (const args of [['-F'], ['-t', 'nat', '-F', 'CNI-HOSTPORT-DNAT'], ['-t', 'nat', '-F', 'PREROUTING']]) {
      run('iptables', ...args);
      await turn();
      t.equal(askFromOutside(place, 21_009), 'hello', args.join(' '));
      t.match(said.splice(0).join(), /are back/, args.join(' '));
    }
    for (const args of [
      ['iptables', '-t', 'nat', '-F'],
      ['ip', '-n', `meshnomad-${ask.allocId}`, 'link', 'del', 'eth0'],
    ]) {
      run(args[0] as string, ...args.slice(1));
      await turn();
      t.equal(await answers(place, 21_009), 'hello', args.join(' '));
      t.match(said.splice(0).join(), /made anew/, args.join(' '));
    }
    t.same(await networks.ensure(ask), made, 'with the same address');
    ending.abort();
    await serving;
    await networks.remove(ask.allocId);
    server.end();
    t.same(leftovers(place), []);
  });

  t.test('what cannot be mended now is tried again, with the same address', async (t) => {
    const cniPath = join(stateDir, 'cni-bin');
    const installed = DEFAULT_NETWORK_CONFIG.cniPath.find((dir) => existsSync(join(dir, 'bridge'))) ?? '';
    symlinkSync(installed, cniPath);
    const timers = new FakeTimers();
    const { networks, said } = newNetworks(place, stateDir, { timers, cniPath: [cniPath] });
    const heard: unknown[] = [];
    const onChange = async (network: unknown): Promise<void> => void heard.push(network);
    await networks.ensure(newAsk(place, { allocId: `${place.name}-neighbour` }));
    const ask = newAsk(place, { onChange });
    const made = await networks.ensure(ask);
    await networks.remove(`${place.name}-neighbour`);
    rmSync(cniPath);
    run('ip', '-n', `meshnomad-${ask.allocId}`, 'link', 'del', 'eth0');
    const ending = new AbortController();
    const serving = networks.serve(() => true, ending.signal);
    const failed = (): true | undefined =>
      said.some((line) => /a network could not be made .*cni_path/.test(line)) || undefined;
    await eventually('the mending to fail', () => {
      timers.advance(60_000);
      return failed();
    });
    t.same(heard, []);
    symlinkSync(installed, cniPath);
    await eventually('the mending', () => {
      timers.advance(60_000);
      return heard.length > 0 ? true : undefined;
    });
    t.same(heard, [made]);
    ending.abort();
    await serving;
    await networks.remove(ask.allocId);
    t.same(leftovers(place), []);
  });

  t.test('a namespace of an engine that must be entered by another way is the same one', async (t) => {
    const { networks, said } = newNetworks(place, stateDir);
    const name = `held-${process.pid}`;
    run('ip', 'netns', 'add', name);
    t.teardown(() => run('ip', 'netns', 'del', name));
    const server = serve(`/run/netns/${name}`, 80);
    t.teardown(() => server.end());
    let netnsPath = `/run/netns/${name}`;
    const maker = { name: 'engine', createNetwork: async () => ({ netnsPath, labels: {} }) } as unknown as Driver;
    const ask = newAsk(place, { maker, ports: [port(21_011, 80)] });
    const made = await networks.ensure(ask);
    t.equal(await answers(place, 21_011), 'hello');
    netnsPath = `/proc/${server.pid}/ns/net`;
    t.same(await networks.ensure(ask), { ...made, netnsPath });
    t.equal(await answers(place, 21_011), 'hello');
    said.length = 0;
    t.same(await networks.ensure(ask), { ...made, netnsPath });
    t.same(said, [], 'and is left alone from then on');
    await networks.remove(ask.allocId);
    t.same(leftovers(place), []);
  });

  t.test('rules of a network that could not be made go with it', async (t) => {
    const dir = join(stateDir, 'cni-no-portmap');
    mkdirSync(dir);
    writeFileSync(join(dir, 'portmap'), '#!/bin/sh\n[ $CNI_COMMAND = DEL ] && exit 0\necho no >&2\nexit 1\n', {
      mode: 0o755,
    });
    const { networks } = newNetworks(place, stateDir, { cniPath: [dir, ...DEFAULT_NETWORK_CONFIG.cniPath] });
    const ask = newAsk(place);
    await t.rejects(networks.ensure(ask), /CNI plugin "portmap": no/);
    await networks.remove(ask.allocId);
    t.notMatch(run('iptables', '-S', 'CNI-FORWARD'), / -s /);
    t.same(leftovers(place), []);
  });

  t.test('a plugin that is not there is named with where it was looked for', async (t) => {
    const { networks, said } = newNetworks(place, stateDir, { cniPath: ['/nowhere'] });
    const ask = newAsk(place);
    await t.rejects(networks.ensure(ask), /CNI plugin "loopback": is not installed in \/nowhere.*cni_path/);
    t.match(said.join('\n'), /will be tried again/);
    // The plugin is still not there to undo what it never did.
    await networks.remove(ask.allocId);
    t.match(said.join('\n'), /of no use, and not undone/);
    t.same(leftovers(place), []);
  });

  t.test(
    'a port of a host network is on its address alone; with hairpin a task reaches its own port from inside',
    async (t) => {
      const bridge = { ...DEFAULT_NETWORK_CONFIG.bridge, name: place.name, hairpin: true };
      const { networks } = newNetworks(place, stateDir, { bridge, anyAddress: false });
      const ask = newAsk(place, { ports: [port(21_008, 80, place.address)] });
      const made = await networks.ensure(ask);
      const server = serve(made.netnsPath, 80);
      t.teardown(() => server.end());
      t.equal(await answers(place, 21_008), 'hello');
      t.throws(() => run(process.execPath, '-e', ASK, '127.0.0.1', '21008'));
      t.equal(run('nsenter', `--net=${made.netnsPath}`, process.execPath, '-e', ASK, place.address, '21008'), 'hello');
      await networks.remove(ask.allocId);
      server.end();
      t.same(leftovers(place), []);
    },
  );

  t.test('IPv6 beside IPv4', async (t) => {
    const bridge = { name: place.name, subnet: '172.26.64.0/20', subnetIpv6: 'fd00:a110:c8::/64', hairpin: false };
    const { networks, said } = newNetworks(place, stateDir, { bridge });
    const ask = newAsk(place, { ports: [port(21_004, 80)] });
    const made = await networks.ensure(ask);
    t.match(made.status, { Address: /^172/, AddressIPv6: /^fd00:a110:c8::/ });
    const server = serve(made.netnsPath, 80);
    t.teardown(() => server.end());
    t.equal(await answers(place, 21_004), 'hello');
    t.equal(run(process.execPath, '-e', ASK, made.status?.AddressIPv6 as string, '80'), 'hello');
    run('ip6tables', '-F');
    t.same(await networks.ensure(ask), made);
    t.match(said.join('\n'), /rules of a network were gone and are back/);
    run('ip', '-n', `meshnomad-${ask.allocId}`, 'link', 'del', 'eth0');
    t.same(await networks.ensure(ask), made, 'a new cable has both addresses of the lost one');
    await networks.remove(ask.allocId);
    t.same(leftovers(place), []);
  });

  t.test('cycles of start and stop leave nothing, also when ten are at once', async (t) => {
    for (let round = 0; round < 2; round++) {
      const asks = Array.from({ length: 10 }, (_, i) => newAsk(place, { ports: [port(22_000 + i, 80)] }));
      const made = await Promise.all(asks.map((ask) => networks.ensure(ask)));
      t.equal(new Set(made.map(({ status }) => status?.Address)).size, 10, 'an address each');
      await Promise.all(asks.map(({ allocId }) => networks.remove(allocId)));
      t.same(leftovers(place), []);
    }
  });
}

insideLab(import.meta.url, tests);
