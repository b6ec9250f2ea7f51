import type { Duplex, Writable } from 'node:stream';
import type { ExecInput } from '../../structs/rpc.js';
import { type Connection, PluginCallError } from '../go-plugin/connection.js';
import { type ExecHandlers, openExecSession } from '../sdk/exec-session.js';
import { driverMethod } from './nomad-plugin.js';

interface Operation {
  data: Buffer;
  close: boolean;
}

interface ExecAnswer {
  stdout: Operation | null;
  stderr: Operation | null;
  exited: boolean;
  result: { exit_code: number; signal: number } | null;
}

const SIMPLE_EXEC_MS = 10 * 60_000;

/** Runs a command beside a task of a driver plugin. */
export function runPluginExec(
  connect: () => Promise<Connection>,
  options: { taskId: string; command: string[]; tty: boolean },
): Duplex {
  const { taskId, command, tty } = options;
  const ending = new AbortController();
  const open = async (): Promise<ExecHandlers> => {
    const connection = await connect();
    const { answers, requests } = await connection.duplex<ExecAnswer>(driverMethod('ExecTaskStreaming'), ending.signal);
    requests.on('error', () => {});
    answers.on('error', () => {});
    requests.write({ setup: { task_id: taskId, command, tty } });
    void follow(answers).catch(async (error: Error) => {
      if (error instanceof PluginCallError && error.status === 'UNIMPLEMENTED') await simple(connection);
      else session.fail(error);
    });
    return { onInput: (input) => send(requests, input), onAbandoned: () => ending.abort() };
  };
  const session = openExecSession(open());

  const follow = async (answers: AsyncIterable<ExecAnswer>): Promise<void> => {
    let exit: ExecAnswer['result'] | undefined;
    for await (const { stdout, stderr, exited, result } of answers) {
      const said = [
        !stdout?.data.length || session.say({ Type: 'stdout', Data: stdout.data }),
        !stderr?.data.length || session.say({ Type: 'stderr', Data: stderr.data }),
      ];
      if (said.includes(false)) await session.room();
      if (exited) exit = result;
      if (exited) break;
    }
    if (exit === undefined) throw new Error('the plugin ended the session without saying how the command ended');
    session.exited(exit?.exit_code ?? 0, exit?.signal);
  };

  /** For plugins without sessions: the command runs without input, and its output comes at the end. */
  const simple = async (connection: Connection): Promise<void> => {
    const request = { task_id: taskId, command, timeout: { seconds: SIMPLE_EXEC_MS / 1000, nanos: 0 } };
    try {
      const { stdout, stderr, result } = await connection.call<{
        stdout: Buffer;
        stderr: Buffer;
        result: ExecAnswer['result'];
      }>(driverMethod('ExecTask'), request, { timeoutMs: SIMPLE_EXEC_MS, signal: ending.signal });
      if (stdout.length > 0) session.say({ Type: 'stdout', Data: stdout });
      if (stderr.length > 0) session.say({ Type: 'stderr', Data: stderr });
      session.exited(result?.exit_code ?? 0, result?.signal);
    } catch (error) {
      session.fail(error as Error);
    }
  };
  return session.stream;
}

async function send(requests: Writable, input: ExecInput): Promise<void> {
  if (requests.destroyed || requests.writableEnded) return;
  await new Promise((taken) => requests.write(requestOf(input), taken));
}

function requestOf(input: ExecInput): object {
  switch (input.Type) {
    case 'stdin':
      return { stdin: { data: Buffer.from(input.Data) } };
    case 'stdin-close':
      return { stdin: { close: true } };
    case 'resize':
      return { tty_size: { height: input.Height, width: input.Width } };
  }
}
