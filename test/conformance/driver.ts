import { existsSync } from 'node:fs';
import t, { type Test } from 'tap';
import type { Driver } from '../../lib/plugin/sdk/driver.js';
import {
  type DriverOpener,
  type DriverPlace,
  decoded,
  endTasks,
  makePlace,
  quietStart,
  readExec,
  until,
} from '../support/driver-task.js';
import { insideConformance } from './driver-inside.js';

/** What the suite needs to know of a driver: configs of tasks that do this or that. */
export interface DriverUnderTest {
  plugin: DriverOpener;
  config: Record<string, unknown>;
  programs: {
    /** Ends at once with this code. */
    exits: (code: number) => Record<string, unknown>;
    /** Goes on until it is asked to end, and then ends. */
    runs: Record<string, unknown>;
    /** Goes on for this long by itself, and ends with 0. */
    runsFor: (ms: number) => Record<string, unknown>;
    /** Does not heed the stop signal from the moment it prints `ready`; `silentDriver`: from its start. */
    stubborn: Record<string, unknown>;
    /** Prints this many lines `line 1` … to stdout, and ends. */
    prints: (lines: number) => Record<string, unknown>;
    /** Cannot start, for a reason whose text matches. */
    fails: { config: Record<string, unknown>; message: RegExp };
  };
  /** A misspelt key of the task's config and the right one. */
  misspelt: { config: Record<string, unknown>; wrong: string; right: string };
  exec: { command: string[]; stdout: string };
  /** What signal the stubborn task ends with in the end, as exit code. */
  killedCode: number;
  /** Its tasks print nothing unless they are told to. */
  silentDriver?: true;
  /** The plugin's folder in plugins/, for an agent in a process of its own. */
  folder?: string;
  /** The config of a task that runs a shell's script; absent for a driver without processes. */
  shell?: (script: string) => Record<string, unknown>;
  /** What of the contract it honours beyond processes and their output. */
  offers?: {
    mounts?: boolean;
    devices?: boolean;
    network?: boolean;
    /** Ends a task that outgrows its memory. */
    memory?: boolean;
    cores?: boolean;
  };
}

