import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openOtherPlugins } from '../../lib/plugin/registry.js';
import plugin from '../../plugins/driver-mock/index.js';
import { type DriverUnderTest, driverConformance } from '../conformance/driver.js';

const under: Omit<DriverUnderTest, 'plugin'> = {
  config: { enabled: true },
  programs: {
    exits: (exit_code) => ({ exit_code, run_for: '1ms' }),
    runs: { run_for: '10m', exec_command: [{ stdout_string: 'hello\n', run_for: '1ms' }] },
    runsFor: (ms) => ({ run_for: `${ms}ms` }),
    stubborn: { run_for: '10m', kill_after: '10m' },
    prints: (lines) => ({
      stdout_string: Array.from({ length: lines }, (_, i) => `line ${i + 1}\n`).join(''),
      run_for: '1ms',
    }),
    fails: { config: { start_error: 'no luck today' }, message: /no luck today/ },
  },
  misspelt: { config: { runfor: '1s' }, wrong: 'runfor', right: 'run_for' },
  exec: { command: ['anything'], stdout: 'hello\n' },
  killedCode: 137,
  silentDriver: true,
};

driverConformance('mock_driver', { ...under, plugin });

// The same as a package of somebody else's: found in the plugin directory, loaded, and behind the same contract.
const dir = mkdtempSync(join(tmpdir(), 'meshnomad-package-'));
t.teardown(() => rmSync(dir, { recursive: true, force: true }));
mkdirSync(join(dir, 'mine'));
writeFileSync(join(dir, 'mine', 'package.json'), '{"type":"module","main":"main.js"}');
writeFileSync(
  join(dir, 'mine', 'main.js'),
  `import plugin from ${JSON.stringify(new URL('../../plugins/driver-mock/index.js', import.meta.url).href)};
   export default { ...plugin, kind: 'driver', name: 'mine' };`,
);
driverConformance('a driver that is a package', {
  ...under,
  plugin: {
    async create({ config, stateDir, log }) {
      const blocks = { mine: { package: './mine', args: [], config } };
      const { drivers } = await openOtherPlugins({ pluginDir: dir, blocks, stateDir, log: () => log });
      if (!drivers['mine']) throw new Error('the package gave no driver');
      return drivers['mine'];
    },
  },
});
