import { type AddressInfo, createServer } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';
import t from 'tap';
import { hasModule, parsePluginVersion } from '../../lib/client/fingerprint/cni.js';
import { chooseInterface, defaultRouteInterface, hostAddresses } from '../../lib/client/fingerprint/network.js';
import { isBefore, pluginInput } from '../../lib/client/network/cni.js';
import { bridgeList, parseNetworkList } from '../../lib/client/network/conflist.js';
import { hostsText, parseResolv, resolvText } from '../../lib/client/network/files.js';
import { findCut, findDamage, readLinks, readRules } from '../../lib/client/network/firewall.js';
import { findLoss, hasRules, rulesOf } from '../../lib/client/network/own-rules.js';
import { hostSide, networkStatus, portMappings, unmappedPorts } from '../../lib/client/network/result.js';
import { isAt, type Listener, parseListeners, takenPorts } from '../../lib/client/network/taken-ports.js';
import { Turns } from '../../lib/client/network/turns.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';

const bridge = { name: 'nomad', subnet: '172.26.64.0/20', subnetIpv6: '', hairpin: false };

t.test('a list of plugins, or a single one, is read; what is none is refused with a reason', async (t) => {
  const list = parseNetworkList('{"cniVersion":"1.0.0","name":"lan","plugins":[{"type":"macvlan","master":"eth0"}]}');
  t.match(list, {
    ok: true,
    value: { name: 'lan', cniVersion: '1.0.0', plugins: [{ type: 'macvlan', master: 'eth0' }] },
  });
  t.match(parseNetworkList('{"name":"one","type":"ptp"}'), {
    ok: true,
    value: { name: 'one', cniVersion: '0.2.0', plugins: [{ type: 'ptp' }], disableCheck: false },
  });
  const refused: [string, RegExp][] = [
    ['', /not JSON/],
    ['[]', /not a JSON object/],
    ['{"plugins":[{"type":"a"}]}', /"name"/],
    ['{"name":"a/b","type":"x"}', /"name"/],
    ['{"name":"a","cniVersion":1,"type":"x"}', /"cniVersion"/],
    ['{"name":"a","plugins":[]}', /"plugins"/],
    ['{"name":"a","plugins":{}}', /"plugins"/],
    ['{"name":"a","plugins":[{"type":"../../bin/sh"}]}', /"type"/],
    ['{"name":"a","plugins":[null]}', /"type"/],
    [`{"name":"a","plugins":[${Array(40).fill('{"type":"x"}')}]}`, /"plugins"/],
  ];
  for (const [text, error] of refused) t.match(parseNetworkList(text), { ok: false, error }, text.slice(0, 60));
});

t.test('a plugin reads its own part, the name and version of the list, and only the capabilities it has', async (t) => {
  const list = bridgeList({ ...bridge, subnetIpv6: 'fd00:1::/64', hairpin: true });
  const mapped = portMappings([{ Label: 'a', Value: 20_000, To: 80, HostIP: '', IgnoreCollision: false }], true);
  const [loopback, first, firewall, portmap] = list.plugins.map((plugin) =>
    pluginInput(list, plugin, { portMappings: mapped }, { cniVersion: '1.0.0', ips: [] }),
  );
  t.same(loopback, {
    type: 'loopback',
    name: 'nomad',
    cniVersion: '0.4.0',
    prevResult: { cniVersion: '0.4.0', ips: [] },
  });
  t.match(first, {
    hairpinMode: true,
    isGateway: true,
    ipMasq: false,
    ipam: { ranges: [[{ subnet: bridge.subnet }], [{ subnet: 'fd00:1::/64' }]] },
  });
  t.notOk('runtimeConfig' in (firewall as object));
  const ips = ['172.26.64.5/20', 'fd00:1::5/64'];
  const again = pluginInput(list, list.plugins[1] as { type: string }, { portMappings: mapped, ips }, null);
  t.same(again['runtimeConfig'], { ips }, 'the bridge is asked for the addresses that were lost');
  t.same(portmap?.['runtimeConfig'], {
    portMappings: [
      { hostPort: 20_000, containerPort: 80, protocol: 'tcp' },
      { hostPort: 20_000, containerPort: 80, protocol: 'udp' },
    ],
  });
  t.notOk('capabilities' in (portmap as object), 'a plugin does not read what it is able to');
  t.notOk('prevResult' in pluginInput(list, list.plugins[0] as { type: string }, { portMappings: [] }, null));
});

