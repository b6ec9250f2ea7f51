import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { readPolicyFile } from '../../lib/agent/policy-file.js';
import { magicPacket } from '../../lib/client/power.js';
import { readPolicy } from '../../lib/scaling/index.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { NodeListStub } from '../../lib/structs/rpc.js';
import { protectedOf } from '../../plugins/target-nodes/protect.js';
import { heldBy, inPool, selectToRest, standingOf as standing } from '../../plugins/target-nodes/select.js';
import { readConfig } from '../../plugins/target-power/config.js';
import { isForgotten, savedBy } from '../../plugins/target-power/sleep.js';

const node = (ID: string, fields: Partial<NodeListStub> = {}): NodeListStub =>
  ({
    ID,
    Name: ID,
    NodePool: 'gpu',
    NodeClass: '',
    Datacenter: 'dc1',
    Status: 'ready',
    SchedulingEligibility: 'eligible',
    Drain: false,
    LastDrain: null,
    CreateIndex: 1,
    ...fields,
  }) as NodeListStub;

const alloc = (fields: Partial<Allocation> & { mhz?: number; type?: string; volumes?: boolean } = {}): Allocation =>
  ({
    ID: '12345678-0',
    JobID: 'web',
    TaskGroup: 'g',
    DeploymentID: '',
    DesiredStatus: 'run',
    ClientStatus: 'running',
    Job: { Type: fields.type ?? 'service', TaskGroups: [{ Name: 'g', Volumes: fields.volumes ? { data: {} } : null }] },
    AllocatedResources: { Tasks: { t: { Cpu: { CpuShares: fields.mhz ?? 100 }, Memory: { MemoryMB: 0 } } } },
    ...fields,
  }) as unknown as Allocation;

const SLEPT = {
  LastDrain: { UpdatedAt: '2026-05-01T10:00:00Z', Meta: { autoscaler_asleep: 'true' } },
  SchedulingEligibility: 'ineligible' as const,
};

t.test('how a machine of the pool stands', async (t) => {
  const standingOf = (one: NodeListStub) => standing(one, { switched: true });
  t.equal(standingOf(node('a')), 'awake');
  t.equal(standingOf(node('a', { Drain: true })), 'draining');
  t.equal(standingOf(node('a', { Status: 'initializing' })), 'starting');
  t.equal(standingOf(node('a', { Status: 'down', ...SLEPT })), 'asleep');
  t.equal(
    standingOf(node('a', { Status: 'down', ...SLEPT, SchedulingEligibility: 'eligible' })),
    'other',
    'one that was lost after its sleep is not asleep',
  );
  t.equal(standingOf(node('a', { Status: 'down' })), 'other', 'one that was lost is not asleep');
  t.equal(standingOf(node('a', SLEPT)), 'starting');
  t.equal(
    standingOf(node('a', { SchedulingEligibility: 'ineligible' })),
    'other',
    'one that a person set aside is left alone',
  );
  const gpu = readConfig({ node_pool: 'gpu', datacenter: 'dc1' });
  t.ok(inPool(node('a'), gpu));
  t.notOk(inPool(node('a', { NodePool: 'default' }), gpu));
  t.notOk(inPool(node('a', { Datacenter: 'dc2' }), gpu));
});

t.test('how a node stands that is set aside, and stays up', async (t) => {
  const standingOf = (one: NodeListStub) => standing(one, { switched: false });
  t.equal(standingOf(node('a')), 'awake');
  t.equal(standingOf(node('a', { Drain: true })), 'draining');
  t.equal(standingOf(node('a', SLEPT)), 'asleep');
  t.equal(standingOf(node('a', { Status: 'down', ...SLEPT })), 'other', 'one that is gone cannot be taken back');
  t.equal(standingOf(node('a', { SchedulingEligibility: 'ineligible' })), 'other', 'it was a person');
});

t.test('by ssh alone a machine that sleeps is woken over the network', async (t) => {
  const alone = { node_pool: 'x', method: 'ssh', sleep_command: 'systemctl suspend' };
  t.match(readConfig(alone), { wake: 'wol', sleep: 'ssh' });
  const router = { ...alone, ssh_wake_host: 'router', wake_command: 'etherwake {mac}' };
  t.match(readConfig(router), { wake: 'ssh', sleep: 'ssh' });
  t.match(readConfig({ node_pool: 'x', sleep_method: 'ssh', sleep_command: 'true' }), { wake: 'wol', sleep: 'ssh' });
});

