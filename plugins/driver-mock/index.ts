import { Duplex } from 'node:stream';
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
import { LogRotator } from '../../lib/plugin/sdk/log-rotator.js';
import { signalNumber } from '../../lib/plugin/sdk/signals.js';
import type { ExecOutput, TaskResourceUsage } from '../../lib/structs/rpc.js';
import { decodeTask, type MockConfig, PLUGIN_FIELDS } from './config.js';

/** Pretends to run tasks: how long, how they end and what they print is said in their config. For tests. */
const plugin: DriverPlugin = {
  name: 'mock_driver',
  configProblems(config) {
    const decoded = decodeFields(PLUGIN_FIELDS, config);
    return 'problems' in decoded ? decoded.problems : [];
  },
  create: (options) => new MockDriver(options),
};
export default plugin;

/** Everything known of a pretended task follows from these, so that a restarted agent finds it as it was. */
interface MockTask {
  task: TaskConfig<MockConfig>;
  startedAtMs: number;
  exit: Promise<ExitResult>;
  end: (result: ExitResult) => void;
  ended: boolean;
  timers: Set<NodeJS.Timeout>;
}

class MockDriver implements Driver<MockConfig> {
  readonly name = 'mock_driver';
  readonly capabilities = { sendSignals: true, exec: true, fsIsolation: 'none' as const, joinsNetwork: true };
  readonly #log: DriverOptions['log'];
  readonly #tasks = new Map<string, MockTask>();

  constructor(options: DriverOptions) {
    this.#log = options.log;
  }

  decodeConfig(config: Record<string, unknown>): ReturnType<Driver<MockConfig>['decodeConfig']> {
    return decodeTask(config);
  }

  async fingerprint(): ReturnType<Driver['fingerprint']> {
    return { health: 'healthy', healthDescription: 'Healthy', attributes: { 'driver.mock_driver': '1' } };
  }

  async startTask(
    task: TaskConfig<MockConfig>,
    options: Parameters<Driver<MockConfig>['startTask']>[1],
  ): Promise<TaskHandle> {
    const { start_error, start_error_recoverable, start_block_for } = task.config;
    if (start_block_for > 0) {
      await sleep(start_block_for, undefined, { signal: options.signal }).catch((cause) => {
        throw new DriverError('the start was called off', { recoverable: true, cause });
      });
    }
    if (start_error !== '') throw new DriverError(start_error, { recoverable: start_error_recoverable });
    const startedAtMs = Date.now();
    this.#run(task, startedAtMs);
    if (!task.logsDisabled) {
      void this.#print(task, 'stdout');
      void this.#print(task, 'stderr');
    }
    return { driver: this.name, version: 1, taskId: task.id, state: { startedAtMs } };
  }

  async recoverTask(handle: TaskHandle, task: TaskConfig<MockConfig>): Promise<void> {
    if (this.#tasks.has(handle.taskId)) return;
    const startedAtMs = handle.state['startedAtMs'];
    if (handle.driver !== this.name || handle.version !== 1 || typeof startedAtMs !== 'number') {
      throw new DriverError(`task ${handle.taskId}: its handle is not one of mock_driver's`, { recoverable: false });
    }
    this.#run(task, startedAtMs);
  }

  async waitTask(taskId: string): Promise<ExitResult> {
    return this.#find(taskId).exit;
  }

  async stopTask(taskId: string, options: { timeoutMs: number; signal: string }): Promise<void> {
    const found = this.#find(taskId);
    const signal = signalNumber(options.signal || 'SIGINT');
    const { kill_after } = found.task.config;
    const killed = kill_after > options.timeoutMs;
    this.#later(found, Math.min(kill_after, options.timeoutMs), () =>
      found.end(killed ? { exitCode: 137, signal: 9, oomKilled: false } : endedBy(signal)),
    );
    await found.exit;
  }

  async destroyTask(taskId: string, options: { force: boolean }): Promise<void> {
    const found = this.#tasks.get(taskId);
    if (!found) return;
    if (!found.ended && !options.force) {
      throw new DriverError(`task ${taskId} is still running; stop it first`, { recoverable: false });
    }
    found.end(endedBy(9));
    this.#tasks.delete(taskId);
  }

