import type { ApiClient } from './api.js';
import { ApiError } from './api.js';
import { type FlagSpec, type Flags, UsageError } from './command.js';

/** How a session is joined with this terminal. */
export const TERMINAL_FLAGS: Record<string, FlagSpec> = {
  e: {
    type: 'string',
    value: 'char',
    help: 'Escape character of a session with a terminal, default ~; "~." at the start of a line ends it; none turns it off.',
  },
  i: { type: 'bool', help: 'Pass standard input on; default true.' },
  t: { type: 'bool', help: 'With a terminal; default: when this one is.' },
};

/** What TERMINAL_FLAGS say; throws a UsageError on what does not go together. */
export function terminalOf(flags: Flags): Pick<ExecOptions, 'tty' | 'stdin' | 'escape'> {
  const key = flags.string('e') ?? '~';
  if (key !== 'none' && key.length !== 1) throw new UsageError('-e takes a single character, or none');
  const stdin = flags.optionalBool('i') ?? true;
  const tty = flags.optionalBool('t') ?? (stdin && process.stdin.isTTY === true && process.stdout.isTTY === true);
  if (tty && !stdin) throw new UsageError('-t needs -i: a terminal without input is of no use');
  // The terminal of a container that is just being made takes the end of a pipe for input.
  if (tty && process.stdin.isTTY !== true)
    throw new UsageError('-t needs a terminal as standard input: leave it out for a pipe or a file');
  return { tty, stdin, escape: key === 'none' ? undefined : key };
}

export interface ExecOptions {
  allocId: string;
  task: string;
  /** What to run: a command, or one of the job's actions. */
  run: { command: string[] } | { job: string; action: string };
  tty: boolean;
  stdin: boolean;
  escape: string | undefined;
}

interface OutputFrame {
  stdout?: { data?: string; close?: boolean };
  stderr?: { data?: string; close?: boolean };
  exited?: boolean;
  result?: { exit_code: number };
}

/** Joins this terminal (or these pipes) and a command in a task; resolves to the command's exit code. */
export async function execSession(api: ApiClient, options: ExecOptions): Promise<number> {
  const { WebSocket } = await import('ws');
  const { allocId, task, tty, run } = options;
  const { url, options: how } =
    'command' in run
      ? api.websocket(`/v1/client/allocation/${allocId}/exec`, { task, tty, command: JSON.stringify(run.command) })
      : api.websocket(`/v1/job/${encodeURIComponent(run.job)}/action`, {
          task,
          tty,
          action: run.action,
          allocID: allocId,
        });
  const socket = new WebSocket(url, how);
  const send: Send = (frame, sent) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame), sent);
  };
  // A reader who is behind holds the command up, not the memory.
  const print = (to: NodeJS.WriteStream, data: string | undefined): void => {
    if (!data || to.write(Buffer.from(data, 'base64'))) return;
    if (!socket.isPaused) to.once('drain', () => socket.resume());
    socket.pause();
  };
  const restore = options.tty ? rawTerminal(send) : (): void => {};
  try {
    return await new Promise<number>((resolve, reject) => {
      let code: number | undefined;
      socket.on('open', () => {
        if (options.tty) send(size());
        if (options.stdin) feedInput(options, send, () => socket.close());
        else send({ stdin: { close: true } });
      });
      socket.on('message', (data) => {
        const frame = JSON.parse(String(data)) as OutputFrame;
        print(process.stdout, frame.stdout?.data);
        print(process.stderr, frame.stderr?.data);
        if (frame.exited) code = frame.result?.exit_code ?? 0;
      });
      socket.on('unexpected-response', (_request, response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          reject(
            new ApiError(response.statusCode ?? 0, `failed to exec into task: ${Buffer.concat(chunks).toString()}`),
          ),
        );
      });
      socket.on('error', (error) => reject(new ApiError(0, `failed to exec into task: ${error.message}`)));
      socket.on('close', (_code, reason) => {
        if (code !== undefined) resolve(code);
        else
          reject(
            new ApiError(
              0,
              reason.length > 0
                ? `failed to exec into task: ${reason.toString()}`
                : 'the session ended before the command did',
            ),
          );
      });
    });
  } finally {
    restore();
    process.stdin.pause();
  }
}

function size(): object {
  return { tty_size: { height: process.stdout.rows ?? 24, width: process.stdout.columns ?? 80 } };
}

/** `sent` hears when the frame has left. */
type Send = (frame: object, sent?: (error?: Error) => void) => void;

function rawTerminal(send: Send): () => void {
  const onResize = (): void => send(size());
  process.stdin.setRawMode?.(true);
  process.stdout.on('resize', onResize);
  return () => {
    process.stdin.setRawMode?.(false);
    process.stdout.off('resize', onResize);
  };
}

function feedInput(options: ExecOptions, send: Send, hangUp: () => void): void {
  let lineStart = true;
  let escaped = false;
  process.stdin.on('data', (data: Buffer) => {
    if (options.tty && options.escape !== undefined && data.length === 1) {
      const key = data.toString('latin1');
      if (escaped && key === '.') return hangUp();
      const held = escaped;
      escaped = lineStart && !escaped && key === options.escape;
      lineStart = key === '\r' || key === '\n';
      if (escaped) return undefined;
      if (held && key !== options.escape) send({ stdin: { data: Buffer.from(options.escape).toString('base64') } });
    }
    process.stdin.pause();
    send({ stdin: { data: data.toString('base64') } }, (error) => {
      if (!error) process.stdin.resume();
    });
    return undefined;
  });
  process.stdin.on('end', () => send({ stdin: { close: true } }));
}
