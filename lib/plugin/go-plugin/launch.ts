import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DriverOptions } from '../sdk/driver.js';
import { isCertificate, type KeyPair, makeKeyPair } from './certificate.js';
import { type Connection, connectPlugin } from './connection.js';
import { HANDSHAKE_LINE_MAX, type Handshake, handshakeEnv, type PluginAddress, parseHandshake } from './handshake.js';
import { LineSplitter, parseLogLine } from './log-lines.js';
import { processStart } from './process-start.js';
import {
  type Attachment,
  forgetAttachment,
  forgetBeginner,
  readAttachment,
  readBeginner,
  writeAttachment,
  writeBeginner,
} from './reattach.js';
import { PluginServices } from './services.js';
import { FileTail } from './tail.js';

/** What is to be started, and how. */
export interface PluginProgram {
  /** For messages: the name of its file. */
  name: string;
  path: string;
  args: readonly string[];
  handshake: Handshake;
  /** For what is kept over restarts of the agent; not for other users. */
  stateDir: string;
  /** Whatever makes another process of it (its file, its arguments, its configuration): one that runs is taken up only when it is the same. */
  fingerprint: string;
  startTimeoutMs: number;
  /** False: one that an earlier agent has left running is ended, and started anew. */
  takesUp: boolean;
  log: DriverOptions['log'];
}

/** A plugin's process with a connection to it. */
export interface RunningPlugin {
  readonly pid: number;
  /** It ran already: an earlier agent started it. */
  readonly reattached: boolean;
  readonly connection: Connection;
  /** Settles with what happened when the process has ended. */
  readonly ended: Promise<string>;
  /** Whether it answers within the time. */
  isServing(timeoutMs: number): Promise<boolean>;
  /** Lets go of it; it goes on running, and can be taken up again. */
  detach(): void;
  /** Asks it to end, and kills it when it does not. */
  stop(): Promise<void>;
}

/** What is said of a plugin that does not take the host's cookie: go-plugin makes it end with a text for whoever started it. */
export const FOREIGN_PLUGIN = 'is a plugin of another program';

/** Longer than this a path does not fit into the address of a socket, with the name that the plugin chooses. */
const SOCKET_DIR_MAX = 80;
const SOCKET_DIR = 'socket-';
const POLL_MS = 20;
const STOP_MS = 2_000;
const WATCH_MS = 1_000;

/** Takes up the plugin when it runs already, else starts it. Throws an Error whose message goes on behind the plugin's name. */
export async function launchPlugin(program: PluginProgram, signal: AbortSignal): Promise<RunningPlugin> {
  mkdirSync(program.stateDir, { recursive: true, mode: 0o700 });
  chmodSync(program.stateDir, 0o700);
  const known = readAttachment(program.stateDir);
  if (known) {
    const found = await takeUp(program, known);
    if (found) return found;
    forgetAttachment(program.stateDir);
  }
  endBeginner(program);
  signal.throwIfAborted();
  return start(program, signal);
}

/** Ends what an earlier agent began to start, and did not live to hear of: nobody could take it up. */
function endBeginner({ stateDir, log }: PluginProgram): void {
  const found = readBeginner(stateDir);
  if (found && processStart(found.pid) === found.startedAt) {
    log('info', 'a plugin that an earlier agent began to start is ended', { pid: found.pid });
    killAll(found.pid);
  }
  forgetBeginner(stateDir);
}

/** Undefined when it is gone; one that is another by now, or does not answer, is ended. */
async function takeUp(program: PluginProgram, known: Attachment): Promise<RunningPlugin | undefined> {
  if (processStart(known.pid) !== known.startedAt) return undefined;
  const connection = await connectPlugin({ ...known.address, certificate: known.certificate }, known.keys).catch(
    () => undefined,
  );
  if (!connection) {
    program.log('warn', 'the plugin from before does not answer: it is killed', { pid: known.pid });
    kill(known.pid, 'SIGKILL');
    return undefined;
  }
  const running = await attach(program, { attachment: known, connection, child: null });
  const why = await whyNotAgain(program, known, running);
  if (why === null) return running;
  program.log('info', `the plugin from before is ended: ${why}`, { pid: known.pid });
  await running.stop();
  return undefined;
}