t.test('a port without a target leads to its own number, on its address unless all are meant', async (t) => {
  const ports = [{ Label: 'a', Value: 8080, To: 0, HostIP: '10.0.0.1', IgnoreCollision: false }];
  t.match(portMappings(ports, false)[0], { hostPort: 8080, containerPort: 8080, protocol: 'tcp', hostIP: '10.0.0.1' });
  t.notOk('hostIP' in (portMappings(ports, true)[0] as object));
});

t.test('a port of an address whose kind the group has not is told', async (t) => {
  const port = (HostIP: string) => ({ Label: 'web', Value: 8080, To: 80, HostIP, IgnoreCollision: false });
  const status = { InterfaceName: 'eth0', Address: '172.26.64.2', AddressIPv6: '', DNS: null };
  t.same(unmappedPorts([port('10.0.0.1'), port('fd77::2'), port('')], status), [
    'port 8080 ("web") of fd77::2 leads nowhere: the group\'s network has no IPv6 address',
  ]);
  t.same(unmappedPorts([port('fd77::2')], { ...status, AddressIPv6: 'fd00:a110:c8::2' }), []);
  t.match(unmappedPorts([port('10.0.0.1')], { ...status, Address: 'fd00::2', AddressIPv6: 'fd00::2' }), [/no IPv4/]);
});

t.test('the address of an allocation is that of the first interface inside', async (t) => {
  const interfaces = [{ name: 'nomad' }, { name: 'veth1' }, { name: 'eth0', sandbox: '/run/netns/x' }];
  const result = {
    interfaces,
    ips: [
      { interface: 0, address: '172.26.64.1/20' },
      { interface: 2, address: 'fd00:1::2/64' },
      { interface: 2, address: '172.26.64.2/20' },
    ],
    dns: { nameservers: ['10.0.0.1'], search: ['home'] },
  };
  t.same(networkStatus(result), {
    ok: true,
    value: {
      InterfaceName: 'eth0',
      Address: '172.26.64.2',
      AddressIPv6: 'fd00:1::2',
      DNS: { Servers: ['10.0.0.1'], Searches: ['home'], Options: [] },
    },
  });
  const names = ['nomad', 'veth1'];
  const bridged = (plugin: object) => ({
    ...{ cniVersion: '1.0.0', name: 'n', disableCheck: false },
    plugins: [{ type: 'bridge', ...plugin }],
  });
  t.same(hostSide(bridged({ type: 'ptp' }), result), { interfaces: names, bridge: '', gateways: [] });
  t.same(hostSide(bridged({}), result), { interfaces: names, bridge: 'cni0', gateways: [] });
  const withGateway = { ...result, ips: [{ interface: 2, address: '172.26.64.2/20', gateway: '172.26.64.1' }] };
  t.same(hostSide(bridged({ bridge: 'nomad', isGateway: true }), withGateway), {
    interfaces: names,
    bridge: 'nomad',
    gateways: ['172.26.64.1'],
  });
  t.match(networkStatus({ ips: [{ address: 'fd00::5/64' }] }), {
    ok: true,
    value: { Address: 'fd00::5', AddressIPv6: 'fd00::5', InterfaceName: '', DNS: null },
  });
  for (const bad of [
    {},
    { ips: null },
    { ips: [null, 5, {}] },
    { interfaces: 'x', ips: [{ address: 7 }] },
    { ips: [{ address: '127.0.0.1/8' }] },
  ])
    t.match(networkStatus(bad), { ok: false, error: /no interface with an address/ }, JSON.stringify(bad));
});

