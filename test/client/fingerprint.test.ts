import type { NetworkInterfaceInfo } from 'node:os';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { defaultClientConfig } from '../../lib/client/config.js';
import type { Facts } from '../../lib/client/fingerprint/fact.js';
import { parseOsRelease } from '../../lib/client/fingerprint/host.js';
import { FINGERPRINTS } from '../../lib/client/fingerprint/index.js';
import { chooseInterface, defaultRouteInterface } from '../../lib/client/fingerprint/network.js';
import { mountOf, parseMounts, storageFingerprint } from '../../lib/client/fingerprint/storage.js';
import { selectToCollect } from '../../lib/client/gc.js';
import { HostSampler } from '../../lib/client/host-stats.js';

t.test('the disk that can be given out grows with what is free, and does not shrink with what was given', async (t) => {
  const config = defaultClientConfig({ stateDir: null, allocDir: tmpdir(), nodeName: 'n' });
  const run = (before?: Facts, diskTotalMb: number | null = null): Promise<Facts> =>
    storageFingerprint.run({
      config: { ...config, diskTotalMb },
      httpAddr: '',
      version: '',
      ...(before ? { before } : {}),
    });
  const first = await run();
  const free = first.diskMb ?? 0;
  const full: Facts = { attributes: {}, diskMb: 0 };
  const roomy: Facts = { attributes: {}, diskMb: free * 2 };
  t.equal(await run(roomy), roomy);
  const grown = await run(full);
  t.ok((grown.diskMb ?? 0) > free / 2, 'what started on a full disk');
  t.equal(await run(full, 0), full, 'unless the configuration says how much');
});

t.test('os-release', async (t) => {
  t.same(parseOsRelease('ID=debian\nVERSION_ID="13"\n# x\nNAME=\'Debian "x"\'\n'), {
    ID: 'debian',
    VERSION_ID: '13',
    NAME: 'Debian "x"',
  });
});

t.test('the default route with the least metric', async (t) => {
  const head = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT';
  const route = (name: string, destination: string, flags: string, metric: number, mask: string): string =>
    [name, destination, '0100000A', flags, 0, 0, metric, mask, 0, 0, 0].join('\t');
  const text = [
    head,
    route('wlan0', '00000000', '0003', 600, '00000000'),
    route('eth0', '00000000', '0003', 100, '00000000'),
    route('eth1', '00000000', '0002', 1, '00000000'),
    route('eth0', '0000000A', '0001', 0, '00FFFFFF'),
  ].join('\n');
  t.equal(defaultRouteInterface(text), 'eth0');
  t.equal(defaultRouteInterface(head), null);
  t.equal(defaultRouteInterface(''), null);
});

t.test('which interface the ports are bound to', async (t) => {
  const address = (address: string, family: 'IPv4' | 'IPv6', internal = false): NetworkInterfaceInfo =>
    ({ address, family, internal, mac: '', netmask: '', cidr: null, scopeid: 0 }) as NetworkInterfaceInfo;
  const interfaces = {
    lo: [address('127.0.0.1', 'IPv4', true)],
    eth0: [address('fd00::1', 'IPv6'), address('10.0.0.2', 'IPv4'), address('fe80::1', 'IPv6')],
    wg0: [address('10.9.0.1', 'IPv4')],
  };
  const chosen = (asked: string | null, routed: string | null, loopback = false, among: object = interfaces) => {
    const found = chooseInterface(among as typeof interfaces, { asked, routed, loopback, family: 'ipv4' });
    return found && [found.name, ...found.addresses.map(({ address }) => address)];
  };
  t.same(chosen(null, 'wg0'), ['wg0', '10.9.0.1']);
  t.same(chosen('eth0', 'wg0'), ['eth0', '10.0.0.2', 'fd00::1'], 'the configured one; no link-local address');
  t.same(chosen(null, null), ['eth0', '10.0.0.2', 'fd00::1'], 'without a route the first');
  t.equal(chosen('eth9', 'wg0'), null, 'a configured one that is not there is not replaced');
  t.same(chosen('lo', null), ['lo', '127.0.0.1']);
  t.equal(chosen(null, null, false, { lo: interfaces.lo }), null);
  t.same(
    chosen(null, null, true, { lo: interfaces.lo }),
    ['lo', '127.0.0.1'],
    'loopback when nothing else and kept local',
  );
});

