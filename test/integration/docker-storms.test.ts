// What becomes of containers when the engine, one of its helpers or the agent is killed, and what is left of them.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import type { Driver } from '../../lib/plugin/sdk/driver.js';
import type { DockerConfig } from '../../plugins/driver-docker/config.js';
import plugin from '../../plugins/driver-docker/index.js';
import { getOwnEngine, importBusybox, type TestEngine } from '../support/dockerd.js';
import { numberingProblem, startAgent } from '../support/driver-kill.js';
import { type DriverPlace, decoded, endTasks, makePlace, quietStart, until } from '../support/driver-task.js';
import { processesWith, traces } from '../support/leftovers.js';

const IMAGE = 'localhost/meshnomad-test:1';
const CYCLES = Number(process.env['MESHNOMAD_DRIVER_CYCLES'] ?? 6);
const sh = (script: string): Record<string, unknown> => ({
  image: IMAGE,
  network_mode: 'none',
  command: '/bin/sh',
  args: ['-c', script],
});
const FOREVER = sh('trap "exit 0" TERM; echo ready; while :; do sleep 0.1; done');
const COUNTS = sh('i=0; while :; do i=$((i+1)); echo line $i; sleep 0.02; done');

const found = await getOwnEngine();
if ('missing' in found) {
  t.test('containers in storms', { skip: found.missing }, async () => {});
} else {
  t.teardown(() => found.stop());
  await importBusybox(found, IMAGE);
  await facts(found);
}

