import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { type AllocHook, type AllocHookContext, allocHook } from '../../lib/client/alloc-hooks/hook.js';
import { ALLOC_HOOKS } from '../../lib/client/alloc-hooks/index.js';
import { DEFAULT_NETWORK_CONFIG } from '../../lib/client/config.js';
import { cniFingerprint } from '../../lib/client/fingerprint/cni.js';
import { hostVolumePluginsFingerprint } from '../../lib/client/fingerprint/host-volume-plugins.js';
import { errorAnswer } from '../../lib/http/errors.js';
import { DriverError } from '../../lib/plugin/sdk/driver.js';
import { MeshError } from '../../lib/structs/errors.js';
import type { Job, WorkloadIdentity } from '../../lib/structs/job.js';
import type { Service, ServiceCheck } from '../../lib/structs/service.js';
import type { VolumeRequest } from '../../lib/structs/volume.js';
import { localCaller } from '../../lib/transport/local.js';
import { replacedText } from '../../lib/util/replaced.js';
import {
  exitOf,
  FAKE_FINGERPRINTS,
  FakeDriver,
  fakeAlloc,
  fakeGroup,
  fakeJob,
  fakeTask,
  POLICY,
  until,
} from './fakes.js';
import { World } from './world.js';

const ID = fakeAlloc('').ID;
const batch = (tasks = [fakeTask()]): Job => fakeJob(fakeGroup(tasks), { Type: 'batch' });

t.test('a node is registered with what was found and what its drivers say', async (t) => {
  const world = new World(t);
  const client = await world.agent(t, { meta: { rack: 'r1' } });
  await until(() => world.server.registered.length > 0, 'registered');
  const node = world.server.registered[0];
  t.match(node, {
    ID: client.nodeId,
    Name: 'box',
    Status: 'ready',
    Attributes: { 'kernel.name': 'linux', 'driver.fake': '1', 'driver.fake.version': '1' },
    Drivers: { fake: { Detected: true, Healthy: true } },
    Meta: { rack: 'r1' },
    NodeResources: { Cpu: { CpuShares: 4000, TotalCpuCores: 2 }, Memory: { MemoryMB: 2048 } },
  });
  client.reload({ meta: { rack: 'r2' } });
  await until(() => world.server.registered.at(-1)?.Meta?.['rack'] === 'r2', 'registered anew');
  t.not(world.server.registered.at(-1)?.ComputedClass, node?.ComputedClass, 'another class');
});

t.test(
  'a host volume plugin that was added is found at a reload, and one that cannot be used is told of once',
  async (t) => {
    const world = new World(t);
    world.fingerprints = [...FAKE_FINGERPRINTS, hostVolumePluginsFingerprint];
    const hostVolumePluginDir = join(world.dir, 'plugins');
    const client = await world.agent(t, { hostVolumePluginDir });
    const plugin = (name: string, script: string): void => {
      mkdirSync(hostVolumePluginDir, { recursive: true });
      writeFileSync(join(hostVolumePluginDir, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    };
    const version = (name: string) => client.node().Attributes[`plugins.host_volume.version.${name}`];
    t.equal(version('mkdir'), '0.0.1');
    plugin('good', `echo '{"version": "7"}'`);
    plugin('mute', 'echo nonsense');
    client.reload({});
    await until(() => version('good') === '7', 'it is found');
    await until(() => world.warnings.some((text) => text.includes('"mute"')), 'it is told');
    plugin('good', `echo '{"version": "8"}'`);
    client.reload({});
    await until(() => version('good') === '8', 'its next version');
    t.equal(world.warnings.filter((text) => text.includes('"mute"')).length, 1);
    t.equal(version('mute'), undefined);
  },
);

t.test('a CNI plugin and a network that were added are found at a reload', async (t) => {
  const world = new World(t);
  world.fingerprints = [...FAKE_FINGERPRINTS, cniFingerprint];
  const [bin, conf] = [join(world.dir, 'bin'), join(world.dir, 'conf')];
  for (const dir of [bin, conf]) mkdirSync(dir);
  const client = await world.agent(t, { network: { ...DEFAULT_NETWORK_CONFIG, cniPath: [bin], cniConfigDir: conf } });
  const attribute = (name: string) => client.node().Attributes[name];
  t.equal(attribute('unique.cni.config_dir'), conf);
  writeFileSync(join(bin, 'lan'), '#!/bin/sh\necho CNI lan plugin v1.4.0\n', { mode: 0o755 });
  writeFileSync(join(conf, '10-bad.conflist'), '{');
  client.reload({});
  await until(() => attribute('plugins.cni.version.lan') === 'v1.4.0', 'the plugin');
  t.match(attribute('unique.cni.config_problems'), /10-bad\.conflist is not JSON/);
  rmSync(join(bin, 'lan'));
  client.reload({});
  await until(() => attribute('plugins.cni.version.lan') === undefined, 'it is gone');
});

t.test('a slow driver does not hold up the node, and is told later', async (t) => {
  const world = new World(t);
  let answer = (): void => {};
  world.driver.fingerprintGate = new Promise((resolve) => {
    answer = resolve;
  });
  const client = await world.create();
  t.teardown(() => client.shutdown());
  const started = client.start();
  await until(() => world.timers.delays.includes(200), 'patience');
  world.timers.advance(200);
  await started;
  await until(() => world.server.registered.length === 1, 'registered without it');
  t.same(world.server.registered[0]?.Drivers, {});
  answer();
  await until(() => world.server.registered.at(-1)?.Drivers['fake']?.Healthy === true, 'registered with it');
});

t.test('identity is made once', async (t) => {
  const world = new World(t);
  const first = await world.agent(t);
  await first.shutdown();
  const second = await world.agent(t);
  t.equal(second.nodeId, first.nodeId);
  t.equal(second.node().SecretID, first.node().SecretID);
});

t.test('an allocation runs, is reported, and ends when the server wants it', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const alloc = world.server.put(fakeAlloc(client.nodeId));
  await world.status(ID, 'running');
  const types = () => world.server.reported(ID)?.TaskStates?.['web']?.Events.map(({ Type }) => Type);
  t.same(types(), ['Received', 'Task Setup', 'Started']);
  t.ok(existsSync(join(world.dir, 'alloc', ID, 'web', 'secrets')));
  world.server.put({ ...alloc, DesiredStatus: 'stop' });
  await world.status(ID, 'complete');
  t.same(types(), ['Received', 'Task Setup', 'Started', 'Killing', 'Terminated', 'Killed']);
  t.same(world.engine.stopped, ['web']);
  world.server.forget(ID);
  await until(() => !existsSync(join(world.dir, 'alloc', ID)), 'directory removed');
  await until(() => client.stats().allocs['complete'] === 0, 'forgotten');
});

t.test('what a task is given: directories, environment, config', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const task = fakeTask({
    Config: { args: ['${NOMAD_PORT_http}', '${node.datacenter}', '${env["COLOR"]}', '${unknown}'] },
    Env: { COLOR: 'red ${attr.kernel.name}' },
  });
  const alloc = fakeAlloc(client.nodeId, fakeJob(fakeGroup([task])));
  const Ports = [{ Label: 'http', Value: 8080, To: 0, HostIP: '10.0.0.1', IgnoreCollision: false }];
  const Shared = { ...alloc.AllocatedResources.Shared, Ports };
  world.server.put({ ...alloc, AllocatedResources: { ...alloc.AllocatedResources, Shared } });
  await until(() => world.engine.running('web').length === 1, 'started');
  const { config } = world.engine.task('web');
  t.same(config.config, { args: ['8080', 'dc1', 'red linux', '${unknown}'] });
  t.match(config.env, { NOMAD_ADDR_http: '10.0.0.1:8080', NOMAD_TASK_DIR: config.localDir, COLOR: 'red linux' });
  t.same(config.ports, Ports);
});

