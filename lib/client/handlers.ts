import type { Duplex } from 'node:stream';
import { DriverError } from '../plugin/sdk/driver.js';
import type { DeviceGroupStats } from '../structs/device-stats.js';
import { MeshError } from '../structs/errors.js';
import { groupOf } from '../structs/group-of.js';
import type { AllocResourceUsage, HostStats, ResourceUsage, TaskResourceUsage } from '../structs/rpc.js';
import { isMigrateToken } from '../transport/migrate-token.js';
import type { RpcHandlers, RpcStreamHandlers } from '../transport/rpc.js';
import { toNanos } from '../util/clock.js';
import { LOG_LEVELS, type LogListen } from '../util/log.js';
import { followLog } from './agent-log.js';
import { allocPaths } from './alloc-dir.js';
import type { AllocRunner } from './alloc-runner.js';
import { statsOfTask } from './device-stats.js';
import { listFiles, statFile } from './fs/list.js';
import { streamLogs } from './fs/logs.js';
import { serveFrames } from './fs/output.js';
import { streamFile } from './fs/stream.js';
import { dataPaths } from './migrate/layout.js';
import { sendSnapshot, snapshotFrames } from './migrate/send.js';
import { wake } from './power.js';
import type { Sessions } from './sessions.js';
import { keepsNoLogs } from './task-config.js';
import type { TaskRunner } from './task-runner.js';
import { type Timers, ZERO_TIME } from './timers.js';

/** What the answers of a client are made from. */
export interface HandlerOptions {
  allocDir: string;
  /** What only this node and the servers know. */
  secretId: () => string;
  runner: (allocId: string) => AllocRunner | undefined;
  hostStats: () => Promise<HostStats>;
  deviceFigures: () => Promise<DeviceGroupStats[]>;
  /** Removes an ended allocation, or all of them. */
  collect: (allocId: string | null) => Promise<void>;
  /** Puts this machine to sleep, by its own configuration. */
  sleep: () => void;
  sessions: Sessions;
  /** What this agent logs. */
  listen: LogListen;
  timers: Timers;
}

/** The methods that the client which has an allocation, or is the node, answers. */
export function createHandlers(options: HandlerOptions): RpcHandlers {
  const find = finder(options);
  return {
    'ClientPower.Wake': async ({ MacAddress }) => {
      await wake(MacAddress);
      return {};
    },
    'ClientPower.Sleep': async () => {
      options.sleep();
      return {};
    },
    'ClientPower.Sessions': async () => ({ Sessions: options.sessions.list() }),
    'ClientStats.Stats': () => options.hostStats(),
    'Allocations.Stats': async ({ AllocID, Task }) =>
      await allocStats(find(AllocID), Task === undefined || Task === '' ? null : Task, options),
    'Allocations.Checks': async ({ AllocID }) => ({ Checks: find(AllocID).checks }),
    'Allocations.Restart': async ({ AllocID, TaskName, AllTasks }) => {
      const runner = find(AllocID);
      const reason = 'User requested task to restart';
      if (TaskName !== undefined && TaskName !== '') {
        await asAnswer(findTask(runner, TaskName).restart(reason));
        return {};
      }
      if (AllTasks) {
        await asAnswer(runner.restartAll(reason));
        return {};
      }
      const live = runner.taskRunners.filter((task) => task.isRunning);
      if (live.length === 0) throw new MeshError('E_BAD_REQUEST', 'Task not running');
      await asAnswer(Promise.all(live.map((task) => task.restart(reason))));
      return {};
    },
    'Allocations.Signal': async ({ AllocID, Task, Signal }) => {
      const runner = find(AllocID);
      const named = Task !== undefined && Task !== '';
      const tasks = named ? [findTask(runner, Task)] : runner.taskRunners.filter((task) => task.isRunning);
      if (tasks.length === 0) throw new MeshError('E_BAD_REQUEST', `no task of allocation "${AllocID}" is running`);
      const name = Signal === '' ? 'SIGKILL' : Signal;
      await asAnswer(Promise.all(tasks.map((task) => task.signal(name, 'User requested signal'))));
      return {};
    },
    'Allocations.GarbageCollect': async ({ AllocID }) => {
      find(AllocID);
      await options.collect(AllocID);
      return {};
    },
    'Allocations.GarbageCollectAll': async () => {
      await options.collect(null);
      return {};
    },
    'FileSystem.List': async ({ AllocID, Path }) => {
      const { allocDir } = allocPaths(options.allocDir, find(AllocID).id);
      return { Files: await listFiles(allocDir, Path) };
    },
    'FileSystem.Stat': async ({ AllocID, Path }) => {
      const { allocDir } = allocPaths(options.allocDir, find(AllocID).id);
      return { Info: await statFile(allocDir, Path) };
    },
  };
}

