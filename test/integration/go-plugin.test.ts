import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { processStart } from '../../lib/plugin/go-plugin/process-start.js';
import { createScalers, type ScalerSet, scalerProblems } from '../../lib/plugin/scalers.js';
import type { ScalingCheck } from '../../lib/structs/autoscaling.js';
import { makePluginPlace, type PluginPlace } from '../support/go-plugin-server.js';
import { eventually } from '../support/mesh-agent.js';

const call = (): { signal: AbortSignal } => ({ signal: new AbortController().signal });
const check = (name: string): ScalingCheck => ({
  name,
  source: 'apm',
  query: 'q',
  queryWindowMs: 60_000,
  strategy: { name: 'test', config: { why: 'me' } },
});

interface World {
  place: PluginPlace;
  logs: string[];
  set: (config?: Record<string, unknown>) => ScalerSet;
  /** The number of the plugin's process. */
  pid: (key: string) => number;
}

function world(t: Test): World {
  const place = makePluginPlace();
  const logs: string[] = [];
  const sets: ScalerSet[] = [];
  t.teardown(async () => {
    for (const set of sets) await set.close();
    place.remove();
  });
  return {
    place,
    logs,
    set(config = { reason: 'because' }) {
      const blocks = { test: { driver: 'test', args: [], config, package: null } };
      const set = createScalers({
        apm: blocks,
        strategy: blocks,
        target: blocks,
        rpc: { call: () => Promise.reject(new Error('asks nobody')) },
        pluginDir: place.dir,
        stateDir: place.stateDir,
        log: (plugin) => (level, message, fields) =>
          logs.push(`${level} ${plugin}: ${message} ${JSON.stringify(fields ?? {})}`),
      });
      sets.push(set);
      return set;
    },
    pid: (key) => JSON.parse(readFileSync(join(place.stateDir, key, 'plugin.json'), 'utf8')).pid,
  };
}

