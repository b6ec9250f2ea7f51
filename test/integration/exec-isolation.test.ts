import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Driver, TaskConfig } from '../../lib/plugin/sdk/driver.js';
import { ensureOwnSharedMount } from '../../lib/plugin/sdk/mounts.js';
import plugin from '../../plugins/driver-exec/index.js';
import { findProgram } from '../support/dockerd.js';
import { startAgent } from '../support/driver-kill.js';
import { type DriverPlace, decoded, endTasks, makePlace, quietStart, until } from '../support/driver-task.js';
import { processesWith, removeCgroup, traces } from '../support/leftovers.js';
import { mayMount, ownMounts } from '../support/own-mounts.js';

const CYCLES = Number(process.env['MESHNOMAD_DRIVER_CYCLES'] ?? 12);
const CGROUP = `meshnomad-test-${process.pid}`;
const RUNTIMES = ['runc', 'crun'];
const configOf = (runtime: string): Record<string, unknown> => ({
  cgroup_parent: CGROUP,
  pids_limit: 30,
  allow_caps: ['all'],
  runtime,
});

ownMounts(import.meta.url);
t.teardown(() => removeCgroup(CGROUP));
// crun refuses machines that have both versions of cgroups; in here only the first is seen.
const UNIFIED = '/sys/fs/cgroup/unified';
if (mayMount && existsSync(UNIFIED)) execFileSync('umount', [UNIFIED]);

const skipOf = (runtime: string): string | false => {
  if (!mayMount) return 'only root can make containers';
  return findProgram(runtime) ? false : `${runtime} is not installed`;
};

const sh = (script: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  command: '/bin/sh',
  args: ['-c', script],
  ...more,
});
type Check = (t: Test, place: DriverPlace, driver: Driver, config: Record<string, unknown>) => Promise<void>;
const fact = (name: string, check: Check): void => {
  for (const runtime of RUNTIMES) {
    t.test(`${runtime}: ${name}`, { skip: skipOf(runtime) }, async (t) => {
      const place = makePlace();
      const config = configOf(runtime);
      const driver = plugin.create({ config, stateDir: place.stateDir, log: () => {} });
      t.teardown(async () => {
        await driver.close();
        await endTasks(plugin, config, place);
      });
      await check(t, place, driver, config);
    });
  }
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

/** FUSE's: any user may open it, so that nothing but the rules of the task's control group refuses. */
const NUMBERS = ['c', '10', '229'];

fact('device nodes that were not given cannot be opened, also when one makes them', async (t, place, driver) => {
  const script = `mknod /tmp/own ${NUMBERS.join(' ')} && echo made; (: < /tmp/own) && echo opened; ls /dev/kmsg /dev/mem`;
  const output = await told(place, driver, sh(script), { user: 'root' });
  t.match(output, /^made\n/);
  t.notMatch(output, /opened/);
  t.match(output, /own: Operation not permitted/);
  t.match(output, /kmsg.*No such file/);
});

fact('who is given a device node is in the group that owns it, unless that is root’s', async (t, place, driver) => {
  const node = (name: string, gid: number): NonNullable<TaskConfig['deviceNodes']>[number] => {
    const hostPath = join(place.stateDir, name);
    execFileSync('mknod', ['-m', '0660', hostPath, ...NUMBERS]);
    chownSync(hostPath, 0, gid);
    return { hostPath, taskPath: `/dev/${name}`, permissions: 'rw' };
  };
  const deviceNodes = [node('theirs', 4321), node('roots', 0)];
  const script = 'id -G; (: < /dev/theirs) && echo opened; (: < /dev/roots)';
  const output = await told(place, driver, sh(script), { user: 'nobody', deviceNodes });
  t.match(output, /\b4321\b/);
  t.notMatch(output, /^(.* )?0( .*)?$/m, 'root’s group opens more than devices');
  t.match(output, /^opened$/m);
  t.match(output, /roots: Permission denied/);
});

/** Asks the kernel by number (x86-64, arm64), as any program could: name, both numbers, arguments. */
const CALLS = [
  'keyctl 250 219 0 -3 1',
  'add_key 248 217 0 0 0 1 -3',
  'bpf 321 280 0 0 0',
  'unshare 272 97 0x10000000',
  'clone 56 220 0x10000011 0 0 0 0',
  'clone3 435 435 0 0',
  'setns 308 268 -1 0',
  'mount 165 40 0 0 0 0 0',
  'fsopen 430 430 0 0',
  'userfaultfd 323 282 1',
  'io_uring 425 425 0 0',
  'perf 298 241 0 0 -1 -1 0',
  'reboot 169 142 0 0 0 0',
  'init_module 175 105 0 0 0',
  'vsock 41 198 40 1 0',
  'open_by_handle 304 265 -1 0 0',
  'getpid 39 172',
  'ptrace 101 117 0 0 0 0',
  'unix_socket 41 198 1 1 0',
];
const ASK =
  'my $arm = `uname -m` =~ /aarch/; for (@ARGV) { my ($n, @a) = split; my ($x, $y) = splice(@a, 0, 2); $! = 0; my $r = syscall($arm ? $y+0 : $x+0, map { /^0x/ ? oct : $_+0 } @a); print "$n ", ($r >= 0 ? "ok" : $!+0), "\n" }';
const EPERM = '1';
const ENOSYS = '38';
const REFUSED = Object.fromEntries(
  'keyctl add_key bpf unshare clone setns mount fsopen userfaultfd io_uring perf reboot init_module vsock open_by_handle'
    .split(' ')
    .map((name) => [name, EPERM]),
);

/** What the kernel answered to CALLS, by name: an error's number, or "ok". */
async function answers(
  place: DriverPlace,
  driver: Driver,
  more: { user?: string; config?: Record<string, unknown> },
): Promise<Record<string, string>> {
  const config = { command: '/usr/bin/perl', args: ['-e', ASK, ...CALLS], ...more.config };
  const text = await told(place, driver, config, { user: more.user ?? '' });
  return Object.fromEntries(
    text
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string]),
  );
}

