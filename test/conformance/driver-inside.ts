import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Driver, TaskConfig, TaskNetwork } from '../../lib/plugin/sdk/driver.js';
import { numberingProblem, startAgent } from '../support/driver-kill.js';
import { type DriverPlace, decoded, quietStart, readExec, until } from '../support/driver-task.js';
import { mayMount } from '../support/own-mounts.js';
import type { DriverUnderTest } from './driver.js';

// Facts of drivers that run real processes: each is a shell script that tells what it sees.

type Check = (t: Test, place: DriverPlace, driver: Driver) => Promise<void>;
type Fact = (text: string, check: Check) => void;

/** The facts about what a task sees and may do. */
export function insideConformance(fact: Fact, under: DriverUnderTest): void {
  const { shell, offers } = under;
  if (!shell) return;
  const start = async (
    place: DriverPlace,
    driver: Driver,
    script: string,
    given: Partial<TaskConfig> = {},
  ): Promise<TaskConfig> => {
    const task = place.task(decoded(driver, shell(script)), given);
    await driver.startTask(task, quietStart());
    return task;
  };
  const runs = 'trap "exit 0" INT TERM; echo ready; while :; do sleep 0.05; done';
  const startReady = async (
    place: DriverPlace,
    driver: Driver,
    script: string,
    given: Partial<TaskConfig> = {},
  ): Promise<TaskConfig> => {
    const task = await start(place, driver, script, given);
    await until('the task is ready', () => place.output(task, 'stdout').includes('ready\n'));
    return task;
  };

  fact('variables arrive as they were given', async (t, place, driver) => {
    const env = { PATH: '/usr/bin:/bin', ODD: ' a "b"\n$HOME ü', EMPTY: '' };
    // The last thing that a shell says may lack its line's end.
    const task = await start(place, driver, 'printf "%s|%s|%s\\n" "$ODD" "$EMPTY" "$EMPTY$PATH"', { env });
    t.match(await driver.waitTask(task.id), { exitCode: 0 });
    t.equal(place.output(task, 'stdout'), ' a "b"\n$HOME ü||/usr/bin:/bin\n');
  });

  fact('both streams have files of their own', async (t, place, driver) => {
    const task = await start(place, driver, 'echo out; echo err >&2; echo out2');
    await driver.waitTask(task.id);
    t.same([place.output(task, 'stdout'), place.output(task, 'stderr')], ['out\nout2\n', 'err\n']);
  });

  fact('without logs output goes nowhere, and nothing waits for it', async (t, place, driver) => {
    const task = await start(
      place,
      driver,
      'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo some line of output; done',
      {
        logsDisabled: true,
      },
    );
    t.match(await driver.waitTask(task.id), { exitCode: 0 });
    t.same(place.logFiles(task, 'stdout'), []);
  });

  fact('a signal reaches the task by its name', async (t, place, driver) => {
    const script = 'trap "echo hup" HUP; trap "exit 9" USR1; echo ready; while :; do sleep 0.02; done';
    const task = await startReady(place, driver, script);
    await driver.signalTask(task.id, 'SIGHUP');
    await until('it heard', () => place.output(task, 'stdout').includes('hup'));
    await driver.signalTask(task.id, 'SIGUSR1');
    t.match(await driver.waitTask(task.id), { exitCode: 9 });
  });

  fact('a stop uses the signal it is told', async (t, place, driver) => {
    const task = await startReady(place, driver, 'trap "exit 5" QUIT; echo ready; while :; do sleep 0.02; done');
    await driver.stopTask(task.id, { timeoutMs: 20_000, signal: 'SIGQUIT' });
    t.match(await driver.waitTask(task.id), { exitCode: 5 });
  });

  fact('the end of a task is the end of all it has started', async (t, place, driver) => {
    const beat = (name: string): string => `while :; do echo x >> "$HERE/${name}"; sleep 0.02; done`;
    const script = `(${beat('child')}) & (trap "" TERM INT HUP; setsid sh -c '${beat('stranger')}' 2>/dev/null || ${beat('stranger')}) & ${runs}`;
    const task = place.task(decoded(driver, shell(script)));
    task.env = { ...task.env, HERE: localOf(driver)(task) };
    openToAll(task);
    await driver.startTask(task, quietStart());
    const files = ['child', 'stranger'].map((name) => join(task.localDir, name));
    await until('both beat', () => files.every((file) => existsSync(file)));
    await driver.stopTask(task.id, { timeoutMs: 5000, signal: '' });
    const sizes = files.map((file) => readFileSync(file).length);
    await new Promise((resolve) => setTimeout(resolve, 150));
    t.same(
      files.map((file) => readFileSync(file).length),
      sizes,
    );
  });

  fact('a task runs as the user its job names', async (t, place, driver) => {
    if (process.getuid?.() !== 0) return t.comment('only root can become another user');
    const task = await start(place, driver, 'id -u; id -g', { user: '65534' });
    t.match(await driver.waitTask(task.id), { exitCode: 0 });
    t.equal(place.output(task, 'stdout'), '65534\n65534\n');
  });

  fact(
    'a command inside reads its input to the end, writes both streams and tells its code',
    async (t, place, driver) => {
      const task = await startReady(place, driver, runs, { env: { PATH: '/usr/bin:/bin', X: 'from the task' } });
      const script = 'cat; echo "$X" >&2; exit 3';
      const session = driver.execTask(task.id, { command: ['/bin/sh', '-c', script], tty: false });
      const big = Buffer.alloc(200_000, 'y');
      session.write({ Type: 'stdin', Data: Buffer.from('first\n') });
      session.write({ Type: 'stdin', Data: big });
      session.write({ Type: 'stdin-close' });
      const { stdout, stderr, exitCode } = await readExec(session);
      t.same([stdout.length, stdout.slice(0, 8), stderr, exitCode], [200_006, 'first\nyy', 'from the task\n', 3]);
    },
  );
  fact('a command gets a terminal, its size, and a new size while it runs', async (t, place, driver) => {
    const task = await startReady(place, driver, runs);
    const script =
      'test -t 0 || exit 1; read x; until [ "$(stty size)" = "44 111" ]; do stty size; sleep 0.05; done; exit 4';
    const session = driver.execTask(task.id, { command: ['/bin/sh', '-c', script], tty: true });
    let said = '';
    session.on('data', (output) => {
      if (output.Type === 'stdout') said += Buffer.from(output.Data).toString();
    });
    const over = new Promise<number>((resolve) => {
      session.on('data', (output) => output.Type === 'exited' && resolve(output.ExitCode));
    });
    session.write({ Type: 'resize', Height: 33, Width: 99 });
    session.write({ Type: 'stdin', Data: Buffer.from('go\n') });
    await until('the first size', () => said.includes('33 99'));
    session.write({ Type: 'resize', Height: 44, Width: 111 });
    t.equal(await over, 4, 'it saw the second');
  });

  fact('a command whose caller goes away is ended', async (t, place, driver) => {
    const here = localOf(driver);
    const task = place.task(decoded(driver, shell(runs)));
    openToAll(task);
    await driver.startTask(task, quietStart());
    const file = join(task.localDir, 'beat');
    const script = `while :; do echo x >> ${here(task)}/beat; sleep 0.02; done`;
    const session = driver.execTask(task.id, { command: ['/bin/sh', '-c', script], tty: false });
    session.on('error', () => {});
    await until('it beats', () => existsSync(file));
    session.destroy();
    let size = -1;
    await until('it beats no more', async () => {
      const before = size;
      size = readFileSync(file).length;
      await new Promise((resolve) => setTimeout(resolve, 150));
      return before === size;
    });
    t.pass();
  });

  const { folder } = under;
  if (folder !== undefined) {
    fact(
      'agents are killed while a task prints: no line is lost or doubled, and its exit is told',
      async (t, place, driver) => {
        const print =
          'i=0; while [ $i -lt 1500 ]; do i=$((i+1)); echo line $i; [ $((i%30)) = 0 ] && sleep 0.02; done; exit 7';
        const task = place.task(decoded(driver, shell(print)), { logMaxFileSizeBytes: 4000, logMaxFiles: 1000 });
        const order = { config: under.config, stateDir: place.stateDir };
        const first = await startAgent(folder, { ...order, start: [task], recover: [] });
        await first.kill();
        const recover = first.handles.map((handle) => ({ handle, task }));
        for (let i = 0; i < 2; i++) {
          const next = await startAgent(folder, { ...order, start: [], recover });
          await next.kill();
        }
        const [handle] = first.handles;
        if (!handle) throw new Error('no handle');
        await driver.recoverTask(handle, task);
        t.match(await driver.waitTask(task.id), { exitCode: 7 });
        t.equal(numberingProblem(place.output(task, 'stdout'), 1500), '');
        await driver.destroyTask(task.id, { force: false });
      },
    );
  }

  fact('usage follows what the task does', async (t, place, driver) => {
    const task = await startReady(place, driver, 'echo ready; while :; do :; done');
    await driver.taskStats(task.id);
    // On a machine that is busy otherwise it may get little of a core for a while.
    const { CpuStats, MemoryStats } = await until('it uses some of a core', async () => {
      await new Promise((resolve) => setTimeout(resolve, 400));
      const { ResourceUsage } = await driver.taskStats(task.id);
      return ResourceUsage.CpuStats.Percent > 1 ? ResourceUsage : undefined;
    });
    t.ok(CpuStats.Percent <= 400, `${CpuStats.Percent} % of a core`);
    t.ok(MemoryStats.RSS > 0 || MemoryStats.Usage > 0, `${MemoryStats.RSS} bytes`);
    t.ok(MemoryStats.RSS < 64 << 20);
    await driver.destroyTask(task.id, { force: true });
  });

  const volume = (place: DriverPlace, name: string): string => {
    const dir = join(place.dir, name);
    mkdirSync(dir, { mode: 0o777 });
    execFileSync('chmod', ['777', dir, place.dir]);
    writeFileSync(join(dir, 'there'), `of ${name}\n`);
    return dir;
  };
  if (offers?.mounts) {
    fact('mounts are where they were asked for, and read-only ones are', async (t, place, driver) => {
      const mounts = (['rw', 'ro'] as const).map((name) => ({
        hostPath: volume(place, name),
        taskPath: `/mnt-${name}`,
        readOnly: name === 'ro',
        propagation: 'private' as const,
      }));
      const script =
        'cat /mnt-rw/there /mnt-ro/there; touch /mnt-rw/new && echo wrote; touch /mnt-ro/new || echo refused';
      const task = await start(place, driver, script, { mounts });
      await driver.waitTask(task.id);
      t.equal(place.output(task, 'stdout'), 'of rw\nof ro\nwrote\nrefused\n');
      t.same(
        ['rw', 'ro'].map((name) => existsSync(join(place.dir, name, 'new'))),
        [true, false],
      );
    });
  }
  if (offers?.mounts && mayMount) {
    fact(
      'what the host mounts later is seen in a volume that follows it, and in no other',
      async (t, place, driver) => {
        const modes = ['private', 'host-to-task'] as const;
        const mounts = modes.map((propagation) => {
          const hostPath = volume(place, propagation);
          execFileSync('mount', ['--bind', '--', hostPath, hostPath]);
          execFileSync('mount', ['--make-shared', '--', hostPath]);
          mkdirSync(join(hostPath, 'later'));
          return { hostPath, taskPath: `/mnt-${propagation}`, readOnly: false, propagation };
        });
        try {
          // Bounded: it ends by itself should nothing be seen.
          const script = `echo ready; i=0
while [ ! -e /mnt-host-to-task/later/inside ] && [ $i -lt 600 ]; do i=$((i+1)); sleep 0.1; done
for mode in ${modes.join(' ')}; do [ -e /mnt-$mode/later/inside ] && echo $mode; done; true`;
          const task = await startReady(place, driver, script, { mounts });
          for (const { hostPath } of mounts) {
            execFileSync('mount', ['-t', 'tmpfs', 'meshnomad-test', join(hostPath, 'later')]);
            writeFileSync(join(hostPath, 'later', 'inside'), '');
          }
          await driver.waitTask(task.id);
          t.equal(place.output(task, 'stdout'), 'ready\nhost-to-task\n');
        } finally {
          for (const { hostPath } of mounts) execFileSync('umount', ['--recursive', '--lazy', '--', hostPath]);
        }
      },
    );
  }
  if (offers?.devices) {
    fact('a device node that was given can be used, under its own name', async (t, place, driver) => {
      const deviceNodes = [{ hostPath: '/dev/zero', taskPath: '/dev/meshnomad-zero', permissions: 'r' }];
      const task = await start(place, driver, 'head -c 4 /dev/meshnomad-zero; echo end', { deviceNodes });
      t.match(await driver.waitTask(task.id), { exitCode: 0 });
      t.equal(place.output(task, 'stdout'), '\0\0\0\0end\n');
    });
  }
  if (offers?.memory) {
    fact('a task that outgrows its memory is ended, and this is told', async (t, place, driver) => {
      const resources = { cpuMhz: 100, cpuPercent: 1, memoryMb: 32, memoryMaxMb: 0, cores: [] };
      const task = await start(place, driver, 'tail /dev/zero', { resources });
      t.match(await driver.waitTask(task.id), { exitCode: 137, oomKilled: true });
    });
  }
  if (offers?.cores && cpus().length > 1) {
    fact('reserved cores are the only ones it runs on', async (t, place, driver) => {
      const resources = { cpuMhz: 100, cpuPercent: 1, memoryMb: 64, memoryMaxMb: 0, cores: [1] };
      const task = await start(place, driver, 'grep Cpus_allowed_list /proc/self/status', { resources });
      await driver.waitTask(task.id);
      t.match(place.output(task, 'stdout'), /:\s+1\n/);
    });
  }
  if (offers?.network && process.getuid?.() === 0) networkFacts(fact, { start, runs });
}

