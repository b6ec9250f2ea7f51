import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Driver } from '../../lib/plugin/sdk/driver.js';
import { seededRandom } from '../../lib/util/random.js';
import type { DockerConfig } from '../../plugins/driver-docker/config.js';
import plugin from '../../plugins/driver-docker/index.js';
import { getEngine, importBusybox, type TestEngine } from '../support/dockerd.js';
import { numberingProblem, startAgent } from '../support/driver-kill.js';
import { type DriverPlace, decoded, endTasks, makePlace, quietStart, readExec, until } from '../support/driver-task.js';

const IMAGE = 'meshnomad-test:1';
const LINES = 4000;
const KILLS = 5;

const sh = (script: string): Record<string, unknown> => ({ image: IMAGE, command: '/bin/sh', args: ['-c', script] });
const FOREVER = sh('trap "exit 0" TERM; echo ready; while :; do sleep 0.1; done');

const found = await getEngine();
if ('missing' in found) {
  t.test('containers on a Docker Engine', { skip: found.missing }, async () => {});
} else {
  t.teardown(() => found.stop());
  await importBusybox(found, IMAGE);
  const { default: Docker } = await import('dockerode');
  const info = await new Docker({ socketPath: found.endpoint.slice('unix://'.length) }).info();
  facts(found, { hasMemoryLimit: info.MemoryLimit });
}

