import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { MeshError } from '../structs/errors.js';
import type { RpcStreams } from '../structs/rpc.js';
import { badRequest, errorAnswer } from './errors.js';
import { connectExec } from './exec-frames.js';
import { flag, queryOptions } from './query.js';
import { readTarget, refuseForeignPages, tokenOf } from './request.js';
import type { HttpOptions } from './server.js';

const EXEC_PATH = /^\/v1\/client\/allocation\/([^/]+)\/exec$/;
/** A job's id may hold slashes. Whose action it is says the allocation; the id only stands where Nomad has it. */
const ACTION_PATH = /^\/v1\/job\/.+\/action$/;
/** Largest frame of input. */
const FRAME_MAX_BYTES = 4 * 1024 * 1024;

type ExecArgs = RpcStreams['Allocations.Exec']['args'];

/** Serves the websockets of the API, `…/exec` and `…/action`. What is wrong with the request itself is refused before the upgrade. */
export async function upgrade(
  options: HttpOptions,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  socket.on('error', () => socket.destroy());
  try {
    const { args, handshake } = readRequest(request);
    // ws costs 60 ms to load: only those who exec pay.
    const { WebSocketServer } = await import('ws');
    const server = new WebSocketServer({ noServer: true, maxPayload: FRAME_MAX_BYTES });
    server.handleUpgrade(request, socket, head, (websocket) => {
      websocket.on('error', () => websocket.terminate());
      const begin = (token: string): void => {
        const stream = options.rpc.stream('Allocations.Exec', token === '' ? args : { ...args, AuthToken: token });
        connectExec(websocket, stream);
      };
      if (handshake) awaitHandshake(websocket, begin);
      else begin('');
    });
  } catch (error) {
    if (!(error instanceof MeshError)) options.log.error('exec failed', { error: String(error) });
    const { status, text } = errorAnswer(error);
    socket.end(
      `HTTP/1.1 ${status} Refused\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
    );
  }
}

function readRequest(request: IncomingMessage): { args: ExecArgs; handshake: boolean } {
  refuseForeignPages(request);
  const { path, query } = readTarget(request);
  const match = EXEC_PATH.exec(path);
  if (!match && !ACTION_PATH.test(path)) throw new MeshError('E_NOT_FOUND', `no websocket at ${path}`);
  const task = query.get('task');
  if (!task) throw badRequest('task is missing: name the task to run the command in');
  const common = { ...queryOptions(query, tokenOf(request)), Task: task, Tty: flag(query, 'tty') };
  const args = match
    ? { ...common, AllocID: readId(match[1] ?? ''), Cmd: readCommand(query.get('command')) }
    : { ...common, ...readAction(query) };
  return { args, handshake: flag(query, 'ws_handshake') };
}

function readAction(query: URLSearchParams): { AllocID: string; Cmd: string[]; Action: string } {
  const AllocID = query.get('allocID');
  if (!AllocID) throw badRequest('allocID is missing: name the allocation to run the action in');
  const Action = query.get('action');
  if (!Action) throw badRequest('action is missing: name the action to run');
  return { AllocID, Cmd: [], Action };
}

function readId(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw badRequest(`malformed escape in the allocation's id ${text}`);
  }
}

function readCommand(text: string | null): string[] {
  let value: unknown;
  try {
    value = JSON.parse(text ?? '[]');
  } catch {
    throw badRequest('failed to parse command: it must be a JSON list of strings');
  }
  if (!Array.isArray(value) || value.length === 0 || value.some((part) => typeof part !== 'string')) {
    throw badRequest('command is missing: send a JSON list of strings');
  }
  return value as string[];
}

/** With `ws_handshake` the first frame, `{"version":1,"auth_token":"…"}`, carries the token that a browser cannot put in a header. */
function awaitHandshake(websocket: WebSocket, begin: (token: string) => void): void {
  websocket.once('message', (data) => {
    let frame: { version?: unknown; auth_token?: unknown } | null;
    try {
      frame = JSON.parse(String(data));
    } catch {
      frame = null;
    }
    if (frame?.version !== 1) websocket.close(1002, 'the first frame must be a handshake of version 1');
    else begin(typeof frame.auth_token === 'string' ? frame.auth_token : '');
  });
}