t.test('a failing task is restarted by its policy, then fails', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  world.server.put(fakeAlloc(client.nodeId));
  for (const restarts of [0, 1, 2]) {
    await until(() => world.engine.running('web').length === 1, `start ${restarts}`);
    world.engine.task('web').end(exitOf(1));
    if (restarts === 2) break;
    await until(() => world.engine.tasks.size === 0 && world.delaysRestart, 'waits');
    world.timers.advance(19_000);
  }
  await world.status(ID, 'failed');
  const state = world.server.reported(ID)?.TaskStates?.['web'];
  t.match(state, { State: 'dead', Failed: true, Restarts: 2 });
  t.match(state?.Events.at(-1), {
    Type: 'Not Restarting',
    DisplayMessage: 'Exceeded allowed attempts 2 in interval 30m0s and mode is "fail"',
  });
});

t.test('a batch task that succeeds is complete, and its engine is cleaned', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  world.server.put(fakeAlloc(client.nodeId, batch()));
  await until(() => world.engine.running('web').length === 1, 'started');
  world.engine.task('web').end(exitOf(0));
  await world.status(ID, 'complete');
  await until(() => world.engine.tasks.size === 0, 'destroyed');
});

t.test('failures to start: a refused config fails, a recoverable error is tried again', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  world.server.put(fakeAlloc(client.nodeId, fakeJob(fakeGroup([fakeTask({ Config: { bad: 1 } })]))));
  await world.status(ID, 'failed');
  const events = world.server.reported(ID)?.TaskStates?.['web']?.Events ?? [];
  t.match(events.find(({ Type }) => Type === 'Failed Validation')?.DisplayMessage, /bad: is not known/);
  world.driver.startError = new DriverError('registry timed out', { recoverable: true });
  const other = '22222222-2222-4333-8444-555555555555';
  world.server.put(fakeAlloc(client.nodeId, fakeJob(), { ID: other }));
  await until(() => world.delaysRestart, 'waits');
  world.driver.startError = null;
  world.timers.advance(19_000);
  await world.status(other, 'running');
  t.equal(world.server.reported(other)?.TaskStates?.['web']?.Restarts, 1);
});

t.test('files of the agent that an upgrade took away are told as such, and are no fault of the task', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const own = fileURLToPath(new URL('../../../dist/lib/gone.js', import.meta.url));
  const cause = Object.assign(new Error(`Cannot find module '${own}' imported from ${own}`), {
    code: 'ERR_MODULE_NOT_FOUND',
  });
  world.driver.startError = new DriverError('cannot', { recoverable: false, cause });
  world.server.put(fakeAlloc(client.nodeId));
  await until(() => world.delaysRestart, 'waits');
  world.driver.startError = null;
  world.timers.advance(19_000);
  await world.status(ID, 'running');
  const events = world.server.reported(ID)?.TaskStates?.['web']?.Events ?? [];
  t.match(
    events.find(({ Type }) => Type === 'Driver Failure')?.DisplayMessage,
    /meshnomad was replaced on disk while it ran.*: restart the agent/,
  );
  const theirs = new Error("ENOENT: no such file or directory, open '/srv/x/dist/y'");
  t.equal(replacedText(theirs), null);
  t.match(errorAnswer(cause), { status: 500, text: /^meshnomad was replaced on disk/ });
});

t.test('a driver that is not there fails the task with its name', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  world.server.put(fakeAlloc(client.nodeId, fakeJob(fakeGroup([fakeTask({ Driver: 'qemu' })]))));
  await world.status(ID, 'failed');
  const events = world.server.reported(ID)?.TaskStates?.['web']?.Events ?? [];
  t.match(events.find(({ Type }) => Type === 'Driver Failure')?.DisplayMessage, /"qemu"/);
});

t.test('a group keeps its order: prestart, sidecar, main, poststart; sidecars end, poststop comes last', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const hook = (Name: string, Hook: 'prestart' | 'poststart' | 'poststop', Sidecar = false) =>
    fakeTask({ Name, Lifecycle: { Hook, Sidecar } });
  const tasks = [
    hook('last', 'poststop'),
    fakeTask({ Name: 'main' }),
    hook('side', 'prestart', true),
    hook('init', 'prestart'),
    hook('hello', 'poststart'),
  ];
  world.server.put(fakeAlloc(client.nodeId, batch(tasks)));
  const names = () =>
    world.engine
      .running()
      .map(({ config }) => config.name)
      .sort();
  await until(() => names().length === 2, 'prestart');
  t.same(names(), ['init', 'side']);
  world.engine.task('init').end(exitOf(0));
  await until(() => names().includes('hello'), 'main and poststart');
  t.same(names(), ['hello', 'main', 'side']);
  world.engine.task('hello').end(exitOf(0));
  await until(() => names().length === 2, 'poststart over');
  world.engine.task('main').end(exitOf(0));
  await until(() => names().includes('last'), 'poststop');
  t.same(names(), ['last']);
  t.same(world.engine.stopped, ['side']);
  world.engine.task('last').end(exitOf(0));
  await world.status(ID, 'complete');
});

t.test('all tasks start again in their order, also those that were over', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const hook = (Name: string, Hook: 'prestart' | 'poststart' | 'poststop', Sidecar = false) =>
    fakeTask({ Name, Lifecycle: { Hook, Sidecar } });
  const tasks = [
    fakeTask({ Name: 'main' }),
    hook('side', 'prestart', true),
    hook('init', 'prestart'),
    hook('last', 'poststop'),
  ];
  world.server.put(fakeAlloc(client.nodeId, batch(tasks)));
  const names = () =>
    world.engine
      .running()
      .map(({ config }) => config.name)
      .sort();
  await until(() => names().join() === 'init,side', 'prestart');
  world.engine.task('init').end(exitOf(0));
  await until(() => names().join() === 'main,side', 'main');
  const context = { signal: new AbortController().signal };
  await client.handlers['Allocations.Restart']?.({ AllocID: ID, AllTasks: true }, context);
  await until(() => names().join() === 'init,side', 'main waits for what runs before it');
  t.same(world.engine.stopped.sort(), ['main', 'side']);
  world.engine.task('init').end(exitOf(0));
  await until(() => names().join() === 'main,side', 'main once more');
  world.engine.task('main').end(exitOf(0));
  await until(() => names().join() === 'last', 'poststop');
  await t.rejects(
    client.handlers['Allocations.Restart']?.({ AllocID: ID, AllTasks: true }, context) as Promise<unknown>,
    { code: 'E_BAD_REQUEST', message: 'Task not running' },
  );
  world.engine.task('last').end(exitOf(0));
  await world.status(ID, 'complete');
  t.equal(world.server.reported(ID)?.TaskStates?.['init']?.Restarts, 1);
});