t.test('versions of the protocol are compared by number', async (t) => {
  t.ok(isBefore('0.3.1', '0.4.0'));
  t.notOk(isBefore('0.10.0', '0.4.0'));
  t.notOk(isBefore('0.4.0', '0.4.0'));
});

const RULES = `*filter
-A FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD
-A CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides" -j NOMAD-ADMIN
-A CNI-FORWARD -d 172.26.64.2/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A CNI-FORWARD -s 172.26.64.2/32 -j ACCEPT
-A NOMAD-ADMIN -d 172.26.64.0/20 -o nomad -j ACCEPT
*nat
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A POSTROUTING -s 172.26.64.0/20 ! -o nomad -j MASQUERADE
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"nomad\\" id: \\"a1\\"" -m multiport --dports 80 -j CNI-DN-1`;

/** As `ip -j addr` prints them. */
const LINKS = JSON.stringify([
  { ifname: 'lo', flags: ['LOOPBACK', 'UP', 'LOWER_UP'], addr_info: [{ family: 'inet', local: '127.0.0.1' }] },
  { ifname: 'veth1', flags: ['BROADCAST', 'UP', 'LOWER_UP'], master: 'nomad', addr_info: [] },
  {
    ifname: 'nomad',
    flags: ['BROADCAST', 'UP', 'LOWER_UP'],
    addr_info: [
      { family: 'inet', local: '172.26.64.1', prefixlen: 20 },
      { family: 'inet6', local: 'fd00::1', prefixlen: 64 },
    ],
  },
]);
const NO_RULES = { rules: null, rulesIpv6: null };

t.test('every rule and cable that an allocation needs is missed', async (t) => {
  const view = { rules: readRules(RULES), rulesIpv6: null, links: readLinks(LINKS) };
  const needed = {
    allocId: 'a1',
    address: '172.26.64.2',
    addressIpv6: '',
    hasPorts: true,
    interfaces: ['nomad', 'veth1'],
    bridge: 'nomad',
    gateways: ['172.26.64.1'],
  };
  t.equal(findDamage(view, needed), null);
  for (const line of RULES.split('\n').filter((one) => one.startsWith('-A') && !one.includes('RELATED'))) {
    const rules = RULES.split('\n')
      .filter((one) => one !== line)
      .join('\n');
    t.type(findDamage({ ...view, rules: readRules(rules) }, needed), 'string', line);
  }
  const six = { ...needed, addressIpv6: 'fd00::2' };
  t.type(findDamage({ ...view, rulesIpv6: readRules('') }, six), 'string', 'IPv6 has rules of its own');
  const rulesIpv6 = readRules(RULES.replaceAll('172.26.64.2/32', 'fd00::2/128'));
  t.equal(findDamage({ ...view, rulesIpv6 }, six), null);
  t.match(findDamage({ ...view, links: readLinks('[]') }, needed), /nomad is gone/);
  t.type(findDamage(view, { ...needed, address: '172.26.64.20' }), 'string', 'no other address will do');
  t.equal(findDamage(view, { ...needed, allocId: 'a2', hasPorts: false }), null);
});