fact('what no service needs of the kernel is refused, also to root', async (t, place, driver) => {
  for (const user of ['', 'root']) {
    const found = await answers(place, driver, { user });
    const wanted = { ...REFUSED, clone3: ENOSYS, getpid: 'ok', ptrace: 'ok', unix_socket: 'ok' };
    t.match(found, wanted, user || 'nobody');
  }
  const inSight = await answers(place, driver, { config: { pid_mode: 'host' } });
  t.match(inSight, { ptrace: EPERM, getpid: 'ok' }, 'others of the same user are in sight');
});

fact('a capability allows what it is for, and nothing else', async (t, place, driver) => {
  const found = await answers(place, driver, { user: 'root', config: { cap_add: ['sys_admin'] } });
  t.match(found, { keyctl: EPERM, reboot: EPERM, init_module: EPERM, userfaultfd: EPERM, unshare: 'ok' });
  t.not(found['clone3'], ENOSYS);
  t.not(found['mount'], EPERM);
});

fact('no open file and no second root leads out of the root', async (t, place, driver) => {
  const script = [
    'echo open: $(ls /proc/self/fd)',
    // Whoever may chroot leaves one by climbing from a directory outside of it.
    `perl -e 'opendir D, "/"; mkdir "/tmp/c"; chroot "/tmp/c" or print "no chroot\n"; chdir D; chdir ".." for 1..40; chroot "."; print -e "${place.dir}" ? "out\n" : -e "/alloc" ? "in\n" : "lost\n"'`,
    `for i in 0 1 2 3 4 5 6 7 8 9; do ls /proc/self/fd/$i/../${place.dir} /proc/1/root/${place.dir} /proc/1/cwd/${place.dir} 2>/dev/null; done`,
  ].join('\n');
  t.equal(await told(place, driver, sh(script), { user: 'root' }), 'open: 0 1 2 3\nin\n');
});

fact('a command inside has a terminal of the size of the screen, also of a new one', async (t, place, driver) => {
  const task = place.task(decoded(driver, sh('trap "exit 0" INT; while :; do sleep 0.1; done')));
  await driver.startTask(task, quietStart());
  const script = 'until [ "$(stty size)" = "44 111" ]; do stty size; sleep 0.05; done; exit 4';
  const session = driver.execTask(task.id, { command: ['/bin/sh', '-c', script], tty: true });
  let said = '';
  let code = -1;
  session.on('data', (output) => {
    if (output.Type === 'stdout') said += Buffer.from(output.Data).toString();
    if (output.Type === 'exited') code = output.ExitCode;
  });
  session.write({ Type: 'resize', Height: 33, Width: 99 });
  await until('the first size', () => said.includes('33 99'));
  session.write({ Type: 'resize', Height: 44, Width: 111 });
  await until('the second', () => code === 4);
  t.pass();
});

