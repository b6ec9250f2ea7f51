import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import type { Driver } from '../../lib/plugin/sdk/driver.js';
import { findSupervisor } from '../../plugins/driver-raw-exec/binary.js';
import {
  allowedEnv,
  decodeTask,
  parseRanges,
  pluginProblems,
  type RawExecConfig,
} from '../../plugins/driver-raw-exec/config.js';
import plugin from '../../plugins/driver-raw-exec/index.js';
import { encodeSpec } from '../../plugins/driver-raw-exec/link.js';
import { decoded, endTasks, makePlace, quietStart, readExec, until } from '../support/driver-task.js';

const HOME = fileURLToPath(new URL('../../../plugins/driver-raw-exec/', import.meta.url));
const IS_ROOT = process.getuid?.() === 0;

const withDriver = (
  name: string,
  check: (t: Test, place: ReturnType<typeof makePlace>, driver: Driver<RawExecConfig>) => Promise<void>,
  options: { skip?: string | false; config?: Record<string, unknown> } = {},
): void => {
  t.test(name, { skip: options.skip || false }, async (t) => {
    const place = makePlace();
    const config = { enabled: true, ...options.config };
    const driver = plugin.create({ config, stateDir: place.stateDir, log: () => {} }) as Driver<RawExecConfig>;
    t.teardown(async () => {
      await driver.close();
      await endTasks(plugin, config, place);
    });
    await check(t, place, driver);
  });
};

t.test('the keys of Nomad are known, others refused', async (t) => {
  t.match(decodeTask({ command: 'x', oom_score_adj: '5', work_dir: '/w', cgroup_v2_override: 'a.slice' }), {
    config: { command: 'x', args: [], oom_score_adj: 5 },
  });
  t.match(decodeTask({}), { problems: [{ path: 'command', message: /missing/ }] });
  t.match(decodeTask({ command: 'x', args: 'y' }), {
    problems: [{ path: 'args', message: /must be a list, not "y"/ }],
  });
  t.match(decodeTask({ command: 'x', args: [1, true] }), { config: { args: ['1', 'true'] } });
  t.match(decodeTask({ command: 'x', cgroup_v2_override: 'a', cgroup_v1_override: [{ pids: 'b' }] }), {
    problems: [{ message: /exclude each other/ }],
  });
});

t.test('ranges of denied ids are read, and wrong ones refused', async (t) => {
  t.same(parseRanges('0, 10-99'), [
    [0, 0],
    [10, 99],
  ]);
  t.same(parseRanges(''), []);
  for (const wrong of ['a', '5-1', '1,,2', '-3']) t.equal(parseRanges(wrong), undefined, wrong);
  t.match(pluginProblems({ enabled: true, denied_host_uids: 'root' }), [{ path: 'denied_host_uids' }]);
});

t.test('denied variables are left out, by name or by their beginning', async (t) => {
  t.same(allowedEnv({ A: '1', AWS_KEY: '2', B: '3' }, ['AWS_*', 'B']), { A: '1' });
});

t.test('a NUL character is refused by the name of its variable', async (t) => {
  const spec = { program: '/x', argv: ['/x'], env: { BAD: 'a\0b' }, cwd: '/', user: null, logs: null };
  t.throws(
    () => encodeSpec({ ...spec, cgroupFiles: [], oomScoreAdj: null, netns: null, container: null }),
    /variable BAD: a NUL/,
  );
});

withDriver('disabled it says so, and nothing else', async (t) => {
  const off = plugin.create({ config: {}, stateDir: '/nowhere', log: () => {} });
  t.same(await off.fingerprint(), { health: 'undetected', healthDescription: 'disabled', attributes: {} });
});

