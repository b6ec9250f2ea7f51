// A driver plugin that runs programs: node driver.js NAME [hostile words …]
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js';
import { NOMAD_PLUGIN } from '../../../lib/plugin/go-plugin/handshake.js';
import { logLine, servePlugin, unary } from '../../support/go-plugin-server.js';
import { decodeMsgpack } from '../../support/msgpack.js';

const [name = 'test', ...words] = process.argv.slice(2);
const VERSION = 3;
/** Runs "$@" as a child, and leaves its number and its exit code in files, whoever lives or dies. */
const WRAPPER = '"$@" & echo $! >"$DIR/pid"; wait $!; echo $? >"$DIR/exit"';

interface TaskMessage {
  id: string;
  name: string;
  alloc_id: string;
  alloc_dir: string;
  env: Record<string, string>;
  msgpack_driver_config: Buffer;
  stdout_path: string;
  stderr_path: string;
}

interface ConfigMessage {
  msgpack_config: Buffer;
  nomad_config: { driver: { Topology: { cores: { guess_speed: string | number }[] } | null } };
}

interface Running {
  dir: string;
  exit: Promise<number>;
  ended: boolean;
}

const tasks = new Map<string, Running>();
const attr = (type: string, required = false): object => ({ Attr: { type, required } });
const schema = (attributes: Record<string, object>): object => ({ object: { attributes } });
let greeting = '';
const eventStreams = new Set<ServerWritableStream<object, object>>();

function find(id: string): Running {
  const found = tasks.get(id);
  if (!found) throw new Error('task not found for given id');
  return found;
}