t.test(
  'what plugins did for an allocation is found by its name and addresses, with the ways that lead there',
  async (t) => {
    const text = `${RULES}
-A CNI-HOSTPORT-DNAT -p udp -m comment --comment "dnat name: \\"nomad\\" id: \\"a2\\"" -j CNI-DN-2
-A CNI-DN-1 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.26.64.2:80
-A CNI-DN-2 -j DNAT --to-destination 172.26.64.20:80
-A INPUT -s 172.26.64.200/32 -j DROP`;
    const rules = readRules(text);
    const own = rulesOf(rules, ['a1', '172.26.64.2/32']);
    t.same(
      own,
      text
        .split('\n')
        .filter((line) => /^-A/.test(line) && !/a2|DN-2|INPUT|ADMIN|MASQ/.test(line))
        .sort(),
    );
    t.same(rulesOf(rules, ['a3']), []);
    const view = { rules, rulesIpv6: null, links: readLinks(LINKS) };
    const side = { interfaces: ['veth1'], bridge: '', gateways: [] };
    t.equal(findLoss(view, { ...side, rules: own }), null);
    t.match(findLoss(view, { ...side, interfaces: ['veth2'], rules: own }), /veth2 is gone/);
    for (const line of own) {
      const rules = readRules(text.replace(line, ''));
      t.match(findLoss({ ...view, rules }, { ...side, rules: own }), `a rule of it is gone: ${line}`);
    }
    const looped = readRules('-A a -j b\n-A b -m comment --comment x -j a\n-A c -g c');
    t.equal(rulesOf(looped, ['x']).length, 2, 'chains that lead to each other come to an end');
    const list = (plugin: Record<string, unknown>) => ({
      cniVersion: '1.0.0',
      name: 'n',
      plugins: [{ type: 'x', ...plugin }],
      disableCheck: false,
    });
    t.ok(
      [{ type: 'portmap' }, { type: 'firewall', backend: 'iptables' }, { ipMasq: true }].every((one) =>
        hasRules(list(one)),
      ),
    );
    t.notOk(
      [{ type: 'macvlan' }, { type: 'firewall', backend: 'firewalld' }, { ipMasq: false }].some((one) =>
        hasRules(list(one)),
      ),
    );
  },
);

t.test('a way from an allocation to its node that is cut is told with where', async (t) => {
  const side = { interfaces: ['nomad', 'veth1'], bridge: 'nomad', gateways: ['172.26.64.1', 'fd00::1'] };
  const told = (from: string, to: string) => findCut({ ...NO_RULES, links: readLinks(LINKS.replace(from, to)) }, side);
  t.equal(told('', ''), null);
  t.equal(told('"veth1"', '"veth2"'), 'interface veth1 is gone');
  t.equal(told('"BROADCAST","UP"', '"BROADCAST"'), 'interface veth1 is down');
  t.equal(told('"master":"nomad",', ''), 'its interface has left nomad');
  t.equal(told('"master":"nomad"', '"master":"docker0"'), 'its interface has left nomad');
  t.equal(told('fd00::1', 'fd00::7'), 'nomad has lost its address fd00::1');
  t.equal(findCut({ ...NO_RULES, links: readLinks(LINKS) }, { ...side, interfaces: ['nomad', 'veth1', 'lo'] }), null);
});

t.test('hosts and resolv.conf', async (t) => {
  t.match(hostsText('web.home', ['10.0.0.2', 'fd00::2']), /^10\.0\.0\.2 web\.home web\nfd00::2 web\.home web\n$/m);
  t.notMatch(hostsText('', ['10.0.0.2']), /10\.0\.0\.2/);
  const text = '# x\nnameserver 127.0.0.53\nnameserver 10.0.0.1\nsearch a b\noptions ndots:2\n';
  t.equal(
    resolvText({ servers: ['1.1.1.1\nnameserver 6.6.6.6'], searches: [], options: [] }),
    'nameserver 1.1.1.1 nameserver 6.6.6.6\n',
  );
  t.equal(resolvText(parseResolv(text)), 'nameserver 10.0.0.1\nsearch a b\noptions ndots:2\n');
});

t.test('the version of a plugin, or the protocol that one without a version speaks', async (t) => {
  t.equal(parsePluginVersion('CNI bridge plugin v1.4.0\nCNI protocol versions supported: 0.1.0, 1.0.0'), 'v1.4.0');
  t.equal(
    parsePluginVersion('CNI bridge plugin version unknown\nCNI protocol versions supported: 0.1.0, 1.0.0\n'),
    '1.0.0',
  );
  t.equal(parsePluginVersion('usage: busybox'), null);
});

