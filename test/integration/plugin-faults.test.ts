import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { ExternalPlugins } from '../../lib/plugin/external/open.js';
import { scopeOf, TaskCgroups } from '../../lib/plugin/external/task-cgroups.js';
import { processStart } from '../../lib/plugin/go-plugin/process-start.js';
import { createDrivers, openOtherPlugins, pluginBlockProblems } from '../../lib/plugin/registry.js';
import { findCgroups } from '../../lib/plugin/sdk/cgroup-tree.js';
import type { Driver, TaskConfig, TaskHandle } from '../../lib/plugin/sdk/driver.js';
import { numberingProblem } from '../support/driver-kill.js';
import { type DriverPlace, decoded, makePlace, quietStart, until } from '../support/driver-task.js';
import { makePluginPlace, type PluginPlace } from '../support/go-plugin-server.js';
import { closePlugins, openPluginDir } from '../support/plugin-driver.js';

interface World {
  place: PluginPlace;
  tasks: DriverPlace;
  logs: string[];
  open: () => Promise<ExternalPlugins>;
  driver: () => Promise<Driver>;
  /** The number of a plugin's process. */
  pid: (file: string) => number;
}

function world(t: Test): World {
  const place = makePluginPlace();
  const tasks = makePlace();
  const logs: string[] = [];
  const opened: ExternalPlugins[] = [];
  t.teardown(async () => {
    for (const plugins of opened) await closePlugins(plugins);
    place.remove();
    tasks.remove();
  });
  const open = async (): Promise<ExternalPlugins> => {
    const plugins = await openPluginDir({
      dir: place.dir,
      stateDir: place.stateDir,
      log: (level, message, fields) => logs.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`),
    });
    opened.push(plugins);
    return plugins;
  };
  return {
    place,
    tasks,
    logs,
    open,
    async driver() {
      const { drivers } = await open();
      if (!drivers['test']) throw new Error(`no driver "test" among ${Object.keys(drivers).join(', ')}`);
      return drivers['test'];
    },
    pid: (file) => JSON.parse(readFileSync(join(place.stateDir, 'plugins', file, 'plugin.json'), 'utf8')).pid,
  };
}

// A plugin that stands still leaves nothing that would keep this process waiting for it.
const alive = setInterval(() => {}, 1000);
t.teardown(() => clearInterval(alive));
t.setTimeout(120_000);

const COUNT = 40;
const COUNTING = {
  command: '/bin/sh',
  args: ['-c', `i=1; while [ $i -le ${COUNT} ]; do echo line $i; i=$((i+1)); sleep 0.05; done; exit 5`],
};
const sleeps = { command: '/bin/sleep', args: ['600'] };

t.test(
  'a plugin that is killed is started again and takes its tasks up; nothing of their output is lost',
  async (t) => {
    const { place, tasks, driver, pid } = world(t);
    place.addServer('driver', 'driver', 'test');
    const one = await driver();
    const task = tasks.task(decoded(one, COUNTING));
    await one.startTask(task, quietStart());
    const exit = one.waitTask(task.id);
    const first = pid('driver');
    process.kill(first, 'SIGKILL');
    t.match(await exit, { exitCode: 5 }, 'its end is told by the next one');
    t.not(pid('driver'), first);
    await one.destroyTask(task.id, { force: false });
    t.equal(numberingProblem(tasks.output(task, 'stdout'), COUNT), '');
  },
);

const asRoot = process.getuid?.() === 0 ? {} : { skip: 'control groups are made by root' };
t.test('a task has the control groups that executors expect; what is left in them ends with it', asRoot, async (t) => {
  const { place, tasks, driver } = world(t);
  place.addServer('driver', 'driver', 'test');
  const one = await driver();
  const groups = new TaskCgroups(findCgroups(), () => {});
  const task = tasks.task(decoded(one, sleeps));
  await one.startTask(task, quietStart());
  const path = groups.pathOf(task);
  t.ok(existsSync(path), path);
  const cgroups = findCgroups();
  const group = cgroups?.version === 1 ? `${cgroups.roots['freezer']}/nomad/${scopeOf(task.id)}` : path;
  const left = spawn('/bin/sleep', ['600'], { stdio: 'ignore' });
  const ended = new Promise((resolve) => left.once('exit', (_code, signal) => resolve(signal)));
  writeFileSync(join(group, 'cgroup.procs'), String(left.pid));
  await one.destroyTask(task.id, { force: true });
  t.equal(await ended, 'SIGKILL');
  t.notOk(existsSync(group));
});

t.test('a task outlives an agent that is killed, and so do its plugin and its output', async (t) => {
  const { place, tasks, open, pid } = world(t);
  place.addServer('driver', 'driver', 'test');
  place.addServer('device', 'device');
  const task = tasks.task({ ...COUNTING });
  const script = fileURLToPath(new URL('../support/plugin-agent.js', import.meta.url));
  const agent = spawn(process.execPath, [script, place.dir, place.stateDir], { stdio: ['pipe', 'pipe', 'inherit'] });
  agent.stdin.end(`${JSON.stringify(task)}\n`);
  const line = await new Promise<string>((resolve) => createInterface({ input: agent.stdout }).once('line', resolve));
  await new Promise((resolve) => agent.once('exit', resolve));
  const [first, provider] = [pid('driver'), pid('device')];
  const { drivers, devices } = await open();
  const next = drivers['test'];
  if (!next) throw new Error('no driver');
  await next.recoverTask(JSON.parse(line) as TaskHandle, task);
  t.equal(pid('driver'), first, 'the plugin is the same process');
  await until(
    'the devices are told',
    async () => (await devices['acme']?.fingerprint().catch(() => undefined)) !== undefined,
  );
  t.not(pid('device'), provider, 'one without tasks is another: it may tell only once what there is');
  t.match(await next.waitTask(task.id), { exitCode: 5 });
  await next.destroyTask(task.id, { force: false });
  t.equal(numberingProblem(tasks.output(task, 'stdout'), COUNT), '');
});

t.test('a task whose start was never recorded is ended', async (t) => {
  const { place, tasks, driver } = world(t);
  place.addServer('driver', 'driver', 'test');
  const task = tasks.task({ command: '/bin/sleep', args: ['600'] });
  const script = fileURLToPath(new URL('../support/plugin-agent.js', import.meta.url));
  const agent = spawn(process.execPath, [script, place.dir, place.stateDir], { stdio: ['pipe', 'ignore', 'inherit'] });
  agent.stdin.end(`${JSON.stringify(task)}\n`);
  await new Promise((resolve) => agent.once('exit', resolve));
  const next = await driver();
  await until('it is up', async () => (await next.fingerprint()).health === 'healthy');
  t.same(await next.reapUnknown?.(), [task.id]);
  t.same(await next.reapUnknown?.(), []);
});

t.test('a plugin that dies or hangs in a start fails that start, and harms no other task', async (t) => {
  const { place, tasks, driver, logs } = world(t);
  place.addServer('driver', 'driver', 'test');
  const one = await driver();
  const steady = tasks.task(decoded(one, sleeps));
  await one.startTask(steady, quietStart());
  const hanging = new AbortController();
  const events: string[] = [];
  const hang = one.startTask(tasks.task(decoded(one, { command: 'hang' })), {
    signal: hanging.signal,
    onEvent: ({ message }) => events.push(message),
  });
  await until('it is under way', () => events.includes('starting hang'));
  hanging.abort();
  await t.rejects(hang, { name: 'DriverError', message: /StartTask was given up/ });
  await t.rejects(one.startTask(tasks.task(decoded(one, { command: 'retry' })), quietStart()), {
    message: /not just now/,
    recoverable: true,
    away: false,
  });
  await t.rejects(one.startTask(tasks.task(decoded(one, { command: 'die' })), quietStart()), {
    name: 'DriverError',
    message: /went away during StartTask/,
    recoverable: true,
  });
  await one.signalTask(steady.id, 'SIGTERM');
  t.match(await one.waitTask(steady.id), { exitCode: 143 }, 'the other task is known to the next one');
  await one.destroyTask(steady.id, { force: true });
  t.ok(
    logs.some((line) => /plugin driver is not running: it ended with code 9; it is started again/.test(line)),
    logs.join('\n'),
  );
});

t.test('a start that fails while the plugin says that its engine is not well counts against no task', async (t) => {
  const { place, tasks, driver } = world(t);
  place.addServer('driver', 'driver', 'test', 'engineless');
  const one = await driver();
  await until('it has said how its engine is', async () =>
    /engine.sock/.test((await one.fingerprint()).healthDescription),
  );
  for (const command of ['fail', 'retry']) {
    await t.rejects(one.startTask(tasks.task(decoded(one, { command })), quietStart()), {
      message: /\(driver test is unhealthy: no engine at \/run\/engine\.sock\)/,
      recoverable: true,
      away: true,
    });
  }
});

t.test('a plugin that stands still is killed, and the next one takes over', async (t) => {
  const { place, tasks, driver, pid } = world(t);
  place.addServer('driver', 'driver', 'test');
  const one = await driver();
  const task = tasks.task(decoded(one, sleeps));
  await one.startTask(task, quietStart());
  const first = pid('driver');
  process.kill(first, 'SIGSTOP');
  // What the agent does on its own each half minute.
  const found = await Promise.all([one.fingerprint(), one.fingerprint(), one.fingerprint()]);
  t.match(found[0], { health: 'unhealthy', healthDescription: /does not answer/ });
  await until('another is there', async () => (await one.fingerprint()).health === 'healthy', 20_000);
  t.not(pid('driver'), first);
  await one.destroyTask(task.id, { force: true });
});

t.test('what cannot be used stands in the list of drivers, and says why', async (t) => {
  const { place, open, logs } = world(t);
  place.addServer('driver', 'driver', 'test');
  place.addServer('future', 'driver', 'later', 'future');
  place.addServer('twin', 'driver', 'test');
  place.addServer('scaler', 'scaler', 'scaler', 'apm');
  place.addScript('garbage', '#!/bin/sh\nhead -c 100000 /dev/urandom\n');
  place.addScript('dies', '#!/bin/sh\nexit 1\n');
  place.addScript(
    'foreign',
    '#!/bin/sh\necho "This binary is a plugin.\nload any plugins automatically" >&2; exit 1\n',
  );
  place.addScript('README', 'no program', 0o644);
  chmodSync(place.addScript('open', '#!/bin/sh\n'), 0o777);
  const { drivers } = await open();
  t.same(Object.keys(drivers).sort(), ['dies', 'future', 'garbage', 'open', 'test']);
  const why = async (name: string): Promise<string> => (await drivers[name]?.fingerprint())?.healthDescription ?? '';
  t.match(await why('future'), /cannot be used: it speaks v9\.9\.9 of the plugin API; this agent v0\.1\.0/);
  t.match(await why('garbage'), /where a plugin says how to reach it/);
  t.match(await why('dies'), /ended \(code 1\) before/);
  t.match(await why('open'), /may be written by every user/);
  t.equal(await why('test'), 'Healthy');
  t.ok(
    logs.some((line) => /another file of plugin_dir is "test" already/.test(line)),
    logs.join('\n'),
  );
  const set = createDrivers({ blocks: {}, others: drivers, stateDir: place.stateDir, log: () => () => {} });
  t.ok(set.names.includes('test') && set.names.includes('docker'));
});

t.test('devices that a program offers are found, reserved and measured', async (t) => {
  const { place, open } = world(t);
  place.addServer('device', 'device');
  const devices = (await open()).devices['acme'];
  if (!devices) throw new Error('no devices');
  t.match(await devices.fingerprint(), [
    {
      Vendor: 'acme',
      Type: 'fpga',
      Name: 'A1',
      Instances: [
        { ID: 'one', Healthy: true, Locality: { PciBusID: '0000:01:00.0' } },
        { ID: 'two', Healthy: false, HealthDescription: 'too hot', Locality: null },
      ],
      Attributes: { memory: { Int: 8, Unit: 'GiB' }, ecc: { Bool: true } },
    },
  ]);
  t.same(await devices.reserve(['one']), {
    env: { ACME: 'one' },
    deviceNodes: [{ taskPath: '/dev/acme', hostPath: '/dev/null', permissions: 'rw' }],
    mounts: [{ taskPath: '/lib/acme', hostPath: '/lib', readOnly: true, propagation: 'private' }],
    cdiDevices: [],
  });
  await t.rejects(devices.reserve(['gone']), /device gone is gone/);
  t.match(await devices.stats(), {
    one: { summary: { value: { int: 3, of: 8 }, unit: 'GiB' }, stats: { 'memory.used': { value: { int: 3, of: 8 } } } },
  });
  await t.rejects(devices.reserve(['die']), /went away during Reserve/);
  await until('it is there again', async () => (await devices.fingerprint().catch(() => [])).length === 1);
});

/** Node.js does since 22.18. */
const readsTypes = 'typescript' in process.features && process.features.typescript !== false;

t.test('a plugin of a package is a driver like any other', async (t) => {
  const { place } = world(t);
  const folder = join(place.dir, 'node_modules', '@me', 'driver');
  mkdirSync(folder, { recursive: true });
  const sdk = new URL('../../lib/plugin/sdk/index.js', import.meta.url).href;
  writeFileSync(join(folder, 'package.json'), '{"type":"module","exports":{".":{"import":"./main.js"}}}');
  writeFileSync(
    join(folder, 'main.js'),
    `import { decodeFields, DriverError, required, text } from ${JSON.stringify(sdk)};
     const fields = { image: required(text(), 'it says what to run') };
     export default {
       kind: 'driver', name: 'mine',
       configProblems: (config) => ('wrong' in config ? [{ path: 'wrong', message: 'is wrong' }] : []),
       create: ({ config }) => ({
         name: 'mine', capabilities: { sendSignals: false, exec: false, fsIsolation: 'image' },
         decodeConfig: (config) => decodeFields(fields, config),
         fingerprint: async () => ({ health: 'healthy', healthDescription: config.say, attributes: {} }),
         startTask: async () => { throw new DriverError('no', { recoverable: true }); },
         close: async () => {},
       }),
     };`,
  );
  writeFileSync(join(place.dir, 'nothing.mjs'), 'export default {}');
  writeFileSync(join(place.dir, 'broken.mjs'), 'export default {');
  writeFileSync(join(place.dir, 'typed.ts'), 'export default { kind: 1 as number };');
  const block = (specifier: string, config = {}) => ({ args: [], config, package: specifier });
  const blocks = { mine: block('@me/driver', { say: 'hello' }) };
  t.same(await pluginBlockProblems(blocks, place.dir), []);
  const { drivers } = await openOtherPlugins({
    pluginDir: place.dir,
    blocks,
    stateDir: place.stateDir,
    log: () => () => {},
  });
  const mine = drivers['mine'] as Driver;
  t.match(await mine.fingerprint(), { healthDescription: 'hello' });
  t.match(mine.decodeConfig({}), { problems: [{ path: 'image', message: /is missing/ }] });
  await t.rejects(mine.startTask({} as TaskConfig, quietStart()), { name: 'DriverError', recoverable: true });
  const wrong = {
    wrong: block('@me/driver', { wrong: 1 }),
    absent: block('@me/absent'),
    nothing: block('./nothing.mjs'),
    broken: block('./broken.mjs'),
    nowhere: block('./nowhere.mjs'),
    typed: block('./typed.ts'),
  };
  t.match(await pluginBlockProblems(wrong, place.dir), [
    { path: 'wrong.wrong', message: 'is wrong' },
    { path: 'absent', message: /package @me\/absent is not installed: npm install it in/ },
    { path: 'nothing', message: /has no plugin as its default export/ },
    { path: 'broken', message: /cannot be loaded: / },
    { path: 'nowhere', message: /nowhere\.mjs does not exist/ },
    { path: 'typed', message: readsTypes ? /has no plugin/ : /reads no TypeScript: compile it with tsc/ },
  ]);
});

t.test('what an agent was starting when it was killed is ended by the next one', async (t) => {
  const { place, open, logs } = world(t);
  place.addScript('hangs', '#!/bin/sh\nsleep 1000 &\necho $! > "$0.child"\nwait\n');
  const script = fileURLToPath(new URL('../support/plugin-agent.js', import.meta.url));
  const agent = spawn(process.execPath, [script, place.dir, place.stateDir], { stdio: 'ignore' });
  t.teardown(() => agent.kill('SIGKILL'));
  const record = join(place.stateDir, 'plugins/hangs/starting.json');
  const read = (): { pid: number } | undefined => {
    try {
      return JSON.parse(readFileSync(record, 'utf8'));
    } catch {
      return undefined;
    }
  };
  const child = (): number => Number(readFileSync(join(place.dir, 'hangs.child'), 'utf8'));
  const hasBegun = (): boolean => existsSync(join(place.dir, 'hangs.child')) && child() > 0;
  await until('it is being started', () => read() !== undefined && hasBegun());
  const begun = [read()?.pid as number, child()];
  agent.kill('SIGKILL');
  await until('the agent is gone', () => agent.signalCode !== null);
  t.ok(begun.every(isThere));
  place.addScript('hangs', '#!/bin/sh\nexit 3\n');
  await open();
  await until('both are gone', () => !begun.some(isThere));
  t.match(logs.join('\n'), /a plugin that an earlier agent began to start is ended/);
  t.notOk(existsSync(record));
});

/** Whether a process lives; one that has ended and that nobody has asked for does not. */
function isThere(pid: number): boolean {
  return processStart(pid) !== null;
}