fact(
  'a command that is not there, or no program, ends as in a shell, and its own numbers stay',
  async (t, place, driver) => {
    const task = place.task(decoded(driver, sh('trap "exit 0" INT; while :; do sleep 0.1; done')));
    await driver.startTask(task, quietStart());
    const run = async (...command: string[]): Promise<[number, string]> => {
      const session = driver.execTask(task.id, { command, tty: false });
      let [code, said] = [-1, ''];
      session.on('data', (output) => {
        if (output.Type === 'stderr') said += Buffer.from(output.Data).toString();
        if (output.Type === 'exited') code = output.ExitCode;
      });
      await until('its end', () => code >= 0);
      return [code, said];
    };
    const [code, said] = await run('nosuch');
    t.equal(code, 127, said);
    t.match(said, /executable file .*not found/);
    t.notMatch(said, /level=|time=/, "the runtime's own log is not shown");
    const [refused, why] = await run('/etc');
    t.equal(refused, 126, why);
    t.equal((await run('/bin/sh', '-c', 'exit 255'))[0], 255);
  },
);

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

fact(
  'a killed supervisor takes its container along, also while no agent runs',
  async (t, place, driver, pluginConfig) => {
    const config = decoded(driver, sh('while :; do sleep 1; done'));
    const [first, second] = [place.task(config), place.task(config)];
    const handle = await driver.startTask(first, quietStart());
    process.kill(Number(handle.state['supervisorPid']), 'SIGKILL');
    t.match(await driver.waitTask(first.id), { exitCode: 137, error: /supervisor/ });
    await until('it is gone', () => !existsSync(`/proc/${handle.state['taskPid']}`));
    const order = { config: pluginConfig, stateDir: place.stateDir, start: [second], recover: [] };
    const agent = await startAgent('driver-exec', order);
    await agent.kill();
    const [lost] = agent.handles;
    if (!lost) throw new Error('no handle');
    process.kill(Number(lost.state['supervisorPid']), 'SIGKILL');
    await until('the supervisor is gone', () => !existsSync(`/proc/${lost.state['supervisorPid']}`));
    await t.rejects(driver.recoverTask(lost, second), { message: /is gone/, recoverable: false });
    await until('so is the other', () => !existsSync(`/proc/${lost.state['taskPid']}`));
    await driver.destroyTask(first.id, { force: true });
  },
);

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

fact(
  'a task and its machine see what the other mounts in a volume, as its propagation says',
  async (t, place, driver) => {
    const dir = mkdtempSync(join(tmpdir(), `exec-volume-${process.pid}-`));
    for (const name of ['ours', 'theirs']) mkdirSync(join(dir, name));
    t.teardown(() => {
      for (const path of [join(dir, 'ours'), join(dir, 'theirs'), dir])
        while (isMounted(path)) execFileSync('umount', [path]);
      rmSync(dir, { recursive: true });
    });
    const isMounted = (path: string): boolean => readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${path} `);
    const script = sh(
      'until grep -q " /vol/ours " /proc/self/mountinfo; do sleep 0.1; done; mount -t tmpfs theirs /vol/theirs && echo seen',
      { cap_add: ['sys_admin'] },
    );
    const mounts = [{ hostPath: dir, taskPath: '/vol', readOnly: false, propagation: 'bidirectional' as const }];
    const start = async (): Promise<TaskConfig> => {
      const task = place.task(decoded(driver, script), { user: 'root', mounts });
      await driver.startTask(task, quietStart());
      return task;
    };
    await t.rejects(start(), /would not be seen at .*: its mount is not shared; make it a mount of its own/);
    await ensureOwnSharedMount(dir);
    const task = await start();
    execFileSync('mount', ['-t', 'tmpfs', 'ours', join(dir, 'ours')]);
    await driver.waitTask(task.id);
    t.equal(place.output(task, 'stdout') + place.output(task, 'stderr'), 'seen\n');
    t.ok(isMounted(join(dir, 'theirs')), 'it outlives the task');
  },
);