t.test('a module is found in the lists of the kernel, and no other for it', async (t) => {
  t.ok(hasModule('stp 1 bridge, Live\nbridge 200 0 - Live\n', 'bridge'));
  t.ok(hasModule('kernel/net/bridge/bridge.ko\n', 'bridge'));
  t.ok(hasModule('kernel/net/bridge/bridge.ko.xz: kernel/net/llc/llc.ko.xz\n', 'bridge'));
  t.notOk(hasModule('stp 1 bridge, Live\nkernel/net/br_netfilter.ko\nkernel/xbridge.ko\n', 'bridge'));
});

const at = (address: string, internal = false): NetworkInterfaceInfo =>
  ({
    address,
    family: address.includes(':') ? 'IPv6' : 'IPv4',
    mac: '02:00:00:00:00:01',
    internal,
    netmask: '',
    cidr: null,
    scopeid: 0,
  }) as NetworkInterfaceInfo;

t.test('an address has the names of all host networks that match it', async (t) => {
  const interfaces = {
    lo: [at('127.0.0.1', true)],
    eth0: [at('10.0.0.5'), at('fd00::5'), at('fe80::1')],
    wg0: [at('10.8.0.1')],
  };
  const network = (Name: string, CIDR: string, Interface = '') => ({ Name, CIDR, Interface, ReservedPorts: '22' });
  const found = hostAddresses(
    interfaces,
    { name: 'eth0' },
    {
      reserved: '80',
      hostNetworks: {
        lan: network('lan', '10.0.0.0/24,192.168.0.0/16'),
        vpn: network('vpn', '', 'wg0'),
        both: network('both', '10.8.0.0/16', 'eth0'),
        six: network('six', 'fd00::/8'),
        local: network('local', '127.0.0.1/32'),
      },
      speeds: new Map([['eth0', 2500]]),
      family: 'ipv4',
    },
  );
  const named = found.flatMap(({ Device, Addresses }) =>
    Addresses.map(({ Alias, Address, ReservedPorts }) => `${Device} ${Address} ${Alias} ${ReservedPorts}`),
  );
  t.same(named, [
    'lo 127.0.0.1 local 22',
    'eth0 10.0.0.5 lan 22',
    'eth0 10.0.0.5 default 80',
    'eth0 fd00::5 six 22',
    'eth0 fd00::5 default 80',
    'wg0 10.8.0.1 vpn 22',
  ]);
  t.match(
    found.map(({ Device, Speed }) => [Device, Speed]),
    [
      ['lo', 1000],
      ['eth0', 2500],
      ['wg0', 1000],
    ],
  );
});

t.test('without a default route of IPv4, that of IPv6 counts', async (t) => {
  const zero = '0'.repeat(32);
  const v6 = [
    `${zero} 00 ${zero} 00 fe80${'0'.repeat(27)}1 00000400 00000001 00000000 00000003 wlan0`,
    `${zero} 00 ${zero} 00 fe80${'0'.repeat(27)}1 00000064 00000001 00000000 00000003 eth0`,
    `${zero} 00 ${zero} 00 ${zero} ffffffff 00000001 00000000 00200200 lo`,
  ].join('\n');
  t.equal(defaultRouteInterface('', v6), 'eth0');
  const v4 = 'Iface\tDestination\nwg0\t00000000\t01000000\t0003\t0\t0\t0\t00000000';
  t.equal(defaultRouteInterface(v4, v6), 'wg0');
  t.equal(defaultRouteInterface('', ''), null);
});

t.test('the preferred family comes first, also when it is the second address', async (t) => {
  const interfaces = { eth0: [at('10.0.0.5'), at('fd00::5')] };
  const wish = { asked: null, routed: 'eth0', loopback: false };
  const first = (family: 'ipv4' | 'ipv6'): unknown =>
    chooseInterface(interfaces, { ...wish, family })?.addresses[0]?.address;
  t.same([first('ipv4'), first('ipv6')], ['10.0.0.5', 'fd00::5']);
});

