import { chmodSync, copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Driver, TaskConfig } from '../../lib/plugin/sdk/driver.js';
import plugin from '../../plugins/driver-exec/index.js';
import { startAgent } from '../support/driver-kill.js';
import { type DriverPlace, decoded, endTasks, makePlace, quietStart, until } from '../support/driver-task.js';
import { processesWith, removeCgroup, traces } from '../support/leftovers.js';

const CYCLES = Number(process.env['MESHNOMAD_DRIVER_CYCLES'] ?? 12);
const CGROUP = `meshnomad-test-${process.pid}`;
const CONFIG = { cgroup_parent: CGROUP, pids_limit: 30, allow_caps: ['all'] };

t.teardown(() => removeCgroup(CGROUP));

const hasRunc = ['/usr/sbin/runc', '/usr/bin/runc'].some((path) => existsSync(path));
const skip = process.getuid?.() !== 0 ? 'only root can make containers' : hasRunc ? false : 'runc is not installed';

const sh = (script: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  command: '/bin/sh',
  args: ['-c', script],
  ...more,
});
const open = (place: DriverPlace): Driver => plugin.create({ config: CONFIG, stateDir: place.stateDir, log: () => {} });
const fact = (name: string, check: (t: Test, place: DriverPlace, driver: Driver) => Promise<void>): void => {
  t.test(name, { skip }, async (t) => {
    const place = makePlace();
    const driver = open(place);
    t.teardown(async () => {
      await driver.close();
      await endTasks(plugin, CONFIG, place);
    });
    await check(t, place, driver);
  });
};

/** Runs a script to its end; what it printed. */
async function told(
  place: DriverPlace,
  driver: Driver,
  config: Record<string, unknown>,
  given: Partial<TaskConfig> = {},
): Promise<string> {
  const task = place.task(decoded(driver, config), given);
  chmodSync(task.localDir, 0o777);
  await driver.startTask(task, quietStart());
  await driver.waitTask(task.id);
  return place.output(task, 'stdout') + place.output(task, 'stderr');
}

/** Each line of a script that must be refused, and says so by its number. */
const refusedAll = (lines: readonly string[]): string =>
  lines
    .map((line, i) => `(${line}) >/dev/null 2>&1 && echo "line ${i} was let through: ${line.replace(/["$]/g, '')}"`)
    .join('\n');

for (const user of ['', 'root']) {
  const who = user || 'nobody';
  fact(`${who} writes nowhere outside of the task's directories`, async (t, place, driver) => {
    const script = refusedAll([
      'touch /usr/x /etc/x',
      'echo x >> /etc/passwd',
      'mount -o remount,rw /usr',
      'mount -t tmpfs none /tmp',
      'mount --bind /local /usr',
      'umount /usr',
      'echo 1 > /proc/sys/kernel/sysrq',
      'echo 0 > $CGROUP/cgroup.procs',
      'mkdir $CGROUP/mine',
      'hostname other',
    ]);
    const output = await told(
      place,
      driver,
      sh(
        `CGROUP=/sys/fs/cgroup/memory; test -d $CGROUP || CGROUP=/sys/fs/cgroup\n${script}\ntouch /local/x /tmp/x; echo done`,
      ),
      { user },
    );
    t.equal(output, 'done\n');
  });

  fact(`${who} sees and reaches no process of the machine`, async (t, place, driver) => {
    const script = [
      'ls -d /proc/[0-9]* | wc -l',
      refusedAll([`kill -0 ${process.pid}`, `cat /proc/${process.pid}/environ`, `ls /proc/${process.ppid}`]),
    ].join('\n');
    const lines = (await told(place, driver, sh(script), { user })).trim().split('\n');
    t.equal(lines.length, 1, lines.join('; '));
    t.ok(Number(lines[0]) <= 3, `${lines[0]} processes`);
  });
}

fact('with the pids of the machine in sight, their memory and secrets are not', async (t, place, driver) => {
  const script = [
    `test -d /proc/${process.pid} && echo seen`,
    refusedAll([
      `cat /proc/${process.pid}/environ`,
      `head -c 1 /proc/${process.pid}/mem`,
      `ls /proc/${process.pid}/root/`,
      `readlink /proc/${process.pid}/cwd`,
    ]),
  ].join('\n');
  t.equal(await told(place, driver, sh(script, { pid_mode: 'host' }), { user: 'root' }), 'seen\n');
});

fact('device nodes that were not given cannot be opened, also when one makes them', async (t, place, driver) => {
  const script =
    'mknod /tmp/kmsg c 1 11 && echo made; cat /tmp/kmsg >/dev/null 2>&1 || echo refused; ls /dev/kmsg /dev/mem';
  const output = await told(place, driver, sh(script), { user: 'root' });
  t.match(output, 'made\nrefused\n');
  t.match(output, /kmsg.*No such file/);
});

