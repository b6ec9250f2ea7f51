import { mkdir, rmdir, stat, writeFile } from 'node:fs/promises';
import { platform } from 'node:os';
import { basename, isAbsolute, join } from 'node:path';
import { type Cgroups, findCgroups } from '../../lib/plugin/sdk/cgroup-tree.js';
import { decodeFields } from '../../lib/plugin/sdk/config-schema.js';
import {
  type Driver,
  type DriverCapabilities,
  DriverError,
  type DriverFingerprint,
  type DriverOptions,
  type DriverPlugin,
  type ExitResult,
  type TaskConfig,
  type TaskHandle,
} from '../../lib/plugin/sdk/driver.js';
import { cgroupUsage, limitsSwap, oomKills } from '../driver-raw-exec/cgroup.js';
import { allowedEnv, ensureAllowedUser } from '../driver-raw-exec/config.js';
import type { ExecCommand } from '../driver-raw-exec/exec.js';
import type { StartFailure } from '../driver-raw-exec/link.js';
import { findUser, type TaskUser } from '../driver-raw-exec/lookup.js';
import { digest, type SupervisedState } from '../driver-raw-exec/records.js';
import { type Launch, logsOf, type RunningTask, SupervisedDriver } from '../driver-raw-exec/supervised.js';
import { ociSpec, processOf } from './bundle.js';
import { chrootMounts } from './chroot.js';
import { decodeTask, type ExecConfig, type ExecOptions, PLUGIN_FIELDS, pluginProblems } from './config.js';
import { findDevices, refuseUnshared, resolvText } from './host.js';
import { beginExec } from './inside.js';
import { Container, findRuntime, type Runtime } from './runtime.js';

/** Runs programs of the node in a container made of its own files: namespaces, a root in the task's directory, cgroups. */
const plugin: DriverPlugin = {
  name: 'exec',
  configProblems: pluginProblems,
  create: (options) => new ExecDriver(options),
};
export default plugin;

/** Whom a task runs as when its job names nobody. */
const DEFAULT_USER = 'nobody';
/** Gone after a restart of the machine, as the containers are; in memory, since bundles hold what tasks have as secrets. */
const RUN_DIR = '/run/meshnomad';

/** What the machine has for this driver. */
interface Machine {
  cgroups: Cgroups;
  runtime: Runtime;
}

class ExecDriver extends SupervisedDriver<ExecConfig> {
  readonly name = 'exec';
  readonly #options: ExecOptions;
  readonly #runDir: string;
  #machine: Machine | undefined;

  constructor(options: DriverOptions) {
    super(options);
    const decoded = decodeFields(PLUGIN_FIELDS, options.config);
    if ('problems' in decoded) throw new DriverError(decoded.problems[0]?.message ?? '', { recoverable: false });
    this.#options = decoded.config;
    this.#runDir = join(RUN_DIR, `exec-${digest(options.stateDir)}`);
  }

  get capabilities(): DriverCapabilities {
    return {
      sendSignals: true,
      exec: true,
      fsIsolation: 'chroot',
      buildsRoot: true,
      defaultUser: DEFAULT_USER,
      joinsNetwork: true,
      cgroupParent: this.#options.cgroup_parent,
    };
  }

  decodeConfig(config: Record<string, unknown>): ReturnType<Driver<ExecConfig>['decodeConfig']> {
    return decodeTask(config);
  }

  async fingerprint(): Promise<DriverFingerprint> {
    const found = await this.#findMachine();
    if ('missing' in found) return { health: 'undetected', healthDescription: found.missing, attributes: {} };
    const { runtime } = found;
    const attributes = {
      'driver.exec': '1',
      'driver.exec.runtime': runtime.name,
      'driver.exec.runtime.version': runtime.version,
      'driver.exec.seccomp': String(runtime.filtersCalls),
    };
    return { health: 'healthy', healthDescription: 'Healthy', attributes };
  }

  override async recoverTask(handle: TaskHandle, task: TaskConfig<ExecConfig>): Promise<void> {
    // What the task uses is read without waiting later on.
    await this.#need();
    await super.recoverTask(handle, task);
  }

