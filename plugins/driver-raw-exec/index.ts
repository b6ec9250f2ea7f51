import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeFields } from '../../lib/plugin/sdk/config-schema.js';
import {
  type Driver,
  DriverError,
  type DriverOptions,
  type DriverPlugin,
  type ExitResult,
  type TaskConfig,
  type TaskHandle,
} from '../../lib/plugin/sdk/driver.js';
import { signalNumber } from '../../lib/plugin/sdk/signals.js';
import type { TaskResourceUsage } from '../../lib/structs/rpc.js';
import { findSupervisor, type SupervisorBinary } from './binary.js';
import {
  allowedEnv,
  decodeTask,
  PLUGIN_FIELDS,
  parseRanges,
  pluginProblems,
  type RawExecConfig,
  type RawExecOptions,
} from './config.js';
import { type ExecCommand, runExec } from './exec.js';
import { StartFailure, SupervisorLink, type SupervisorSpec } from './link.js';
import { findProgram, findUser, startFailure, type TaskUser } from './lookup.js';
import { killSession, readProcess, treeUsage, type UsageSample } from './processes.js';

/** Runs programs of the node itself, without isolation, each under a tiny supervisor that outlives the agent. */
const plugin: DriverPlugin = {
  name: 'raw_exec',
  configProblems: pluginProblems,
  create: (options) => new RawExecDriver(options),
};
export default plugin;

const HANDLE_VERSION = 1;
/** What a task is asked to end with when its job says nothing. */
const STOP_SIGNAL = 'SIGINT';

/** What finds a task again, in `TaskHandle.state`. */
interface RawExecState {
  dir: string;
  supervisorPid: number;
  taskPid: number;
  /** When the task's first process started, in ticks since boot: tells it from a later process of the same number. */
  startTicks: number;
  bootId: string;
}

interface RunningTask {
  task: TaskConfig<RawExecConfig>;
  state: RawExecState;
  link: SupervisorLink | null;
  exit: Promise<ExitResult>;
  hasEnded: boolean;
  sample: UsageSample | undefined;
  /** Ends the commands that run beside the task. */
  execs: Set<() => void>;
}

class RawExecDriver implements Driver<RawExecConfig> {
  readonly name = 'raw_exec';
  readonly capabilities = { sendSignals: true, exec: true, fsIsolation: 'none' as const };
  readonly #options: RawExecOptions;
  readonly #stateDir: string;
  readonly #log: DriverOptions['log'];
  readonly #tasks = new Map<string, RunningTask>();
  /** The directories of the tasks that are known here or being started. */
  readonly #dirs = new Set<string>();
  #binary: Promise<SupervisorBinary> | undefined;
  #isClosed = false;

  constructor(options: DriverOptions) {
    const decoded = decodeFields(PLUGIN_FIELDS, options.config);
    if ('problems' in decoded) throw new DriverError(decoded.problems[0]?.message ?? '', { recoverable: false });
    this.#options = decoded.config;
    this.#stateDir = options.stateDir;
    this.#log = options.log;
  }

  decodeConfig(config: Record<string, unknown>): ReturnType<Driver<RawExecConfig>['decodeConfig']> {
    return decodeTask(config);
  }