/** Runs the facts that hold of every driver, and of those with a `shell` the ones about their processes. */
export function driverConformance(name: string, under: DriverUnderTest): void {
  const open = async (place: DriverPlace): Promise<Driver> =>
    under.plugin.create({ config: under.config, stateDir: place.stateDir, log: () => {} });

  const fact = (text: string, check: (t: Test, place: DriverPlace, driver: Driver) => Promise<void>): void => {
    t.test(`${name}: ${text}`, async (t) => {
      const place = makePlace();
      const driver = await open(place);
      t.teardown(async () => {
        await driver.close();
        await endTasks(under.plugin, under.config, place);
      });
      await check(t, place, driver);
    });
  };
  const { programs } = under;

  fact('its fingerprint is healthy and names it', async (t, _place, driver) => {
    const found = await driver.fingerprint();
    t.equal(found.health, 'healthy', found.healthDescription);
    t.equal(found.attributes[`driver.${driver.name}`], '1');
  });

  fact('an unknown key of the config is refused with the nearest known one', async (t, _place, driver) => {
    const result = driver.decodeConfig(under.misspelt.config);
    t.match(result, { problems: [{ path: under.misspelt.wrong }] });
    t.match('problems' in result && result.problems[0]?.message, `did you mean "${under.misspelt.right}"`);
  });

  for (const code of [0, 3]) {
    fact(`the exit code ${code} is told`, async (t, place, driver) => {
      const task = place.task(decoded(driver, programs.exits(code)));
      const handle = await driver.startTask(task, quietStart());
      t.match(handle, { driver: driver.name, taskId: task.id });
      t.same(JSON.parse(JSON.stringify(handle)), handle, 'the handle is JSON');
      t.match(await driver.waitTask(task.id), { exitCode: code, signal: 0, oomKilled: false });
      t.match(await driver.waitTask(task.id), { exitCode: code }, 'also to who asks later');
      await driver.destroyTask(task.id, { force: false });
      await driver.destroyTask(task.id, { force: false });
    });
  }

  fact('a start that cannot be says why', async (t, place, driver) => {
    const task = place.task(decoded(driver, programs.fails.config));
    await t.rejects(driver.startTask(task, quietStart()), { name: 'DriverError', message: programs.fails.message });
    await driver.destroyTask(task.id, { force: true });
  });

  fact('a stop asks, and the task ends', async (t, place, driver) => {
    const task = place.task(decoded(driver, programs.runs));
    await driver.startTask(task, quietStart());
    await t.rejects(driver.destroyTask(task.id, { force: false }), /still running/);
    await driver.stopTask(task.id, { timeoutMs: 20_000, signal: '' });
    t.equal((await driver.waitTask(task.id)).oomKilled, false);
    await driver.stopTask(task.id, { timeoutMs: 20_000, signal: '' });
    await driver.destroyTask(task.id, { force: false });
  });

  fact('a task that does not heed is killed after the timeout', async (t, place, driver) => {
    const task = place.task(decoded(driver, programs.stubborn));
    await driver.startTask(task, quietStart());
    // Before it, the first process of a container is the runtime's own: a signal ends that with code 2.
    if (!under.silentDriver) await until('the task is ready', () => place.output(task, 'stdout').includes('ready'));
    const began = performance.now();
    await driver.stopTask(task.id, { timeoutMs: 200, signal: '' });
    t.ok(performance.now() - began >= 190, 'it was given the time');
    t.match(await driver.waitTask(task.id), { exitCode: under.killedCode });
  });

  fact('an unknown signal is refused by name, a known one is delivered', async (t, place, driver) => {
    const task = place.task(decoded(driver, programs.runs));
    await driver.startTask(task, quietStart());
    await t.rejects(driver.signalTask(task.id, 'SIGHUPP'), /did you mean "SIGHUP"/);
    await driver.signalTask(task.id, 'SIGKILL');
    t.match(await driver.waitTask(task.id), { exitCode: 137 });
    await t.rejects(driver.signalTask(task.id, 'SIGHUP'), /ended/);
  });

  fact('output goes to rotated files, and no line is lost or cut from its order', async (t, place, driver) => {
    const task = place.task(decoded(driver, programs.prints(2000)), { logMaxFileSizeBytes: 4096, logMaxFiles: 100 });
    await driver.startTask(task, quietStart());
    await driver.waitTask(task.id);
    const expected = Array.from({ length: 2000 }, (_, i) => `line ${i + 1}\n`).join('');
    await until('all output is there', () => place.output(task, 'stdout').length >= expected.length);
    t.equal(place.output(task, 'stdout'), expected);
    const files = place.logFiles(task, 'stdout');
    t.ok(files.length >= expected.length / 4096, 'no file is larger than allowed');
  });

  fact('old log files are removed', async (t, place, driver) => {
    const task = place.task(decoded(driver, programs.prints(2000)), { logMaxFileSizeBytes: 2048, logMaxFiles: 3 });
    await driver.startTask(task, quietStart());
    await driver.waitTask(task.id);
    await until('the last line is there', () => place.output(task, 'stdout').endsWith('line 2000\n'));
    t.equal(place.logFiles(task, 'stdout').length, 3);
  });

  fact('a running task is taken up by the next agent', async (t, place, driver) => {
    const task = place.task(decoded(driver, programs.runs));
    const handle = JSON.parse(JSON.stringify(await driver.startTask(task, quietStart())));
    await driver.close();
    const next = await open(place);
    t.teardown(() => next.close());
    await next.recoverTask(handle, task);
    await next.recoverTask(handle, task);
    await next.taskStats(task.id);
    await next.signalTask(task.id, 'SIGKILL');
    t.match(await next.waitTask(task.id), { exitCode: 137 });
    await next.destroyTask(task.id, { force: false });
  });

  fact('a task that ended while no agent ran gives its exit to the next one', async (t, place, driver) => {
    const task = place.task(decoded(driver, programs.runsFor(300)));
    const handle = await driver.startTask(task, quietStart());
    await driver.close();
    await new Promise((resolve) => setTimeout(resolve, 600));
    const next = await open(place);
    t.teardown(() => next.close());
    await next.recoverTask(handle, task);
    t.match(await next.waitTask(task.id), { exitCode: 0, signal: 0 });
    await next.destroyTask(task.id, { force: false });
  });

  fact('a handle of something else is refused', async (t, place, driver) => {
    const task = place.task(decoded(driver, programs.runs));
    const handle = { driver: 'other', version: 99, taskId: task.id, state: {} };
    await t.rejects(driver.recoverTask(handle, task), { name: 'DriverError' });
    t.throws(() => driver.execTask(task.id, { command: ['true'], tty: false }), /not known/);
  });

  fact('a command runs beside the task', async (t, place, driver) => {
    const task = place.task(decoded(driver, programs.runs));
    await driver.startTask(task, quietStart());
    const session = driver.execTask(task.id, { command: under.exec.command, tty: false });
    const result = await readExec(session);
    t.match(result, { stdout: under.exec.stdout, exitCode: 0 });
    await driver.destroyTask(task.id, { force: true });
  });

  fact('usage is told in the shape of the API', async (t, place, driver) => {
    const task = place.task(decoded(driver, programs.runs));
    await driver.startTask(task, quietStart());
    const usage = await driver.taskStats(task.id);
    t.type(usage.ResourceUsage.MemoryStats.RSS, 'number');
    t.type(usage.ResourceUsage.CpuStats.Percent, 'number');
    t.ok(usage.Timestamp > 1e18, 'in nanoseconds');
    await driver.destroyTask(task.id, { force: true });
    await t.rejects(driver.waitTask(task.id), { name: 'DriverError' });
    t.ok(existsSync(task.logDir), 'what it printed stays');
  });

  insideConformance(fact, under);
}