t.test('a task that fails before the others on a restart of all ends them', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const none = { ...fakeGroup().RestartPolicy, Attempts: 0 };
  const init = fakeTask({ Name: 'init', Lifecycle: { Hook: 'prestart', Sidecar: false }, RestartPolicy: none });
  world.server.put(fakeAlloc(client.nodeId, batch([fakeTask({ Name: 'main' }), init])));
  await until(() => world.engine.running('init').length === 1, 'prestart');
  world.engine.task('init').end(exitOf(0));
  await until(() => world.engine.running('main').length === 1, 'main');
  const context = { signal: new AbortController().signal };
  await client.handlers['Allocations.Restart']?.({ AllocID: ID, AllTasks: true }, context);
  await until(() => world.engine.running('init').length === 1, 'prestart once more');
  world.engine.task('init').end(exitOf(1));
  await world.status(ID, 'failed');
  t.same(world.engine.running(), []);
});

t.test('a failed task takes its siblings with it; so does a leader that ends', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const tasks = [fakeTask({ Name: 'a' }), fakeTask({ Name: 'b' })];
  const none = { ...fakeGroup().RestartPolicy, Attempts: 0 };
  const failing = tasks.map((task) => ({ ...task, RestartPolicy: none }));
  world.server.put(fakeAlloc(client.nodeId, fakeJob(fakeGroup(failing))));
  await until(() => world.engine.running().length === 2, 'started');
  world.engine.task('a').end(exitOf(1));
  await world.status(ID, 'failed');
  await until(() => world.engine.running().length === 0, 'sibling ended');
  t.same(world.engine.stopped, ['b']);
  const leading = [fakeTask({ Name: 'a', Leader: true }), fakeTask({ Name: 'b' })];
  const other = '22222222-2222-4333-8444-555555555555';
  world.server.put(fakeAlloc(client.nodeId, batch(leading), { ID: other }));
  await until(() => world.engine.running().length === 2, 'started');
  world.engine.task('a').end(exitOf(0));
  await world.status(other, 'complete');
  t.same(world.engine.stopped, ['b', 'b']);
});

t.test('an allocation that is wanted stopped before it began never starts a task', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  world.server.put(fakeAlloc(client.nodeId, fakeJob(), { DesiredStatus: 'stop' }));
  await world.status(ID, 'complete');
  t.equal(world.engine.tasks.size, 0);
});

t.test('an order to end that comes during a slow start ends the task', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  let open = (): void => {};
  world.driver.startGate = new Promise((resolve) => {
    open = resolve;
  });
  const alloc = world.server.put(fakeAlloc(client.nodeId));
  await until(() => existsSync(join(world.dir, 'alloc', ID, 'web', 'local')), 'preparing');
  world.server.put({ ...alloc, DesiredStatus: 'stop' });
  await until(() => world.server.calls.filter((method) => method === 'Alloc.GetAllocs').length === 2, 'heard');
  open();
  await world.status(ID, 'complete');
  t.equal(world.engine.running().length, 0);
});

t.test('health for the deployment: min_healthy_time without a restart', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const Update = {
    Stagger: 30e9,
    MaxParallel: 1,
    HealthCheck: 'task_states' as const,
    MinHealthyTime: 10e9,
    HealthyDeadline: 300e9,
    ProgressDeadline: 600e9,
    AutoRevert: false,
    AutoPromote: false,
    Canary: 0,
  };
  world.server.put(fakeAlloc(client.nodeId, fakeJob(fakeGroup([fakeTask()], { Update })), { DeploymentID: 'd' }));
  await world.status(ID, 'running');
  t.equal(world.server.reported(ID)?.DeploymentStatus, null);
  world.timers.advance(10_000);
  await until(() => {
    world.timers.advance(0);
    return world.server.reported(ID)?.DeploymentStatus?.Healthy === true;
  }, 'healthy');
});

t.test('after kill -9 all tasks are attached again before a server is asked, and go on', async (t) => {
  const world = new World(t);
  const first = await world.agent(t);
  const ids = Array.from({ length: 10 }, (_, i) => `${i}1111111-2222-4333-8444-555555555555`);
  for (const ID of ids) world.server.put(fakeAlloc(first.nodeId, fakeJob(), { ID }));
  for (const id of ids) await world.status(id, 'running');
  const before = [...world.engine.tasks.keys()].sort();
  // Nothing is told to the first agent: it stops existing. (Its loops are let go without a word.)
  await first.shutdown();
  world.server.down = new MeshError('E_NO_LEADER', 'none');
  const second = await world.agent(t);
  t.same([...world.engine.tasks.keys()].sort(), before, 'the same tasks');
  t.equal(second.stats().allocs['running'], 10);
  world.engine.tasks.get(before[0] as string)?.end(exitOf(0));
  await until(() => world.delaysRestart, 'its end was noticed');
});

t.test('a server that has replayed only a part of its state removes nothing', async (t) => {
  const world = new World(t);
  const first = await world.agent(t);
  const alloc = world.server.put(fakeAlloc(first.nodeId));
  await world.status(ID, 'running');
  await first.shutdown();
  world.server.allocs.clear();
  world.server.index = 5;
  await world.agent(t);
  await until(() => world.warnings.some((text) => /older state/.test(text)), 'noticed');
  world.timers.advance(1_000);
  t.equal(world.engine.running().length, 1);
  t.same(world.engine.stopped, []);
  world.server.allocs.set(ID, alloc);
  world.server.index = alloc.AllocModifyIndex;
  world.server.wake();
  world.server.put({ ...alloc, DesiredStatus: 'stop' });
  await world.status(ID, 'complete');
});

t.test('an exit that happened while no agent ran is reported with its code', async (t) => {
  const world = new World(t);
  const first = await world.agent(t);
  world.server.put(fakeAlloc(first.nodeId, batch()));
  await world.status(ID, 'running');
  const task = world.engine.task('web');
  await first.shutdown();
  task.end(exitOf(0));
  await world.agent(t);
  await world.status(ID, 'complete');
  const events = world.server.reported(ID)?.TaskStates?.['web']?.Events ?? [];
  t.match(events.find(({ Type }) => Type === 'Terminated')?.DisplayMessage, 'Exit Code: 0');
  t.equal(world.engine.tasks.size, 0);
});

t.test('a batch task that ended is not run again by the next agent', async (t) => {
  const world = new World(t);
  const first = await world.agent(t);
  world.server.put(fakeAlloc(first.nodeId, batch()));
  await until(() => world.engine.running('web').length === 1, 'started');
  world.engine.task('web').end(exitOf(0));
  await world.status(ID, 'complete');
  await first.shutdown();
  world.server.reports.length = 0;
  await world.agent(t);
  await world.status(ID, 'complete');
  t.equal(world.engine.tasks.size, 0);
});

