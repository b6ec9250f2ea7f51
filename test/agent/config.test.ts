import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import {
  type AgentConfig,
  type AgentFlags,
  diffReloadable,
  loadAgentConfig,
  readConfigFiles,
} from '../../lib/agent/config/index.js';
import { diagnosticLine } from '../../lib/hcl/index.js';
import { type InterfaceAddress, resolveAddress } from '../../lib/util/address-template.js';

interface Loaded {
  config: AgentConfig;
  notices: readonly string[];
}

function load(sources: string[], flags: AgentFlags = {}, dev = true): Loaded {
  const files = sources.map((source, i) => ({ name: `f${i + 1}`, source }));
  const result = loadAgentConfig({ files, flags, dev });
  if (!result.ok) throw new Error(result.error.map(diagnosticLine).join('\n'));
  return result.value;
}

function problems(source: string, dev = true): string[] {
  const result = loadAgentConfig({ files: [{ name: 'f', source }], flags: {}, dev });
  return result.ok ? [] : result.error.map(diagnosticLine);
}

t.test('defaults are Nomad’s, but nothing listens beyond this machine', async (t) => {
  const { config } = load([], { dataDir: '/d', server: true }, false);
  t.match(config, {
    region: 'global',
    datacenter: 'dc1',
    bindAddr: '127.0.0.1',
    addresses: { http: ['127.0.0.1'], rpc: '127.0.0.1' },
    ports: { http: 4646, rpc: 4647 },
    log: { level: 'info' },
    server: { enabled: true },
    client: { enabled: false, minDynamicPort: 20_000, maxDynamicPort: 32_000, nodePool: 'default' },
    plugins: {},
  });
  t.equal(config.mesh.bootstrap, null);
});

t.test('-dev is server and client with raw_exec, off the public network; files stand over it', async (t) => {
  const { config } = load([]);
  t.ok(config.server.enabled && config.client.enabled);
  t.equal(config.log.level, 'debug');
  t.equal(config.dataDir, null);
  t.same(config.plugins, { raw_exec: { args: [], config: { enabled: true }, package: null, places: {} } });
  t.same(config.mesh.bootstrap, []);
  const changed = load([
    'log_level = "WARN"\nplugin "raw_exec" {\n  config {\n    enabled = false\n  }\n}\nserver { enabled = false }',
  ]);
  t.equal(changed.config.log.level, 'warn');
  t.same(changed.config.plugins['raw_exec']?.config, { enabled: false });
  t.notOk(changed.config.server.enabled);
});

t.test('later files win, blocks and maps merge, addresses to join are gathered, flags stand over all', async (t) => {
  const { config } = load(
    [
      'name = "a"\nclient {\n  servers = ["x:1"]\n  meta { rack = "1", }\n}'.replace(', }', ' }'),
      '{"name": "b", "client": {"servers": ["y:2"], "meta": {"row": 2}, "node_class": "big"}}',
      'client {\n  meta = { "with.dot" = true }\n  host_volume "v" { path = "/one" }\n}\nclient {\n  host_volume "w" {\n    path = "/w"\n    read_only = true\n  }\n}',
      'client {\n  host_volume "v" { path = "/two" }\n}\nserver {\n  enabled_schedulers = ["batch"]\n}',
    ],
    { nodeName: 'flag', servers: ['z:3'], meta: { row: '9' } },
  );
  t.equal(config.nodeName, 'flag');
  t.same(config.client.servers, ['x:1', 'y:2', 'z:3']);
  t.same(config.client.meta, { rack: '1', row: '9', 'with.dot': 'true' });
  t.equal(config.client.nodeClass, 'big');
  t.same(config.client.hostVolumes, { v: { path: '/two', readOnly: false }, w: { path: '/w', readOnly: true } });
  t.same(config.server.enabledSchedulers, ['batch']);
});

t.test('blocks may have quoted keys, as in Nomad’s own files', async (t) => {
  const { config } = load([
    'client {\n  options {\n    "driver.allowlist" = "docker"\n    plain = 1\n  }\n  meta { "a.b" = "c"\n }\n}',
  ]);
  t.same(config.client.options, { 'driver.allowlist': 'docker', plain: '1' });
  t.same(config.client.meta, { 'a.b': 'c' });
  t.match(problems('client {\n  options {\n    "a" 5\n  }\n}')[0], /^f:3,5-8: Argument or block definition required/);
});