withDriver('each way a start fails is told in words', async (t, place, driver) => {
  const script = join(place.dir, 'script');
  const start = (config: Record<string, unknown>, given = {}): Promise<unknown> =>
    driver.startTask(place.task(decoded(driver, config), given), quietStart());
  await t.rejects(start({ command: '/nowhere' }), { message: /no such file: \/nowhere; /, recoverable: false });
  await t.rejects(start({ command: 'no-such-program-here' }), /no such program: "no-such-program-here" is neither/);
  await t.rejects(start({ command: './local/x' }), /no such file: .*local\/x; a relative command/);
  await t.rejects(start({ command: '/tmp' }), /is a directory/);
  writeFileSync(script, '#!/nowhere/sh\n');
  if (!IS_ROOT) await t.rejects(start({ command: script }), /not executable/);
  chmodSync(script, 0o644);
  await t.rejects(start({ command: script }), /is not executable; give it the mode/);
  chmodSync(script, 0o755);
  await t.rejects(start({ command: script }), /interpreter of its first line/);
  writeFileSync(script, 'no program at all');
  await t.rejects(start({ command: script }), /neither a program for this machine nor a script/);
  await t.rejects(
    start({ command: '/bin/true', work_dir: '/nowhere' }),
    /working directory \/nowhere cannot be entered: ENOENT/,
  );
  await t.rejects(start({ command: '/bin/true' }, { user: 'nobody-of-that-name' }), /no user "nobody-of-that-name"/);
  await t.rejects(start({ command: '/bin/true', cgroup_v2_override: 'nowhere' }), /cgroup .* cannot be joined: E/);
  const task = { ...place.task(decoded(driver, { command: '/bin/true' })), logDir: '/nowhere' };
  await t.rejects(driver.startTask(task, quietStart()), { message: /log files/, recoverable: true });
});

withDriver(
  'arguments, variables and the directory arrive as they were given, and show in no process list',
  async (t, place, driver) => {
    const script = 'printf "%s|" "$@"; echo "$SECRET"; pwd; cat < /dev/stdin; echo to stderr >&2; sleep 600';
    const args = ['-c', script, 'sh', 'a b', '', 'ü"\n$HOME'];
    const task = place.task(decoded(driver, { command: 'sh', args }), {
      env: { PATH: process.env['PATH'] ?? '', SECRET: 'hunter2' },
    });
    const { state } = await driver.startTask(task, quietStart());
    await until('it printed', () => place.output(task, 'stderr') !== '');
    t.equal(place.output(task, 'stdout'), `a b||ü"\n$HOME|hunter2\n${task.taskDir}\n`);
    t.equal(place.output(task, 'stderr'), 'to stderr\n');
    const cmdline = readFileSync(`/proc/${state['supervisorPid']}/cmdline`, 'latin1');
    const environ = readFileSync(`/proc/${state['supervisorPid']}/environ`, 'latin1');
    t.notMatch(cmdline + environ, /hunter2|PATH/);
    t.match(cmdline, String(state['dir']));
    await driver.destroyTask(task.id, { force: true });
  },
);

withDriver('a program of the task is found before one of the node', async (t, place, driver) => {
  const task = place.task(decoded(driver, { command: 'sh' }));
  writeFileSync(join(task.localDir, 'sh'), '#!/bin/sh\necho mine\n', { mode: 0o755 });
  await driver.startTask(task, quietStart());
  await driver.waitTask(task.id);
  t.equal(place.output(task, 'stdout'), 'mine\n');
});

withDriver(
  'a task runs as its user, and denied ones are refused',
  async (t, place, driver) => {
    const task = place.task(decoded(driver, { command: '/usr/bin/id' }), { user: 'nobody' });
    chmodSync(place.dir, 0o755);
    await driver.startTask(task, quietStart());
    t.match(await driver.waitTask(task.id), { exitCode: 0 });
    t.match(place.output(task, 'stdout'), /uid=65534\(nobody\) gid=65534\(nogroup\) groups=65534\(nogroup\)/);
    const root = place.task(decoded(driver, { command: '/usr/bin/id' }));
    await t.rejects(driver.startTask(root, quietStart()), /user 0 is denied/);
  },
  { skip: IS_ROOT ? false : 'only root can become another user', config: { denied_host_uids: '0-99' } },
);

withDriver('a signal reaches the first process', async (t, place, driver) => {
  const script = 'trap "echo hup" HUP; trap "exit 9" USR1; echo ready; while :; do sleep 0.02; done';
  const task = place.task(decoded(driver, { command: 'sh', args: ['-c', script] }));
  await driver.startTask(task, quietStart());
  await until('it listens', () => place.output(task, 'stdout').includes('ready'));
  await driver.signalTask(task.id, 'SIGHUP');
  await until('it heard', () => place.output(task, 'stdout').includes('hup'));
  await driver.signalTask(task.id, 'usr1');
  t.match(await driver.waitTask(task.id), { exitCode: 9, signal: 0 });
});

withDriver('without logs output goes nowhere', async (t, place, driver) => {
  const task = place.task(decoded(driver, { command: 'sh', args: ['-c', 'echo x'] }), { logsDisabled: true });
  await driver.startTask(task, quietStart());
  t.match(await driver.waitTask(task.id), { exitCode: 0 });
  t.same(place.logFiles(task, 'stdout'), []);
});