t.test('after a reboot the work is started again without any server', async (t) => {
  const world = new World(t);
  const first = await world.agent(t);
  world.server.put(fakeAlloc(first.nodeId));
  await world.status(ID, 'running');
  await first.shutdown();
  world.engine.tasks.clear();
  world.server.down = new MeshError('E_NO_LEADER', 'none');
  await world.agent(t);
  await until(() => world.engine.running('web').length === 1, 'started again');
});

t.test('a task that has run waits for its engine, and that is no failure; a new one fails at once', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  world.server.put(fakeAlloc(client.nodeId));
  await world.status(ID, 'running');
  world.driver.startError = new DriverError('no engine', { recoverable: true, away: true });
  world.engine.task('web').end(exitOf(137));
  await until(() => world.delaysRestart, 'waits as its policy says');
  world.timers.advance(19_000);
  const eventsOf = (id: string) => world.server.reported(id)?.TaskStates?.['web']?.Events ?? [];
  // The time that moves on must not outrun what is done meanwhile: five minutes are too many.
  let polls = 0;
  const slowly = (): void => {
    if (++polls % 30 === 0) world.timers.advance(2_000);
  };
  const told = () => eventsOf(ID).filter(({ DisplayMessage }) => /no engine/.test(DisplayMessage)).length;
  await until(() => {
    slowly();
    return told() === 1;
  }, 'it is told');
  const tries = world.engine.destroyed.length;
  await until(() => {
    slowly();
    return world.engine.destroyed.length > tries + 5;
  }, 'it is tried again');
  world.driver.startError = null;
  await until(() => {
    slowly();
    return eventsOf(ID).filter(({ Type }) => Type === 'Started').length === 2;
  }, 'started when the engine is back');
  t.equal(world.server.reported(ID)?.TaskStates?.['web']?.Restarts, 1, 'only its own end counts');
  t.equal(told(), 1, 'told once');
  world.driver.startError = new DriverError('no engine', { recoverable: true, away: true });
  const group = fakeGroup([fakeTask({ RestartPolicy: { ...POLICY, Attempts: 0 } })]);
  const other = '22222222-2222-4333-8444-555555555555';
  world.server.put(fakeAlloc(client.nodeId, fakeJob(group), { ID: other }));
  await world.status(other, 'failed');
});

t.test('who waits for an engine for more than five minutes has failed', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const group = fakeGroup([fakeTask({ RestartPolicy: { ...POLICY, Attempts: 1 } })]);
  world.server.put(fakeAlloc(client.nodeId, fakeJob(group)));
  await world.status(ID, 'running');
  world.driver.startError = new DriverError('no engine', { recoverable: true, away: true });
  const began = world.timers.now();
  world.engine.task('web').end(exitOf(1));
  await until(() => {
    world.timers.advance(1_000);
    return world.server.reported(ID)?.ClientStatus === 'failed';
  }, 'it gives up');
  t.ok(world.timers.now() - began >= 300_000, 'not before five minutes');
});

t.test('while the engine does not answer no second task is started', async (t) => {
  const world = new World(t);
  const first = await world.agent(t);
  world.server.put(fakeAlloc(first.nodeId));
  await world.status(ID, 'running');
  await first.shutdown();
  world.engine.reachable = false;
  await world.agent(t);
  world.timers.advance(60_000);
  t.equal(world.engine.tasks.size, 1);
  world.engine.reachable = true;
  await until(() => {
    world.timers.advance(1_000);
    return world.server.registered.length > 1;
  }, 'back');
  const task = world.engine.task('web');
  t.same(world.engine.stopped, []);
  task.end(exitOf(1));
  await until(() => {
    world.timers.advance(1_000);
    return world.engine.running('web').length === 1 && world.engine.task('web') !== task;
  }, 'followed again');
});

t.test('a start that the agent did not survive is cleaned up before the next', async (t) => {
  const world = new World(t);
  const first = await world.agent(t);
  world.driver.startGate = new Promise(() => {});
  world.server.put(fakeAlloc(first.nodeId));
  await until(() => existsSync(join(world.dir, 'alloc', ID, 'web', 'local')), 'preparing');
  await until(() => {
    world.timers.advance(200);
    return readFileSync(join(world.dir, 'client', 'client.log'), 'utf8').includes(`"taskId":"${ID}/web/`);
  }, 'the start is on record');
  await first.shutdown();
  await world.agent(t);
  await until(() => world.engine.running('web').length === 1, 'started');
  t.match(world.engine.destroyed[0], new RegExp(`^${ID}/web/[0-9a-f]{8}$`));
});

t.test('states are sent again until they are acknowledged', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  world.server.put(fakeAlloc(client.nodeId));
  await world.status(ID, 'running');
  world.server.down = new MeshError('E_NO_LEADER', 'none');
  world.engine.task('web').end(exitOf(1));
  await until(() => client.stats().unacknowledged === 1 && world.engine.tasks.size === 0, 'unsaid');
  world.timers.advance(1_000);
  world.server.down = null;
  await until(() => {
    world.timers.advance(100);
    return world.server.reported(ID)?.TaskStates?.['web']?.Restarts === 1;
  }, 'said');
});

t.test('restart, signal, stats and unknown names', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  world.server.put(fakeAlloc(client.nodeId));
  await world.status(ID, 'running');
  const context = { signal: new AbortController().signal };
  await client.handlers['Allocations.Signal']?.({ AllocID: ID, Signal: 'SIGHUP' }, context);
  t.same(world.driver.signals, ['SIGHUP']);
  await t.rejects(
    client.handlers['Allocations.Signal']?.({ AllocID: ID, Signal: 'SIGHOP' }, context) as Promise<unknown>,
    { code: 'E_BAD_REQUEST', message: /unknown signal "SIGHOP"; did you mean "SIGHUP"/ },
  );
  const stats = await client.handlers['Allocations.Stats']?.({ AllocID: ID }, context);
  t.match(stats, { ResourceUsage: { MemoryStats: { RSS: 7 } }, Tasks: { web: {} } });
  const before = world.engine.task('web');
  await client.handlers['Allocations.Restart']?.({ AllocID: ID, TaskName: 'web' }, context);
  await until(() => world.engine.running('web').length === 1 && world.engine.task('web') !== before, 'restarted');
  await t.rejects(
    client.handlers['Allocations.Restart']?.({ AllocID: ID, TaskName: 'x' }, context) as Promise<unknown>,
    {
      message: 'unknown task name "x"',
    },
  );
  await t.rejects(async () => client.handlers['Allocations.Stats']?.({ AllocID: 'x' }, context), {
    code: 'E_NOT_FOUND',
  });
});

t.test('without a state directory a shutdown stops everything and leaves nothing', async (t) => {
  const world = new World(t);
  const client = await world.agent(t, { stateDir: null });
  world.server.put(fakeAlloc(client.nodeId));
  await world.status(ID, 'running');
  await client.shutdown();
  t.equal(world.engine.running().length, 0);
  t.notOk(existsSync(join(world.dir, 'alloc')));
});