/** An agent that is killed: it starts the plugin and is gone. */
async function killedAgent(place: PluginPlace): Promise<void> {
  const agent = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { createScalers } from ${JSON.stringify(new URL('../../lib/plugin/scalers.js', import.meta.url).href)};
       const blocks = { test: { driver: 'test', args: [], config: { reason: 'because' }, package: null } };
       const set = createScalers({ apm: {}, strategy: blocks, target: {}, pluginDir: ${JSON.stringify(place.dir)},
         stateDir: ${JSON.stringify(place.stateDir)}, log: () => () => {} });
       const strategy = await set.strategy('test');
       await strategy.run(${JSON.stringify({ check: check('cpu'), metrics: [], count: 0 })}, { signal: new AbortController().signal });
       process.kill(process.pid, 'SIGKILL');`,
    ],
    { stdio: 'inherit' },
  );
  await new Promise((resolve) => agent.once('exit', resolve));
}

t.test('a strategy that is a program of its own is asked over TLS, and its log is ours', async (t) => {
  const { place, logs, set } = world(t);
  place.addServer('test', 'scaler', 'test', 'strategy');
  const strategy = await set().strategy('test');
  const metrics = [{ timestampMs: 1, value: 5 }];
  const action = await strategy.run({ check: check('cpu'), metrics, count: 3 }, call());
  t.match(action, { count: 5, direction: 'up', reason: 'because me', error: false });
  t.type(action.meta['pid'], 'string');
  const said = (text: string): true | undefined => logs.some((line) => line.startsWith(text)) || undefined;
  await eventually('its log is ours', () => said('warn strategy.test: configured {"module":"test","keys":1}'));
  await eventually('what it prints is in the log', () => said('info strategy.test: running cpu'));
  const kept = JSON.parse(readFileSync(join(place.stateDir, 'strategy', 'test', 'plugin.json'), 'utf8'));
  t.type(kept.certificate, 'string', 'the connection is encrypted');
});

t.test('the sockets of a plugin are for one user, and those of its children outlive it', async (t) => {
  const { place, set } = world(t);
  place.addServer('test', 'scaler', 'test', 'strategy');
  const own = join(place.stateDir, 'strategy', 'test');
  const folders = (): string[] => readdirSync(own).filter((name) => name.startsWith('socket-'));
  const run = async (): Promise<ScalerSet> => {
    const one = set();
    await (await one.strategy('test')).run({ check: check('cpu'), metrics: [], count: 0 }, call());
    return one;
  };
  const first = await run();
  const [folder = ''] = folders();
  t.equal(statSync(join(own, folder)).mode & 0o777, 0o700);
  writeFileSync(join(own, folder, 'executor'), '');
  await first.close();
  t.same(folders(), [folder]);
  const second = await run();
  t.equal(folders().length, 2);
  await second.close();
  t.same(folders(), [folder]);
});

t.test('sources of figures and targets are asked as Nomad asks them', async (t) => {
  const { place, set } = world(t);
  place.addServer('test', 'scaler', 'test', 'apm');
  const apm = await set().apm('test');
  t.same(await apm.query('q', { fromMs: 1500, toMs: 2000 }, call()), [{ timestampMs: 1500, value: 1.5 }]);
  t.match(await apm.queryMultiple('q', { fromMs: 0, toMs: 1 }, call()), [[{ value: 1 }], [{ value: 2 }]]);
  await t.rejects(apm.query('bad', { fromMs: 0, toMs: 1 }, call()), /no such figure: bad/);
  place.addServer('test', 'scaler', 'test', 'target');
  const target = await set().target('test');
  t.same(await target.status({ count: '4' }, call()), { ready: true, count: 4, meta: { seen: 'yes' } });
  const action = { count: 2, direction: 'up' as const, reason: '', error: false, meta: {} };
  await target.scale(action, {}, { ...call(), tell: () => {} });
  await t.rejects(target.scale({ ...action, count: 0 }, {}, { ...call(), tell: () => {} }), { name: 'ScalingNoOp' });
});

t.test('a plugin that dies is started again, and the call that it died in fails', async (t) => {
  const { place, set, logs } = world(t);
  place.addServer('test', 'scaler', 'test', 'strategy');
  const strategy = await set().strategy('test');
  await t.rejects(strategy.run({ check: check('die'), metrics: [], count: 1 }, call()), /went away during Run/);
  t.match(await strategy.run({ check: check('cpu'), metrics: [], count: 0 }, call()), { direction: 'none' });
  t.ok(
    logs.some((line) => /not running: it ended with code 7; it is started again in/.test(line)),
    logs.join('\n'),
  );
});

t.test('a plugin that hangs, lies or answers without end costs one call', async (t) => {
  const { place, set } = world(t);
  place.addServer('test', 'scaler', 'test', 'strategy');
  const strategy = await set().strategy('test');
  await strategy.run({ check: check('cpu'), metrics: [], count: 0 }, call());
  const signal = AbortSignal.timeout(300);
  await t.rejects(strategy.run({ check: check('hang'), metrics: [], count: 1 }, { signal }), /Run was given up/);
  await t.rejects(strategy.run({ check: check('huge'), metrics: [], count: 1 }, call()), /larger than max/);
  await t.rejects(
    strategy.run({ check: check('senseless'), metrics: [], count: 1 }, call()),
    /an action without a direction/,
  );
  t.match(await strategy.run({ check: check('cpu'), metrics: [], count: 0 }, call()), { direction: 'none' });
});

t.test('a plugin that runs already is taken up by the next agent, unless it has become another', async (t) => {
  const { place, set, pid } = world(t);
  place.addServer('test', 'scaler', 'test', 'strategy');
  await killedAgent(place);
  const first = pid('strategy/test');
  t.ok(processStart(first), 'it survived the agent');
  const next = set();
  const action = await (await next.strategy('test')).run({ check: check('cpu'), metrics: [], count: 0 }, call());
  t.equal(action.meta['pid'], String(first), 'it is the same process');
  await next.close();
  t.equal(processStart(first), null, 'an orderly end ends it');
});

t.test('a plugin with another configuration is started anew', async (t) => {
  const { place, set, pid } = world(t);
  place.addServer('test', 'scaler', 'test', 'strategy');
  await killedAgent(place);
  const first = pid('strategy/test');
  const other = await set({ reason: 'another' }).strategy('test');
  t.match(await other.run({ check: check('cpu'), metrics: [], count: 0 }, call()), { reason: 'another me' });
  await eventually('the first is gone', () => processStart(first) === null || undefined);
});

for (const [what, script, message] of [
  ['prints something else', '#!/bin/sh\necho hello; sleep 60\n', /plugin test printed "hello" where a plugin says/],
  ['prints without end', '#!/bin/sh\nexec cat /dev/zero\n', /plugin test printed "\\u0000/],
  ['ends at once', '#!/bin/sh\necho oh no >&2; exit 3\n', /ended \(code 3\) before .*; it last said "oh no"/],
  ['speaks another version', '#!/bin/sh\necho "1|9|unix|/x|grpc"; sleep 60\n', /version "9" of the plugin protocol/],
  [
    'names a socket that is not there',
    '#!/bin/sh\necho "1|1|unix|/nope|grpc"; sleep 60\n',
    /nobody answers on unix \/nope/,
  ],
  [
    'names a certificate that is none',
    `#!/bin/sh\necho "1|1|unix|/x|grpc|${'A'.repeat(80)}"; sleep 60\n`,
    /a certificate that is none/,
  ],
  ['has no interpreter', '#!/no/such/thing\n', /does not exist/],
  ['is no program', '\x7fnonsense\n', /plugin test .*(no program|ended|cannot be started)/],
] as const) {
  t.test(`a plugin that ${what} is told of, and nothing else is harmed`, async (t) => {
    const { place, set } = world(t);
    place.addScript('test', script);
    const strategy = await set().strategy('test');
    const run = strategy.run({ check: check('cpu'), metrics: [], count: 0 }, call());
    await t.rejects(run, message);
  });
}

