import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Driver } from '../../lib/plugin/sdk/driver.js';
import { seededRandom } from '../../lib/util/random.js';
import plugin from '../../plugins/driver-raw-exec/index.js';
import { numberingProblem, startAgent } from '../support/driver-kill.js';
import { type DriverPlace, decoded, endTasks, makePlace, quietStart, until } from '../support/driver-task.js';

const CONFIG = { enabled: true };
const LINES = 4000;
const TASKS = 3;
const KILLS = 6;

const open = (stateDir: string): Driver => plugin.create({ config: CONFIG, stateDir, log: () => {} });
const sh = (script: string): Record<string, unknown> => ({ command: '/bin/sh', args: ['-c', script] });
const fact = (name: string, check: (t: Test, place: DriverPlace, driver: Driver) => Promise<void>): void => {
  t.test(name, async (t) => {
    const place = makePlace();
    const driver = open(place.stateDir);
    t.teardown(async () => {
      await driver.close();
      await endTasks(plugin, CONFIG, place);
    });
    await check(t, place, driver);
  });
};
const isAlive = (pid: number): boolean => {
  try {
    // A zombie that nobody has collected yet is as dead as one that was.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
};

fact(
  'tasks print on while agents are killed: no line is lost or doubled, and the exit is told',
  async (t, place, driver) => {
    const print = `i=0; while [ $i -lt ${LINES} ]; do i=$((i+1)); echo line $i; [ $((i%40)) = 0 ] && sleep 0.01; done; exit 7`;
    const tasks = Array.from({ length: TASKS }, (_, i) =>
      place.task(decoded(driver, sh(print)), { name: `printer${i}`, logMaxFileSizeBytes: 5000, logMaxFiles: 1000 }),
    );
    const random = seededRandom(20_260_501);
    const order = { config: CONFIG, stateDir: place.stateDir };
    const first = await startAgent('driver-raw-exec', { ...order, start: tasks, recover: [] });
    const recover = first.handles.map((handle, i) => ({ handle, task: tasks[i] as (typeof tasks)[0] }));
    await first.kill();
    for (let i = 1; i < KILLS; i++) {
      const next = await startAgent('driver-raw-exec', { ...order, start: [], recover });
      await new Promise((resolve) => setTimeout(resolve, random.next() * 50));
      await next.kill();
    }
    for (const { handle, task } of recover) {
      await driver.recoverTask(handle, task);
      t.match(await driver.waitTask(task.id), { exitCode: 7, signal: 0 });
      t.equal(numberingProblem(place.output(task, 'stdout'), LINES), '');
      await driver.destroyTask(task.id, { force: false });
    }
    t.same(readdirSync(join(place.stateDir, 'tasks')), [], 'nothing is left of ended tasks');
  },
);

fact('a kill reaches every descendant, also those that left their session', async (t, place, driver) => {
  const script = [
    'trap "" TERM INT HUP',
    'setsid sh -c \'trap "" TERM; echo $$ > setsid.pid; sleep 600 & echo $! > grandchild.pid; wait\' &',
    '(setsid sleep 600 & echo $! > orphan.pid)',
    'sleep 600 & echo $! > child.pid',
    'touch ready; wait',
  ].join('\n');
  const task = place.task(decoded(driver, sh(script)));
  await driver.startTask(task, quietStart());
  const names = ['setsid', 'grandchild', 'orphan', 'child'];
  const pidOf = (name: string): number => {
    const path = join(task.taskDir, `${name}.pid`);
    return existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0;
  };
  await until('all descendants run', () => names.every((name) => pidOf(name) > 0 && isAlive(pidOf(name))));
  const pids = names.map(pidOf);
  await until('usage counts them all', async () => {
    const { Pids } = await driver.taskStats(task.id);
    return pids.every((pid) => Pids?.[pid] !== undefined);
  });
  await driver.stopTask(task.id, { timeoutMs: 50, signal: 'SIGTERM' });
  for (const [i, pid] of pids.entries()) t.notOk(isAlive(pid), `${names[i]} is gone`);
});

fact('when the first process ends, the rest of its tree does not stay', async (t, place, driver) => {
  const task = place.task(decoded(driver, sh('(setsid sleep 600 & echo $! > left.pid); echo bye; exit 5')));
  await driver.startTask(task, quietStart());
  t.match(await driver.waitTask(task.id), { exitCode: 5 });
  t.notOk(isAlive(Number(readFileSync(join(task.taskDir, 'left.pid'), 'utf8'))));
  t.equal(place.output(task, 'stdout'), 'bye\n');
});

fact('a killed supervisor takes its task along, and this is told', async (t, place, driver) => {
  const task = place.task(decoded(driver, sh('sleep 600 & echo $! > child.pid; touch ready; wait')));
  const { state } = await driver.startTask(task, quietStart());
  await until('the task runs', () => existsSync(join(task.taskDir, 'ready')));
  process.kill(Number(state['supervisorPid']), 'SIGKILL');
  t.match(await driver.waitTask(task.id), { exitCode: 137, error: /supervisor/ });
  await until('the task is gone', () => !isAlive(Number(state['taskPid'])));
  await until('so is its child', () => !isAlive(Number(readFileSync(join(task.taskDir, 'child.pid'), 'utf8'))));
});

fact('without an agent, too, a task dies with its supervisor', async (t, place, driver) => {
  const task = place.task(decoded(driver, sh('exec sleep 600')));
  const order = { config: CONFIG, stateDir: place.stateDir, start: [task], recover: [] };
  const agent = await startAgent('driver-raw-exec', order);
  await agent.kill();
  const [handle] = agent.handles;
  if (!handle) throw new Error('no handle');
  process.kill(Number(handle.state['supervisorPid']), 'SIGKILL');
  await until('the task is gone', () => !isAlive(Number(handle.state['taskPid'])));
  await t.rejects(driver.recoverTask(handle, task), { message: /is gone/, recoverable: false });
});

fact('a start that an agent did not live to record is not run twice', async (t, place, driver) => {
  const config = decoded(driver, sh('exec sleep 600'));
  const task = place.task(config);
  const lost = await startAgent('driver-raw-exec', {
    config: CONFIG,
    stateDir: place.stateDir,
    start: [task],
    recover: [],
  });
  await lost.kill();
  const forgotten = Number(lost.handles[0]?.state['taskPid']);
  t.ok(isAlive(forgotten));
  const again = { ...task, id: `${task.id}1` };
  await driver.startTask(again, quietStart());
  t.notOk(isAlive(forgotten), 'the first start is gone');
  await driver.destroyTask(again.id, { force: true });
});

fact('tasks that nobody recorded are ended on request, known ones are not', async (t, place, driver) => {
  const config = decoded(driver, sh('exec sleep 600'));
  const [lost, kept] = [place.task(config), place.task(config)];
  const order = { config: CONFIG, stateDir: place.stateDir, start: [lost, kept], recover: [] };
  const agent = await startAgent('driver-raw-exec', order);
  await agent.kill();
  const [lostHandle, keptHandle] = agent.handles;
  if (!lostHandle || !keptHandle) throw new Error('no handles');
  await driver.recoverTask(keptHandle, kept);
  const own = place.task(config);
  const ownHandle = await driver.startTask(own, quietStart());
  t.match(await driver.reapUnknown?.(), [`process ${lostHandle.state['taskPid']} `]);
  t.notOk(isAlive(Number(lostHandle.state['taskPid'])));
  for (const { state } of [keptHandle, ownHandle]) t.ok(isAlive(Number(state['taskPid'])));
  t.same(await driver.reapUnknown?.(), []);
  for (const task of [kept, own]) await driver.destroyTask(task.id, { force: true });
});

fact('a task whose record is gone is refused, as after a restart of the machine', async (t, place, driver) => {
  const task = place.task(decoded(driver, sh('exec sleep 600')));
  const handle = await driver.startTask(task, quietStart());
  await driver.destroyTask(task.id, { force: true });
  rmSync(String(handle.state['dir']), { recursive: true, force: true });
  await t.rejects(driver.recoverTask(handle, task), { name: 'DriverError', message: /is gone/ });
});

const rootOnly = { skip: process.getuid?.() === 0 ? false : ('only root can make a small disk' as const) };
t.test('a full disk loses output, tells how much, and neither the task nor its exit', rootOnly, async (t) => {
  const place = makePlace();
  const driver = open(place.stateDir);
  const task = place.task(decoded(driver, sh('cat big; while [ ! -e go ]; do sleep 0.02; done; echo after; exit 4')));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', task.logDir]);
  t.teardown(async () => {
    await driver.close();
    const last = open(place.stateDir);
    await last.reapUnknown?.();
    await last.close();
    execFileSync('umount', ['-l', task.logDir]);
    place.remove();
  });
  writeFileSync(join(task.taskDir, 'big'), 'x'.repeat(99).concat('\n').repeat(5000));
  writeFileSync(join(task.logDir, 'ballast'), 'y'.repeat(20_000));
  await driver.startTask(task, quietStart());
  await until('the disk is full', () => place.output(task, 'stdout').length > 30_000);
  await until(
    'the task printed all',
    async () => Object.keys((await driver.taskStats(task.id)).Pids ?? {}).length === 2,
  );
  rmSync(join(task.logDir, 'ballast'));
  writeFileSync(join(task.taskDir, 'go'), '');
  t.match(await driver.waitTask(task.id), { exitCode: 4 });
  const lost = /\[meshnomad: (\d+) bytes of output were lost here: No space left on device\]\nafter\n$/.exec(
    place.output(task, 'stdout'),
  );
  t.ok(lost, 'the loss is told, and what follows is there');
  const kept = place.output(task, 'stdout').replace(/[^x]/g, '').length;
  t.ok(Math.abs(kept + Number(lost?.[1]) * 0.99 - 495_000) < 10, 'the number is right');
});

fact('supervisors are small, and a start is quick', async (t, place, driver) => {
  await driver.fingerprint();
  const starts: number[] = [];
  let rssKb = 0;
  let pssKb = 0;
  for (let i = 0; i < 10; i++) {
    const task = place.task(decoded(driver, sh('echo hello; exec sleep 600')));
    const began = performance.now();
    const { state } = await driver.startTask(task, quietStart());
    starts.push(performance.now() - began);
    await until('it printed', () => place.output(task, 'stdout') !== '');
    const rollup = readFileSync(`/proc/${state['supervisorPid']}/smaps_rollup`, 'utf8');
    const kb = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0);
    rssKb = Math.max(rssKb, kb('Rss'));
    pssKb = Math.max(pssKb, kb('Pss'));
    await driver.destroyTask(task.id, { force: true });
  }
  const medianMs = starts.sort((a, b) => a - b)[5] ?? 0;
  t.comment(`RSS ${rssKb} kB, PSS ${pssKb} kB, start ${medianMs.toFixed(1)} ms`);
  t.ok(rssKb > 0 && rssKb <= 3 * 1024, `RSS ${rssKb} kB`);
  t.ok(pssKb <= 1024, `PSS ${pssKb} kB`);
});