  async fingerprint(): ReturnType<Driver['fingerprint']> {
    if (!this.#options.enabled) return { health: 'undetected', healthDescription: 'disabled', attributes: {} };
    const binary = await this.#supervisor();
    if ('missing' in binary) return { health: 'undetected', healthDescription: binary.missing, attributes: {} };
    return { health: 'healthy', healthDescription: 'Healthy', attributes: { 'driver.raw_exec': '1' } };
  }

  async startTask(
    task: TaskConfig<RawExecConfig>,
    options: Parameters<Driver<RawExecConfig>['startTask']>[1],
  ): Promise<TaskHandle> {
    const binary = await this.#supervisor();
    if ('missing' in binary) throw new DriverError(binary.missing, { recoverable: false });
    const env = this.#envOf(task);
    const user = await this.#userOf(task);
    const program = await findProgram(task.config.command, { ...task, path: env['PATH'] });
    const cwd = workDir(task);
    await this.#killForgotten(dirPrefix(task));
    const dir = join(this.#stateDir, 'tasks', dirName(task));
    this.#dirs.add(dir);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    try {
      const { link, supervisorPid } = await SupervisorLink.start(binary.path, {
        dir,
        signal: options.signal,
        spec: {
          program,
          argv: [program, ...task.config.args],
          env,
          cwd,
          user,
          logs: task.logsDisabled ? null : logsOf(task),
          cgroupFiles: cgroupFiles(task.config),
          oomScoreAdj: task.config.oom_score_adj === 0 ? null : task.config.oom_score_adj,
        },
      });
      const startTicks = readProcess(link.taskPid)?.startTicks ?? 0;
      const state = { dir, supervisorPid, taskPid: link.taskPid, startTicks, bootId: await bootId() };
      this.#follow(task, state, link);
      return { driver: this.name, version: HANDLE_VERSION, taskId: task.id, state: { ...state } };
    } catch (error) {
      await rm(dir, { recursive: true, force: true });
      this.#dirs.delete(dir);
      if (error instanceof StartFailure) throw startFailure(error.stage, error.code, program, cwd);
      if (error instanceof DriverError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new DriverError(`${program} cannot start: ${reason}`, { recoverable: true, cause: error });
    }
  }

  async recoverTask(handle: TaskHandle, task: TaskConfig<RawExecConfig>): Promise<void> {
    if (this.#tasks.has(handle.taskId)) return;
    const state = parseState(handle);
    if (!state) {
      const message = `task ${handle.taskId}: its handle (version ${handle.version}) is not one of raw_exec's`;
      throw new DriverError(message, { recoverable: false });
    }
    const link = await connectIfThere(state.dir);
    // Without a supervisor there must be its record; it is written before the connection can be refused.
    if (!link && !(await readExit(state.dir))) {
      await this.#killRest(state);
      await rm(state.dir, { recursive: true, force: true });
      const message = `task ${handle.taskId} is gone: its supervisor ended without a record (killed, or the machine restarted)`;
      throw new DriverError(message, { recoverable: false });
    }
    this.#follow(task, state, link);
  }

  async waitTask(taskId: string): Promise<ExitResult> {
    return this.#find(taskId).exit;
  }

  async stopTask(taskId: string, options: { timeoutMs: number; signal: string }): Promise<void> {
    const found = this.#find(taskId);
    const number = signalNumber(options.signal || STOP_SIGNAL);
    if (!found.hasEnded && found.link && options.timeoutMs > 0) {
      // A task that ends at this very moment refuses the signal, and has what it was asked for.
      await found.link.signal(number).catch(() => {});
      const timeout = new AbortController();
      await Promise.race([found.exit, sleep(options.timeoutMs, undefined, { signal: timeout.signal }).catch(() => {})]);
      timeout.abort();
    }
    found.link?.kill();
    await found.exit;
  }

  async destroyTask(taskId: string, options: { force: boolean }): Promise<void> {
    const found = this.#tasks.get(taskId);
    if (!found) return;
    if (!found.hasEnded) {
      if (!options.force) {
        throw new DriverError(`task ${taskId} is still running; stop it first`, { recoverable: false });
      }
      found.link?.kill();
      await found.exit;
    }
    await rm(found.state.dir, { recursive: true, force: true });
    this.#dirs.delete(found.state.dir);
    this.#tasks.delete(taskId);
  }

  async signalTask(taskId: string, signal: string): Promise<void> {
    const found = this.#find(taskId);
    const number = signalNumber(signal);
    if (found.hasEnded || !found.link) throw new DriverError(`task ${taskId} has ended`, { recoverable: false });
    await found.link.signal(number);
  }

  async taskStats(taskId: string): Promise<TaskResourceUsage> {
    const found = this.#find(taskId);
    if (found.hasEnded) throw new DriverError(`task ${taskId} has ended`, { recoverable: false });
    const { usage, sample } = treeUsage(found.state.supervisorPid, found.sample);
    found.sample = sample;
    return usage;
  }

  execTask(taskId: string, options: { command: string[]; tty: boolean }): Duplex {
    const found = this.#find(taskId);
    const { task } = found;
    const [command = '', ...args] = options.command;
    const prepare = async (): Promise<ExecCommand> => {
      if (found.hasEnded) throw new DriverError(`task ${taskId} has ended`, { recoverable: false });
      const env = this.#envOf(task);
      const program = await findProgram(command, { ...task, path: env['PATH'] });
      return { program, args, env, cwd: workDir(task), user: await this.#userOf(task) };
    };
    let kill: (() => void) | undefined;
    return runExec(prepare(), {
      tty: options.tty,
      onStart(killExec) {
        kill = killExec;
        found.execs.add(killExec);
      },
      onEnd() {
        if (kill) found.execs.delete(kill);
      },
    });
  }

  reapUnknown(): Promise<string[]> {
    return this.#killForgotten('');
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { link, execs } of this.#tasks.values()) {
      for (const kill of execs) kill();
      link?.close();
    }
    this.#tasks.clear();
  }

  #supervisor(): Promise<SupervisorBinary> {
    this.#binary ??= findSupervisor(this.#stateDir);
    return this.#binary;
  }

  #find(taskId: string): RunningTask {
    const found = this.#tasks.get(taskId);
    if (!found) throw new DriverError(`task ${taskId} is not known to raw_exec`, { recoverable: false });
    return found;
  }

  #envOf(task: TaskConfig<RawExecConfig>): Record<string, string> {
    return allowedEnv(task.env, [...this.#options.denied_envvars, ...task.config.denied_envvars]);
  }

  async #userOf(task: TaskConfig<RawExecConfig>): Promise<TaskUser | null> {
    const user = task.user === '' ? null : await findUser(task.user);
    const uid = user?.uid ?? process.getuid?.() ?? 0;
    const gids = user?.groups ?? [process.getgid?.() ?? 0];
    const isIn = (ranges: string, id: number): boolean =>
      parseRanges(ranges)?.some(([from, to]) => id >= from && id <= to) === true;
    if (isIn(this.#options.denied_host_uids, uid)) {
      throw new DriverError(`running as user ${uid} is denied by denied_host_uids`, { recoverable: false });
    }
    const denied = gids.find((gid) => isIn(this.#options.denied_host_gids, gid));
    if (denied !== undefined) {
      throw new DriverError(`running as group ${denied} is denied by denied_host_gids`, { recoverable: false });
    }
    return user;
  }

  #follow(task: TaskConfig<RawExecConfig>, state: RawExecState, link: SupervisorLink | null): void {
    const found: RunningTask = {
      task,
      state,
      link,
      hasEnded: false,
      sample: undefined,
      execs: new Set(),
      exit: new Promise((resolve) => {
        const settle = async (): Promise<void> => {
          // Closing the driver ends the connection too; the task then goes on, and nobody is told anything.
          if (this.#isClosed) return;
          const exit = (await readExit(state.dir)) ?? (await this.#lost(task, state));
          found.hasEnded = true;
          for (const kill of found.execs) kill();
          resolve(exit);
        };
        void (link?.closed ?? Promise.resolve()).then(settle);
      }),
    };
    this.#dirs.add(state.dir);
    this.#tasks.set(task.id, found);
  }

  async #lost(task: TaskConfig<RawExecConfig>, state: RawExecState): Promise<ExitResult> {
    await this.#killRest(state);
    this.#log('error', 'the supervisor of a task ended without a record', { task: task.id, pid: state.supervisorPid });
    const error = 'the supervisor of the task was killed, and the task with it';
    return { exitCode: 137, signal: 9, oomKilled: false, error };
  }

  async #killRest(state: RawExecState): Promise<void> {
    if (state.bootId === (await bootId())) killSession({ pid: state.taskPid, startTicks: state.startTicks });
  }

  /** A crash between a start and the record of its handle leaves a task that nobody knows: it must not run twice. */
  async #killForgotten(prefix: string): Promise<string[]> {
    const tasksDir = join(this.#stateDir, 'tasks');
    const killed: string[] = [];
    for (const name of await readdir(tasksDir).catch(() => [])) {
      const dir = join(tasksDir, name);
      if (!name.startsWith(prefix) || this.#dirs.has(dir)) continue;
      const link = await connectIfThere(dir);
      link?.kill();
      await link?.closed;
      await rm(dir, { recursive: true, force: true });
      if (!link) continue;
      this.#log('warn', 'a task whose start was never recorded is killed', { dir, pid: link.taskPid });
      killed.push(`process ${link.taskPid} (${name})`);
    }
    return killed;
  }
}

/** Null when no supervisor listens there. Throws a recoverable DriverError when that cannot be said, which is no reason to kill. */
async function connectIfThere(dir: string): Promise<SupervisorLink | null> {
  try {
    return await SupervisorLink.connect(dir);
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    // EPIPE: it was just about to end; its record tells.
    if (code === 'ENOENT' || code === 'ECONNREFUSED' || (code === 'EPIPE' && (await readExit(dir)))) return null;
    throw new DriverError(`the supervisor in ${dir} cannot be reached: ${code}`, { recoverable: true, cause: error });
  }
}

/** Starts of one task have directories of one prefix; names of tasks may hold what a file's name may not. */
function dirPrefix(task: TaskConfig): string {
  return `${task.allocId.replace(/[^\w-]/g, '_')}.${digest(task.name)}.`;
}

function dirName(task: TaskConfig): string {
  return `${dirPrefix(task)}${digest(task.id)}`;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

function workDir(task: TaskConfig<RawExecConfig>): string {
  const dir = task.config.work_dir;
  if (dir === '') return task.taskDir;
  return isAbsolute(dir) ? dir : join(task.taskDir, dir);
}

function logsOf(task: TaskConfig): SupervisorSpec['logs'] {
  return {
    stdoutPrefix: join(task.logDir, `${task.name}.stdout`),
    stderrPrefix: join(task.logDir, `${task.name}.stderr`),
    maxFiles: task.logMaxFiles,
    maxFileSizeBytes: task.logMaxFileSizeBytes,
  };
}

function cgroupFiles(config: RawExecConfig): string[] {
  const root = '/sys/fs/cgroup';
  if (config.cgroup_v2_override !== '') {
    const path = config.cgroup_v2_override;
    return [join(path.startsWith(root) ? path : join(root, path), 'cgroup.procs')];
  }
  return Object.entries(config.cgroup_v1_override).map(([controller, path]) =>
    join(root, controller, path, 'cgroup.procs'),
  );
}

async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
}

/** The record the supervisor leaves (supervisor/main.c), undefined while there is none. */
async function readExit(dir: string): Promise<ExitResult | undefined> {
  const text = await readFile(join(dir, 'exit'), 'utf8').catch(() => '');
  const match = /^(\d+) (\d+) \d+\n$/.exec(text);
  if (!match) return undefined;
  return { exitCode: Number(match[1]), signal: Number(match[2]), oomKilled: false };
}

function parseState(handle: TaskHandle): RawExecState | undefined {
  const { dir, supervisorPid, taskPid, startTicks, bootId } = handle.state;
  if (handle.driver !== 'raw_exec' || handle.version !== HANDLE_VERSION) return undefined;
  if (typeof dir !== 'string' || typeof bootId !== 'string') return undefined;
  if (typeof supervisorPid !== 'number' || typeof taskPid !== 'number' || typeof startTicks !== 'number')
    return undefined;
  return { dir, supervisorPid, taskPid, startTicks, bootId };
}