t.test('several arguments and blocks may stand on one line, as in Nomad’s own files', async (t) => {
  const { config } = load([
    'client { enabled = true, node_class = "big"  host_volume "w" { path = "/w" read_only = true } }\nserver { enabled = true }',
  ]);
  t.match(config.client, { enabled: true, nodeClass: 'big', hostVolumes: { w: { path: '/w', readOnly: true } } });
  t.equal(config.server.enabled, true);
  t.match(problems('client { enabld = true }')[0], /^f:1,10-16: Unknown key/);
  t.match(problems('client { enabled = true host_volume "a" { path = "/x" }')[0], /^f:1,8-9: Unclosed/);
  t.match(problems('client { enabled = true = 5 }')[0], /^f:1,/);
});

t.test('a plugin’s config goes on as JSON, nested blocks and all', async (t) => {
  const { config } = load([
    'plugin "docker" {\n  args = ["-x"]\n  config {\n    endpoint = "unix:///d.sock"\n    volumes {\n      enabled = true\n    }\n    gc {\n      image_delay = "3m"\n    }\n    allow_caps = ["chown", "kill"]\n  }\n}',
    '{"plugin": [{"docker": [{"config": [{"allow_privileged": true}]}]}]}',
  ]);
  t.same(config.plugins['docker'], {
    args: ['-x'],
    package: null,
    config: {
      endpoint: 'unix:///d.sock',
      volumes: { enabled: true },
      gc: { image_delay: '3m' },
      allow_caps: ['chown', 'kill'],
      allow_privileged: true,
    },
    places: {
      '': 'f2:1,14-22',
      endpoint: 'f1:4,5-13',
      volumes: 'f1:5,5-12',
      'volumes.enabled': 'f1:6,7-14',
      gc: 'f1:8,5-7',
      'gc.image_delay': 'f1:9,7-18',
      allow_caps: 'f1:11,5-15',
      'allow_caps[0]': 'f1:11,19-26',
      'allow_caps[1]': 'f1:11,28-34',
      allow_privileged: 'f2:1,38-56',
    },
  });
});

t.test('users for tasks of their own come from a range, −1 for none', async (t) => {
  const users = (text: string) => load([`client {\n  enabled = true\n  ${text}\n}`]);
  t.same(users('').config.client.dynamicUsers, { min: 80_000, max: 89_999 });
  t.same(users('users { dynamic_user_min = 70000 }').config.client.dynamicUsers, { min: 70_000, max: 89_999 });
  t.same(users('users { dynamic_user_max = -1 }').config.client.dynamicUsers, { min: 80_000, max: -1 });
});

t.test('what Nomad has and this has not is accepted, and told once', async (t) => {
  const { notices } = load([
    'server {\n  bootstrap_expect = 3\n  raft_protocol = 3\n}\nconsul {\n  address = "x"\n}\nadvertise { serf = "a" }\nui { enabled = true }',
    'server { bootstrap_expect = 5 }\nclient { no_host_uuid = true, server_join { retry_max = 3 } }',
  ]);
  t.same(
    notices.map((notice) => notice.split(':')[0]),
    [
      ...['server.bootstrap_expect', 'server.raft_protocol', 'consul', 'advertise.serf', 'ui'],
      ...['client.no_host_uuid', 'client.server_join.retry_max'],
    ].map((key) => `"${key}" has no effect`),
  );
});

t.test('a key that nothing acts on yet is named, and only when it is given', async (t) => {
  const { notices } = load([
    'enable_debug = true\nserver {\n  num_schedulers = 2\n}\nclient {\n  gc_volumes_on_node_gc = true\n  options = {\n    "fingerprint.denylist" = "cpu"\n    "driver.denylist" = "docker"\n    "driver.raw_exec.enable" = "1"\n  }\n  reserved {\n    cores = "1"\n    memory = 64\n  }\n}',
  ]);
  t.same(
    notices,
    [
      'enable_debug',
      'server.num_schedulers',
      'client.gc_volumes_on_node_gc',
      'client.options fingerprint.denylist',
    ].map((key) => `"${key}" has no effect yet in this version`),
  );
});