fact('nobody becomes root by a set-uid program', async (t, place, driver) => {
  const task = place.task(decoded(driver, sh('/local/id -u; grep NoNewPrivs /proc/self/status')));
  copyFileSync('/usr/bin/id', join(task.localDir, 'id'));
  chmodSync(join(task.localDir, 'id'), 0o4755);
  await driver.startTask(task, quietStart());
  await driver.waitTask(task.id);
  t.match(place.output(task, 'stdout'), /^65534\nNoNewPrivs:\s+1\n$/);
});

fact("a task cannot put its own links in the place of the agent's directories", async (t, place, driver) => {
  const task = place.task(decoded(driver, sh('mv /local /other || ln -s /etc /new || rmdir /secrets || echo kept')));
  chmodSync(task.taskDir, 0o755);
  await driver.startTask(task, quietStart());
  await driver.waitTask(task.id);
  t.equal(place.output(task, 'stdout'), 'kept\n');
});

fact('a fork bomb ends at the limit', async (t, place, driver) => {
  const script = 'i=0; while [ $i -lt 60 ]; do sleep 5 & i=$((i+1)); done; echo all';
  const output = await told(place, driver, sh(script));
  t.match(output, /Cannot fork|Resource temporarily unavailable/i);
  t.notMatch(output, /^all$/m);
});

fact('capabilities are those of the job', async (t, place, driver) => {
  const bits = (text: string, name: string): bigint => BigInt(`0x${new RegExp(`${name}:\\s+(\\w+)`).exec(text)?.[1]}`);
  const NET_ADMIN = 12n;
  const status = 'cat /proc/self/status';
  const plain = await told(place, driver, sh(status));
  t.equal(bits(plain, 'CapEff'), 0n, 'nobody has none');
  const added = await told(place, driver, sh(status, { cap_add: ['NET_ADMIN'] }));
  t.equal(bits(added, 'CapEff'), 1n << NET_ADMIN);
  const root = await told(place, driver, sh(status, { cap_drop: ['all'] }), { user: 'root' });
  t.equal(bits(root, 'CapEff') | bits(root, 'CapBnd'), 0n);
  const strict = plugin.create({ config: {}, stateDir: place.stateDir, log: () => {} });
  t.teardown(() => strict.close());
  const task = place.task(decoded(strict, sh('true', { cap_add: ['SYS_ADMIN'] })));
  await t.rejects(strict.startTask(task, quietStart()), /cap_add: sys_admin not allowed .*allow_caps/);
});

fact('a killed supervisor takes its container along, also while no agent runs', async (t, place, driver) => {
  const config = decoded(driver, sh('while :; do sleep 1; done'));
  const [first, second] = [place.task(config), place.task(config)];
  const handle = await driver.startTask(first, quietStart());
  process.kill(Number(handle.state['supervisorPid']), 'SIGKILL');
  t.match(await driver.waitTask(first.id), { exitCode: 137, error: /supervisor/ });
  await until('it is gone', () => !existsSync(`/proc/${handle.state['taskPid']}`));
  const order = { config: CONFIG, stateDir: place.stateDir, start: [second], recover: [] };
  const agent = await startAgent('driver-exec', order);
  await agent.kill();
  const [lost] = agent.handles;
  if (!lost) throw new Error('no handle');
  process.kill(Number(lost.state['supervisorPid']), 'SIGKILL');
  await until('the supervisor is gone', () => !existsSync(`/proc/${lost.state['supervisorPid']}`));
  await t.rejects(driver.recoverTask(lost, second), { message: /is gone/, recoverable: false });
  await until('so is the other', () => !existsSync(`/proc/${lost.state['taskPid']}`));
  await driver.destroyTask(first.id, { force: true });
});

fact(`${CYCLES} starts and stops leave nothing behind, and cost little`, async (t, place, driver) => {
  await driver.fingerprint();
  const ticker = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(ticker));
  const words = [`${CGROUP}/`, place.dir];
  const before = traces(words);
  const startsMs: number[] = [];
  let rssKb = 0;
  for (let i = 0; i < CYCLES; i++) {
    const task = place.task(decoded(driver, sh('trap "exit 0" INT; echo ready; while :; do sleep 0.02; done')));
    const began = performance.now();
    const { state } = await driver.startTask(task, quietStart());
    startsMs.push(performance.now() - began);
    const status = readFileSync(`/proc/${state['supervisorPid']}/status`, 'utf8');
    rssKb = Math.max(rssKb, Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]));
    if (i % 3 === 0) await until('it listens', () => place.output(task, 'stdout') !== '');
    if (i % 3 === 2) await driver.destroyTask(task.id, { force: true });
    else await driver.stopTask(task.id, { timeoutMs: i % 3 === 0 ? 5000 : 0, signal: '' });
    await driver.destroyTask(task.id, { force: false });
    rmSync(task.allocDir, { recursive: true });
  }
  const medianMs = startsMs.sort((a, b) => a - b)[Math.floor(CYCLES / 2)] ?? 0;
  t.comment(`supervisor ${rssKb} kB, start ${medianMs.toFixed(0)} ms`);
  t.same(traces(words), before);
  t.same(processesWith(place.stateDir), []);
  t.ok(rssKb > 0 && rssKb <= 3 * 1024, `${rssKb} kB`);
});
