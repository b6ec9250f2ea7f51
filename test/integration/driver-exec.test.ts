import { existsSync } from 'node:fs';
import t from 'tap';
import plugin from '../../plugins/driver-exec/index.js';
import { driverConformance } from '../conformance/driver.js';
import { removeCgroup } from '../support/leftovers.js';

const CGROUP = `meshnomad-conform-${process.pid}`;

const missing =
  process.getuid?.() !== 0
    ? 'only root can make containers'
    : ['/usr/sbin/runc', '/usr/bin/runc'].some((path) => existsSync(path))
      ? ''
      : 'runc is not installed';

const sh = (script: string): Record<string, unknown> => ({ command: '/bin/sh', args: ['-c', script] });

if (missing !== '') t.test('exec', { skip: missing }, async () => {});
else {
  t.teardown(() => removeCgroup(CGROUP));
  driverConformance('exec', {
    plugin,
    // Also crun, on a machine whose cgroups it knows.
    config: { cgroup_parent: CGROUP, runtime: process.env['MESHNOMAD_EXEC_RUNTIME'] ?? '' },
    programs: {
      exits: (code) => sh(`exit ${code}`),
      runs: sh('trap "exit 0" INT; while :; do sleep 0.1; done'),
      runsFor: (ms) => sh(`sleep ${ms / 1000}`),
      stubborn: sh('trap "" INT TERM; echo ready; while :; do sleep 1; done'),
      prints: (lines) => sh(`i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo line $i; done`),
      fails: { config: { command: '/nowhere/x' }, message: /\/nowhere\/x cannot start: .*no such file/ },
    },
    misspelt: { config: { command: '/bin/true', argz: [] }, wrong: 'argz', right: 'args' },
    exec: { command: ['/bin/echo', 'hello'], stdout: 'hello\n' },
    killedCode: 137,
    folder: 'driver-exec',
    shell: sh,
    offers: { mounts: true, devices: true, network: true, memory: true, cores: true },
  });
}
