import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { link, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { type Driver, DriverError, type TaskConfig, type TaskHandle } from '../sdk/driver.js';
import type { OutputPaths } from './task-message.js';

// A driver plugin writes a task's output into two named pipes. Who reads them must outlive the agent, or the task would be
// killed for writing to nobody; so the reader is a task of its own: a shell with two `cat`s under raw_exec's supervisor, which
// writes and rotates the log files as it does for any task.

/** Keeps the pipes open until it is asked to end (SIGTERM); then it ends when the last writer has gone and all is read. */
const READER = `
trap 'exec 3>&- 4>&-' TERM
exec 3<>"$1" 4<>"$2"
cat <"$1" 3>&- 4>&- &
cat <"$2" >&2 3>&- 4>&- &
wait
wait
`;
/** A writer that stays for longer after its task has ended (a process that it left behind) is not waited for. */
const DRAIN_MS = 5_000;

/** Collects the output of the tasks of driver plugins. */
export class LogCollector {
  readonly #driver: Driver;
  readonly #pipesDir: string;

  /**
   * `driver` runs programs under a supervisor: raw_exec, with a state directory of its own. `pipesDir` is a directory that
   * no task reaches: who may swap a pipe for a link would have the reader open what it leads to.
   */
  constructor(driver: Driver, pipesDir: string) {
    this.#driver = driver;
    this.#pipesDir = pipesDir;
  }

  /** Makes the pipes of a task and a reader for them. */
  async start(task: TaskConfig, signal: AbortSignal): Promise<{ paths: OutputPaths; reader: TaskHandle | null }> {
    if (task.logsDisabled) return { paths: { stdout: '/dev/null', stderr: '/dev/null' }, reader: null };
    const paths = this.#pathsOf(task);
    await this.#removePipes(task);
    await promisify(execFile)('mkfifo', ['-m', '600', paths.stdout, paths.stderr]);
    const reader = await this.#driver.startTask(this.#readerOf(task), { onEvent: () => {}, signal });
    return { paths, reader };
  }

  /** Gives the pipes of a task a second name beside its logs. The reader goes by the first one, which no task can swap for a link. */
  async showPipes(task: TaskConfig): Promise<void> {
    if (task.logsDisabled) return;
    for (const path of Object.values(this.#pathsOf(task))) {
      await link(path, join(task.logDir, basename(path))).catch((cause: NodeJS.ErrnoException) => {
        if (cause.code !== 'EXDEV') throw cause;
        const message = `its plugin needs the agent's state (${this.#pipesDir}) and ${task.logDir} on one file system`;
        throw new DriverError(message, { recoverable: false, cause });
      });
    }
  }

  /** Takes the reader up again; one that is gone (it was killed) is replaced. */
  async recover(task: TaskConfig, reader: TaskHandle | null): Promise<OutputPaths> {
    if (!reader) return { stdout: '/dev/null', stderr: '/dev/null' };
    try {
      await this.#driver.recoverTask(reader, this.#readerOf(task));
    } catch (error) {
      if (!(error instanceof DriverError) || error.recoverable) throw error;
      const options = { onEvent: () => {}, signal: new AbortController().signal };
      await this.#driver.startTask(this.#readerOf(task), options);
    }
    return this.#pathsOf(task);
  }

  /** Reads what is left of an ended task, ends the reader and removes the pipes. Idempotent. */
  async finish(task: TaskConfig): Promise<void> {
    const { id } = this.#readerOf(task);
    // There is none when the task's logs are disabled, or its start has failed early.
    await this.#driver.stopTask(id, { timeoutMs: DRAIN_MS, signal: 'SIGTERM' }).catch(() => {});
    await this.#driver.destroyTask(id, { force: true });
    await this.#removePipes(task);
  }

  /** Ends the readers of tasks that nobody has taken up. */
  async reapUnknown(): Promise<void> {
    await this.#driver.reapUnknown?.();
  }

  close(): Promise<void> {
    return this.#driver.close();
  }

  /** Each start has pipes of its own. */
  #pathsOf(task: TaskConfig): OutputPaths {
    const start = createHash('sha256').update(task.id).digest('hex').slice(0, 16);
    const path = (stream: string): string => join(this.#pipesDir, `.${start}.${stream}.fifo`);
    return { stdout: path('stdout'), stderr: path('stderr') };
  }

  async #removePipes(task: TaskConfig): Promise<void> {
    const { stdout, stderr } = this.#pathsOf(task);
    for (const path of [stdout, stderr]) {
      await rm(path, { force: true });
      await rm(join(task.logDir, basename(path)), { force: true });
    }
  }

  /** The reader as a task: same names, so that its log files are those of the task it reads from. */
  #readerOf(task: TaskConfig): TaskConfig {
    const { stdout, stderr } = this.#pathsOf(task);
    return {
      ...task,
      user: '',
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
      network: null,
      mounts: [],
      deviceNodes: [],
      devices: [],
      cdiDevices: [],
      resources: { cpuMhz: 0, cpuPercent: 0, memoryMb: 0, memoryMaxMb: 0, cores: [] },
      config: readerConfig(this.#driver, ['-c', READER, 'meshnomad-logs', stdout, stderr]),
    };
  }
}

function readerConfig(driver: Driver, args: string[]): unknown {
  const decoded = driver.decodeConfig({ command: '/bin/sh', args, work_dir: '/' });
  if ('config' in decoded) return decoded.config;
  throw new Error(decoded.problems.map(({ path, message }) => `${path} ${message}`).join('; '));
}