/** Null: it can be taken up. */
async function whyNotAgain(program: PluginProgram, known: Attachment, running: RunningPlugin): Promise<string | null> {
  if (!program.takesUp) return 'it has no tasks, and is started anew with each agent';
  if (known.fingerprint !== program.fingerprint) return 'its file, its arguments or its configuration have changed';
  return (await running.isServing(STOP_MS)) ? null : 'it does not answer';
}

async function start(program: PluginProgram, signal: AbortSignal): Promise<RunningPlugin> {
  const keys = makeKeyPair(Date.now());
  const socketDir = makeSocketDir(program.stateDir);
  const child = spawnPlugin(program, keys, socketDir);
  const beganAt = processStart(child.pid ?? 0);
  if (child.pid !== undefined && beganAt !== null)
    writeBeginner(program.stateDir, { pid: child.pid, startedAt: beganAt });
  try {
    const address = await readAddress(program, child, signal);
    const startedAt = processStart(child.pid ?? 0);
    if (startedAt === null || child.pid === undefined) throw new Error('ended right after it said how to reach it');
    const { certificate, ...rest } = address;
    const attachment: Attachment = {
      pid: child.pid,
      startedAt,
      fingerprint: program.fingerprint,
      address: rest,
      certificate,
      keys,
      socketDir,
    };
    const connection = await connectPlugin(address, keys);
    writeAttachment(program.stateDir, attachment);
    forgetBeginner(program.stateDir);
    return await attach(program, { attachment, connection, child });
  } catch (error) {
    if (child.pid !== undefined) killAll(child.pid);
    forgetBeginner(program.stateDir);
    rmSync(socketDir, { recursive: true, force: true });
    throw error;
  }
}

function spawnPlugin(program: PluginProgram, keys: KeyPair, socketDir: string): ChildProcess {
  const files = outputFiles(program.stateDir).map((path) =>
    openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND, 0o600),
  );
  try {
    return spawn(program.path, program.args, {
      cwd: '/',
      env: {
        ...hostEnv(),
        ...handshakeEnv(program.handshake, keys),
        PLUGIN_UNIX_SOCKET_DIR: socketDir,
      },
      // A session of its own: what ends the agent (Ctrl-C, the end of its session) must not end the plugin.
      detached: true,
      stdio: ['ignore', ...files],
    });
  } finally {
    for (const file of files) closeSync(file);
  }
}

