import t from 'tap';
import { statsOfTask } from '../../lib/client/device-stats.js';
import { Devices } from '../../lib/client/devices.js';
import { devicesHook } from '../../lib/client/hooks/devices.js';
import type { DeviceInstanceStats, DeviceProvider, DeviceReservation } from '../../lib/plugin/sdk/device.js';
import type { NodeDeviceResource } from '../../lib/structs/node.js';
import type { AllocatedDevice } from '../../lib/structs/resources.js';
import { createLog } from '../../lib/util/log.js';
import { FakeTimers, until } from './fakes.js';

const group = (Name: string, ...ids: string[]): NodeDeviceResource => ({
  Vendor: 'acme',
  Type: 'gpu',
  Name,
  Instances: ids.map((ID) => ({ ID, Healthy: true, HealthDescription: '', Locality: null })),
  Attributes: null,
});
const given = (Name: string, ...DeviceIDs: string[]): AllocatedDevice => ({
  Vendor: 'acme',
  Type: 'gpu',
  Name,
  DeviceIDs,
});
const figures = (int: number): DeviceInstanceStats => ({
  summary: { value: { int, of: 10 }, unit: 'MiB', description: 'memory' },
  stats: { hot: { value: { bool: true }, unit: '', description: '' } },
  timestamp: '2026-01-01T00:00:00Z',
});

class FakeProvider implements DeviceProvider {
  readonly name: string;
  readonly periodMs = 1000;
  groups: NodeDeviceResource[] = [];
  error: string | null = null;
  gate: Promise<void> | null = null;
  asked = 0;

  constructor(name: string, ...groups: NodeDeviceResource[]) {
    this.name = name;
    this.groups = groups;
  }

  async fingerprint(): Promise<NodeDeviceResource[]> {
    this.asked++;
    await this.gate;
    if (this.error !== null) throw new Error(this.error);
    return structuredClone(this.groups);
  }

  async reserve(ids: readonly string[]): Promise<DeviceReservation> {
    const hostPath = `/dev/${ids[0]}`;
    return {
      env: { VISIBLE: ids.join(','), KIND: 'acme' },
      mounts: [],
      deviceNodes: [{ hostPath, taskPath: hostPath, permissions: 'rwm' }],
      cdiDevices: [],
    };
  }

  async stats(): Promise<Record<string, DeviceInstanceStats>> {
    await this.gate;
    return { a: figures(1), b: figures(2) };
  }

  async close(): Promise<void> {}
}

class World {
  readonly timers = new FakeTimers();
  readonly ending = new AbortController();
  readonly warnings: string[] = [];
  readonly devices: Devices;
  changes = 0;

  constructor(...providers: FakeProvider[]) {
    this.devices = new Devices({
      providers: Object.fromEntries(providers.map((provider) => [provider.name, provider])),
      timers: this.timers,
      log: createLog(({ level, message, fields }) => {
        if (level === 'warn') this.warnings.push(`${message} ${JSON.stringify(fields)}`);
      }),
      onChange: () => {
        this.changes++;
      },
    });
  }

  get signal(): AbortSignal {
    return this.ending.signal;
  }
}

t.test('what providers have is one list, and a change is told once', async (t) => {
  const one = new FakeProvider('one', group('x', 'a'));
  const two = new FakeProvider('two', group('x', 'z'), group('y', 'b'));
  const world = new World(one, two);
  t.equal(world.devices.resources, null);
  await world.devices.first(world.signal);
  t.same(world.devices.resources, [group('x', 'a'), group('y', 'b')], 'the first who offers it has it');
  const watching = world.devices.watch(world.signal);
  const before = world.changes;
  world.timers.advance(1000);
  await until(() => one.asked === 2 && two.asked === 2, 'asked again');
  t.equal(world.changes, before, 'nothing changed, nothing told');
  one.groups = [];
  await until(() => {
    world.timers.advance(1000);
    return world.devices.resources?.[0]?.Instances[0]?.ID === 'z';
  }, 'unplugged');
  t.equal(world.changes, before + 1);
  world.ending.abort();
  await watching;
});

t.test('a provider that fails keeps its devices, unhealthy with the reason, and is asked less often', async (t) => {
  const one = new FakeProvider('one', group('x', 'a'));
  const world = new World(one);
  await world.devices.first(world.signal);
  one.error = 'nvidia-smi hangs';
  const watching = world.devices.watch(world.signal);
  world.timers.advance(1000);
  await until(() => world.devices.resources?.[0]?.Instances[0]?.Healthy === false, 'unhealthy');
  t.match(world.devices.resources?.[0]?.Instances[0], { ID: 'a', HealthDescription: 'nvidia-smi hangs' });
  await until(() => world.timers.delays.includes(2000), 'twice the time');
  world.timers.advance(2000);
  await until(() => world.timers.delays.includes(4000), 'four times');
  t.equal(world.warnings.length, 1, 'told once');
  one.error = null;
  await world.devices.look();
  t.equal(world.devices.resources?.[0]?.Instances[0]?.Healthy, true, 'a person who asks waits for no period');
  one.error = 'nvidia-smi hangs';
  await world.devices.look();
  one.error = null;
  world.timers.advance(4000);
  await until(() => world.devices.resources?.[0]?.Instances[0]?.Healthy === true, 'well again');
  world.ending.abort();
  await watching;
});

