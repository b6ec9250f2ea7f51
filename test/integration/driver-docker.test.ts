import t from 'tap';
import plugin from '../../plugins/driver-docker/index.js';
import { driverConformance } from '../conformance/driver.js';
import { getEngine, importBusybox } from '../support/dockerd.js';

const IMAGE = 'meshnomad-test:1';
const engine = await getEngine();

if ('missing' in engine) {
  t.test('containers run on a Docker Engine', { skip: engine.missing }, async () => {});
} else {
  t.teardown(() => engine.stop());
  await importBusybox(engine, IMAGE);
  const sh = (script: string): Record<string, unknown> => ({ image: IMAGE, command: '/bin/sh', args: ['-c', script] });

  driverConformance('docker', {
    plugin,
    config: { endpoint: engine.endpoint },
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
    folder: 'driver-docker',
    shell: sh,
    offers: { mounts: true, devices: true, network: true, memory: true, cores: true },
  });
}