t.test('the halves of leaving are told that they belong together', async (t) => {
  const [drain, leave] = ['client {\n  drain_on_shutdown { deadline = "20m" }\n}', 'leave_on_terminate = true'];
  const both = load([drain, leave]);
  t.same(both.notices, []);
  t.same(both.config.client.drainOnShutdown, { deadlineMs: 1_200_000, force: false, ignoreSystemJobs: false });
  t.equal(load(['client {\n  drain_on_shutdown {\n  }\n}']).config.client.drainOnShutdown?.deadlineMs, 3_600_000);
  t.match(load([drain]).notices, [/drain_on_shutdown" has no effect without leave_on_interrupt or leave_on_terminate/]);
  t.match(load([leave]).notices, [/leave_on_terminate" has no effect here/]);
  t.match(load([drain, leave, 'client { enabled = false }']).notices, [/leave_on_terminate" has no effect here/]);
  t.same(load(['leave_on_interrupt = false']).notices, []);
  t.match(problems('client {\n  drain_on_shutdown {\n    deadline = "0s"\n  }\n}'), [/f:3,5-13: .*must be more than/]);
});

const ERRORS: [source: string, expected: string][] = [
  [
    'datacentre = "x"',
    'f:1,1-11: Unknown key; The agent configuration has no key "datacentre". Did you mean "datacenter"?',
  ],
  [
    'client {\n  severs = ["a"]\n}',
    'f:2,3-9: Unknown key; The block "client" has no key "severs". Did you mean "servers"?',
  ],
  [
    '{"client": {"host_volume": {"v": {"pth": "/"}}}}',
    'f:1,35-40: Unknown key; The block "client.host_volume "v"" has no key "pth". Did you mean "path"?',
  ],
  ['ports { http = "many" }', 'f:1,16-22: Wrong type; The value of "ports.http" must be a whole number, not "many".'],
  [
    'client { servers = "a" }',
    'f:1,20-23: Wrong type; The value of "client.servers" must be a list of strings, not "a".',
  ],
  ['client = 5', 'f:1,10-11: Wrong type; The value of "client" must be a block, not 5.'],
  [
    'client { max_kill_timeout = "soon" }',
    'f:1,29-35: Wrong type; The value of "client.max_kill_timeout" must be a duration such as "30s" or "1h30m", not "soon".',
  ],
  [
    'log_level = "loud"',
    'f:1,13-19: Wrong type; The value of "log_level" must be one of "trace", "debug", "info", "warn", "error", "off", not "loud".',
  ],
  [
    'client {\n  host_volume {\n    path = "/x"\n  }\n}',
    'f:3,5-9: Missing label; Write the name of the client.host_volume before its brace: client.host_volume "name" { path = … }.',
  ],
  ['name = upper(x)', 'f:1,14-15: Variables not allowed; Variables may not be used here.'],
  [
    '{"name": }',
    'f:1,10-11: Invalid JSON value; A JSON value must start with a brace, a bracket, a number, a string, or a keyword.',
  ],
  ['ports { http = 70000 }', 'f:1,9-13: Invalid configuration; ports.http is 70000; a port lies between 0 and 65535.'],
  [
    'client {\n  fingerprint "env_asw" {}\n}',
    'f:2,15-24: Invalid configuration; client.fingerprint "env_asw" is none that can be set up; did you mean "env_aws"?',
  ],
  [
    'client {\n  reserved {\n    cores = "3-1"\n  }\n}',
    'f:3,5-10: Invalid configuration; client.reserved.cores: "3-1" is no list of cores: write it as "0-3,8".',
  ],
  [
    'client {\n  reserved {\n    memory = -5\n  }\n}',
    'f:3,5-11: Invalid configuration; client.reserved.memory is -5; it must be 0 or more.',
  ],
  [
    'client {\n  network_speed = -1\n}',
    'f:2,3-16: Invalid configuration; client.network_speed is -1; it must be 0 or more.',
  ],
  ...['80-70', 'http', '99999', '22,'].map((ports): [string, string] => [
    `client {\n  reserved {\n    reserved_ports = "${ports}"\n  }\n}`,
    `f:3,5-19: Invalid configuration; client.reserved.reserved_ports: "${ports}" is no list of ports: write it as "22,80,8500-8600".`,
  ]),
  [
    'client {\n  host_network "lan" {\n    cidr = "10.0.0.0/99"\n  }\n}',
    'f:2,16-21: Invalid configuration; host_network "lan": cidr "10.0.0.0/99" is no network: write it as "10.0.0.0/8".',
  ],
];

t.test('a mistake is told with its place and what was probably meant', async (t) => {
  for (const [source, expected] of ERRORS) t.same(problems(source), [expected], source);
  t.equal(problems('a = 1\nb = 2\nclient { c = 3 }').length, 3, 'all of them at once');
});

t.test('what must be said is asked for', async (t) => {
  t.match(problems('server { enabled = true }', false)[0], /set data_dir, or use -data-dir/);
});

const MACHINE: InterfaceAddress[] = [
  { name: 'lo', address: '127.0.0.1', family: 'IPv4', internal: true },
  { name: 'eth0', address: 'fd00::1', family: 'IPv6', internal: false },
  { name: 'eth0', address: '192.168.1.5', family: 'IPv4', internal: false },
  { name: 'wan', address: '203.0.113.9', family: 'IPv4', internal: false },
];

t.test('addresses may name an interface or a kind of network', async (t) => {
  const cases: Record<string, string> = {
    '10.0.0.1': '10.0.0.1',
    '{{ GetInterfaceIP "wan" }}': '203.0.113.9',
    '{{GetPrivateIP}}:4646': '192.168.1.5:4646',
    '{{ GetPublicIP }}': '203.0.113.9',
    '{{ GetPrivateInterfaces | attr "address" }}': '192.168.1.5',
  };
  for (const [text, expected] of Object.entries(cases))
    t.same(resolveAddress(text, MACHINE), { ok: true, value: expected }, text);
  t.notOk(resolveAddress('{{ GetInterfaceIP "eth9" }}', MACHINE).ok);
  t.notOk(resolveAddress('{{ GetAllInterfaces | sort "x" }}', MACHINE).ok);
  const result = loadAgentConfig({
    files: [{ name: 'f', source: 'bind_addr = "{{ GetPrivateIP }}"' }],
    flags: {},
    dev: true,
    interfaces: MACHINE,
  });
  t.same(result.ok && result.value.config.addresses, { http: ['192.168.1.5'], rpc: '192.168.1.5' });
});

t.test('a reload tells what takes effect and what waits for a restart', async (t) => {
  const before = load(['log_level = "info"\nclient {\n  meta { a = "1" }\n}']).config;
  const after = load(['log_level = "debug"\nports { http = 1 }\nclient {\n  meta { b = "2" }\n}']).config;
  t.same(diffReloadable(before, after), {
    reloadable: ['log.level', 'client.meta.a', 'client.meta.b'],
    needsRestart: ['ports.http'],
  });
  t.same(diffReloadable(before, before), { reloadable: [], needsRestart: [] });
  const plugin = 'plugin "raw_exec" {\n  config { enabled = true }\n}\n';
  const moved = load([`client {\n  meta { a = "1" }\n}\n${plugin}`]).config;
  t.same(diffReloadable(load([plugin]).config, moved), { reloadable: ['client.meta.a'], needsRestart: [] });
});

t.test('a directory gives its .hcl and .json files by name, told apart by content', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'meshnomad-config-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'sub.hcl'));
  writeFileSync(join(folder, 'b.json'), 'name = "hcl in a .json"');
  writeFileSync(join(folder, 'a.hcl'), '\ufeff {"name": "json in a .hcl", "region": "r"}');
  writeFileSync(join(folder, 'notes.txt'), 'nothing');
  const files = await readConfigFiles([folder]);
  t.same(files.ok && files.value.map(({ name }) => name), [join(folder, 'a.hcl'), join(folder, 'b.json')]);
  const result = files.ok && loadAgentConfig({ files: files.value, flags: {}, dev: true });
  t.match(result, { ok: true, value: { config: { nodeName: 'hcl in a .json', region: 'r' } } });
  t.match(await readConfigFiles([join(folder, 'none')]), { ok: false, error: /there is no such file/ });
});
