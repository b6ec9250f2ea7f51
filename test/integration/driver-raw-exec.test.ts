import t from 'tap';
import plugin from '../../plugins/driver-raw-exec/index.js';
import { driverConformance } from '../conformance/driver.js';
import { removeCgroup } from '../support/leftovers.js';

const CGROUP = `meshnomad-raw-${process.pid}`;
/** Only root can make control groups. */
const isRoot = process.getuid?.() === 0;

t.teardown(() => removeCgroup(CGROUP));

const sh = (script: string): Record<string, unknown> => ({ command: '/bin/sh', args: ['-c', script] });

driverConformance('raw_exec', {
  plugin,
  config: { enabled: true, cgroup_parent: CGROUP },
  programs: {
    exits: (code) => sh(`exit ${code}`),
    runs: sh('exec sleep 600'),
    runsFor: (ms) => sh(`sleep ${ms / 1000}`),
    stubborn: sh('trap "" INT TERM; echo ready; while :; do sleep 1; done'),
    prints: (lines) => sh(`i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo line $i; done`),
    fails: { config: { command: '/nowhere/x' }, message: /no such file: \/nowhere\/x; / },
  },
  misspelt: { config: { command: '/bin/true', argz: [] }, wrong: 'argz', right: 'args' },
  exec: { command: ['/bin/echo', 'hello'], stdout: 'hello\n' },
  killedCode: 137,
  folder: 'driver-raw-exec',
  shell: sh,
  offers: { network: true, memory: isRoot, cores: isRoot },
});
