import t from 'tap';
import { loadAgentConfig } from '../../lib/agent/config/index.js';
import { settingsFromConfig } from '../../lib/agent/from-config.js';

function load(client: string) {
  return loadAgentConfig({ files: [{ name: 'f', source: `client {\n${client}\n}` }], flags: {}, dev: true });
}

async function settings(options: Record<string, string>) {
  const lines = Object.entries(options).map(([key, value]) => `"${key}" = "${value}"`);
  const loaded = load(`options = {\n${lines.join('\n')}\n}`);
  if (!loaded.ok) throw new Error('the configuration is not right');
  const made = await settingsFromConfig(loaded.value.config, { version: '0' });
  if (!made.ok || !made.value.client) throw new Error('the settings are not right');
  return { ...made.value, client: made.value.client };
}

t.test('drivers, users and variables are kept from tasks by options of the client', async (t) => {
  const offered = async (options: Record<string, string>): Promise<string[]> =>
    ['docker', 'exec', 'raw_exec'].filter((await settings(options)).allowsDriver);
  t.same(await offered({}), ['docker', 'exec', 'raw_exec']);
  t.same(await offered({ 'driver.denylist': 'docker, exec' }), ['raw_exec']);
  t.same(await offered({ 'driver.allowlist': 'docker,exec', 'driver.blacklist': 'exec' }), ['docker']);
  t.same(await offered({ 'driver.allowlist': '' }), ['docker', 'exec', 'raw_exec'], 'an empty list forbids nothing');

  const { client, enabledDrivers } = await settings({
    'driver.raw_exec.enable': 'true',
    'driver.exec.enable': '0',
    'user.denylist': 'root,www',
    'env.denylist': 'SECRET',
  });
  t.same(enabledDrivers, ['raw_exec']);
  t.same(client.deniedUsers, { names: ['root', 'www'], drivers: ['exec', 'qemu', 'java'] });
  t.same(client.envDenylist, ['MESHNOMAD_JOIN_KEY', 'SECRET'], 'instead of the usual ones');
  const checked = await settings({ 'user.checked_drivers': 'raw_exec' });
  t.same(checked.client.deniedUsers, { names: ['root', 'Administrator'], drivers: ['raw_exec'] });
  const anybody = await settings({ 'user.denylist': '' });
  t.same(anybody.client.deniedUsers, { names: [], drivers: ['exec', 'qemu', 'java'] });
  t.ok(checked.client.envDenylist.includes('NOMAD_TOKEN'));
});

const WRONG: [source: string, message: RegExp][] = [
  ['node_pool = "a b"', /is no name of a node pool/],
  ['max_kill_timeout = "-5s"', /max_kill_timeout must not be negative/],
  ['gc_interval = "0s"', /gc_interval must be more than nothing/],
  ['template {\nwait_bounds {\nmin = "5s"\nmax = "1s"\n}\n}', /template\.wait_bounds: min must not exceed max/],
];
for (const [source, message] of WRONG) {
  t.test(`refused: ${source.replaceAll('\n', ' ')}`, async (t) => {
    const loaded = load(source);
    t.notOk(loaded.ok);
    if (!loaded.ok) t.match(JSON.stringify(loaded.error), message);
  });
}