t.test('ended allocations are collected: over the count, or when asked to', async (t) => {
  const world = new World(t);
  const gc = { intervalMs: 60_000, parallelDestroys: 2, maxAllocs: 0, diskUsagePercent: 101, inodeUsagePercent: 101 };
  const client = await world.agent(t, { gc });
  world.server.put(fakeAlloc(client.nodeId, batch()));
  await until(() => world.engine.running('web').length === 1, 'started');
  world.engine.task('web').end(exitOf(0));
  await world.status(ID, 'complete');
  world.timers.advance(60_000);
  await until(() => !existsSync(join(world.dir, 'alloc', ID)), 'collected');
  t.equal(client.stats().allocs['complete'], 1, 'and still known, so that it is not run again');
});

t.test('an in-place update holds from the next end of the task', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const alloc = world.server.put(fakeAlloc(client.nodeId));
  await world.status(ID, 'running');
  const none = { ...fakeGroup().RestartPolicy, Attempts: 0 };
  world.server.put({ ...alloc, Job: fakeJob(fakeGroup([fakeTask({ RestartPolicy: none })]), { Version: 1 }) });
  await until(() => world.server.calls.filter((method) => method === 'Alloc.GetAllocs').length === 2, 'heard');
  await until(
    () => readFileSync(join(world.dir, 'client', 'client.log'), 'utf8').includes('"Version":1'),
    'taken over',
  );
  world.engine.task('web').end(exitOf(1));
  await world.status(ID, 'failed');
});

t.test('a stop that the agent did not live to see through is seen through by the next', async (t) => {
  const world = new World(t);
  const first = await world.agent(t);
  const alloc = world.server.put(fakeAlloc(first.nodeId));
  await world.status(ID, 'running');
  const stopping = world.driver;
  stopping.stopTask = () => new Promise(() => {});
  world.server.put({ ...alloc, DesiredStatus: 'stop' });
  await until(() => readFileSync(join(world.dir, 'client', 'client.log'), 'utf8').includes('"Killing"'), 'stopping');
  await first.shutdown();
  await world.agent(t);
  await world.status(ID, 'complete');
  t.same(world.engine.stopped, ['web']);
});

t.test('the successor of an allocation waits until its predecessor has let go', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const alloc = world.server.put(fakeAlloc(client.nodeId));
  await world.status(ID, 'running');
  let letGo = (): void => {};
  const { driver } = world;
  const stop = driver.stopTask.bind(driver);
  driver.stopTask = async (taskId) => {
    await new Promise<void>((resolve) => {
      letGo = resolve;
    });
    await stop(taskId);
  };
  const next = '22222222-2222-4333-8444-555555555555';
  world.server.put({ ...alloc, DesiredStatus: 'stop' });
  world.server.put(fakeAlloc(client.nodeId, fakeJob(), { ID: next, PreviousAllocation: ID }));
  await world.status(next, 'pending');
  t.equal(world.engine.running('web').length, 1);
  letGo();
  await world.status(next, 'running');
  await world.status(ID, 'complete');
});

t.test('a host volume: a link for a task without a root of its own, an error when it is not here', async (t) => {
  const world = new World(t);
  world.allocHooks = ALLOC_HOOKS;
  const data = join(world.dir, 'data');
  mkdirSync(data);
  const hostVolumes = { data: { Name: 'data', Path: data, ReadOnly: false, ID: '' } };
  const client = await world.agent(t, { hostVolumes });
  const request = (Source: string) =>
    ({ Name: 'v', Type: 'host', Source, ReadOnly: false, PerAlloc: false }) as unknown as VolumeRequest;
  const mountAt = (Destination: string) => ({
    Volume: 'v',
    Destination,
    ReadOnly: false,
    PropagationMode: 'private',
    SELinuxLabel: '',
  });
  const job = (source: string, destinations = ['/srv/data']): Job =>
    fakeJob(fakeGroup([fakeTask({ VolumeMounts: destinations.map(mountAt) })], { Volumes: { v: request(source) } }));
  world.server.put(fakeAlloc(client.nodeId, job('data', ['/srv/data', '${NOMAD_TASK_DIR}/of-${NOMAD_TASK_NAME}'])));
  await world.status(ID, 'running');
  t.equal(readlinkSync(join(world.dir, 'alloc', ID, 'web', 'srv', 'data')), data);
  t.equal(readlinkSync(join(world.dir, 'alloc', ID, 'web', 'local', 'of-web')), data);
  const outside = '33333333-2222-4333-8444-555555555555';
  world.server.put(fakeAlloc(client.nodeId, job('data', ['${NOMAD_ALLOC_DIR}/data']), { ID: outside }));
  await world.status(outside, 'failed');
  const refused = world.server.reported(outside)?.TaskStates?.['web']?.Events ?? [];
  t.match(refused.find(({ Type }) => Type === 'Setup Failure')?.DisplayMessage, /is not in the task directory/);
  const other = '22222222-2222-4333-8444-555555555555';
  world.server.put(fakeAlloc(client.nodeId, job('nothing'), { ID: other }));
  await world.status(other, 'failed');
  const events = world.server.reported(other)?.TaskStates?.['web']?.Events ?? [];
  t.match(events.find(({ Type }) => Type === 'Setup Failure')?.DisplayMessage, /"nothing" is not configured/);
});

t.test('after a reboot a task waits for its host volume, and never begins beside it', async (t) => {
  const world = new World(t);
  world.allocHooks = ALLOC_HOOKS;
  const data = join(world.dir, 'data');
  mkdirSync(data);
  const hostVolumes = { data: { Name: 'data', Path: data, ReadOnly: false, ID: '' } };
  const client = await world.agent(t, { hostVolumes });
  const Volumes = { v: { Name: 'v', Type: 'host', Source: 'data', ReadOnly: false, PerAlloc: false } };
  const VolumeMounts = [
    { Volume: 'v', Destination: '/srv/data', ReadOnly: false, PropagationMode: 'private', SELinuxLabel: '' },
  ];
  const group = fakeGroup([fakeTask({ VolumeMounts })], { Volumes: Volumes as never });
  world.server.put(fakeAlloc(client.nodeId, fakeJob(group)));
  await world.status(ID, 'running');
  await client.shutdown();
  world.engine.tasks.clear();
  rmSync(data, { recursive: true });
  await world.agent(t, { hostVolumes });
  const told = (): string[] =>
    (world.server.reported(ID)?.TaskStates?.['web']?.Events ?? []).map(({ DisplayMessage }) => DisplayMessage);
  const waits = `Waiting for host volume "data": ${data} does not exist`;
  await until(() => {
    world.timers.advance(100);
    return told().includes(waits);
  }, 'it is said');
  world.timers.advance(20_000);
  t.equal(world.engine.running('web').length, 0);
  t.notOk(existsSync(data));
  mkdirSync(data);
  await until(() => {
    world.timers.advance(1_000);
    return world.engine.running('web').length === 1;
  }, 'the task to run');
  t.equal(told().filter((text) => text === waits).length, 1);
});