/** Waits for the line on stdout that says where the plugin is. */
async function readAddress(program: PluginProgram, child: ChildProcess, signal: AbortSignal): Promise<PluginAddress> {
  let text = '';
  let gone: string | undefined;
  child.once('error', (error: NodeJS.ErrnoException) => {
    gone = SPAWN_ERRORS[error.code ?? ''] ?? `cannot be started: ${error.message}`;
  });
  child.once('exit', (code, signal) => {
    const said = lastWords(program.stateDir);
    gone ??= /load any plugins automatically/.test(said)
      ? FOREIGN_PLUGIN
      : `ended (${signal ?? `code ${code}`}) before it said how to reach it${said}`;
  });
  const [stdoutPath] = outputFiles(program.stateDir);
  const tail = new FileTail(stdoutPath, { from: 'start', onText: (more) => (text += more) });
  const deadline = performance.now() + program.startTimeoutMs;
  try {
    for (;;) {
      tail.read();
      const end = text.indexOf('\n');
      if (end >= 0 || text.length > HANDSHAKE_LINE_MAX) {
        const parsed = parseHandshake(end >= 0 ? text.slice(0, end) : text, program.handshake);
        if (!parsed.ok) throw new Error(parsed.error);
        if (parsed.value.certificate && !isCertificate(parsed.value.certificate)) {
          throw new Error('named a certificate that is none');
        }
        return parsed.value;
      }
      if (gone !== undefined) throw new Error(gone);
      signal.throwIfAborted();
      if (performance.now() > deadline) {
        throw new Error(`did not say how to reach it within ${program.startTimeoutMs / 1000} s`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  } finally {
    tail.close();
  }
}

async function attach(
  program: PluginProgram,
  options: { attachment: Attachment; connection: Connection; child: ChildProcess | null },
): Promise<RunningPlugin> {
  const { attachment, connection, child } = options;
  const { pid, startedAt } = attachment;
  const [stdoutPath, stderrPath] = outputFiles(program.stateDir);
  const outputs = [
    // Its first line said how to reach it.
    followOutput(stdoutPath, 'end', program.log),
    followOutput(stderrPath, child ? 'start' : 'end', program.log),
  ];
  const services = new PluginServices(connection, program.log);
  const release = (): void => {
    services.close();
    connection.close();
    for (const close of outputs) close();
  };
  const ended = watchEnd({ pid, startedAt }, child).then((why) => {
    release();
    forgetAttachment(program.stateDir);
    if (attachment.address.network === 'unix') rmSync(attachment.address.address, { force: true });
    removeIfEmpty(attachment.socketDir);
    return why;
  });
  // Only a process that is waited for has an exit code; the loop must not stay alive for it.
  child?.unref();
  return {
    pid,
    reattached: child === null,
    connection,
    ended,
    isServing: (timeoutMs) => services.isServing(timeoutMs),
    detach: release,
    async stop() {
      await services.shutdown(STOP_MS);
      const timeout = setTimeout(() => kill(pid, 'SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(timeout);
    },
  };
}

/** Hands what is appended to a file on to the log, line by line; gives what ends it. */
function followOutput(path: string, from: 'start' | 'end', log: DriverOptions['log']): () => void {
  const lines = new LineSplitter((line) => {
    const said = parseLogLine(line);
    if (said) log(said.level, said.message, said.fields);
  });
  const tail = new FileTail(path, { from, onText: (text) => lines.push(text) });
  return () => {
    tail.close();
    lines.end();
  };
}

/** How the process ended. One that an earlier agent started is nobody's child: it is looked for. */
function watchEnd(of: { pid: number; startedAt: string }, child: ChildProcess | null): Promise<string> {
  return new Promise((resolve) => {
    if (child) {
      if (child.exitCode !== null || child.signalCode !== null) return resolve(exitText(child));
      child.once('exit', () => resolve(exitText(child)));
      return;
    }
    const timer = setInterval(() => {
      if (processStart(of.pid) === of.startedAt) return;
      clearInterval(timer);
      resolve('it has ended');
    }, WATCH_MS);
    timer.unref();
  });
}

function exitText(child: ChildProcess): string {
  return child.signalCode === null ? `it ended with code ${child.exitCode}` : `it was ended by ${child.signalCode}`;
}

/** Where a plugin prints to. */
function outputFiles(stateDir: string): [stdout: string, stderr: string] {
  return [join(stateDir, 'stdout.log'), join(stateDir, 'stderr.log')];
}

/** The last line that a plugin printed before it ended, for the message. */
function lastWords(stateDir: string): string {
  let text = '';
  try {
    new FileTail(outputFiles(stateDir)[1], { from: 'start', onText: (more) => (text += more) }).close();
  } catch {
    return '';
  }
  const last = parseLogLine(text.trimEnd().split('\n').at(-1) ?? '');
  return last ? `; it last said ${JSON.stringify(last.message)}` : '';
}

/** A new folder for each start, for this user alone. */
function makeSocketDir(stateDir: string): string {
  for (const name of readdirSync(stateDir)) if (name.startsWith(SOCKET_DIR)) removeIfEmpty(join(stateDir, name));
  const own = join(stateDir, SOCKET_DIR);
  return mkdtempSync(Buffer.byteLength(own) > SOCKET_DIR_MAX ? join(tmpdir(), 'meshnomad-plugin-') : own);
}

/** Executors of a driver's tasks, which outlive it, listen in its folder too. */
function removeIfEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {
    // Somebody listens in it, or it is gone.
  }
}

/** The agent's own environment, less what is meant for the agent alone. */
function hostEnv(): Record<string, string | undefined> {
  const { NOTIFY_SOCKET: _notify, NODE_OPTIONS: _options, ...env } = process.env;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('MESHNOMAD_')));
}

/** With what it has started: it leads a session of its own, and has no tasks yet. */
function killAll(pid: number): void {
  kill(-pid, 'SIGKILL');
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

const SPAWN_ERRORS: Record<string, string> = {
  EACCES: 'cannot be started: it is not executable for this agent',
  ENOENT: 'cannot be started: it, or the interpreter that it names, does not exist',
  ENOEXEC: 'cannot be started: it is no program for this machine',
};