t.test('a machine that is up again takes work again; one that only just falls asleep is left alone', async (t) => {
  const config = readConfig({ node_pool: 'gpu', sleep_timeout: '3m' });
  const at = (time: string): number => Date.parse(`2026-05-01T${time}Z`);
  t.notOk(isForgotten(node('a', SLEPT), config, at('10:02:59')));
  t.ok(isForgotten(node('a', SLEPT), config, at('10:03:01')));
  t.ok(isForgotten(node('a', SLEPT), config, at('02:00:00')), 'a clock that was set back keeps nobody waiting');
  t.notOk(isForgotten(node('a', { ...SLEPT, Status: 'down' }), config, at('12:00:00')));
  t.notOk(isForgotten(node('a'), config, at('12:00:00')));
  t.notOk(
    isForgotten(node('a', { SchedulingEligibility: 'ineligible' }), config, at('12:00:00')),
    'set aside by a person',
  );
});

t.test('who is needed is not put to sleep: a voter, a volume in use, a session', async (t) => {
  const nodes = ['nas', 'desk', 'disk', 'shell', 'mute', 'free', 'standby'].map((name) => node(name));
  const answers: Record<string, (id: string) => object> = {
    'Operator.RaftGetConfiguration': () => ({
      Configuration: {
        Servers: [
          { Node: 'nas.global', Voter: true },
          { Node: 'standby.global', Voter: false },
        ],
      },
    }),
    'CSIVolume.List': (id) => ({ Volumes: id === 'disk' ? [{ ID: 'data' }] : [] }),
    'ClientPower.Sessions': (id) => {
      if (id === 'mute') throw new Error('no way there');
      return { Sessions: id === 'shell' ? ['exec in 1b2c3d4e'] : [] };
    },
  };
  const rpc = { call: async (method: string, { NodeID = '' }: { NodeID?: string }) => answers[method]?.(NodeID) };
  const allocs = new Map([['desk', [alloc({ volumes: true })]]]);
  const world = { allocs, rpc: rpc as never, call: { signal: new AbortController().signal } };
  const found = await protectedOf(nodes, { ...world, switched: true });
  const aside = await protectedOf(nodes, { ...world, switched: false });
  t.same([...aside.keys()], ['desk', 'disk', 'shell', 'mute'], 'a server that stays up keeps its vote');
  t.same(Object.fromEntries(found), {
    nas: 'the servers need its vote',
    desk: 'allocation 12345678 of job "web" has a volume there',
    disk: 'volume "data" is in use there',
    shell: 'exec in 1b2c3d4e',
    mute: 'it cannot be asked who is at its tasks: no way there',
  });
});

t.test('who is put to sleep first', async (t) => {
  const nodes = [
    node('busy', { CreateIndex: 1 }),
    node('idle', { CreateIndex: 2 }),
    node('system', { CreateIndex: 3 }),
    node('empty', { CreateIndex: 4 }),
  ];
  const allocs = new Map([
    ['busy', [alloc({ mhz: 900 })]],
    ['idle', [alloc({ mhz: 50 }), alloc({ mhz: 9_000, ClientStatus: 'complete' })]],
    ['system', [alloc({ mhz: 60, type: 'system' })]],
  ]);
  const chosen = (
    strategy: Parameters<typeof selectToRest>[1]['strategy'],
    protectedNodes = new Map<string, string>(),
    count = 9,
  ) => selectToRest(nodes, { count, strategy, allocs, protectedNodes }).map(({ ID }) => ID);
  t.same(chosen('least_busy'), ['empty', 'idle', 'system', 'busy']);
  t.same(chosen('least_busy', new Map([['empty', 'it is a server']]), 1), ['idle']);
  t.same(chosen('empty'), ['empty']);
  t.same(chosen('empty_ignore_system'), ['system', 'empty']);
  t.same(chosen('newest_create_index', new Map(), 2), ['empty', 'system']);
  t.same(chosen('oldest_create_index', new Map(), 1), ['busy']);
});

t.test('a roll-out keeps a machine awake until what is there is healthy, or known not to be', async (t) => {
  const young = alloc({ DeploymentID: 'd1' });
  t.match(heldBy([alloc(), young]), /job "web" is being rolled out there: allocation 12345678 is not yet healthy/);
  t.match(heldBy([{ ...young, DeploymentStatus: { Healthy: null } as never }]), /rolled out/);
  t.equal(heldBy([{ ...young, DeploymentStatus: { Healthy: true } as never }]), undefined);
  t.equal(heldBy([{ ...young, DeploymentStatus: { Healthy: false } as never }]), undefined);
  t.equal(heldBy([{ ...young, ClientStatus: 'failed' }]), undefined);
});