t.test('shutdown_delay holds back the end of a task, unless told not to', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const job = fakeJob(fakeGroup([fakeTask({ ShutdownDelay: 5e9, KillTimeout: 600e9 })]));
  const alloc = world.server.put(fakeAlloc(client.nodeId, job));
  await world.status(ID, 'running');
  world.server.put({ ...alloc, DesiredStatus: 'stop' });
  await until(() => world.timers.delays.includes(5_000), 'delay');
  t.same(world.engine.stopped, []);
  world.timers.advance(5_000);
  await world.status(ID, 'complete');
  const told = world.server.reported(ID)?.TaskStates?.['web']?.Events.map(({ DisplayMessage }) => DisplayMessage);
  t.ok(told?.includes('Waiting for shutdown_delay of 5s before killing the task.'));
  t.ok(told?.includes('Sent interrupt. Waiting 30s before force killing'), "capped by the client's limit");
  const other = '22222222-2222-4333-8444-555555555555';
  const second = world.server.put(fakeAlloc(client.nodeId, job, { ID: other }));
  await world.status(other, 'running');
  const DesiredTransition = { ...second.DesiredTransition, NoShutdownDelay: true };
  world.server.put({ ...second, DesiredStatus: 'stop', DesiredTransition });
  await world.status(other, 'complete');
});

t.test('a command inside a task: passed through, or refused in words', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  world.server.put(fakeAlloc(client.nodeId));
  await world.status(ID, 'running');
  const rpc = localCaller(client.handlers, client.streamHandlers);
  const session = rpc.stream('Allocations.Exec', { AllocID: ID, Task: 'web', Cmd: ['echo'], Tty: false });
  session.write({ Type: 'stdin', Data: new Uint8Array([65]) });
  t.same((await once(session, 'data'))[0], { Type: 'stdin', Data: new Uint8Array([65]) });
  session.end();
  await once(session, 'end');
  const refused = rpc.stream('Allocations.Exec', { AllocID: ID, Task: 'nothing', Cmd: ['echo'], Tty: false });
  t.match((await once(refused, 'error'))[0], { code: 'E_BAD_REQUEST', message: 'unknown task name "nothing"' });
  const logs = { AllocID: 'x', Task: 'web', LogType: 'stdout', Offset: 0, Origin: 'start', Follow: false } as const;
  t.match((await once(rpc.stream('FileSystem.Logs', logs), 'error'))[0], { code: 'E_NOT_FOUND' });
});

t.test('a task whose logs are disabled has none, and it is said', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const { LogConfig } = fakeTask();
  const group = fakeGroup([fakeTask({ LogConfig: { ...LogConfig, Disabled: true } })]);
  world.server.put(fakeAlloc(client.nodeId, fakeJob(group)));
  await world.status(ID, 'running');
  const rpc = localCaller(client.handlers, client.streamHandlers);
  const logs = { AllocID: ID, Task: 'web', LogType: 'stdout', Offset: 0, Origin: 'start', Follow: false } as const;
  const [error] = await once(rpc.stream('FileSystem.Logs', logs), 'error');
  t.match(error, { code: 'E_NOT_FOUND', message: /keeps no logs.*disabled = true/ });
});

t.test('a shutdown during the start leaves nothing behind', async (t) => {
  const world = new World(t);
  const client = await world.create();
  const started = client.start();
  await client.shutdown();
  await started;
  t.same(world.timers.delays, []);
});

t.test('an allocation that the servers had lost sight of is reported again, though nothing has changed', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const alloc = world.server.put(fakeAlloc(client.nodeId));
  await world.status(ID, 'running');
  const reports = world.server.reports.length;
  world.server.put({ ...alloc, ClientStatus: 'unknown' });
  await until(() => {
    world.timers.advance(0);
    return world.server.reports.length > reports;
  }, 'reported again');
  t.equal(world.server.reported(ID)?.ClientStatus, 'running');
  t.equal(world.server.reported(ID)?.TaskStates?.['web']?.Events.at(-1)?.Type, 'Reconnected');
  t.equal(world.engine.running('web').length, 1, 'and runs on');
});

t.test('what the servers know otherwise, as after a restore of their state, is reported again', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const alloc = world.server.put(fakeAlloc(client.nodeId));
  await world.status(ID, 'running');
  const reports = world.server.reports.length;
  world.server.put({ ...alloc, ClientStatus: 'pending' });
  await until(() => {
    world.timers.advance(1000);
    return world.server.reports.length > reports;
  }, 'reported again');
  t.equal(world.server.reported(ID)?.ClientStatus, 'running');
});

