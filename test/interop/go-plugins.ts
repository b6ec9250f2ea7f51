// Holds plugins made with the real go-plugin library to the same facts as ours:
//   sh test/plugin/go/build.sh OUT && node dist/test/interop/go-plugins.js OUT
// Not part of the tests: a Go compiler and the library's packages are half a gigabyte.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createScalers } from '../../lib/plugin/scalers.js';
import { driverConformance } from '../conformance/driver.js';
import { makePluginPlace } from '../support/go-plugin-server.js';
import { closePlugins, openPluginDir, pluginDriverUnderTest } from '../support/plugin-driver.js';

const [built = ''] = process.argv.slice(2);
const signal = new AbortController().signal;
const place = makePluginPlace();
t.teardown(() => place.remove());
copyFileSync(join(built, 'go-driver'), join(place.dir, 'go-driver'));
driverConformance('a driver of Go', pluginDriverUnderTest(place.dir, 'gotest'));

t.test('devices of Go', async (t) => {
  const own = makePluginPlace();
  copyFileSync(join(built, 'go-device'), join(own.dir, 'go-device'));
  const plugins = await openPluginDir({ dir: own.dir, stateDir: own.stateDir });
  t.teardown(async () => {
    await closePlugins(plugins);
    own.remove();
  });
  const devices = plugins.devices['godevice'];
  t.match(await devices?.fingerprint(), [
    {
      Vendor: 'acme',
      Type: 'fpga',
      Name: 'A1',
      Instances: [
        { ID: 'one', Healthy: true, Locality: { PciBusID: '0000:01:00.0' } },
        { ID: 'two', Healthy: false, HealthDescription: 'too hot', Locality: null },
      ],
      Attributes: { memory: { Int: 8, Unit: 'GiB' }, clock: { Float: 2, Unit: 'GHz' } },
    },
  ]);
  t.match(await devices?.reserve(['one']), {
    env: { ACME: 'one' },
    deviceNodes: [{ taskPath: '/dev/acme', hostPath: '/dev/null', permissions: 'rw' }],
    mounts: [{ taskPath: '/lib/acme', hostPath: '/lib', readOnly: true }],
  });
  await t.rejects(devices?.reserve(['gone']) as Promise<unknown>, /device gone is gone/);
  t.match(await devices?.stats(), {
    one: { summary: { value: { int: 3, of: 8 }, unit: 'GiB' }, stats: { 'memory.used': { value: { int: 3, of: 8 } } } },
  });
});

t.test('a strategy of Go', async (t) => {
  const own = makePluginPlace();
  copyFileSync(join(built, 'go-scaler'), join(own.dir, 'go-scaler'));
  const set = createScalers({
    apm: {},
    strategy: { mine: { driver: 'go-scaler', args: [], config: { reason: 'because' }, package: null } },
    target: {},
    rpc: { call: () => Promise.reject(new Error('asks nobody')) },
    pluginDir: own.dir,
    stateDir: own.stateDir,
    log: () => () => {},
  });
  t.teardown(async () => {
    await set.close();
    own.remove();
  });
  const strategy = { name: 'mine', config: { why: 'me' } };
  const check = { name: 'cpu', source: 'apm', query: 'q', queryWindowMs: 1000, strategy };
  const one = await set.strategy('mine');
  t.match(await one.run({ check, metrics: [{ timestampMs: 1, value: 7 }], count: 3 }, { signal }), {
    count: 7,
    direction: 'up',
    reason: 'because me',
    meta: { seen: true },
  });
  await t.rejects(one.run({ check, metrics: [], count: 3 }, { signal }), /no figures/);
});
