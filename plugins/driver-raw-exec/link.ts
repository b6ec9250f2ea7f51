import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { DriverError } from '../../lib/plugin/sdk/driver.js';

/** What the supervisor is told to run (supervisor/spec.c). */
export interface SupervisorSpec {
  program: string;
  argv: string[];
  env: Record<string, string>;
  cwd: string;
  user: { uid: number; gid: number; groups: number[] } | null;
  /** Null: output goes nowhere. */
  logs: { stdoutPrefix: string; stderrPrefix: string; maxFiles: number; maxFileSizeBytes: number } | null;
  /** `cgroup.procs` files to write the task's number to. */
  cgroupFiles: string[];
  /** Null: as any other process. */
  oomScoreAdj: number | null;
  /** Path of the network namespace to run in; null = the machine's. */
  netns: string | null;
  /**
   * Not null: `program` is a container runtime that creates a container when it is run with `argv`, and lets it go with
   * these arguments; the file then has the number of the container's first process, which is the task.
   */
  container: { startArgv: string[]; pidFile: string } | null;
}

/** The supervisor could not start the task: which step failed, and with which errno ("ENOENT"). */
export class StartFailure extends Error {
  readonly stage: string;
  readonly code: string;

  constructor(stage: string, code: string) {
    super(`${stage}: ${code}`);
    this.name = 'StartFailure';
    this.stage = stage;
    this.code = code;
  }
}

const CONNECT_PATH_MAX = 100;

/** A connection to a task's supervisor. It lasts until the task has ended and its exit is on disk, or the supervisor died. */
export class SupervisorLink {
  /** The task's first process. */
  readonly taskPid: number;
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #lines: LineReader;

  private constructor(socket: Socket, lines: LineReader, taskPid: number) {
    this.#socket = socket;
    this.#lines = lines;
    this.taskPid = taskPid;
    this.closed = lines.ended;
  }

  /** Starts a supervisor and its task; throws StartFailure when the task did not start. */
  static async start(
    binary: string,
    options: { dir: string; spec: SupervisorSpec; signal: AbortSignal },
  ): Promise<{ link: SupervisorLink; supervisorPid: number }> {
    options.signal.throwIfAborted();
    const child = spawn(binary, [options.dir], {
      cwd: '/',
      env: {},
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    });
    const failed = new Promise<never>((_resolve, reject) => child.once('error', reject));
    failed.catch(() => {});
    child.unref();
    const socket = child.stdio[3] as unknown as Socket | null;
    if (!socket) return failed;
    const lines = new LineReader(socket);
    socket.write(encodeSpec(options.spec));
    const link = await Promise.race([SupervisorLink.#greet(socket, lines), failed]);
    return { link, supervisorPid: child.pid ?? 0 };
  }

  /** Connects to the supervisor that runs in `dir`; throws what the system says when there is none (ENOENT, ECONNREFUSED). */
  static async connect(dir: string): Promise<SupervisorLink> {
    const path = join(dir, 'sock');
    if (Buffer.byteLength(path) <= CONNECT_PATH_MAX) return SupervisorLink.#dial(path);
    // A socket's address holds 107 bytes; an open directory gives it a short one.
    const handle = await open(dir, 'r');
    try {
      return await SupervisorLink.#dial(`/proc/self/fd/${handle.fd}/sock`);
    } finally {
      await handle.close();
    }
  }

  /** Sends a signal to the task's first process. */
  async signal(number: number): Promise<void> {
    this.#socket.write(`signal ${number}\n`);
    const answer = await this.#lines.next();
    if (answer === 'ok') return;
    const code = errnoName(Number(answer?.split(' ')[1] ?? 3));
    throw new DriverError(code === 'ESRCH' ? 'the task has ended' : `the signal was refused: ${code}`, {
      recoverable: false,
    });
  }

  /** Kills the task's whole tree; `closed` settles when it is gone. */
  kill(): void {
    this.#socket.write('kill\n');
  }

  /** Lets go of it; the task goes on. */
  close(): void {
    this.#socket.destroy();
  }

  static async #dial(path: string): Promise<SupervisorLink> {
    const socket = createConnection(path);
    const lines = new LineReader(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return SupervisorLink.#greet(socket, lines);
  }

  static async #greet(socket: Socket, lines: LineReader): Promise<SupervisorLink> {
    const [word, first = '', second = ''] = ((await lines.next()) ?? '').split(' ');
    if (word === 'ok') return new SupervisorLink(socket, lines, Number(first));
    socket.destroy();
    throw word === 'fail'
      ? new StartFailure(first, errnoName(Number(second)))
      : new StartFailure('supervisor', 'EPIPE');
  }
}

/** Answers, a line each, in the order of the questions. */
class LineReader {
  readonly ended: Promise<void>;
  readonly #lines: string[] = [];
  readonly #waiting: ((line: string | undefined) => void)[] = [];
  #isEnded = false;

  constructor(socket: Socket) {
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
      for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n')) {
        this.#give(text.slice(0, at));
        text = text.slice(at + 1);
      }
    });
    // The reason does not matter: whether the task ended or its supervisor died is read from the disk.
    socket.on('error', () => {});
    this.ended = new Promise((resolve) => {
      socket.once('close', () => {
        this.#isEnded = true;
        for (const wake of this.#waiting.splice(0)) wake(undefined);
        resolve();
      });
    });
  }

  /** Undefined when the connection ended first. */
  next(): Promise<string | undefined> {
    const line = this.#lines.shift();
    if (line !== undefined || this.#isEnded) return Promise.resolve(line);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #give(line: string): void {
    const wake = this.#waiting.shift();
    if (wake) wake(line);
    else this.#lines.push(line);
  }
}

/** The bytes of a spec: records of a letter, a value and a NUL; "." ends it. Throws a DriverError on a NUL inside a value. */
export function encodeSpec(spec: SupervisorSpec): Buffer {
  const records: string[] = [`p${spec.program}`, `d${spec.cwd}`];
  for (const arg of spec.argv) records.push(`a${arg}`);
  for (const [name, value] of Object.entries(spec.env)) records.push(`e${name}=${value}`);
  if (spec.user) {
    records.push(`u${spec.user.uid}`, `g${spec.user.gid}`);
    for (const group of new Set(spec.user.groups)) records.push(`G${group}`);
  }
  if (spec.logs) {
    const { stdoutPrefix, stderrPrefix, maxFiles, maxFileSizeBytes } = spec.logs;
    records.push(`o${stdoutPrefix}`, `r${stderrPrefix}`, `n${maxFiles}`, `m${maxFileSizeBytes}`);
  }
  if (spec.container) {
    records.push(`i${spec.container.pidFile}`);
    for (const arg of spec.container.startArgv) records.push(`x${arg}`);
  }
  if (spec.netns !== null) records.push(`N${spec.netns}`);
  for (const file of spec.cgroupFiles) records.push(`j${file}`);
  if (spec.oomScoreAdj !== null) records.push(`s${spec.oomScoreAdj}`);
  const broken = records.find((record) => record.includes('\0'));
  if (broken !== undefined) {
    const name = broken.startsWith('e') ? `variable ${broken.slice(1, broken.indexOf('='))}` : 'command or args';
    throw new DriverError(`${name}: a NUL character cannot be handed to a program`, { recoverable: false });
  }
  return Buffer.from(`${records.join('\0')}\0.\0`);
}

function errnoName(errno: number): string {
  return Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
}
