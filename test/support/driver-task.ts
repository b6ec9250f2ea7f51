import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Driver, DriverOptions, TaskConfig } from '../../lib/plugin/sdk/driver.js';
import type { ExecOutput } from '../../lib/structs/rpc.js';

/** A temporary directory with the places a driver and its tasks need; `remove` takes it away. */
export interface DriverPlace {
  dir: string;
  stateDir: string;
  /** A task with its directories made. Its config must have been decoded. */
  task<C>(config: C, given?: Partial<TaskConfig<C>>): TaskConfig<C>;
  /** All that a task printed, over all its files in order. */
  output(task: TaskConfig, stream: 'stdout' | 'stderr'): string;
  logFiles(task: TaskConfig, stream: 'stdout' | 'stderr'): string[];
  remove(): void;
}

let serial = 0;

export function makePlace(): DriverPlace {
  const dir = mkdtempSync('/tmp/meshnomad-driver-');
  // Tasks may be other users.
  chmodSync(dir, 0o755);
  const stateDir = join(dir, 'state');
  mkdirSync(stateDir);
  const logFiles = (task: TaskConfig, stream: string): string[] => {
    const prefix = `${task.name}.${stream}.`;
    return readdirSync(task.logDir)
      .filter((name) => name.startsWith(prefix))
      .sort((a, b) => Number(a.slice(prefix.length)) - Number(b.slice(prefix.length)))
      .map((name) => join(task.logDir, name));
  };
  return {
    dir,
    stateDir,
    logFiles,
    task(config, given = {}) {
      const allocId =
        given.allocId ?? `0a1b2c3d-0000-4000-8000-${String(process.pid * 1000 + serial++).padStart(12, '0')}`;
      const name = given.name ?? 'web';
      const allocDir = join(dir, 'alloc', allocId);
      const taskDir = join(allocDir, name);
      const task = {
        id: `${allocId}/${name}/${(serial++).toString(16).padStart(8, '0')}`,
        allocId,
        jobId: 'example',
        jobName: 'example',
        namespace: 'default',
        nodeId: 'node',
        nodeName: 'node',
        taskGroup: 'group',
        name,
        user: '',
        config,
        env: { PATH: process.env['PATH'] ?? '' },
        resources: { cpuMhz: 100, cpuPercent: 1, memoryMb: 64, memoryMaxMb: 0, cores: [] },
        ports: [],
        network: null,
        devices: [],
        deviceNodes: [],
        cdiDevices: [],
        mounts: [],
        dns: null,
        allocDir,
        sharedDir: join(allocDir, 'alloc'),
        taskDir,
        localDir: join(taskDir, 'local'),
        secretsDir: join(taskDir, 'secrets'),
        logDir: join(allocDir, 'alloc', 'logs'),
        logMaxFiles: 10,
        logMaxFileSizeBytes: 10_000_000,
        logsDisabled: false,
        ...given,
      };
      for (const path of [task.logDir, task.localDir, task.secretsDir, join(task.taskDir, 'tmp')])
        mkdirSync(path, { recursive: true });
      chmodSync(join(task.taskDir, 'tmp'), 0o1777);
      return task;
    },
    output: (task, stream) =>
      logFiles(task, stream)
        .map((file) => readFileSync(file, 'utf8'))
        .join(''),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** A driver plugin; one that is a program takes a moment. */
export interface DriverOpener {
  create(options: DriverOptions): Driver | Promise<Driver>;
}

/** Ends whatever tasks a test has left, and removes its place. */
export async function endTasks(
  plugin: DriverOpener,
  config: Record<string, unknown>,
  place: DriverPlace,
): Promise<void> {
  const last = await plugin.create({ config, stateDir: place.stateDir, log: () => {} });
  await last.reapUnknown?.();
  await last.close();
  place.remove();
}

/** Decodes a config that must be right. */
export function decoded<C>(driver: Driver<C>, config: Record<string, unknown>): C {
  const result = driver.decodeConfig(config);
  if ('problems' in result) throw new Error(result.problems.map(({ message }) => message).join('; '));
  return result.config;
}

/** Waits until `check` gives something; fails with what it waited for. */
export async function until<T>(what: string, check: () => T | Promise<T>, timeoutMs = 60_000): Promise<NonNullable<T>> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (performance.now() > end) throw new Error(`not in ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Reads an exec session to its end. */
export async function readExec(
  stream: Duplex,
): Promise<{ stdout: string; stderr: string; exitCode: number | undefined }> {
  const result = { stdout: '', stderr: '', exitCode: undefined as number | undefined };
  for await (const output of stream as AsyncIterable<ExecOutput>) {
    if (output.Type === 'stdout' || output.Type === 'stderr')
      result[output.Type] += Buffer.from(output.Data).toString();
    if (output.Type === 'exited') result.exitCode = output.ExitCode;
  }
  return result;
}

/** Options of a start that nobody listens to. */
export const quietStart = (): { onEvent: () => void; signal: AbortSignal } => ({
  onEvent: () => {},
  signal: new AbortController().signal,
});