withDriver('a line longer than a log file is cut, none is lost', async (t, place, driver) => {
  const script = 'head -c 10000 /dev/zero | tr "\\0" x; echo; echo end';
  const task = place.task(decoded(driver, { command: 'sh', args: ['-c', script] }), {
    logMaxFileSizeBytes: 1000,
    logMaxFiles: 50,
  });
  await driver.startTask(task, quietStart());
  await driver.waitTask(task.id);
  t.equal(place.output(task, 'stdout'), `${'x'.repeat(10_000)}\nend\n`);
  for (const file of place.logFiles(task, 'stdout')) t.ok(readFileSync(file).length <= 1000);
});

withDriver('a next start goes on in the newest log file', async (t, place, driver) => {
  const task = place.task(decoded(driver, { command: 'echo', args: ['once'] }));
  writeFileSync(join(task.logDir, 'web.stdout.4'), 'before\n');
  await driver.startTask(task, quietStart());
  await driver.waitTask(task.id);
  t.equal(readFileSync(join(task.logDir, 'web.stdout.4'), 'utf8'), 'before\nonce\n');
  t.notOk(existsSync(join(task.logDir, 'web.stdout.0')));
});

withDriver('a state directory with a long name does not matter', async (t, place) => {
  const stateDir = join(place.dir, 'd'.repeat(120));
  const driver = plugin.create({ config: { enabled: true }, stateDir, log: () => {} }) as Driver<RawExecConfig>;
  const task = place.task(decoded(driver, { command: 'sleep', args: ['600'] }));
  const handle = await driver.startTask(task, quietStart());
  await driver.close();
  const next = plugin.create({ config: { enabled: true }, stateDir, log: () => {} }) as Driver<RawExecConfig>;
  t.teardown(() => next.close());
  await next.recoverTask(handle, task);
  await next.destroyTask(task.id, { force: true });
  t.notOk(existsSync(String(handle.state['dir'])));
});

withDriver(
  'a command beside the task takes input, tells its code, and ends with the task',
  async (t, place, driver) => {
    const task = place.task(decoded(driver, { command: 'sleep', args: ['600'] }), {
      env: { PATH: '/bin:/usr/bin', X: 'y' },
    });
    await driver.startTask(task, quietStart());
    const cat = driver.execTask(task.id, { command: ['sh', '-c', 'cat; echo $X >&2; pwd; exit 3'], tty: false });
    cat.write({ Type: 'stdin', Data: Buffer.from('in\n') });
    cat.write({ Type: 'stdin-close' });
    t.same(await readExec(cat), { stdout: `in\n${task.taskDir}\n`, stderr: 'y\n', exitCode: 3 });
    await t.rejects(readExec(driver.execTask(task.id, { command: ['no-such-thing'], tty: false })), /no such program/);
    const deaf = driver.execTask(task.id, { command: ['sh', '-c', 'echo here; exec sleep 600'], tty: false });
    for (let i = 0; i < 64; i++) deaf.write({ Type: 'stdin', Data: Buffer.alloc(65_536) });
    await once(deaf, 'data');
    t.ok(deaf.writableLength > 32, 'what is not read waits with the sender');
    deaf.destroy();
    const long = readExec(driver.execTask(task.id, { command: ['sleep', '600'], tty: false }));
    await driver.destroyTask(task.id, { force: true });
    await long.catch(() => {});
  },
);

withDriver('a command gets a terminal, and its size', async (t, place, driver) => {
  if (!(await import('@lydell/node-pty').catch(() => undefined))) return t.comment('node-pty is not installed');
  const task = place.task(decoded(driver, { command: 'sleep', args: ['600'] }));
  await driver.startTask(task, quietStart());
  const session = driver.execTask(task.id, {
    command: ['sh', '-c', 'read x; stty size; test -t 0 && exit 4'],
    tty: true,
  });
  session.write({ Type: 'resize', Height: 33, Width: 99 });
  session.write({ Type: 'stdin', Data: Buffer.from('go\n') });
  const result = await readExec(session);
  t.match(result.stdout, '33 99');
  t.equal(result.exitCode, 4);
  for (let round = 0; round < 10; round++) {
    const long = await readExec(driver.execTask(task.id, { command: ['seq', '1', '100000'], tty: true }));
    t.equal(long.stdout.slice(-8), '100000\r\n', 'long output comes to its end');
  }
  await driver.destroyTask(task.id, { force: true });
});