function facts(engine: TestEngine, machine: { hasMemoryLimit: boolean }): void {
  const fact = (
    name: string,
    check: (t: Test, place: DriverPlace, driver: Driver<DockerConfig>) => Promise<void>,
    options: { skip?: string | false } = {},
  ): void => {
    t.test(name, { skip: options.skip || false }, async (t) => {
      const place = makePlace();
      const driver = open(place);
      t.teardown(async () => {
        await driver.close();
        await endTasks(plugin, { endpoint: engine.endpoint }, place);
      });
      await check(t, place, driver);
    });
  };
  const open = (place: DriverPlace): Driver<DockerConfig> =>
    plugin.create({
      config: { endpoint: engine.endpoint },
      stateDir: place.stateDir,
      log: () => {},
    }) as Driver<DockerConfig>;
  const privateOnly: { skip: string | false } = { skip: engine.isPrivate ? false : 'the engine is not ours to stop' };

  fact('a port of the group leads to the container', async (t, place, driver) => {
    const config = sh('mkdir /www; echo hello from the task > /www/index.html; exec httpd -f -p 8080 -h /www');
    const port = { Label: 'http', Value: 21873, To: 8080, HostIP: '127.0.0.1', IgnoreCollision: false };
    const task = place.task(decoded(driver, { ...config, ports: ['http'] }), { ports: [port] });
    await driver.startTask(task, quietStart());
    const page = await until('the page is served', () => fetchText('http://127.0.0.1:21873/'));
    t.equal(page, 'hello from the task\n');
    const other = { ...task, id: `${task.id}x`, name: 'other' };
    await t.rejects(driver.startTask(other, quietStart()), { message: /21873/, recoverable: true });
    await driver.destroyTask(task.id, { force: true });
  });

  fact(
    'a reserved device is in the container, under its name there, and its user may open it',
    async (t, place, driver) => {
      const script = 'ls -l /dev/own | cut -c1; id -G; test -w /dev/own && echo written';
      const deviceNodes = [{ hostPath: '/dev/tty', taskPath: '/dev/own', permissions: 'rw' }];
      const task = place.task(decoded(driver, sh(script)), {
        deviceNodes,
        user: 'nobody',
      });
      await driver.startTask(task, quietStart());
      t.match(await driver.waitTask(task.id), { exitCode: 0 });
      const [kind, groups, written] = place.output(task, 'stdout').split('\n');
      t.equal(kind, 'c');
      t.equal(written, 'written');
      const { gid } = (await import('node:fs')).statSync('/dev/tty');
      if (gid !== 0) t.ok(groups?.split(' ').includes(String(gid)), 'in the group that owns it');
      await driver.destroyTask(task.id, { force: true });
    },
  );

  fact('the task sees its directories, its variables and its user', async (t, place, driver) => {
    const script = 'echo a > /alloc/from-task; cat /local/in /secrets/key; echo $NOMAD_TASK_NAME; id -u; echo err >&2';
    const task = place.task(decoded(driver, sh(script)), { env: { NOMAD_TASK_NAME: 'web' }, user: 'nobody' });
    const { chmodSync, writeFileSync, existsSync } = await import('node:fs');
    writeFileSync(`${task.localDir}/in`, 'local\n');
    writeFileSync(`${task.secretsDir}/key`, 'secret\n');
    chmodSync(task.sharedDir, 0o777);
    await driver.startTask(task, quietStart());
    t.match(await driver.waitTask(task.id), { exitCode: 0 });
    t.equal(place.output(task, 'stdout'), 'local\nsecret\nweb\n65534\n');
    t.equal(place.output(task, 'stderr'), 'err\n');
    t.ok(existsSync(`${task.sharedDir}/from-task`));
    await driver.destroyTask(task.id, { force: false });
  });

  const memoryOnly: { skip: string | false } = { skip: machine.hasMemoryLimit ? false : 'no memory cgroup' };
  fact(
    'a task that outgrows its memory is told to have',
    async (t, place, driver) => {
      const task = place.task(
        decoded(driver, sh('head -c 100000000 /dev/zero | tail -c 90000000 > /dev/null; exit 0')),
        {
          resources: { cpuMhz: 100, cpuPercent: 1, memoryMb: 16, memoryMaxMb: 0, cores: [] },
        },
      );
      await driver.startTask(task, quietStart());
      t.equal((await driver.waitTask(task.id)).oomKilled, true);
      await driver.destroyTask(task.id, { force: false });
    },
    memoryOnly,
  );

  fact('an image that is nowhere is named, with the reason', async (t, place, driver) => {
    const task = place.task(decoded(driver, { image: '127.0.0.1:1/nobody/nothing:1' }));
    const heard: string[] = [];
    const options = { ...quietStart(), onEvent: ({ message }: { message: string }) => heard.push(message) };
    await t.rejects(driver.startTask(task, options), { message: /image "127\.0\.0\.1:1\/nobody\/nothing:1"/ });
    t.match(heard, [/Downloading image 127/]);
  });

  fact('a present image whose tag may move is used when its registry is away', async (t, place, driver) => {
    await importBusybox(engine, 'localhost:1/moving:latest');
    const task = place.task(decoded(driver, { ...sh('exit 0'), image: 'localhost:1/moving' }));
    await driver.startTask(task, quietStart());
    t.match(await driver.waitTask(task.id), { exitCode: 0 });
    await driver.destroyTask(task.id, { force: false });
    const forced = place.task(decoded(driver, { ...sh('exit 0'), image: 'localhost:1/moving', force_pull: true }));
    await t.rejects(driver.startTask(forced, quietStart()), /could not be pulled/);
  });

  fact('a start that an agent did not live to record is not run twice', async (t, place, driver) => {
    const task = place.task(decoded(driver, FOREVER));
    const order = { config: { endpoint: engine.endpoint }, stateDir: place.stateDir, recover: [] };
    await (await startAgent('driver-docker', { ...order, start: [task] })).kill();
    const again = { ...task, id: `${task.id}1` };
    const handle = await driver.startTask(again, quietStart());
    t.match(handle, { taskId: again.id });
    await driver.destroyTask(again.id, { force: true });
  });

  fact('containers that nobody recorded are removed on request, known ones are not', async (t, place, driver) => {
    const [lost, kept] = [place.task(decoded(driver, FOREVER)), place.task(decoded(driver, FOREVER))];
    const order = { config: { endpoint: engine.endpoint }, stateDir: place.stateDir, recover: [] };
    await (await startAgent('driver-docker', { ...order, start: [lost] })).kill();
    await driver.startTask(kept, quietStart());
    t.same(await driver.reapUnknown?.(), [`container web-${lost.allocId}`]);
    t.same(await driver.reapUnknown?.(), []);
    await driver.taskStats(kept.id);
    await driver.destroyTask(kept.id, { force: true });
  });

  fact('a command inside gets input, a terminal, its size, and tells its code', async (t, place, driver) => {
    const task = place.task(decoded(driver, FOREVER));
    await driver.startTask(task, quietStart());
    const cat = driver.execTask(task.id, { command: ['/bin/sh', '-c', 'cat; echo e >&2; exit 3'], tty: false });
    cat.write({ Type: 'stdin', Data: Buffer.from('in\n') });
    cat.write({ Type: 'stdin-close' });
    t.same(await readExec(cat), { stdout: 'in\n', stderr: 'e\n', exitCode: 3 });
    const script = 'read x; stty size; test -t 0 && exit 4';
    const terminal = driver.execTask(task.id, { command: ['/bin/sh', '-c', script], tty: true });
    terminal.write({ Type: 'resize', Height: 33, Width: 99 });
    terminal.write({ Type: 'stdin', Data: Buffer.from('go\n') });
    const result = await readExec(terminal);
    t.match(result.stdout, '33 99');
    t.equal(result.exitCode, 4);
    const absent = await readExec(driver.execTask(task.id, { command: ['/no/such'], tty: false })).catch((e) => e);
    t.match(absent.exitCode ?? absent.message, /12[67]|no such file/);
    const deaf = driver.execTask(task.id, { command: ['/bin/sh', '-c', 'echo done; exit 5'], tty: false });
    // Much more than the connection holds, and no more than that: a command that ends late must not cost the machine its memory.
    deaf.once('data', () => {
      for (let i = 0; i < 64; i++) deaf.write({ Type: 'stdin', Data: Buffer.alloc(65_536) });
    });
    t.match(await readExec(deaf), { exitCode: 5 }, 'input that comes too late hides no exit code');
    await driver.destroyTask(task.id, { force: true });
  });

  fact(
    'usage counts memory and processor',
    async (t, place, driver) => {
      const task = place.task(decoded(driver, sh('while :; do :; done')));
      await driver.startTask(task, quietStart());
      const busy = await until('its share shows', async () => {
        const { ResourceUsage } = await driver.taskStats(task.id);
        return ResourceUsage.CpuStats.Percent > 1 && ResourceUsage.MemoryStats.Usage > 0 ? ResourceUsage : undefined;
      });
      t.ok(busy.CpuStats.TotalTicks > 0);
      await driver.destroyTask(task.id, { force: true });
    },
    memoryOnly,
  );

  fact('a container removed behind our back is told', async (t, place, driver) => {
    const task = place.task(decoded(driver, FOREVER));
    const handle = await driver.startTask(task, quietStart());
    const { default: Docker } = await import('dockerode');
    const docker = new Docker({ socketPath: engine.endpoint.slice('unix://'.length) });
    await docker.getContainer(String(handle.state['containerId'])).remove({ force: true });
    t.match(await driver.waitTask(task.id), { exitCode: 137 });
    await driver.destroyTask(task.id, { force: false });
    const next = open(place);
    await t.rejects(next.recoverTask(handle, task), { message: /is gone/, recoverable: false });
    await next.close();
  });

  fact('tasks print on while agents are killed: no line is lost or doubled', async (t, place, driver) => {
    const print = `i=0; while [ $i -lt ${LINES} ]; do i=$((i+1)); echo line $i; [ $((i%40)) = 0 ] && sleep 0.03; done; exit 7`;
    const task = place.task(decoded(driver, sh(print)), { logMaxFileSizeBytes: 5000, logMaxFiles: 1000 });
    const random = seededRandom(20_260_502);
    const order = { config: { endpoint: engine.endpoint }, stateDir: place.stateDir };
    const first = await startAgent('driver-docker', { ...order, start: [task], recover: [] });
    const [handle] = first.handles;
    if (!handle) throw new Error('no handle');
    await new Promise((resolve) => setTimeout(resolve, random.next() * 500));
    await first.kill();
    for (let i = 1; i < KILLS; i++) {
      const next = await startAgent('driver-docker', { ...order, start: [], recover: [{ handle, task }] });
      await new Promise((resolve) => setTimeout(resolve, random.next() * 400));
      await next.kill();
    }
    await driver.recoverTask(handle, task);
    t.match(await driver.waitTask(task.id), { exitCode: 7 });
    t.equal(numberingProblem(place.output(task, 'stdout'), LINES), '');
    await driver.destroyTask(task.id, { force: false });
  });

  fact(
    'what is printed after much output arrives, though the engine has rotated its own file',
    async (t, place, driver) => {
      const line = 'a line of output as programs write them, '.repeat(3);
      const script = `yes '${line}' | head -c ${16 * 1024 * 1024}; echo; echo the last line; sleep 3600`;
      const task = place.task(decoded(driver, sh(script)), {});
      await driver.startTask(task, quietStart());
      // The engine's file has room for less: what it has rotated away twice is lost, what comes after is not.
      const isLast = (): boolean => {
        try {
          return place.output(task, 'stdout').endsWith('the last line\n');
        } catch {
          // A file was rotated away between two looks.
          return false;
        }
      };
      await until('the last line', () => sleep(200).then(isLast), 180_000);
      t.ok((await driver.taskStats(task.id)).Timestamp > 0, 'while it runs');
      await driver.destroyTask(task.id, { force: true });
    },
  );

  fact('a start is quick', async (t, place, driver) => {
    await driver.fingerprint();
    const starts: number[] = [];
    for (let i = 0; i < 5; i++) {
      const task = place.task(decoded(driver, FOREVER));
      const began = performance.now();
      await driver.startTask(task, quietStart());
      starts.push(performance.now() - began);
      await driver.destroyTask(task.id, { force: true });
    }
    const medianMs = starts.sort((a, b) => a - b)[2] ?? 0;
    t.comment(`start ${medianMs.toFixed(0)} ms`);
    t.equal(starts.length, 5);
  });

  fact(
    "when the engine dies its containers' ends are told, and it is found again",
    async (t, place, driver) => {
      const task = place.task(decoded(driver, FOREVER));
      const handle = await driver.startTask(task, quietStart());
      await until('it printed', () => place.output(task, 'stdout') !== '');
      await engine.halt('orderly');
      t.match(await driver.fingerprint(), { health: /unhealthy|undetected/, healthDescription: /Docker Engine/ });
      await t.rejects(driver.startTask(place.task(task.config), quietStart()), {
        message: /Docker Engine/,
        recoverable: true,
      });
      const next = open(place);
      await next.recoverTask(handle, task);
      await engine.resume();
      t.match(await driver.fingerprint(), { health: 'healthy' });
      t.match(await driver.waitTask(task.id), { oomKilled: false }, 'told to the agent that was there all the time');
      t.match(await next.waitTask(task.id), { oomKilled: false }, 'and to one that came meanwhile');
      t.equal(place.output(task, 'stdout'), 'ready\n');
      await next.close();
      await driver.destroyTask(task.id, { force: false });
    },
    privateOnly,
  );
}

function fetchText(url: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const asked = get(url, { agent: false }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => {
        text += chunk;
      });
      answer.once('end', () => resolve(text));
    });
    asked.once('error', () => resolve(undefined));
  });
}
