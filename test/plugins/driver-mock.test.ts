import plugin from '../../plugins/driver-mock/index.js';
import { driverConformance } from '../conformance/driver.js';

driverConformance('mock_driver', {
  plugin,
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
});