t.test('stop_on_client_after: without a server for that long, the client stops the allocation itself', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const Disconnect = { LostAfter: null, StopOnClientAfter: 30e9, Replace: true, Reconcile: 'best_score' as const };
  const careful = fakeJob(fakeGroup([fakeTask()], { Disconnect }));
  const other = fakeAlloc(client.nodeId, fakeJob(), { ID: 'other-id' });
  world.server.put(fakeAlloc(client.nodeId, careful));
  world.server.put(other);
  await world.status(ID, 'running');
  await world.status('other-id', 'running');
  const pass = async (seconds: number): Promise<void> => {
    for (let passed = 0; passed < seconds; passed++) {
      world.timers.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await pass(120);
  t.equal(client.stats().allocs['running'], 2, 'heartbeats keep it alive');
  world.server.down = new MeshError('E_NO_LEADER', 'gone');
  await pass(15);
  t.equal(client.stats().allocs['running'], 2, 'a short silence is nothing');
  await pass(20);
  await until(() => client.stats().allocs['running'] === 1, 'one is stopped');
  world.server.down = null;
  await until(() => {
    world.timers.advance(1000);
    return world.server.reported(ID)?.ClientStatus === 'complete';
  }, 'the servers hear of it');
  const types = world.server.reported(ID)?.TaskStates?.['web']?.Events.map(({ Type }) => Type);
  t.ok(types?.includes('Client Disconnected'), String(types));
  t.not(world.server.reported('other-id')?.ClientStatus, 'complete', 'the other runs on');
});

t.test(
  'stop_on_client_after: shorter than the time between two heartbeats, it stops nothing while servers answer',
  async (t) => {
    const world = new World(t);
    const client = await world.agent(t);
    const Disconnect = { LostAfter: null, StopOnClientAfter: 6e9, Replace: true, Reconcile: 'best_score' as const };
    // It comes in the middle of the time that the servers gave.
    for (let passed = 0; passed < 60; passed++) {
      if (passed === 5) {
        world.server.put(fakeAlloc(client.nodeId, fakeJob(fakeGroup([fakeTask()], { Disconnect }))));
        await world.status(ID, 'running');
      }
      world.timers.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    t.equal(client.stats().allocs['running'], 1);
  },
);

t.test('max_run_duration ends a batch allocation, complete, without its poststop task', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const after = fakeTask({ Name: 'after', Lifecycle: { Hook: 'poststop', Sidecar: false } });
  const job = fakeJob(fakeGroup([fakeTask(), after], { MaxRunDuration: 60e9 }), { Type: 'batch' });
  world.server.put(fakeAlloc(client.nodeId, job));
  await world.status(ID, 'running');
  world.timers.advance(59_000);
  t.equal(world.engine.running('web').length, 1);
  world.timers.advance(1_000);
  await world.status(ID, 'complete');
  t.equal(world.server.reported(ID)?.ClientDescription, 'allocation exceeded max_run_duration');
  t.equal(world.server.reported(ID)?.TaskStates?.['after']?.StartedAt, '0001-01-01T00:00:00Z');
});

t.test('max_run_duration counts on while no agent runs', async (t) => {
  const world = new World(t);
  const first = await world.agent(t);
  const job = fakeJob(fakeGroup([fakeTask()], { MaxRunDuration: 60e9 }), { Type: 'batch' });
  world.server.put(fakeAlloc(first.nodeId, job));
  await world.status(ID, 'running');
  await first.shutdown();
  world.timers.advance(61_000);
  t.equal(world.engine.running('web').length, 1);
  await world.agent(t);
  await world.status(ID, 'complete');
});

/** Two hooks that write down what they are asked to do; the second does as `prerun` says. */
function recordedHooks(said: string[], prerun: (context: AllocHookContext) => Promise<void>): AllocHook[] {
  const parts = (name: string): Partial<AllocHook> => ({
    postrun: async () => void said.push(`${name} postrun`),
    destroy: async () => void said.push(`${name} destroy`),
  });
  return [
    allocHook('first', {
      ...parts('first'),
      prerun: async ({ reattach, state }) => {
        said.push(`first prerun ${reattach} ${state.get()}`);
        state.put('kept');
      },
    }),
    allocHook('second', { ...parts('second'), prerun }),
  ];
}

t.test('hooks of an allocation: before its tasks, again by the next agent, undone in reverse', async (t) => {
  const world = new World(t);
  const said: string[] = [];
  world.allocHooks = recordedHooks(said, async (context) => {
    context.shared.networkStatus = { InterfaceName: 'eth0', Address: '10.0.0.2', AddressIPv6: '', DNS: null };
    said.push(`tasks ${world.engine.running().length}`);
  });
  const first = await world.agent(t);
  const alloc = world.server.put(fakeAlloc(first.nodeId));
  await world.status(ID, 'running');
  t.same(said.splice(0), ['first prerun false null', 'tasks 0']);
  t.equal(world.server.reported(ID)?.NetworkStatus?.Address, '10.0.0.2');
  await first.shutdown();
  await world.agent(t);
  await until(() => said.length === 2, 'prepared again');
  t.same(said.splice(0), ['first prerun true kept', 'tasks 1'], 'what it kept is there');
  world.server.put({ ...alloc, DesiredStatus: 'stop' });
  await until(() => said.length === 2, 'undone');
  t.same(said.splice(0), ['second postrun', 'first postrun']);
  world.server.forget(ID);
  await until(() => said.length === 2, 'removed');
  t.same(said, ['second destroy', 'first destroy']);
});

t.test('what a new agent could not prepare is made before a task that was taken up begins anew', async (t) => {
  const world = new World(t);
  const said: string[] = [];
  let isAway = false;
  world.allocHooks = recordedHooks(said, async ({ shared }) => {
    if (isAway) throw new DriverError('no engine', { recoverable: true, away: true });
    shared.networkInode = 7;
    said.push(`made, ${world.engine.running().length} run`);
  });
  const first = await world.agent(t);
  world.server.put(fakeAlloc(first.nodeId));
  await world.status(ID, 'running');
  await first.shutdown();
  isAway = true;
  await world.agent(t);
  const old = world.engine.task('web');
  said.length = 0;
  old.end(exitOf(1));
  const told = () => JSON.stringify(world.server.reported(ID)?.TaskStates?.['web']?.Events ?? []);
  await until(() => {
    world.timers.advance(1_000);
    return told().includes('no engine');
  }, 'it says what is missing');
  t.same(world.engine.running(), [], 'and does not start without it');
  isAway = false;
  await until(() => {
    world.timers.advance(1_000);
    return world.engine.running('web').length === 1;
  }, 'it runs again');
  t.equal(said.at(-1), 'made, 0 run');
});

t.test('a hook of an allocation that fails fails it, and one that waits is let go by a stop', async (t) => {
  const world = new World(t);
  const said: string[] = [];
  world.allocHooks = recordedHooks(said, async ({ alloc, signal, tell }) => {
    if (alloc.ID === ID) throw new Error('no such volume');
    tell('waiting for a volume');
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('let go'))));
  });
  const client = await world.agent(t);
  world.server.put(fakeAlloc(client.nodeId));
  await world.status(ID, 'failed');
  t.match(world.server.reported(ID)?.TaskStates?.['web']?.Events.at(-1)?.DisplayMessage, /no such volume/);
  const other = ID.replace(/^./, '9');
  const waiting = world.server.put(fakeAlloc(client.nodeId, fakeJob(), { ID: other }));
  await until(() => {
    world.timers.advance(10);
    return world.server.reported(other)?.TaskStates?.['web']?.Events.at(-1)?.DisplayMessage === 'waiting for a volume';
  }, 'it says what it waits for');
  world.server.put({ ...waiting, DesiredStatus: 'stop' });
  await world.status(other, 'complete');
  t.equal(world.engine.tasks.size, 0, 'no task was started');
});

/** A service of the group with an http check against a server of the test's own, which answers with `code`. */
function servedGroup(port: number, fields: Partial<ServiceCheck> = {}): ReturnType<typeof fakeGroup> {
  const check = {
    Name: 'alive',
    Type: 'http',
    Path: '/',
    Protocol: '',
    PortLabel: '',
    AddressMode: '',
    Method: '',
    Body: '',
    Header: null,
    Interval: 10e9,
    Timeout: 2e9,
    InitialStatus: '',
    OnUpdate: '',
    TaskName: '',
    CheckRestart: null,
    ...fields,
  } as ServiceCheck;
  const service = {
    Name: 'web',
    Provider: 'nomad',
    PortLabel: String(port),
    AddressMode: '',
    Address: '127.0.0.1',
    TaskName: '',
    Tags: ['${NOMAD_JOB_ID}'],
    CanaryTags: null,
    Checks: [check],
    CheckRestart: null,
  } as unknown as Service;
  return fakeGroup([fakeTask()], { Services: [service] });
}