t.test('who has a volume on a machine keeps it awake', async (t) => {
  t.equal(heldBy([alloc()]), undefined);
  t.equal(heldBy([alloc({ volumes: true, ClientStatus: 'complete' })]), undefined);
  t.match(heldBy([alloc(), alloc({ volumes: true })]), /allocation 12345678 of job "web" has a volume there/);
});

t.test('a target block, and what is wrong with one', async (t) => {
  t.match(readConfig({ node_pool: 'gpu', node_drain_deadline: '2m', wake_timeout: '90' }), {
    wake: 'wol',
    sleep: 'agent',
    strategy: 'least_busy',
    drainDeadlineMs: 120_000,
    wakeTimeoutMs: 90_000,
  });
  for (const [config, message] of [
    [{}, /needs a node_pool or a node_class/],
    [{ node_pool: 'x', nod_class: 'y' }, /does not know "nod_class"/],
    [{ node_pool: 'x', method: 'magic' }, /method must be one of wol, ssh, ipmi, redfish, http, command/],
    [{ node_pool: 'x', method: 'command' }, /method "command" needs wake_command/],
    [{ node_pool: 'x', method: 'http', wake_url: 'http://a' }, /method "http" needs sleep_url/],
    [{ node_pool: 'x', method: 'http', wake_url: 'plug/on' }, /needs sleep_url/],
    [{ node_pool: 'x', wake_method: 'http', wake_url: 'ftp://a' }, /wake_url is no address/],
    [{ node_pool: 'x', wake_method: 'http', wake_url: 'http://me:pw@a' }, /wake_url must not have a password in it/],
    [{ node_pool: 'x', method: 'ipmi', bmc_address: 'x', bmc_user: 'y' }, /method "ipmi" needs bmc_password_file/],
    [{ node_pool: 'x', method: 'ssh' }, /method "ssh" needs sleep_command/],
    [{ node_pool: 'x', wake_method: 'ssh', wake_command: 'etherwake' }, /method "ssh" needs ssh_wake_host/],
    [{ node_pool: 'x', ssh_port: 'many' }, /ssh_port is no port/],
    [{ node_pool: 'x', sleep_method: 'wol' }, /sleep_method must be one of agent, ssh/],
    [{ node_pool: 'x', wake_timeout: 'soon' }, /no duration/],
    [{ node_pool: 'x', watts: 'many' }, /watts is no number/],
    [{ node_pool: 'x', node_selector_strategy: 'random' }, /must be one of least_busy/],
  ] as const) {
    t.throws(() => readConfig(config as Record<string, string>), { message });
  }
});

t.test('the example is a policy without a mistake', async (t) => {
  const path = fileURLToPath(new URL('../../../examples/power.policy.hcl', import.meta.url));
  const file = readPolicyFile(readFileSync(path, 'utf8'), path);
  if (!file.ok) throw new Error(file.error);
  t.match(file.value, [{ ID: 'gpu', Enabled: true }]);
  const [read] = file.value.map((policy) => readPolicy(policy));
  if (!read?.ok) throw new Error(JSON.stringify(read?.error));
  const { target, checks, cooldownMs, min, max } = read.value;
  t.match({ min, max, cooldownMs }, { min: 0, max: 2, cooldownMs: 600_000 });
  t.match(checks, [{ name: 'wanted', query: 'wanted', source: 'nomad-apm', strategy: { name: 'pass-through' } }]);
  t.equal(target.name, 'power');
  t.match(readConfig(target.config), { pool: 'gpu', wake: 'wol', sleep: 'agent', watts: 60 });
});

t.test('what a sleep saves', async (t) => {
  const slept = { LastDrain: { UpdatedAt: '2026-05-01T10:00:00Z' } };
  const at = Date.parse('2026-05-01T12:30:00Z');
  const tower = readConfig({ node_pool: 'gpu', watts: '120' });
  t.equal(savedBy(slept, tower, at), 300);
  t.equal(savedBy(slept, tower, Date.parse('2026-05-01T09:00:00Z')), 0, 'a clock that was set back saves nothing');
  t.equal(savedBy(slept, readConfig({ node_pool: 'gpu' }), at), 0);
  t.equal(savedBy({ LastDrain: null }, tower, at), 0);
});

t.test('the magic packet', async (t) => {
  const packet = magicPacket('00:11:22:aa:BB:cc');
  t.equal(packet.length, 102);
  t.equal(packet.toString('hex'), 'ff'.repeat(6) + '001122aabbcc'.repeat(16));
  for (const bad of ['', '00:11:22', 'zz:11:22:aa:bb:cc']) t.throws(() => magicPacket(bad), { code: 'E_BAD_REQUEST' });
});
