import t from 'tap';
import plugin from '../../plugins/driver-podman/index.js';
import { driverConformance } from '../conformance/driver.js';
import { importBusybox } from '../support/dockerd.js';
import { startPodman } from '../support/podman.js';

const IMAGE = 'localhost/meshnomad-test:1';
const engine = await startPodman();

if ('missing' in engine) {
  t.test('containers run on Podman', { skip: engine.missing }, async () => {});
} else {
  t.teardown(() => engine.stop());
  await importBusybox(engine, IMAGE);
  const sh = (script: string): Record<string, unknown> => ({ image: IMAGE, command: '/bin/sh', args: ['-c', script] });

  driverConformance('podman', {
    plugin,
    config: { socket_path: engine.endpoint },
    programs: {
      exits: (code) => sh(`exit ${code}`),
      runs: sh('trap "exit 0" TERM; while :; do sleep 0.1; done'),
      runsFor: (ms) => sh(`sleep ${ms / 1000}`),
      stubborn: sh('trap "" INT TERM; echo ready; while :; do sleep 1; done'),
      prints: (lines) => sh(`i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo line $i; done`),
      fails: { config: { image: IMAGE, command: '/nowhere/x' }, message: /cannot start: .*\/nowhere\/x/s },
    },
    misspelt: { config: { imge: IMAGE }, wrong: 'imge', right: 'image' },
    exec: { command: ['/bin/echo', 'hello'], stdout: 'hello\n' },
    killedCode: 137,
    folder: 'driver-podman',
    shell: sh,
    // It is ended, but with cgroups of version 1 Podman does not tell why.
    offers: { mounts: true, devices: true, network: true, memory: false, cores: true },
  });
}