  async signalTask(taskId: string, signal: string): Promise<void> {
    const found = this.#find(taskId);
    const number = signalNumber(signal);
    if (found.ended) throw new DriverError(`task ${taskId} has ended`, { recoverable: false });
    const refusal = found.task.config.signal_error;
    if (refusal !== '') throw new DriverError(refusal, { recoverable: false });
    if (number === 9) found.end(endedBy(9));
  }

  async taskStats(taskId: string): Promise<TaskResourceUsage> {
    this.#find(taskId);
    const memory = { RSS: 0, Cache: 0, Swap: 0, Usage: 0, MaxUsage: 0, KernelUsage: 0, KernelMaxUsage: 0 };
    const cpu = { SystemMode: 0, UserMode: 0, TotalTicks: 0, ThrottledPeriods: 0, ThrottledTime: 0, Percent: 0 };
    return {
      ResourceUsage: {
        MemoryStats: { ...memory, Measured: ['RSS'] },
        CpuStats: { ...cpu, Measured: ['Percent'] },
        DeviceStats: [],
      },
      Timestamp: Date.now() * 1e6,
      Pids: null,
    };
  }

  execTask(taskId: string, options: { command: string[]; tty: boolean }): Duplex {
    const { config } = this.#find(taskId).task;
    const session = new Duplex({ objectMode: true, read() {}, write: (_chunk, _encoding, done) => done() });
    const say = (output: ExecOutput): boolean => session.push(output);
    const command = config.exec_command;
    if (!command) {
      session.destroy(
        new DriverError(`${options.command[0] ?? ''}: the task's config has no exec_command block`, {
          recoverable: false,
        }),
      );
      return session;
    }
    void sleep(command.run_for).then(() => {
      if (command.stdout_string !== '') say({ Type: 'stdout', Data: Buffer.from(command.stdout_string) });
      if (command.stderr_string !== '') say({ Type: 'stderr', Data: Buffer.from(command.stderr_string) });
      say({ Type: 'stdout-close' });
      say({ Type: 'stderr-close' });
      say({ Type: 'exited', ExitCode: command.exit_code });
      session.push(null);
    });
    return session;
  }

  async close(): Promise<void> {
    for (const { timers } of this.#tasks.values()) for (const timer of timers) clearTimeout(timer);
    this.#tasks.clear();
  }

  #find(taskId: string): MockTask {
    const found = this.#tasks.get(taskId);
    if (!found) throw new DriverError(`task ${taskId} is not known to mock_driver`, { recoverable: false });
    return found;
  }

  #run(task: TaskConfig<MockConfig>, startedAtMs: number): void {
    const { run_for, exit_code, exit_signal, exit_err_msg } = task.config;
    let settle: (result: ExitResult) => void = () => {};
    const exit = new Promise<ExitResult>((resolve) => {
      settle = resolve;
    });
    const found: MockTask = { task, startedAtMs, exit, ended: false, timers: new Set(), end: () => {} };
    found.end = (result) => {
      if (found.ended) return;
      found.ended = true;
      for (const timer of found.timers) clearTimeout(timer);
      settle(result);
    };
    this.#tasks.set(task.id, found);
    this.#later(found, Math.max(0, startedAtMs + run_for - Date.now()), () =>
      found.end({
        exitCode: exit_code,
        signal: exit_signal,
        oomKilled: false,
        ...(exit_err_msg === '' ? {} : { error: exit_err_msg }),
      }),
    );
  }

  #later(found: MockTask, delayMs: number, act: () => void): void {
    found.timers.add(setTimeout(act, delayMs));
  }

  async #print(task: TaskConfig<MockConfig>, stream: 'stdout' | 'stderr'): Promise<void> {
    const text = task.config[`${stream}_string`];
    if (text === '') return;
    try {
      const rotator = await LogRotator.open({
        dir: task.logDir,
        name: `${task.name}.${stream}`,
        maxFiles: task.logMaxFiles,
        maxFileSizeBytes: task.logMaxFileSizeBytes,
      });
      for (let i = 0; i <= task.config[`${stream}_repeat`]; i++) {
        if (i > 0) await sleep(task.config[`${stream}_repeat_duration`]);
        if (this.#tasks.get(task.id)?.ended !== false && i > 0) break;
        await rotator.write(Buffer.from(text));
      }
      await rotator.close();
    } catch (error) {
      this.#log('warn', 'output could not be written', { task: task.id, error: String(error) });
    }
  }
}

function endedBy(signal: number): ExitResult {
  return { exitCode: 128 + signal, signal, oomKilled: false };
}
