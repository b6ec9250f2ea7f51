import { type ChildProcess, spawn } from 'node:child_process';
import { readSync } from 'node:fs';
import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import { DriverError } from '../../lib/plugin/sdk/driver.js';
import { type ExecHandlers, type ExecSession, openExecSession } from '../../lib/plugin/sdk/exec-session.js';
import type { TaskUser } from './lookup.js';
import { SingleReturns } from './single-returns.js';

/** A command to run beside a task, as the task would run it. */
export interface ExecCommand {
  program: string;
  args: string[];
  cwd: string;
  env: Record<string, string>;
  user: TaskUser | null;
  /** Kills what a kill of the program alone does not reach; the program is killed afterwards. Never rejects. */
  onKill?: () => Promise<void>;
  /** Tells it a new size of its terminal, where that does not come through by itself. Never rejects. */
  onResize?: (size: { width: number; height: number }) => Promise<void>;
  /** It passes on what a terminal of its own shows, whose lines may have got their \r already. */
  passesOn?: true;
  /** What its exit means where another program runs it: that one's failure to do so, or the command's own. Asked before `onEnd`. */
  exitCodeOf?: (code: number) => number;
  onEnd?: () => void;
}

/** Runs a command in a session; `onStart` hears how to kill it with its children, `onEnd` that this is no longer needed. */
export function runExec(
  command: Promise<ExecCommand>,
  options: { tty: boolean; onStart: (kill: () => void) => void; onEnd: () => void },
): Duplex {
  const ready = command.then((found) => {
    const hooks: Hooks = {
      tty: options.tty,
      onStart: options.onStart,
      onEnd() {
        found.onEnd?.();
        options.onEnd();
      },
    };
    return options.tty ? withTerminal(found, () => session, hooks) : withPipes(found, () => session, hooks);
  });
  const session: ExecSession = openExecSession(ready);
  return session.stream;
}

type Hooks = Parameters<typeof runExec>[1];

function withPipes(command: ExecCommand, session: () => ExecSession, hooks: Hooks): ExecHandlers {
  const child = spawn(command.program, command.args, {
    cwd: command.cwd,
    env: command.env,
    detached: true,
    stdio: 'pipe',
    ...(command.user ? { uid: command.user.uid, gid: command.user.gid } : {}),
  });
  const kill = (): void => {
    void killWith(command, () => killGroup(child));
  };
  hooks.onStart(kill);
  for (const Type of ['stdout', 'stderr'] as const) {
    const output = child[Type];
    output.on('data', (Data: Buffer) => {
      if (session().say({ Type, Data })) return;
      output.pause();
      void session()
        .room()
        .then(() => output.resume());
    });
  }
  child.stdin.on('error', () => {});
  child.once('error', (cause) => {
    hooks.onEnd();
    session().fail(new DriverError(`${command.program} cannot start: ${cause.message}`, { recoverable: false, cause }));
  });
  child.once('close', (code, signal) => {
    const number = signal ? constants.signals[signal] : 0;
    const told = code === null ? 128 + number : (command.exitCodeOf?.(code) ?? code);
    hooks.onEnd();
    session().exited(told, number);
  });
  return {
    async onInput(input) {
      if (input.Type === 'stdin') await new Promise((taken) => child.stdin.write(input.Data, taken));
      if (input.Type === 'stdin-close') child.stdin.end();
    },
    onAbandoned: kill,
  };
}

/** The control characters that mean end of input on a terminal. */
const END_OF_TRANSMISSION = '\x04';

async function withTerminal(command: ExecCommand, session: () => ExecSession, hooks: Hooks): Promise<ExecHandlers> {
  const pty = await import('@lydell/node-pty').catch((cause) => {
    const message = 'a terminal needs the optional package @lydell/node-pty, which is not installed; try without -t';
    throw new DriverError(message, { recoverable: false, cause });
  });
  const terminal = pty.spawn(command.program, command.args, {
    cwd: command.cwd,
    env: { TERM: 'xterm-256color', ...command.env },
    cols: 80,
    rows: 24,
    // Bytes, not text: a character may be cut between two reads.
    encoding: null,
    ...(command.user ? { uid: command.user.uid, gid: command.user.gid } : {}),
  });
  const kill = (): void => {
    void killWith(command, () => terminal.kill('SIGKILL'));
  };
  hooks.onStart(kill);
  const shown = command.passesOn ? new SingleReturns() : undefined;
  const say = (data: Buffer): void => {
    session().say({ Type: 'stdout', Data: shown ? shown.take(data) : data });
  };
  terminal.onData((data: string | Uint8Array) => say(Buffer.from(data as Uint8Array)));
  readToTheEnd(terminal, say);
  terminal.onExit(({ exitCode, signal }) => {
    const rest = shown?.rest();
    if (rest?.length) session().say({ Type: 'stdout', Data: rest });
    const told = signal ? 128 + signal : (command.exitCodeOf?.(exitCode) ?? exitCode);
    hooks.onEnd();
    session().exited(told, signal);
  });
  return {
    onInput(input) {
      // Its types know text only, its code takes bytes as they are.
      if (input.Type === 'stdin') terminal.write(Buffer.from(input.Data) as unknown as string);
      if (input.Type === 'stdin-close') terminal.write(END_OF_TRANSMISSION);
      if (input.Type !== 'resize') return;
      const size = { width: Math.max(1, input.Width), height: Math.max(1, input.Height) };
      terminal.resize(size.width, size.height);
      void command.onResize?.(size);
    },
    onAbandoned: kill,
  };
}

const REST_PIECE_BYTES = 4_096;
/** More than a terminal holds: what children that stay behind go on writing is not waited for. */
const REST_PIECES_MAX = 64;

/** Node.js takes a terminal that its program has left for read to the end, and drops the last kilobytes of a long output. */
function readToTheEnd(terminal: object, say: (data: Buffer) => void): void {
  const { fd, _socket: socket } = terminal as { fd?: number; _socket?: Duplex };
  if (fd === undefined || socket === undefined) return;
  const destroy = socket.destroy.bind(socket);
  socket.destroy = (error) => {
    // From then on the number may be another file's.
    socket.destroy = destroy;
    for (let piece = 0; piece < REST_PIECES_MAX && !socket.destroyed; piece++) {
      const data = Buffer.alloc(REST_PIECE_BYTES);
      const length = readNow(fd, data);
      if (length === 0) break;
      say(data.subarray(0, length));
    }
    return destroy(error);
  };
}

/** 0: there is nothing now (EAGAIN), or nothing will come (EIO). */
function readNow(fd: number, into: Buffer): number {
  try {
    return readSync(fd, into);
  } catch {
    return 0;
  }
}

async function killWith({ onKill }: ExecCommand, killProgram: () => void): Promise<void> {
  await onKill?.();
  killProgram();
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
}