async function webServer(t: Test): Promise<{ port: number; code: number; asked: number }> {
  const state = { port: 0, code: 200, asked: 0 };
  const server = createHttpServer((_, response) => {
    state.asked++;
    response.writeHead(state.code).end('hello');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  state.port = (server.address() as { port: number }).port;
  return state;
}

t.test(
  'a service is listed with its tasks, follows its check, and goes before its tasks are told to end',
  async (t) => {
    const world = new World(t);
    const web = await webServer(t);
    const client = await world.agent(t);
    const service = () => world.server.reported(ID)?.Services?.[0];
    const alloc = world.server.put(fakeAlloc(client.nodeId, fakeJob(servedGroup(web.port))));
    const health = (wanted: string) =>
      until(() => {
        world.timers.advance(100);
        return service()?.Health === wanted;
      }, `it is ${wanted}`);
    await health('passing');
    t.match(service(), { ServiceName: 'web', Address: '127.0.0.1', Port: web.port, Tags: ['job'] });
    web.code = 500;
    await health('failing');
    const { Checks } = (await localCaller(client.handlers, {}).call('Allocations.Checks', { AllocID: ID })) ?? {};
    t.match(Object.values(Checks), [{ Check: 'alive', Status: 'failure', StatusCode: 500, Output: 'hello' }]);
    world.server.put({ ...alloc, DesiredStatus: 'stop' });
    await world.status(ID, 'complete');
    t.same(world.server.reported(ID)?.Services, []);
    const asked = web.asked;
    world.timers.advance(60_000);
    t.equal(web.asked, asked, 'it is asked no more');
  },
);

t.test('a service that can be reached nowhere is told of once, and its tasks run', async (t) => {
  const world = new World(t);
  const client = await world.agent(t);
  const group = servedGroup(80);
  const service = { ...group.Services?.[0], Address: '', AddressMode: 'alloc', Checks: null } as Service;
  world.server.put(fakeAlloc(client.nodeId, fakeJob({ ...group, Services: [service] })));
  await world.status(ID, 'running');
  const told = () =>
    (world.server.reported(ID)?.TaskStates?.['web']?.Events ?? []).filter(({ DisplayMessage }) =>
      /^Service "web" is not listed: address_mode = "alloc" needs a network of its own/.test(DisplayMessage),
    );
  await until(() => {
    world.timers.advance(100);
    return told().length > 0;
  }, 'it is told');
  t.equal(told().length, 1);
  t.equal(world.engine.running('web').length, 1);
});

t.test('an agent that comes back finds its checks as they were, and does not empty the catalogue', async (t) => {
  const world = new World(t);
  const web = await webServer(t);
  const first = await world.agent(t);
  world.server.put(fakeAlloc(first.nodeId, fakeJob(servedGroup(web.port))));
  await until(() => {
    world.timers.advance(100);
    return world.server.reported(ID)?.Services?.[0]?.Health === 'passing';
  }, 'it is passing');
  await first.shutdown();
  const before = world.server.reports.length;
  await world.agent(t);
  await until(() => {
    world.timers.advance(100);
    return world.server.reports.length > before;
  }, 'it reports again');
  for (const report of world.server.reports.slice(before).flat()) t.match(report.Services, [{ Health: 'passing' }]);
});

t.test('check_restart: a check that fails too often ends its task, as a failure', async (t) => {
  const world = new World(t);
  const web = await webServer(t);
  web.code = 503;
  const client = await world.agent(t);
  const group = servedGroup(web.port, { CheckRestart: { Limit: 3, Grace: 0, IgnoreWarnings: false } });
  world.server.put(fakeAlloc(client.nodeId, fakeJob(group)));
  const types = () => world.server.reported(ID)?.TaskStates?.['web']?.Events.map(({ Type }) => Type) ?? [];
  await until(() => {
    world.timers.advance(100);
    return types().includes('Restarting');
  }, 'it is restarted');
  t.ok(web.asked >= 3);
  t.same(types().slice(-3), ['Restart Signaled', 'Terminated', 'Restarting']);
});

t.test('identities: in the environment and as files, renewed in time, kept for a start without servers', async (t) => {
  const world = new World(t);
  const own = { Name: 'default', Env: true, File: false, Filepath: '', TTL: 0 } as WorkloadIdentity;
  const ending = { Name: 'vault', Env: false, File: true, Filepath: '', TTL: 3600e9, ChangeMode: 'signal' };
  const task = fakeTask({ Identity: own, Identities: [{ ...ending, ChangeSignal: 'SIGUSR1' } as WorkloadIdentity] });
  world.server.expiration = world.timers.now() / 1_000 + 3_600;
  const first = await world.agent(t);
  world.server.put(fakeAlloc(first.nodeId, fakeJob(fakeGroup([task]))));
  await world.status(ID, 'running');
  const file = join(world.dir, 'alloc', ID, 'web', 'secrets', 'nomad_vault.jwt');
  const engineTask = () => world.engine.task('web');
  t.equal(engineTask().config.env['NOMAD_TOKEN'], 'default-1');
  t.equal(readFileSync(file, 'utf8'), 'vault-1');
  t.equal(statSync(file).mode & 0o777, 0o600);
  world.timers.advance(1_700_000);
  t.equal(world.server.signed, 1, 'not before half of its time is over');
  await until(() => {
    world.timers.advance(60_000);
    return readFileSync(file, 'utf8') === 'vault-2';
  }, 'it is renewed');
  await until(() => world.driver.signals.includes('SIGUSR1'), 'the task hears of it');
  await first.shutdown();
  t.same(world.server.hasty, [], 'what is not there yet, or is to be newer, may take its time');
  world.server.down = new MeshError('E_NO_LEADER', 'none');
  world.server.expiration = 0;
  world.engine.tasks.clear();
  await world.agent(t);
  await until(() => world.engine.running('web').length === 1, 'after a reboot it starts with what was kept');
  t.equal(readFileSync(file, 'utf8'), 'vault-2');
  t.same(world.server.hasty, ['Alloc.SignIdentities']);
});

t.test(
  'an engine that hangs keeps nobody else from their work, and its tasks are taken up when it answers',
  async (t) => {
    const world = new World(t);
    const first = await world.agent(t);
    const [kept, stopped, gone] = [ID, 'b'.repeat(36), 'c'.repeat(36)] as const;
    for (const id of [kept, stopped, gone]) world.server.put(fakeAlloc(first.nodeId, fakeJob(), { ID: id }));
    for (const id of [kept, stopped, gone]) await world.status(id, 'running');
    const tasks = new Map(world.engine.tasks);
    await first.shutdown();
    let answer = (): void => {};
    world.engine.recoverGate = new Promise((resolve) => {
      answer = resolve;
    });
    world.driver = new FakeDriver(world.engine);
    const second = await world.create();
    t.teardown(() => second.shutdown());
    const started = second.start();
    await until(() => world.timers.delays.includes(15_000), 'patience');
    world.timers.advance(15_000);
    await until(() => world.timers.delays.includes(10_000), 'and for those whom nobody knows');
    world.timers.advance(10_000);
    await started;
    t.match(world.warnings.at(-1), /drivers do not answer/);
    // Meanwhile: one that is new, one that is to stop, and one that is forgotten.
    world.server.put(fakeAlloc(first.nodeId, fakeJob(), { ID: 'd'.repeat(36) }));
    await world.status('d'.repeat(36), 'running');
    world.server.put({ ...fakeAlloc(first.nodeId, fakeJob(), { ID: stopped }), DesiredStatus: 'stop' });
    world.server.forget(gone);
    await until(() => second.hasAlloc('d'.repeat(36)), 'the new one');
    t.same(world.engine.stopped, [], 'nothing is done to what may run');
    t.same(world.engine.destroyed, []);
    answer();
    await world.status(stopped, 'complete');
    await until(() => !second.hasAlloc(gone), 'the forgotten one to go');
    t.equal([...tasks].filter(([, { ended }]) => ended === null).length, 1, 'one of the three runs on, as it was');
    t.match(await localCaller(second.handlers, {}).call('Allocations.Stats', { AllocID: kept }), {
      Tasks: { web: {} },
    });
  },
);
