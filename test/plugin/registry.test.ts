import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { placeOf } from '../../lib/plugin/plugin-block.js';
import {
  createDrivers,
  DRIVER_NAMES,
  type PluginBlocks,
  pluginBlockProblems,
  taskConfigProblems,
} from '../../lib/plugin/registry.js';
import type { Driver } from '../../lib/plugin/sdk/driver.js';

const blocks = (configs: Record<string, Record<string, unknown>>): PluginBlocks =>
  Object.fromEntries(Object.entries(configs).map(([name, config]) => [name, { args: [], config, package: null }]));

const WORLD = { stateDir: '/tmp/meshnomad-registry', log: () => () => {} };

t.test('docker, exec and podman are offered by themselves, the others when they are enabled', async (t) => {
  t.same(DRIVER_NAMES, ['docker', 'exec', 'mock_driver', 'podman', 'raw_exec']);
  t.same(createDrivers({ ...WORLD, blocks: {} }).names, ['docker', 'exec', 'podman']);
  t.same(createDrivers({ ...WORLD, blocks: {}, enable: ['raw_exec'] }).names, ['docker', 'exec', 'podman', 'raw_exec']);
  const set = createDrivers({
    ...WORLD,
    blocks: blocks({
      docker: { enabled: false },
      exec: { enabled: 'false' },
      podman: { enabled: false },
      mock_driver: { enabled: 'true' },
      raw_exec: { enabled: false },
    }),
    enable: ['raw_exec'],
  });
  t.same(set.names, ['mock_driver'], 'what the config says goes before what the agent enables');
  t.match(set.disabled, { raw_exec: /write enabled = true in the config block of plugin "raw_exec"/ });
});

t.test('a driver is made once, and only when it is asked for', async (t) => {
  const set = createDrivers({ ...WORLD, blocks: {}, enable: ['mock_driver'] });
  t.equal(await set.get('raw_exec'), undefined);
  t.equal(await set.get('nonsense'), undefined);
  const [one, two] = await Promise.all([set.get('mock_driver'), set.get('mock_driver')]);
  t.equal(one?.name, 'mock_driver');
  t.equal(one, two);
  await set.close();
});

t.test('problems of the plugin blocks are told with the name of the plugin', async (t) => {
  t.same(await pluginBlockProblems(blocks({ raw_exec: { enabled: true }, docker: {} }), null), []);
  t.match(await pluginBlockProblems(blocks({ raw_exec: { enbled: true }, dokcer: {} }), null), [
    { path: 'raw_exec.enbled', message: /did you mean "enabled"/ },
    { path: 'dokcer', message: /did you mean "docker"\?/ },
  ]);
  const dir = mkdtempSync(join(tmpdir(), 'meshnomad-plugins-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'waiter'), '');
  t.match(await pluginBlockProblems(blocks({ waitre: {} }), dir), [{ message: /did you mean "waiter"\?/ }]);
  t.match(await pluginBlockProblems(blocks({ waitre: {} }), `${dir}/none`), [{ message: /no file of this name/ }]);
});

t.test('what is wrong in a block is told with its place, or with that of what it lies in', async (t) => {
  const places = { '': 'a.hcl:1,8-16', gc: 'a.hcl:3,5-7', 'gc.imgae': 'a.hcl:4,7-12', allow_caps: 'a.hcl:6,5-15' };
  const docker = { args: [], config: { gc: { imgae: true } }, package: null, places };
  t.match(await pluginBlockProblems({ docker }, null), [{ path: 'docker.gc.imgae', place: 'a.hcl:4,7-12: ' }]);
  for (const [path, place] of Object.entries({ 'gc.image.x': 'a.hcl:3,5-7: ', 'allow_caps[2]': 'a.hcl:6,5-15: ' }))
    t.equal(placeOf(docker, path), place, path);
  t.equal(placeOf(docker, 'tls.cert'), 'a.hcl:1,8-16: ');
  t.equal(placeOf({}, 'gc'), '');
});

t.test('an agent without plugins of its own loads nothing of gRPC', async (t) => {
  const registry = JSON.stringify(new URL('../../lib/plugin/registry.js', import.meta.url).href);
  // In a process of its own: other tests of this one may have loaded it.
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--input-type=module',
    '-e',
    `import { createRequire } from 'node:module';
     import { createDrivers, openOtherPlugins } from ${registry};
     const world = { stateDir: '/tmp/meshnomad-registry', log: () => () => {}, blocks: {} };
     const others = await openOtherPlugins({ ...world, pluginDir: null });
     await createDrivers({ ...world, others: others.drivers, enable: ['raw_exec'] }).get('raw_exec');
     const loaded = Object.keys(createRequire(${registry}).cache);
     console.log(JSON.stringify({ others, grpc: loaded.filter((path) => /@grpc|protobufjs/.test(path)) }));`,
  ]);
  t.same(JSON.parse(stdout), { others: { drivers: {}, devices: {} }, grpc: [] });
});

t.test('a plugin from elsewhere goes before a bundled one', async (t) => {
  const own = (await createDrivers({ ...WORLD, blocks: {}, enable: ['mock_driver'] }).get('mock_driver')) as Driver;
  const set = createDrivers({
    ...WORLD,
    blocks: blocks({ docker: { enabled: false } }),
    others: { docker: own, mine: own },
  });
  t.same(set.names, ['docker', 'exec', 'mine', 'podman']);
  t.equal(await set.get('docker'), own);
  await set.close();
});

t.test(
  'what is wrong with a task of a bundled driver is told, as far as it is known before its values are',
  async (t) => {
    for (const driver of DRIVER_NAMES) {
      const [problem] = await taskConfigProblems(driver, { no_such_key: '${meta.x}' });
      t.match(problem, { path: 'no_such_key', message: /is not a known key/ }, driver);
    }
    t.same(await taskConfigProblems('docker', { image: 'a', privileged: '${meta.privileged}' }), []);
    t.match(await taskConfigProblems('docker', { image: 'a', privileged: 'perhaps' }), [{ path: 'privileged' }]);
    t.same(await taskConfigProblems('of_a_plugin', { no_such_key: 1 }), []);
  },
);