type Start = (place: DriverPlace, driver: Driver, script: string, given?: Partial<TaskConfig>) => Promise<TaskConfig>;

function networkFacts(fact: Fact, { start, runs }: { start: Start; runs: string }): void {
  fact("a task joins its group's network, and so do commands inside", async (t, place, driver) => {
    const allocId = `0a1b2c3d-0000-4000-8000-${String(process.pid).padStart(12, '0')}`;
    const own = await makeNetwork(t, driver, allocId);
    execFileSync('nsenter', [`--net=${own.netnsPath}`, 'ip', 'link', 'add', 'mn-a', 'type', 'veth', 'peer', 'mn-b']);
    const hostsFile = join(place.dir, 'hosts');
    const resolvFile = join(place.dir, 'resolv');
    writeFileSync(hostsFile, '10.9.8.7 friend\n', { mode: 0o644 });
    writeFileSync(resolvFile, 'nameserver 10.9.8.6\n', { mode: 0o644 });
    const network: TaskNetwork = { mode: 'bridge', ip: '10.9.8.1', hostname: 'groupie', hostsFile, resolvFile, ...own };
    const task = await start(place, driver, `cat /proc/net/dev /etc/hosts /etc/resolv.conf; hostname; ${runs}`, {
      network,
      allocId,
    });
    await until('it told', () => place.output(task, 'stdout').includes('ready'));
    t.match(place.output(task, 'stdout'), /mn-a:/);
    if (driver.capabilities.fsIsolation !== 'none') {
      t.match(place.output(task, 'stdout'), '10.9.8.7 friend\n');
      t.match(place.output(task, 'stdout'), 'nameserver 10.9.8.6\n');
      t.match(place.output(task, 'stdout'), 'groupie\n');
    }
    const session = driver.execTask(task.id, { command: ['/bin/cat', '/proc/net/dev'], tty: false });
    t.match((await readExec(session)).stdout, /mn-b:/);
    await driver.destroyTask(task.id, { force: true });
  });
}

async function makeNetwork(
  t: Test,
  driver: Driver,
  allocId: string,
): Promise<{ netnsPath: string; labels: Record<string, string> }> {
  if (driver.createNetwork) {
    const made = await driver.createNetwork(allocId, { hostname: 'groupie' });
    t.same(await driver.createNetwork(allocId, { hostname: 'groupie' }), made, 'made once');
    t.teardown(() => driver.destroyNetwork?.(allocId, made.labels));
    return made;
  }
  const name = `mn-conform-${process.pid}`;
  execFileSync('ip', ['netns', 'add', name]);
  t.teardown(() => execFileSync('ip', ['netns', 'delete', name]));
  return { netnsPath: `/run/netns/${name}`, labels: {} };
}

/** How the task itself calls its local directory. */
function localOf(driver: Driver): (task: TaskConfig) => string {
  return (task) => (driver.capabilities.fsIsolation === 'none' ? task.localDir : '/local');
}

function openToAll(task: TaskConfig): void {
  execFileSync('chmod', ['777', task.localDir]);
}