t.test('an interface that is configured and not there is named', async (t) => {
  const config = defaultClientConfig({ stateDir: null, allocDir: join(tmpdir(), 'client-fp'), nodeName: 'n' });
  const network = FINGERPRINTS.find(({ name }) => name === 'network');
  const input = { config: { ...config, networkInterface: 'none0' }, httpAddr: 'h:1', version: '0.1.0' };
  const facts = await network?.run(input);
  t.match(facts?.attributes, { 'unique.network.reason': 'network_interface "none0" is not there, or has no address' });
  t.notOk(facts?.attributes['unique.network.ip-address']);
});

t.test('which mount holds a path', async (t) => {
  const mounts = parseMounts('/dev/a / ext4 rw 0 0\n/dev/b /data\\040x ext4 rw 0 0\n/dev/c /data ext4 rw 0 0');
  t.equal(mountOf(mounts, '/data x/y')?.device, '/dev/b');
  t.equal(mountOf(mounts, '/data/y')?.device, '/dev/c');
  t.equal(mountOf(mounts, '/database')?.device, '/dev/a');
});

t.test('this machine has every fact that placement needs', async (t) => {
  const config = defaultClientConfig({ stateDir: null, allocDir: join(tmpdir(), 'client-fp'), nodeName: 'n' });
  const input = { config, httpAddr: 'h:1', version: '0.1.0' };
  const facts = await Promise.all(FINGERPRINTS.map((fingerprint) => fingerprint.run(input)));
  const all = Object.assign({}, ...facts.map(({ attributes }) => attributes)) as Record<string, string>;
  for (const name of [
    'cpu.arch',
    'cpu.numcores',
    'cpu.totalcompute',
    'kernel.name',
    'kernel.version',
    'os.name',
    'memory.totalbytes',
    'unique.hostname',
    'unique.storage.bytestotal',
    'nomad.version',
    'nomad.service_discovery',
    'meshnomad.version',
  ]) {
    t.ok(all[name], name);
  }
  t.ok(facts.some(({ cpu }) => (cpu?.totalMhz ?? 0) > 100));
  t.ok(facts.some(({ memoryMb }) => (memoryMb ?? 0) > 100));
});

t.test('the machine as sampled', async (t) => {
  const sampler = new HostSampler();
  const options = { allocDir: tmpdir(), totalMhz: 4000, nowMs: 1 };
  await sampler.sample(options);
  const stats = await sampler.sample(options);
  t.ok(stats.CPU.length > 0);
  t.ok(stats.CPU.every(({ TotalPercent }) => TotalPercent >= 0 && TotalPercent <= 100));
  t.ok(stats.Memory.Total > stats.Memory.Available && stats.Memory.Available > 0);
  t.ok((stats.AllocDirStats?.Size ?? 0) > 0);
});

t.test('the oldest ended allocations are collected', async (t) => {
  const ended = [3, 1, 2].map((finishedAtMs) => ({ id: `a${finishedAtMs}`, finishedAtMs }));
  const select = (total: number, maxAllocs: number, diskOverLimit = false): string[] =>
    selectToCollect({ ended, total, maxAllocs, diskOverLimit });
  t.same(select(5, 50), []);
  t.same(select(52, 50), ['a1', 'a2']);
  t.same(select(99, 50), ['a1', 'a2', 'a3'], 'running ones stay');
  t.same(select(5, 50, true), ['a1', 'a2', 'a3']);
});
