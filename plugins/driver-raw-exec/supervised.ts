import { mkdir, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { bootId } from '../../lib/plugin/sdk/boot-id.js';
import {
  type Driver,
  type DriverCapabilities,
  DriverError,
  type DriverFingerprint,
  type DriverOptions,
  type ExitResult,
  type TaskConfig,
  type TaskHandle,
} from '../../lib/plugin/sdk/driver.js';
import { signalNumber } from '../../lib/plugin/sdk/signals.js';
import { waitUpTo } from '../../lib/plugin/sdk/wait-up-to.js';
import type { TaskResourceUsage } from '../../lib/structs/rpc.js';
import { findSupervisor, type SupervisorBinary } from './binary.js';
import { type ExecCommand, runExec } from './exec.js';
import { StartFailure, SupervisorLink, type SupervisorSpec } from './link.js';
import { killSession, readProcess, type UsageSample } from './processes.js';
import { connectIfThere, dirName, dirPrefix, parseState, readExit, type SupervisedState } from './records.js';

const HANDLE_VERSION = 1;
/** What a task is asked to end with when its job says nothing. */
const STOP_SIGNAL = 'SIGINT';

/** A task whose supervisor is known here. */
export interface RunningTask<C> {
  task: TaskConfig<C>;
  state: SupervisedState;
  link: SupervisorLink | null;
  exit: Promise<ExitResult>;
  hasEnded: boolean;
  sample: UsageSample | undefined;
  /** Ends the commands that run beside the task. */
  execs: Set<() => void>;
}

/** What is to be run for a task, and what a failure of it means to the one who wrote the job. */
export interface Launch {
  spec: SupervisorSpec;
  explain: (failure: StartFailure) => DriverError | Promise<DriverError>;
}

/** A driver whose tasks each run under a supervisor of their own, which outlives the agent. */
export abstract class SupervisedDriver<C> implements Driver<C> {
  abstract readonly name: string;
  abstract readonly capabilities: DriverCapabilities;
  protected readonly stateDir: string;
  protected readonly log: DriverOptions['log'];
  readonly #tasks = new Map<string, RunningTask<C>>();
  /** The directories of the tasks that are known here or being started. */
  readonly #dirs = new Set<string>();
  #binary: Promise<SupervisorBinary> | undefined;
  #isClosed = false;

  constructor(options: DriverOptions) {
    this.stateDir = options.stateDir;
    this.log = options.log;
  }

  abstract decodeConfig(config: Record<string, unknown>): ReturnType<Driver<C>['decodeConfig']>;
  abstract fingerprint(): Promise<DriverFingerprint>;
  /** Prepares a start whose files lie in `dir`. */
  protected abstract launch(task: TaskConfig<C>, dir: string): Promise<Launch>;
  protected abstract usage(found: RunningTask<C>): { usage: TaskResourceUsage; sample: UsageSample };
  /** How a command is run beside the task. */
  protected abstract execCommand(found: RunningTask<C>, command: string[], tty: boolean): Promise<ExecCommand>;

  /** What the supervisor cannot know of an end. */
  protected async judge(_state: SupervisedState, exit: ExitResult): Promise<ExitResult> {
    return exit;
  }

  /** Removes what a start has made outside of its directory; what still runs of it is killed. Idempotent. */
  protected async clear(_dir: string): Promise<void> {}

  async startTask(task: TaskConfig<C>, options: Parameters<Driver<C>['startTask']>[1]): Promise<TaskHandle> {
    const binary = await this.supervisor();
    if ('missing' in binary) throw new DriverError(binary.missing, { recoverable: false });
    const dir = join(this.stateDir, 'tasks', dirName(task));
    await this.#killForgotten(dirPrefix(task));
    this.#dirs.add(dir);
    let explain: Launch['explain'] | undefined;
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      const launch = await this.launch(task, dir);
      explain = launch.explain;
      const started = await SupervisorLink.start(binary.path, { dir, signal: options.signal, spec: launch.spec });
      const { link, supervisorPid } = started;
      const startTicks = readProcess(link.taskPid)?.startTicks ?? 0;
      const state = { dir, supervisorPid, taskPid: link.taskPid, startTicks, bootId: bootId() };
      this.#follow(task, state, link);
      return { driver: this.name, version: HANDLE_VERSION, taskId: task.id, state: { ...state } };
    } catch (error) {
      const told = error instanceof StartFailure && explain ? await explain(error) : error;
      await this.clear(dir).catch((cause) => this.log('warn', 'clean-up failed', { dir, error: String(cause) }));
      await rm(dir, { recursive: true, force: true });
      this.#dirs.delete(dir);
      if (told instanceof DriverError) throw told;
      const reason = told instanceof Error ? told.message : String(told);
      throw new DriverError(`the task cannot start: ${reason}`, { recoverable: true, cause: error });
    }
  }

  async recoverTask(handle: TaskHandle, task: TaskConfig<C>): Promise<void> {
    if (this.#tasks.has(handle.taskId)) return;
    const state = parseState(handle, { driver: this.name, version: HANDLE_VERSION });
    if (!state) {
      const message = `task ${handle.taskId}: its handle (version ${handle.version}) is not one of ${this.name}'s`;
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
      await waitUpTo(options.timeoutMs, found.exit);
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
    await this.clear(found.state.dir);
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
    const { usage, sample } = this.usage(found);
    found.sample = sample;
    return usage;
  }

  execTask(taskId: string, options: { command: string[]; tty: boolean }): Duplex {
    const found = this.#find(taskId);
    const prepare = async (): Promise<ExecCommand> => {
      if (found.hasEnded) throw new DriverError(`task ${taskId} has ended`, { recoverable: false });
      return this.execCommand(found, options.command, options.tty);
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

  protected supervisor(): Promise<SupervisorBinary> {
    this.#binary ??= findSupervisor(this.stateDir);
    return this.#binary;
  }

  #find(taskId: string): RunningTask<C> {
    const found = this.#tasks.get(taskId);
    if (!found) throw new DriverError(`task ${taskId} is not known to ${this.name}`, { recoverable: false });
    return found;
  }

  #follow(task: TaskConfig<C>, state: SupervisedState, link: SupervisorLink | null): void {
    const found: RunningTask<C> = {
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
          const record = await readExit(state.dir);
          const exit = record ? await this.judge(state, record) : await this.#lost(task, state);
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

  async #lost(task: TaskConfig<C>, state: SupervisedState): Promise<ExitResult> {
    await this.#killRest(state);
    this.log('error', 'the supervisor of a task ended without a record', { task: task.id, pid: state.supervisorPid });
    const error = 'the supervisor of the task was killed, and the task with it';
    return { exitCode: 137, signal: 9, oomKilled: false, error };
  }

  async #killRest(state: SupervisedState): Promise<void> {
    if (state.bootId === bootId()) killSession({ pid: state.taskPid, startTicks: state.startTicks });
    await this.clear(state.dir).catch((error) => {
      this.log('error', 'the rest of a task cannot be removed', { dir: state.dir, error: String(error) });
    });
  }

  /** A crash between a start and the record of its handle leaves a task that nobody knows: it must not run twice. */
  async #killForgotten(prefix: string): Promise<string[]> {
    const tasksDir = join(this.stateDir, 'tasks');
    const killed: string[] = [];
    for (const name of await readdir(tasksDir).catch(() => [])) {
      const dir = join(tasksDir, name);
      if (!name.startsWith(prefix) || this.#dirs.has(dir)) continue;
      const link = await connectIfThere(dir);
      link?.kill();
      await link?.closed;
      await this.clear(dir);
      await rm(dir, { recursive: true, force: true });
      if (!link) continue;
      this.log('warn', 'a task whose start was never recorded is killed', { dir, pid: link.taskPid });
      killed.push(`process ${link.taskPid} (${basename(dir)})`);
    }
    return killed;
  }
}

/** Where a task's output goes; null when it wants none kept. */
export function logsOf(task: TaskConfig): SupervisorSpec['logs'] {
  if (task.logsDisabled) return null;
  return {
    stdoutPrefix: join(task.logDir, `${task.name}.stdout`),
    stderrPrefix: join(task.logDir, `${task.name}.stderr`),
    maxFiles: task.logMaxFiles,
    maxFileSizeBytes: task.logMaxFileSizeBytes,
  };
}