/** The methods answered with a stream. */
export function createStreamHandlers(options: HandlerOptions): RpcStreamHandlers {
  const find = finder(options);
  const { sessions } = options;
  const named = (what: string, { AllocID }: { AllocID: string }): string => `${what} ${AllocID.slice(0, 8)}`;
  return {
    'Agent.Monitor': ({ LogLevel, LogJSON }, stream) => {
      if (LOG_LEVELS.includes(LogLevel)) followLog(options.listen, { level: LogLevel, json: LogJSON }, stream);
      else stream.destroy(new MeshError('E_BAD_REQUEST', `Unknown log level: ${LogLevel}`));
    },
    'FileSystem.Stream': (args, stream) => {
      if (args.Follow) sessions.add(stream, named('a file is followed in', args));
      serveFrames(stream, async (output) => {
        const { allocDir } = allocPaths(options.allocDir, find(args.AllocID).id);
        const limit = args.Limit === undefined ? {} : { limit: args.Limit };
        const where = { path: args.Path, offset: args.Offset, origin: args.Origin, follow: args.Follow, ...limit };
        await streamFile({ allocDir, timers: options.timers, ...where }, output);
      });
    },
    'FileSystem.Logs': (args, stream) => {
      if (args.Follow) sessions.add(stream, named('logs are followed in', args));
      serveFrames(stream, async (output) => {
        const runner = find(args.AllocID);
        const task = findTask(runner, args.Task);
        if (keepsNoLogs(task.task)) {
          throw new MeshError('E_NOT_FOUND', `task "${args.Task}" keeps no logs: its logs block says disabled = true`);
        }
        if (task.whyNoOutput !== '')
          throw new MeshError('E_NOT_FOUND', `task "${args.Task}" keeps no logs: ${task.whyNoOutput}`);
        if (task.state.State === 'pending' && task.state.StartedAt === ZERO_TIME) {
          throw new MeshError('E_NOT_FOUND', `task "${args.Task}" not started yet. No logs available`);
        }
        const { logDir } = allocPaths(options.allocDir, runner.id);
        const where = { task: args.Task, type: args.LogType, offset: args.Offset, origin: args.Origin };
        const isOver = (): boolean => task.state.State === 'dead';
        await streamLogs({ logDir, ...where, follow: args.Follow, isOver, timers: options.timers }, output);
      });
    },
    'FileSystem.Snapshot': ({ AllocID, Token, Skip, Offset = 0 }, stream) =>
      void sendSnapshot(stream, () => {
        if (!isMigrateToken(Token, options.secretId(), AllocID)) {
          throw new MeshError('E_PERMISSION_DENIED', `the token does not open allocation "${AllocID}"`);
        }
        const runner = find(AllocID);
        const group = groupOf(runner.alloc.Job, runner.alloc.TaskGroup);
        if (!group || !runner.hasFiles)
          throw new MeshError('E_NOT_FOUND', `allocation "${AllocID}" has no data here any more`);
        if (runner.finishedAtMs === null) throw new MeshError('E_BAD_REQUEST', `allocation "${AllocID}" still runs`);
        const { allocDir } = allocPaths(options.allocDir, runner.id);
        return snapshotFrames(allocDir, dataPaths(group), { entries: Skip, bytes: Offset });
      }),
    'Allocations.Exec': (args, stream) => {
      try {
        const task = findTask(find(args.AllocID), args.Task);
        const command = args.Action === undefined ? args.Cmd : task.actionCommand(args.Action);
        sessions.add(stream, named('exec in', args));
        join(stream, task.exec({ command, tty: args.Tty }));
      } catch (error) {
        stream.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    },
  };
}

function finder({ runner }: HandlerOptions): (allocId: string) => AllocRunner {
  return (allocId) => {
    const found = runner(allocId);
    if (!found) throw new MeshError('E_NOT_FOUND', `Unknown allocation "${allocId}"`);
    return found;
  };
}

function findTask(runner: AllocRunner, name: string): TaskRunner {
  const task = runner.task(name);
  if (!task) throw new MeshError('E_BAD_REQUEST', `unknown task name "${name}"`);
  return task;
}

/** Lets two object streams talk; the end or failure of one is that of the other. */
function join(caller: Duplex, command: Duplex): void {
  command.on('error', (error) => caller.destroy(answerOf(error)));
  caller.on('error', () => command.destroy());
  caller.on('close', () => command.destroy());
  command.pipe(caller);
  caller.pipe(command);
}

/** What a driver cannot do for a caller is no defect of this program. */
async function asAnswer<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    throw answerOf(error as Error);
  }
}