t.test('a provider that talks nonsense has failed, and the others go on', async (t) => {
  const broken = { ...group('x'), Instances: null } as unknown as NodeDeviceResource;
  const world = new World(new FakeProvider('one', broken), new FakeProvider('two', group('y', 'b')));
  await world.devices.first(world.signal);
  t.same(world.devices.resources, [group('y', 'b')]);
  t.match(world.warnings[0], /what it says cannot be read: device acme\/gpu\/x: instances are no list/);
});

t.test('a provider that hangs holds nobody up, and is not asked twice at once', async (t) => {
  let open = (): void => {};
  const one = new FakeProvider('one', group('x', 'a'));
  one.gate = new Promise((resolve) => {
    open = resolve;
  });
  const world = new World(one);
  const first = world.devices.first(world.signal);
  await until(() => world.timers.delays.includes(200), 'patience');
  world.timers.advance(200);
  await first;
  t.equal(world.devices.resources, null);
  world.timers.advance(45_000);
  await until(() => world.warnings.length === 1, 'told');
  t.match(world.warnings[0], /no answer for 45 s/);
  const watching = world.devices.watch(world.signal);
  await until(() => {
    world.timers.advance(5000);
    return world.timers.delays.some((ms) => ms > 40_000);
  }, 'looks again');
  t.equal(one.asked, 1);
  open();
  await until(() => {
    world.timers.advance(5000);
    return world.devices.resources !== null;
  }, 'answers after all');
  world.ending.abort();
  await watching;
});

t.test('a task gets what all its devices need, and waits for a first answer', async (t) => {
  let open = (): void => {};
  const one = new FakeProvider('one', group('x', 'a', 'b'), group('y', 'c'));
  one.gate = new Promise((resolve) => {
    open = resolve;
  });
  const world = new World(one);
  const first = world.devices.first(world.signal);
  const reserved = world.devices.reserve([given('x', 'a', 'b'), given('y', 'c')], world.signal);
  open();
  t.same(await reserved, {
    env: { VISIBLE: 'a,b,c', KIND: 'acme' },
    mounts: [],
    deviceNodes: [
      { hostPath: '/dev/a', taskPath: '/dev/a', permissions: 'rwm' },
      { hostPath: '/dev/c', taskPath: '/dev/c', permissions: 'rwm' },
    ],
    cdiDevices: [],
  });
  await first;
  await t.rejects(world.devices.reserve([given('q', 'a')], world.signal), /no device acme\/gpu\/q/);
  const context = {
    alloc: { AllocatedResources: { Tasks: { t: { Devices: [given('q', 'a')] } } } },
    task: { Name: 't' },
    client: { devices: world.devices },
    signal: world.signal,
  };
  // Another machine may have it; this one has lost it.
  const lost = { message: /failed to reserve devices: .*acme\/gpu\/q/, recoverable: false };
  await t.rejects(devicesHook.prestart(context as never), lost);
});

t.test('figures are in Nomad’s shape, read once for many, and cut to what a task has', async (t) => {
  const one = new FakeProvider('one', group('x', 'a', 'b', 'c'));
  const world = new World(one);
  await world.devices.first(world.signal);
  const [all, again] = await Promise.all([world.devices.figures(), world.devices.figures()]);
  t.equal(all, again);
  t.same(all, [
    {
      Vendor: 'acme',
      Type: 'gpu',
      Name: 'x',
      InstanceStats: Object.fromEntries(
        [
          ['a', 1],
          ['b', 2],
        ].map(([id, int]) => [
          id,
          {
            Summary: { IntNumeratorVal: int, IntDenominatorVal: 10, Unit: 'MiB', Desc: 'memory' },
            Stats: { Nested: null, Attributes: { hot: { BoolVal: true } } },
            Timestamp: '2026-01-01T00:00:00Z',
          },
        ]),
      ),
    },
  ]);
  t.same(Object.keys(statsOfTask(all, [given('x', 'b')])[0]?.InstanceStats ?? {}), ['b']);
  t.same(statsOfTask(all, [given('y', 'b'), given('x', 'c')]), []);
});

t.test('figures that do not come are not waited for', async (t) => {
  const one = new FakeProvider('one', group('x', 'a'));
  const world = new World(one);
  await world.devices.first(world.signal);
  one.gate = new Promise(() => {});
  const asked = world.devices.figures();
  await until(() => world.timers.delays.includes(5000), 'a limit');
  world.timers.advance(5000);
  t.same(await asked, []);
});