t.test('work for one key is done in order, and no more at a time than there are turns', async (t) => {
  const turns = new Turns(2);
  const log: string[] = [];
  const open = new Map<string, () => void>();
  const work = (name: string) => (): Promise<string> => {
    log.push(name);
    return new Promise((resolve) => open.set(name, () => resolve(name)));
  };
  const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const results = [
    turns.run('a', work('a1')),
    turns.run('a', work('a2')),
    turns.run('b', work('b1')),
    turns.run('c', work('c1')),
    turns.run('c', () => Promise.reject(new Error('no'))),
    turns.run('c', work('c2')),
  ];
  const refused = t.rejects(results[4] as Promise<string>, /no/);
  await tick();
  t.same(log, ['a1', 'b1'], 'the third waits for a place, and a2 for a1');
  for (const [name, expected] of [
    ['b1', 'c1'],
    ['a1', 'a2'],
    ['c1', 'c2'],
    ['a2', ''],
    ['c2', ''],
  ] as const) {
    open.get(name)?.();
    await tick();
    if (expected !== '') t.equal(log.at(-1), expected, `after ${name}`);
  }
  await refused;
  t.same(
    await Promise.all([...results.slice(0, 4), results[5]]),
    ['a1', 'a2', 'b1', 'c1', 'c2'],
    'a failure takes no place with it',
  );
});

t.test('no configuration and no result of a plugin, however broken, is taken for one, or throws', async (t) => {
  const random = seededRandom(11);
  const list = JSON.stringify(bridgeList(bridge));
  const result =
    '{"interfaces":[{"name":"eth0","sandbox":"/x"}],"ips":[{"interface":0,"address":"10.0.0.2/24"}],"dns":{"nameservers":["10.0.0.1"]}}';
  const pieces = ['null', '[]', '{}', '"', '-1', '1e999', ',', ':', '\\u0000', '__proto__', '../', '\n'];
  let parsed = 0;
  for (let i = 0; i < 3000; i++) {
    const text = i % 2 === 0 ? list : result;
    const at = randomInt(random, text.length);
    const piece = pieces[randomInt(random, pieces.length)] ?? '';
    const broken = text.slice(0, at) + piece + text.slice(at + randomInt(random, 12));
    const found = parseNetworkList(broken);
    if (found.ok) for (const { type } of found.value.plugins) t.match(type, /^[\w][\w.-]*$/);
    let value: unknown;
    try {
      value = JSON.parse(broken);
    } catch {
      continue;
    }
    parsed++;
    const status = networkStatus((value ?? {}) as Record<string, unknown>);
    if (status.ok) t.type(status.value.Address, 'string');
  }
  t.ok(parsed > 100, `${parsed} were JSON all the same`);
});

t.test('who listens is read from the tables of the kernel', (t) => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0000000000000000 100 0 0 10 0
   1: 0100007F:0016 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0000000000000000 20 4 30 10 -1
`;
  const found = parseListeners(table);
  t.same(found, [{ port: 8080, address: '0100007F', inode: '4242' }]);
  const [local] = found as [Listener];
  for (const [listener, hostIp, isHeard] of [
    [local, '127.0.0.1', true],
    [local, '10.0.0.1', false],
    [local, '', true],
    [local, '0.0.0.0', true],
    [{ ...local, address: '00000000' }, '10.0.0.1', true],
    [{ ...local, address: '00000000000000000000000000000000' }, '10.0.0.1', true],
    [{ ...local, address: '0000000000000000FFFF00000100000A' }, '10.0.0.1', true],
  ] as const)
    t.equal(isAt(listener, hostIp), isHeard, `${listener.address} ${hostIp}`);
  t.end();
});

t.test('a port that another program has is told with its name', async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const ask = (Value: number, HostIP: string): Promise<string[]> =>
    takenPorts([{ Label: 'web', Value, To: 80, HostIP, IgnoreCollision: false }]);
  t.match(await ask(port, '127.0.0.1'), [`port ${port} ("web") is in use on this node by`]);
  t.match((await ask(port, ''))[0], new RegExp(`\\(process ${process.pid}\\)$`));
  t.same(await ask(port, '10.255.255.1'), []);
  server.close();
  await new Promise((resolve) => server.once('close', resolve));
  t.same(await ask(port, '127.0.0.1'), []);
});
