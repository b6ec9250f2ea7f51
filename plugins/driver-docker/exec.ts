import { readFile } from 'node:fs/promises';
import { type Duplex, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import { DriverError } from '../../lib/plugin/sdk/driver.js';
import { type ExecHandlers, type ExecSession, openExecSession } from '../../lib/plugin/sdk/exec-session.js';
import { reasonOf } from './engine.js';

const RETRIES = 20;
const RETRY_MS = 50;

/** Runs a command inside a container, as a session. */
export function execInContainer(
  engine: Promise<Docker>,
  options: { containerId: string; command: string[]; tty: boolean },
): Duplex {
  const ready = engine.then((found) => start(found, () => session, options));
  const session: ExecSession = openExecSession(ready.catch(toDriverError));
  return session.stream;
}

async function start(
  engine: Docker,
  session: () => ExecSession,
  options: { containerId: string; command: string[]; tty: boolean },
): Promise<ExecHandlers> {
  const exec = await engine.getContainer(options.containerId).exec({
    Cmd: options.command,
    Tty: options.tty,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
  });
  const stream = await exec.start({ hijack: true, stdin: true, Tty: options.tty });
  const say = (Type: 'stdout' | 'stderr', Data: Buffer): void => {
    if (session().say({ Type, Data })) return;
    stream.pause();
    void session()
      .room()
      .then(() => stream.resume());
  };
  const saying = (Type: 'stdout' | 'stderr'): Writable =>
    new Writable({
      write(Data: Buffer, _encoding, done) {
        say(Type, Data);
        done();
      },
    });
  if (options.tty) stream.on('data', (Data: Buffer) => say('stdout', Data));
  else engine.modem.demuxStream(stream, saying('stdout'), saying('stderr'));
  // Input that comes after the command's end fails: what became of it is asked at the 'close' that follows.
  let cut: unknown = new Error('the connection to its engine was cut');
  stream.on('error', (error) => {
    cut = error;
  });
  const fail = (error: unknown): void => session().fail(new DriverError(reasonOf(error), { recoverable: false }));
  let resized: Promise<unknown> = Promise.resolve();
  // Input that nobody reads any more would keep the connection open.
  stream.once('end', () => stream.destroy());
  // 'close' alone is the end when the connection was cut.
  stream.once('close', () => {
    exitCodeOf(exec).then(
      (code) => (code === null ? fail(cut) : session().exited(code)),
      (error) => fail(error),
    );
  });
  return {
    async onInput(input) {
      if (input.Type === 'resize') resized = resized.then(() => resize(exec, input));
      else {
        // The size travels by another connection: what is typed after it must not arrive before it.
        await resized;
        if (input.Type === 'stdin') await new Promise((taken) => stream.write(input.Data, taken));
        else stream.end();
      }
    },
    onAbandoned() {
      stream.destroy();
      void killCommand(exec, options.containerId);
    },
  };
}

/** Null: it runs on, so that it was the connection which ended. */
async function exitCodeOf(exec: Docker.Exec): Promise<number | null> {
  for (let attempt = 0; attempt < RETRIES; attempt++) {
    const { Running, ExitCode } = await exec.inspect();
    if (!Running) return ExitCode ?? 0;
    await sleep(RETRY_MS);
  }
  return null;
}

/**
 * The engine has no way to end a command: one that does not read its input would run on. On this machine its number is
 * known; that it is the right one shows in its cgroup, which is named after the container.
 */
async function killCommand(exec: Docker.Exec, containerId: string): Promise<void> {
  try {
    for (let attempt = 0; attempt < RETRIES; attempt++) {
      const { Pid, Running } = await exec.inspect();
      // One that is just being started has no number yet.
      if (Pid > 1) {
        if (!Running || !(await readFile(`/proc/${Pid}/cgroup`, 'latin1')).includes(containerId)) return;
        process.kill(-Pid, 'SIGKILL');
        return;
      }
      await sleep(RETRY_MS);
    }
  } catch {
    // It has ended, the engine is on another machine, or the agent may not: then the end of its input must do.
  }
}

/** Right after the start the engine may not have the terminal yet; a command that has just ended has it no more. */
async function resize(exec: Docker.Exec, size: { Height: number; Width: number }): Promise<void> {
  for (let attempt = 0; attempt < RETRIES; attempt++) {
    try {
      await exec.resize({ h: Math.max(1, size.Height), w: Math.max(1, size.Width) });
      return;
    } catch {
      await sleep(RETRY_MS);
    }
  }
}

function toDriverError(error: unknown): never {
  throw new DriverError(`the command cannot be run: ${reasonOf(error)}`, { recoverable: false, cause: error });
}