  protected async launch(task: TaskConfig<ExecConfig>, dir: string): Promise<Launch> {
    const { cgroups, runtime } = await this.#need();
    const container = new Container(this.#runDir, basename(dir));
    const program = await programInside(task);
    const user = await this.#userOf(task);
    await refuseUnshared(task);
    await mkdir(container.dir, { recursive: true, mode: 0o700 });
    const spec = ociSpec(task, {
      options: this.#options,
      user,
      env: this.#envOf(task),
      program,
      chroot: await chrootMounts(task.taskDir, this.#options.chroot_env),
      devices: await findDevices(task.deviceNodes),
      hostsFile: task.network?.hostsFile ?? null,
      resolvFile: task.network?.resolvFile ?? (await ownResolvFile(task, container.dir)),
      cgroup: this.#cgroupOf(dir),
      limitsSwap: limitsSwap(cgroups),
      filtersCalls: runtime.filtersCalls,
    });
    await writeFile(join(container.dir, 'config.json'), JSON.stringify(spec), { mode: 0o600 });
    return {
      explain: (failure) => explain(failure, container, task.config.command),
      spec: {
        program: runtime.path,
        argv: container.createArgv(runtime, { noPivot: this.#options.no_pivot_root }),
        env: { PATH: process.env['PATH'] ?? '' },
        cwd: container.dir,
        user: null,
        logs: logsOf(task),
        cgroupFiles: [],
        oomScoreAdj: null,
        netns: null,
        container: { startArgv: container.startArgv(runtime), pidFile: container.pidFile },
      },
    };
  }

  protected usage({ state, sample }: RunningTask<ExecConfig>): ReturnType<typeof cgroupUsage> {
    if (!this.#machine) throw new DriverError('the cgroups of this machine are not known yet', { recoverable: true });
    return cgroupUsage(this.#machine.cgroups, this.#cgroupOf(state.dir), sample);
  }

  protected async execCommand(found: RunningTask<ExecConfig>, command: string[], tty: boolean): Promise<ExecCommand> {
    const { runtime } = await this.#need();
    const { task, state } = found;
    const own = processOf(task, {
      options: this.#options,
      user: await this.#userOf(task),
      env: this.#envOf(task),
      devices: await findDevices(task.deviceNodes),
    });
    return beginExec(runtime, new Container(this.#runDir, basename(state.dir)), {
      ...own,
      terminal: tty,
      args: command,
    });
  }

  protected override async judge(state: SupervisedState, exit: ExitResult): Promise<ExitResult> {
    const cgroups = this.#machine?.cgroups ?? findCgroups();
    if (exit.exitCode === 0 || !cgroups) return exit;
    return { ...exit, oomKilled: oomKills(cgroups, this.#cgroupOf(state.dir)) > 0 };
  }

  protected override async clear(dir: string): Promise<void> {
    const container = new Container(this.#runDir, basename(dir));
    // Nothing of it was made, or the machine was restarted since.
    if (!(await stat(container.dir).catch(() => undefined))) return;
    const found = await this.#findMachine();
    if ('missing' in found) throw new DriverError(found.missing, { recoverable: true });
    await container.remove(found.runtime);
  }

  override async close(): Promise<void> {
    await super.close();
    // What is in use is not empty.
    for (const dir of ['bundles', 'state', '']) await rmdir(join(this.#runDir, dir)).catch(() => {});
  }

  async #findMachine(): Promise<Machine | { missing: string }> {
    if (platform() !== 'linux') return { missing: `exec needs Linux; this is ${platform()}` };
    if (process.getuid?.() !== 0) {
      return { missing: 'exec needs an agent that runs as root, for namespaces and cgroups; this one does not' };
    }
    if (this.#machine) return this.#machine;
    const cgroups = findCgroups();
    if (!cgroups) return { missing: 'exec needs control groups; none are mounted at /sys/fs/cgroup' };
    const binary = await this.supervisor();
    if ('missing' in binary) return binary;
    const runtime = await findRuntime(this.#options.runtime, cgroups);
    if ('missing' in runtime) return runtime;
    this.#machine = { cgroups, runtime };
    return this.#machine;
  }

  async #need(): Promise<Machine> {
    const found = await this.#findMachine();
    if ('missing' in found) throw new DriverError(found.missing, { recoverable: false });
    return found;
  }

  /** Beside each other in the agent's own group, each start with its own. */
  #cgroupOf(dir: string): string {
    return join('/', this.#options.cgroup_parent, basename(dir));
  }

  #envOf(task: TaskConfig<ExecConfig>): Record<string, string> {
    return allowedEnv(task.env, [...this.#options.denied_envvars, ...task.config.denied_envvars]);
  }

  async #userOf(task: TaskConfig<ExecConfig>): Promise<TaskUser> {
    const user = await findUser(task.user || DEFAULT_USER);
    ensureAllowedUser(this.#options, user);
    return user;
  }
}

/**
 * The program as the task sees it: an absolute path as it is; else a file in the task's local directory or in its root;
 * a bare name that is neither is looked up by the runtime in the task's PATH.
 */
async function programInside({ config, localDir, taskDir }: TaskConfig<ExecConfig>): Promise<string> {
  const { command } = config;
  if (isAbsolute(command)) return command;
  const isFile = async (path: string): Promise<boolean> => (await stat(path).catch(() => undefined))?.isFile() === true;
  if (await isFile(join(localDir, command))) return join('/local', command);
  if (await isFile(join(taskDir, command))) return join('/', command);
  if (!command.includes('/')) return command;
  const message = `no such file: ${command}; a relative command is looked up in the task's directory and its local/`;
  throw new DriverError(message, { recoverable: false });
}

async function ownResolvFile(task: TaskConfig, dir: string): Promise<string | null> {
  if (!task.dns) return null;
  const path = join(dir, 'resolv.conf');
  await writeFile(path, await resolvText(task.dns), { mode: 0o644 });
  return path;
}

async function explain({ stage, code }: StartFailure, container: Container, command: string): Promise<DriverError> {
  if (stage === 'log') return new DriverError(`the task's log files cannot be opened: ${code}`, { recoverable: true });
  const complaint = await container.complaint();
  if (complaint === '') {
    return new DriverError(`${command} cannot start: ${stage} failed with ${code}`, { recoverable: true });
  }
  // What is wrong with the job does not get better by itself.
  const isJob = /exec: |executable file not found|no such file|permission denied|chdir|cwd/.test(complaint);
  const reason = complaint.replace(/^.*?(unable to start container process: |container_linux\.go:\d+: )/, '');
  return new DriverError(`${command} cannot start: ${reason}`, { recoverable: !isJob });
}