async function facts(engine: TestEngine): Promise<void> {
  const dir = dirname(engine.endpoint.slice('unix://'.length));
  const { default: Docker } = await import('dockerode');
  const docker = new Docker({ socketPath: engine.endpoint.slice('unix://'.length) });
  const open = (place: DriverPlace, config: Record<string, unknown> = {}): Driver<DockerConfig> =>
    plugin.create({
      config: { endpoint: engine.endpoint, ...config },
      stateDir: place.stateDir,
      log: () => {},
    }) as Driver<DockerConfig>;
  const fact = (
    name: string,
    check: (t: Test, place: DriverPlace, driver: Driver<DockerConfig>) => Promise<void>,
    config: Record<string, unknown> = {},
  ): void => {
    t.test(name, async (t) => {
      const place = makePlace();
      const driver = open(place, config);
      t.teardown(async () => {
        await driver.close();
        await endTasks(plugin, { endpoint: engine.endpoint }, place);
      });
      await check(t, place, driver);
    });
  };
  const pidOf = async (id: unknown): Promise<number> => (await docker.getContainer(String(id)).inspect()).State.Pid;

  fact('with live-restore containers and their output outlive a killed engine', async (t, place, driver) => {
    writeFileSync(join(dir, 'daemon.json'), '{"live-restore": true}');
    await engine.halt('orderly');
    await engine.resume();
    const task = place.task(decoded(driver, COUNTS));
    const { state } = await driver.startTask(task, quietStart());
    await until('it counts', () => place.output(task, 'stdout').includes('line 10\n'));
    const pid = await pidOf(state['containerId']);
    await engine.halt('hard');
    await engine.resume();
    t.equal(await pidOf(state['containerId']), pid, 'the same process');
    const printed = place.output(task, 'stdout').split('\n').length;
    await until('it is heard again', () => place.output(task, 'stdout').split('\n').length > printed + 10);
    await driver.stopTask(task.id, { timeoutMs: 0, signal: '' });
    const lines = place.output(task, 'stdout').split('\n').length - 1;
    t.equal(numberingProblem(place.output(task, 'stdout'), lines), '', 'without a gap');
    await driver.destroyTask(task.id, { force: false });
    writeFileSync(join(dir, 'daemon.json'), '{}');
    await engine.halt('orderly');
    await engine.resume();
  });

  fact('what an engine takes along when it ends is lost, what ends by itself is not', async (t, place, driver) => {
    for (const how of ['orderly', 'hard'] as const) {
      const task = place.task(decoded(driver, sh('trap "exit 3" TERM; echo ready; while :; do sleep 0.1; done')));
      await driver.startTask(task, quietStart());
      await until('it is ready', () => place.output(task, 'stdout') === 'ready\n');
      await engine.halt(how);
      await engine.resume();
      const exit = await driver.waitTask(task.id);
      t.match(exit, { lost: true }, how);
      t.not(exit.exitCode, 0);
      await driver.destroyTask(task.id, { force: true });
    }
    const signalled = place.task(decoded(driver, sh('trap "exit 3" TERM; echo ready; while :; do sleep 0.1; done')));
    await driver.startTask(signalled, quietStart());
    await until('it is ready', () => place.output(signalled, 'stdout') === 'ready\n');
    await driver.signalTask?.(signalled.id, 'SIGTERM');
    t.same(await driver.waitTask(signalled.id), { exitCode: 3, signal: 0, oomKilled: false }, 'as its job wants it');
    await driver.destroyTask(signalled.id, { force: true });
    const killed = place.task(decoded(driver, sh('trap "exit 3" TERM; echo ready; while :; do sleep 0.1; done')));
    const { state } = await driver.startTask(killed, quietStart());
    await until('it is ready', () => place.output(killed, 'stdout') === 'ready\n');
    await docker.getContainer(String(state['containerId'])).kill({ signal: 'SIGTERM' });
    const exit = await driver.waitTask(killed.id);
    t.match(exit, { exitCode: 3, error: /somebody had the engine stop or kill/ }, 'a person is not its engine');
    t.equal(exit.lost, undefined);
    await driver.destroyTask(killed.id, { force: true });
    const ended = place.task(decoded(driver, sh('exit 3')));
    const handle = await driver.startTask(ended, quietStart());
    t.same(await driver.waitTask(ended.id), { exitCode: 3, signal: 0, oomKilled: false });
    await driver.close();
    // The next agent, and one after a restart of the machine.
    for (const boot of [handle.state['bootId'], 'another']) {
      const next = open(place);
      await next.recoverTask({ ...handle, state: { ...handle.state, bootId: boot } }, ended);
      t.equal((await next.waitTask(ended.id)).lost, boot === 'another' ? true : undefined);
      if (boot === 'another') await next.destroyTask(ended.id, { force: true });
      await next.close();
    }
  });

  fact('a container that somebody pauses is told of', async (t, place, driver) => {
    const task = place.task(decoded(driver, FOREVER));
    const told: string[] = [];
    const onEvent = ({ message }: { message: string }): number => told.push(message);
    const handle = await driver.startTask(task, { ...quietStart(), onEvent });
    const container = docker.getContainer(String(handle.state['containerId']));
    // Until the driver hears, nothing is heard.
    await until('it is told', async () => {
      await container.pause();
      await container.unpause();
      return told.some((message) => /has paused/.test(message));
    });
    await until('its end is told too', () => told.some((message) => /unpaused: it goes on/.test(message)));
    await container.pause();
    await driver.close();
    const next = open(place);
    t.teardown(() => next.close());
    told.length = 0;
    await next.recoverTask(handle, task, { onEvent });
    t.match(told, [/has paused/], 'also by the next agent');
    await next.stopTask(task.id, { timeoutMs: 0, signal: '' });
    t.match(await next.waitTask(task.id), { exitCode: 137 });
    await next.destroyTask(task.id, { force: true });
  });

  fact('a killed shim is the end of its container, which is told', async (t, place, driver) => {
    const task = place.task(decoded(driver, FOREVER));
    const { state } = await driver.startTask(task, quietStart());
    const pid = await pidOf(state['containerId']);
    process.kill(parentOf(pid), 'SIGKILL');
    const exit = await driver.waitTask(task.id);
    t.not(exit.exitCode, 0);
    await driver.destroyTask(task.id, { force: true });
    await until('its process is gone', () => !readdirSync('/proc').includes(String(pid)));
  });

  fact("a group's network is there again after a restart of the engine", async (t, place, driver) => {
    const allocId = `0a1b2c3d-0000-4000-8000-${String(process.pid).padStart(12, '0')}`;
    const made = await driver.createNetwork?.(allocId, { hostname: 'h' });
    t.ok(made?.netnsPath);
    await engine.halt('orderly');
    await engine.resume();
    const again = await until('it is there', () =>
      driver.createNetwork?.(allocId, { hostname: 'h' }).catch(() => null),
    );
    t.same(again.labels, made?.labels, 'of the same container');
    const network = { mode: 'bridge', ip: '', hostname: 'h', hostsFile: null, resolvFile: null, ...again };
    const { network_mode: _own, ...config } = sh('hostname');
    const task = place.task(decoded(driver, config), { allocId, network });
    await driver.startTask(task, quietStart());
    t.match(await driver.waitTask(task.id), { exitCode: 0 });
    t.equal(place.output(task, 'stdout'), 'h\n');
    await driver.destroyTask(task.id, { force: false });
    t.same(await driver.reapUnknown?.(), [], 'it is nobody that could be forgotten');
    await driver.destroyNetwork?.(allocId, {});
    await driver.destroyNetwork?.(allocId, {});
    t.same(await docker.listContainers({ all: true }), []);
  });

  fact(
    'containers that nobody knows are found while the agent runs',
    async (t, place, driver) => {
      await driver.reapUnknown?.();
      const task = place.task(decoded(driver, FOREVER));
      const order = { config: { endpoint: engine.endpoint }, stateDir: place.stateDir, start: [task], recover: [] };
      await (await startAgent('driver-docker', order)).kill();
      const own = place.task(decoded(driver, FOREVER));
      const handle = await driver.startTask(own, quietStart());
      await until('the unknown one is gone', async () => (await docker.listContainers({ all: true })).length === 1);
      t.equal((await docker.listContainers())[0]?.Id, handle.state['containerId']);
      await driver.destroyTask(own.id, { force: true });
    },
    // Less, and one that is just being started is taken for unknown.
    { gc: { dangling_containers: { period: '100ms', creation_grace: '5s' } } },
  );

  fact('an image that was brought for a task goes after it, one that was there stays', async (t, place) => {
    const config = { gc: { image_delay: '0s' } };
    const driver = open(place, config);
    const name = 'localhost/meshnomad-brought:1';
    const task = place.task(decoded(driver, { ...FOREVER, image: name, load: 'image.tar' }));
    await docker.getImage(IMAGE).tag({ repo: 'localhost/meshnomad-brought', tag: '1' });
    const archive = await docker.getImage(name).get();
    const chunks: Buffer[] = [];
    for await (const chunk of archive) chunks.push(chunk as Buffer);
    writeFileSync(join(task.localDir, 'image.tar'), Buffer.concat(chunks));
    await docker.getImage(name).remove();
    const other = place.task(decoded(driver, FOREVER));
    const handle = await driver.startTask(task, quietStart());
    await driver.startTask(other, quietStart());
    await driver.close();
    const remembered = JSON.parse(readFileSync(join(place.stateDir, 'images.json'), 'utf8'));
    t.same(remembered, { [name]: { unusedSinceMs: null } }, 'the other was there before');
    const next = open(place, config);
    await next.recoverTask(handle, task);
    await next.destroyTask(task.id, { force: true });
    const { unusedSinceMs } = JSON.parse(readFileSync(join(place.stateDir, 'images.json'), 'utf8'))[name];
    t.ok(unusedSinceMs > 0);
    await next.close();
  });

  fact(`${CYCLES} starts and stops leave nothing behind`, async (t, place, driver) => {
    const ids: string[] = [];
    const count = async (): Promise<unknown> => ({
      containers: (await docker.listContainers({ all: true })).length,
      volumes: (await docker.listVolumes()).Volumes?.length ?? 0,
      traces: traces([dir, ...ids]),
      shims: processesWith(`${dir}/exec/containerd`).length,
      state: readdirSync(place.stateDir).filter((name) => name !== 'images.json'),
    });
    const before = await count();
    for (let i = 0; i < CYCLES; i++) {
      const task = place.task(decoded(driver, FOREVER));
      const { state } = await driver.startTask(task, quietStart());
      ids.push(String(state['containerId']));
      if (i % 2 === 0) await driver.stopTask(task.id, { timeoutMs: i % 4 === 0 ? 5000 : 0, signal: '' });
      await driver.destroyTask(task.id, { force: true });
    }
    await until('the engine has tidied up', async () => JSON.stringify(await count()) === JSON.stringify(before)).catch(
      () => {},
    );
    t.same(await count(), before);
  });
}

function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]);
}
