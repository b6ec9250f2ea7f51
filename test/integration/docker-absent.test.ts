import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';

// A process of its own: other tests have loaded the package already.
const SCRIPT = `
import { createRequire } from 'node:module';
const { default: plugin } = await import(process.argv[1]);
const endpoint = process.argv[2];
const driver = plugin.create({ config: { endpoint }, stateDir: '/nonexistent', log: () => {} });
const { health } = await driver.fingerprint();
const why = await driver.reapUnknown().catch((error) => error.message);
const loaded = Object.keys(createRequire('/').cache).filter((path) => path.includes('dockerode')).length;
console.log(JSON.stringify({ health, why, loaded }));
`;

t.test('without an engine the package that speaks to one is not loaded', async (t) => {
  const driver = fileURLToPath(new URL('../../plugins/driver-docker/index.js', import.meta.url));
  const ask = async (endpoint: string): Promise<Record<string, unknown>> => {
    const args = ['--input-type=module', '-e', SCRIPT, driver, endpoint];
    return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout);
  };
  t.match(await ask('unix:///nonexistent/docker.sock'), {
    health: 'undetected',
    why: /there is no such socket/,
    loaded: 0,
  });
  const { health, loaded } = await ask('tcp://127.0.0.1:1');
  t.equal(health, 'unhealthy');
  t.ok(Number(loaded) > 0, 'one that may be anywhere has to be asked');
});