withDriver('a link or a pipe in the place of a log is not written to', async (t, place, driver) => {
  const task = place.task(decoded(driver, { command: '/bin/echo', args: ['mine'] }));
  const host = join(place.dir, 'host');
  writeFileSync(host, 'host\n');
  symlinkSync(host, join(task.logDir, 'web.stdout.0'));
  execFileSync('mkfifo', [join(task.logDir, 'web.stderr.0')]);
  await driver.startTask(task, quietStart());
  t.match(await driver.waitTask(task.id), { exitCode: 0 });
  t.equal(readFileSync(host, 'utf8'), 'host\n');
  t.equal(readFileSync(join(task.logDir, 'web.stdout.0'), 'utf8'), 'mine\n');
  t.ok(lstatSync(join(task.logDir, 'web.stderr.0')).isFile());
});

t.test('a supervisor that lost its mode is copied, one that is missing is compiled or said to be', async (t) => {
  const dir = mkdtempSync('/tmp/meshnomad-binary-');
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const prebuilt = join(HOME, `prebuilt/linux-${process.arch}/meshnomad-supervisor`);
  t.same(await findSupervisor(dir), { path: prebuilt });

  const unpacked = join(dir, 'unpacked');
  cpSync(join(HOME, 'prebuilt'), join(unpacked, 'prebuilt'), { recursive: true });
  chmodSync(join(unpacked, `prebuilt/linux-${process.arch}/meshnomad-supervisor`), 0o644);
  const copied = await findSupervisor(join(dir, 'a'), unpacked);
  t.same(copied, { path: join(dir, 'a/bin/meshnomad-supervisor') });
  t.ok(readFileSync(join(dir, 'a/bin/meshnomad-supervisor')).equals(readFileSync(prebuilt)));
  const atOnce = await Promise.all(Array.from({ length: 8 }, () => findSupervisor(join(dir, 'many'), unpacked)));
  for (const found of atOnce) t.same(found, { path: join(dir, 'many/bin/meshnomad-supervisor') });

  t.match(await findSupervisor(join(dir, 'b'), join(dir, 'nothing')), {
    missing: /could be compiled \(install a C compiler\)/,
  });

  const compiler = await promisify(execFile)('cc', ['--version']).catch(() => undefined);
  if (!compiler) return t.comment('cc is not installed: nothing compiled');
  cpSync(join(HOME, 'supervisor'), join(dir, 'sources/supervisor'), { recursive: true });
  const compiled = await findSupervisor(join(dir, 'c'), join(dir, 'sources'));
  t.same(compiled, { path: join(dir, 'c/bin/meshnomad-supervisor') });
  const run = promisify(execFile)(join(dir, 'c/bin/meshnomad-supervisor'), []);
  await t.rejects(run, { code: 2 }, 'it runs, and wants a directory');
});

t.test('the prebuilt supervisors were made from the sources that lie here', async (t) => {
  const sources = ['supervisor.h', 'main.c', 'spec.c', 'log.c', 'tree.c', 'container.c', 'build.sh'];
  const hash = createHash('sha256');
  for (const name of sources) hash.update(readFileSync(join(HOME, 'supervisor', name)));
  const build = readFileSync(join(HOME, 'prebuilt/BUILD'), 'utf8');
  t.equal(/^sources (\w+)$/m.exec(build)?.[1], hash.digest('hex'), 'run plugins/driver-raw-exec/supervisor/build.sh');
  for (const arch of ['x64', 'arm64']) {
    const size = readFileSync(join(HOME, `prebuilt/linux-${arch}/meshnomad-supervisor`)).length;
    t.ok(size > 10_000 && size < 100_000, `${arch}: ${size} bytes`);
  }
  let compiler = '';
  try {
    compiler = execFileSync('musl-gcc', ['-dumpfullversion'], { stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  } catch {
    return t.comment('musl-gcc is not installed: not rebuilt');
  }
  if (!build.includes(`x64 ${compiler}\n`)) return t.comment(`musl-gcc is another one (${compiler}): not rebuilt`);
  const dir = mkdtempSync('/tmp/meshnomad-build-');
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  execFileSync('sh', [join(HOME, 'supervisor/build.sh')], { env: { ...process.env, MUSL_ARM64: '', PREBUILT: dir } });
  const fresh = readFileSync(join(dir, 'linux-x64/meshnomad-supervisor'));
  t.ok(fresh.equals(readFileSync(join(HOME, 'prebuilt/linux-x64/meshnomad-supervisor'))), 'the same bytes');
});
