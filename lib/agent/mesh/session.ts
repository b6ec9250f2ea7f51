import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { MeshError } from '../../structs/errors.js';
import { join } from '../../transport/mesh/caller.js';
import { type OperatorApi, openOperatorApi } from './operator.js';
import { type SessionAnswer, sessionPath } from './session-socket.js';

const LINE_MAX_BYTES = 16;
/** Commands at a time. */
const CONNECTIONS_MAX = 256;

export interface SessionOptions {
  profile: string;
  version: string;
  /** It ends when nobody had use for it for so long. */
  idleMs: number;
  /** Called once it can be connected to. */
  onReady: () => void;
}

/** Runs a session until it was idle for long enough. Rejects with E_CONFLICT when there is one already. */
export async function runSession(options: SessionOptions): Promise<void> {
  const { profile, version, idleMs, onReady } = options;
  const path = sessionPath(profile);
  const server = createServer();
  await take(server, path);
  const api = await openOperatorApi({ profile, version }).catch((error: unknown) => {
    server.close();
    throw error;
  });
  await new Promise<void>((resolve) => {
    let open = 0;
    let idle = setTimeout(resolve, idleMs);
    server.maxConnections = CONNECTIONS_MAX;
    server.on('connection', (socket) => {
      clearTimeout(idle);
      open++;
      socket.on('error', () => {});
      socket.once('close', () => {
        if (--open === 0) idle = setTimeout(resolve, idleMs);
      });
      void serve(socket, api, version);
    });
    onReady();
  });
  server.close();
  await api.close();
}

/** Listens where a session may have been killed before; rejects with E_CONFLICT where one is alive. */
async function take(server: Server, path: string): Promise<void> {
  if (await answers(path)) throw new MeshError('E_CONFLICT', `a session runs already: ${path}`);
  rmSync(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (found: boolean) => () => {
      socket.destroy();
      resolve(found);
    };
    socket.once('connect', end(true));
    socket.once('error', end(false));
  });
}

async function serve(socket: Socket, api: OperatorApi, version: string): Promise<void> {
  const word = await firstLine(socket);
  if (word === 'http') {
    try {
      join(socket, api.open());
    } catch {
      socket.destroy();
    }
    return;
  }
  if (word !== 'ask') {
    socket.destroy();
    return;
  }
  const answer: SessionAnswer = await api.ready().then(
    () => ({ Version: version, Via: api.describe() }),
    (error: Error) => ({ Version: version, Error: error.message }),
  );
  socket.end(`${JSON.stringify(answer)}\n`);
}

/** '' for what is no line. What follows it stays in the socket. */
function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let said = Buffer.alloc(0);
    const end = (line: string, rest?: Buffer): void => {
      socket.off('data', onData);
      socket.off('close', onClose);
      socket.pause();
      if (rest && rest.length > 0) socket.unshift(rest);
      resolve(line);
    };
    const onData = (chunk: Buffer): void => {
      said = Buffer.concat([said, chunk]);
      const at = said.indexOf(0x0a);
      if (at >= 0) end(said.toString('latin1', 0, at), said.subarray(at + 1));
      else if (said.length > LINE_MAX_BYTES) end('');
    };
    const onClose = (): void => end('');
    socket.on('data', onData);
    socket.once('close', onClose);
  });
}