async function exitOf(running: Running): Promise<number> {
  const file = join(running.dir, 'exit');
  while (!existsSync(file) || readFileSync(file, 'utf8') === '') {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  running.ended = true;
  return Number(readFileSync(file, 'utf8'));
}

function follow(id: string, dir: string): void {
  const running: Running = { dir, ended: false, exit: Promise.resolve(0) };
  running.exit = exitOf(running);
  tasks.set(id, running);
}

function pidOf({ dir }: Running): number {
  return Number(readFileSync(join(dir, 'pid'), 'utf8'));
}

function kill(running: Running, signal: string): void {
  if (running.ended) throw new Error('the task has ended');
  process.kill(pidOf(running), signal as NodeJS.Signals);
}

async function start({ task }: { task: TaskMessage }): Promise<object> {
  const { command, args } = decodeMsgpack(task.msgpack_driver_config) as { command: string; args: string[] | null };
  logLine('info', 'starting', { task: task.name, greeting });
  for (const stream of eventStreams) stream.write({ task_id: task.id, message: `starting ${command}` });
  if (command === 'die') process.exit(9);
  if (command === 'hang') return new Promise(() => {});
  if (command === 'fail') return { result: 'FATAL', driver_error_msg: 'there is no such program' };
  if (command === 'retry') return { result: 'RETRY', driver_error_msg: 'not just now' };
  const dir = mkdtempSync(join(task.alloc_dir, 'state-'));
  const files = [openSync(task.stdout_path, 'w'), openSync(task.stderr_path, 'w')];
  spawn('/bin/sh', ['-c', WRAPPER, 'sh', command, ...(args ?? [])], {
    env: { ...task.env, DIR: dir },
    cwd: join(task.alloc_dir, task.name),
    detached: true,
    stdio: ['ignore', ...files],
  }).unref();
  for (const file of files) closeSync(file);
  follow(task.id, dir);
  while (!existsSync(join(dir, 'pid')) || readFileSync(join(dir, 'pid'), 'utf8') === '') {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return { handle: { version: VERSION, driver_state: Buffer.from(dir), state: 'RUNNING' } };
}

function execute(
  call: ServerDuplexStream<
    { setup: { command: string[] } | null; stdin: { data: Buffer; close: boolean } | null },
    object
  >,
): void {
  let child: ChildProcess | undefined;
  call.on('data', ({ setup, stdin }) => {
    if (setup) {
      const [command = '', ...args] = setup.command;
      child = spawn(command, args);
      for (const stream of ['stdout', 'stderr'] as const) {
        child[stream]?.on('data', (data: Buffer) => call.write({ [stream]: { data } }));
        child[stream]?.on('end', () => call.write({ [stream]: { close: true } }));
      }
      child.on('close', (code) => {
        call.write({ exited: true, result: { exit_code: code ?? 137 } });
        call.end();
      });
    }
    if (stdin?.close) child?.stdin?.end();
    else if (stdin) child?.stdin?.write(stdin.data);
  });
}

await servePlugin(NOMAD_PLUGIN, [
  {
    file: 'base',
    service: 'hashicorp.nomad.plugins.base.proto.BasePlugin',
    methods: {
      PluginInfo: unary(() => ({
        type: words.includes('device') ? 'DEVICE' : 'DRIVER',
        name,
        plugin_version: '0.1.0',
        plugin_api_versions: [words.includes('future') ? 'v9.9.9' : 'v0.1.0'],
      })),
      ConfigSchema: unary(() => ({ spec: schema({ greeting: attr('string'), loud: attr('bool') }) })),
      SetConfig: unary((request: ConfigMessage) => {
        const cores = request.nomad_config.driver.Topology?.cores ?? [];
        if (!cores.some(({ guess_speed }) => Number(guess_speed) > 0)) throw new Error('no cores in the configuration');
        greeting = String((decodeMsgpack(request.msgpack_config) as { greeting: string | null }).greeting);
        return {};
      }),
    },
  },
  {
    file: 'driver',
    service: 'hashicorp.nomad.plugins.drivers.proto.Driver',
    methods: {
      TaskConfigSchema: unary(() => ({ spec: schema({ command: attr('string', true), args: attr('list(string)') }) })),
      Capabilities: unary(() => ({ capabilities: { send_signals: true, exec: true, fs_isolation: 'NONE' } })),
      Fingerprint(call: ServerWritableStream<object, object>) {
        call.write({
          health: words.includes('engineless') ? 'UNHEALTHY' : 'HEALTHY',
          health_description: words.includes('engineless') ? 'no engine at /run/engine.sock' : 'Healthy',
          attributes: {
            [`driver.${name}`]: { string_val: '1' },
            [`driver.${name}.size`]: { int_val: 5, unit: 'GiB' },
            [`driver.${name}.fine`]: { bool_val: true },
          },
        });
      },
      TaskEvents(call: ServerWritableStream<object, object>) {
        eventStreams.add(call);
        call.on('cancelled', () => eventStreams.delete(call));
      },
      StartTask: unary(start),
      RecoverTask: unary(({ handle }: { handle: { version: number; driver_state: Buffer; config: TaskMessage } }) => {
        const dir = handle.driver_state.toString();
        if (handle.version !== VERSION || !existsSync(dir)) throw new Error('the task is gone');
        if (!tasks.has(handle.config.id)) follow(handle.config.id, dir);
        return {};
      }),
      WaitTask: unary(async ({ task_id }: { task_id: string }) => ({
        result: { exit_code: await find(task_id).exit },
      })),
      StopTask: unary(
        async ({
          task_id,
          timeout,
          signal,
        }: {
          task_id: string;
          timeout: { seconds: number; nanos: number };
          signal: string;
        }) => {
          const running = find(task_id);
          const graceMs = timeout.seconds * 1000 + timeout.nanos / 1e6;
          if (!running.ended && graceMs > 0) kill(running, signal || 'SIGTERM');
          await Promise.race([running.exit, new Promise((resolve) => setTimeout(resolve, graceMs))]);
          if (!running.ended) kill(running, 'SIGKILL');
          await running.exit;
          return {};
        },
      ),
      DestroyTask: unary(async ({ task_id, force }: { task_id: string; force: boolean }) => {
        const running = find(task_id);
        if (!running.ended && !force) throw new Error('cannot destroy running task');
        if (!running.ended) kill(running, 'SIGKILL');
        await running.exit;
        rmSync(running.dir, { recursive: true, force: true });
        tasks.delete(task_id);
        return {};
      }),
      SignalTask: unary(({ task_id, signal }: { task_id: string; signal: string }) => {
        kill(find(task_id), signal);
        return {};
      }),
      TaskStats(call: ServerWritableStream<{ task_id: string }, object>) {
        const running = find(call.request.task_id);
        const pages = Number(readFileSync(`/proc/${pidOf(running)}/statm`, 'utf8').split(' ')[1]);
        call.write({
          stats: {
            timestamp: { seconds: Math.floor(Date.now() / 1000), nanos: 0 },
            agg_resource_usage: {
              cpu: { percent: 1.5, measured_fields: ['PERCENT', 'SYSTEM_MODE'] },
              memory: { rss: pages * 4096, measured_fields: ['RSS', 'MAX_USAGE'] },
            },
          },
        });
      },
      ExecTaskStreaming: execute,
    },
  },
]);
