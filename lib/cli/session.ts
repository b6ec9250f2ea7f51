import { spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { type SessionAnswer, sessionPath } from '../agent/mesh/session-socket.js';
import { ApiError, type MeshApi } from './api.js';

// The command line's end of a session: finds the one that runs, or starts one.

/** A session that was just started listens within this time, or its start has failed. */
const START_MS = 10_000;

/**
 * The way into the mesh that a session keeps open for this profile; one is started where none runs. Undefined where none can
 * run, or one of another version does: then the command links by itself. Throws ApiError when no server is reached.
 */
export async function openSessionApi(options: { profile: string; version: string }): Promise<MeshApi | undefined> {
  const { profile, version } = options;
  const path = pathOf(profile);
  if (path === undefined) return undefined;
  const answer = (await ask(path)) ?? ((await start(profile)) ? await ask(path) : undefined);
  if (answer?.Version !== version) return undefined;
  if (answer.Error !== undefined) throw new ApiError(0, answer.Error);
  return {
    open() {
      const socket = connect(path);
      socket.write('http\n');
      return socket;
    },
    describe: () => answer.Via ?? '',
    close: async () => {},
  };
}

function pathOf(profile: string): string | undefined {
  try {
    return sessionPath(profile);
  } catch {
    return undefined;
  }
}

/** What a session answers once it is linked; undefined when none is there. */
function ask(path: string): Promise<SessionAnswer | undefined> {
  return new Promise((resolve) => {
    const socket: Socket = connect(path);
    let said = '';
    socket.on('data', (chunk: Buffer) => {
      said += chunk;
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      try {
        resolve(JSON.parse(said) as SessionAnswer);
      } catch {
        resolve(undefined);
      }
    });
    socket.write('ask\n');
  });
}

/** Starts a session that outlives this command; false when it did not come to listen. */
function start(profile: string): Promise<boolean> {
  const args = [process.argv[1] as string, 'operator', 'session', profile];
  const child = spawn(process.execPath, args, { cwd: '/', detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  return new Promise((resolve) => {
    const end = (listens: boolean) => (): void => {
      clearTimeout(timer);
      child.stdout.destroy();
      child.unref();
      resolve(listens);
    };
    const timer = setTimeout(end(false), START_MS);
    child.stdout.once('data', end(true));
    // It has ended: perhaps because another command was faster.
    child.once('exit', end(true));
    child.once('error', end(false));
  });
}
