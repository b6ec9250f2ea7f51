// The driver that docs/plugins.md shows is one.
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { openOtherPlugins, pluginBlockProblems } from '../../lib/plugin/registry.js';
import type { Driver } from '../../lib/plugin/sdk/driver.js';
import { decoded, makePlace, quietStart } from '../support/driver-task.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

t.test('the driver of the documentation runs as it is written there', async (t) => {
  const place = makePlace();
  t.teardown(() => place.remove());
  const text = readFileSync(join(ROOT, 'docs/plugins.md'), 'utf8');
  const source = /```js\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
  const folder = join(place.dir, 'waiter');
  mkdirSync(join(place.dir, 'node_modules'));
  mkdirSync(folder);
  symlinkSync(ROOT, join(place.dir, 'node_modules/meshnomad'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module","main":"main.js"}');
  writeFileSync(join(folder, 'main.js'), source);
  const blocks = { waiter: { args: [], config: {}, package: './waiter' } };
  t.same(await pluginBlockProblems(blocks, place.dir), []);
  const open = async (): Promise<Driver> => {
    const options = { pluginDir: place.dir, blocks, stateDir: place.stateDir, log: () => () => {} };
    return (await openOtherPlugins(options)).drivers['waiter'] as Driver;
  };
  const driver = await open();
  t.match(await driver.fingerprint(), { health: 'healthy', attributes: { 'driver.waiter': '1' } });
  t.match(driver.decodeConfig({ second: 1 }), { problems: [{ path: 'second' }] });
  const short = place.task(decoded(driver, { seconds: 0 }));
  await driver.startTask(short, quietStart());
  t.match(await driver.waitTask(short.id), { exitCode: 0, signal: 0 });
  const long = place.task(decoded(driver, { seconds: 3600 }));
  const handle = await driver.startTask(long, quietStart());
  await driver.close();
  const next = await open();
  await next.recoverTask(JSON.parse(JSON.stringify(handle)), long);
  await next.stopTask(long.id, { timeoutMs: 1000, signal: '' });
  t.match(await next.waitTask(long.id), { signal: 15 });
  await next.destroyTask(long.id, { force: false });
  t.throws(() => next.execTask(long.id, { command: ['x'], tty: false }), /nothing to run a command in/);
  await driver.stopTask(long.id, { timeoutMs: 0, signal: '' });
});