t.test('a plugin of another kind, or that refuses its configuration, is not used; its name is its own', async (t) => {
  const { place, set, logs } = world(t);
  place.addServer('test', 'scaler', 'test', 'apm');
  const run = async (config?: Record<string, unknown>): Promise<unknown> => {
    const one = set(config);
    const strategy = await one.strategy('test');
    return strategy.run({ check: check('cpu'), metrics: [], count: 0 }, call()).finally(() => one.close());
  };
  await t.rejects(run(), /cannot be used: it is a plugin of kind apm, not strategy/);
  place.addServer('test', 'scaler', 'other', 'strategy');
  t.match(await run(), { direction: 'none' }, 'its file has another name than it has itself');
  t.ok(logs.some((line) => line.startsWith('info strategy.test: "test" calls itself "other"')));
  place.addServer('test', 'scaler', 'test', 'strategy');
  await t.rejects(run({ refuse: 'this' }), /cannot be used: refused: this/);
});

t.test('a program in the place of a bundled plugin has a file of another name', async (t) => {
  const { place } = world(t);
  place.addServer('their-threshold', 'scaler', 'threshold', 'strategy');
  const set = createScalers({
    apm: {},
    strategy: { threshold: { driver: 'their-threshold', args: [], config: { reason: 'theirs' }, package: null } },
    target: {},
    rpc: { call: () => Promise.reject(new Error('asks nobody')) },
    pluginDir: place.dir,
    stateDir: place.stateDir,
    log: () => () => {},
  });
  t.teardown(() => set.close());
  const strategy = await set.strategy('threshold');
  t.match(await strategy.run({ check: check('cpu'), metrics: [], count: 0 }, call()), { reason: 'theirs me' });
});

t.test('a file that others may write, or that cannot be run, is refused before anything starts', async (t) => {
  const { place } = world(t);
  const problems = (): Promise<{ path: string; message: string }[]> =>
    scalerProblems({
      apm: {},
      strategy: { mine: { driver: 'test', args: [], config: {}, package: null } },
      target: {},
      pluginDir: place.dir,
    });
  t.match(await problems(), [{ path: 'strategy.mine', message: /there is no strategy plugin "test"/ }]);
  writeFileSync(join(place.dir, 'test'), '', { mode: 0o644 });
  t.match(await problems(), [{ message: /is not executable/ }]);
  place.remove();
});