function answerOf(error: Error): Error {
  return error instanceof DriverError ? new MeshError('E_BAD_REQUEST', error.message, { cause: error }) : error;
}

async function allocStats(
  runner: AllocRunner,
  name: string | null,
  { timers, deviceFigures }: HandlerOptions,
): Promise<AllocResourceUsage> {
  const tasks = name === null ? runner.taskRunners.filter((task) => task.isRunning) : [findTask(runner, name)];
  const usages = await Promise.all(
    tasks.map(async (task): Promise<[string, TaskResourceUsage]> => {
      const usage = await asAnswer(task.stats());
      const devices = runner.alloc.AllocatedResources.Tasks[task.name]?.Devices ?? [];
      if (devices.length === 0) return [task.name, usage];
      const DeviceStats = statsOfTask(await deviceFigures(), devices);
      return [task.name, { ...usage, ResourceUsage: { ...usage.ResourceUsage, DeviceStats } }];
    }),
  );
  return {
    ResourceUsage: sumUsage(usages.map(([, usage]) => usage.ResourceUsage)),
    Tasks: Object.fromEntries(usages),
    Timestamp: toNanos(timers.now()),
  };
}

function sumUsage(usages: readonly ResourceUsage[]): ResourceUsage {
  const memory = (key: Exclude<keyof ResourceUsage['MemoryStats'], 'Measured'>): number =>
    usages.reduce((sum, usage) => sum + usage.MemoryStats[key], 0);
  const cpu = (key: Exclude<keyof ResourceUsage['CpuStats'], 'Measured'>): number =>
    usages.reduce((sum, usage) => sum + usage.CpuStats[key], 0);
  return {
    MemoryStats: {
      RSS: memory('RSS'),
      Cache: memory('Cache'),
      Swap: memory('Swap'),
      Usage: memory('Usage'),
      MaxUsage: memory('MaxUsage'),
      KernelUsage: memory('KernelUsage'),
      KernelMaxUsage: memory('KernelMaxUsage'),
      Measured: usages[0]?.MemoryStats.Measured ?? [],
    },
    CpuStats: {
      SystemMode: cpu('SystemMode'),
      UserMode: cpu('UserMode'),
      TotalTicks: cpu('TotalTicks'),
      ThrottledPeriods: cpu('ThrottledPeriods'),
      ThrottledTime: cpu('ThrottledTime'),
      Percent: cpu('Percent'),
      Measured: usages[0]?.CpuStats.Measured ?? [],
    },
    DeviceStats: usages.flatMap(({ DeviceStats }) => DeviceStats),
  };
}
