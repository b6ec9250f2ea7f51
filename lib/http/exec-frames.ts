import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { ExecInput, ExecOutput } from '../structs/rpc.js';
import { errorAnswer } from './errors.js';

/** How often a caller who waits is asked whether it is there. */
const PING_MS = 2_000;

/** Joins a websocket and an exec stream until one of them ends: `{"stdin":{"data":…}}` in, `{"stdout":{"data":…}}` out. */
export function connectExec(websocket: WebSocket, stream: Duplex): void {
  websocket.on('message', (data) => {
    const inputs = readFrame(String(data));
    if (!inputs) {
      websocket.close(1003, 'malformed frame');
      return;
    }
    let room = true;
    for (const input of inputs) room = stream.write(input);
    // A command that does not read its input holds the sender up, not the memory.
    if (room || stream.destroyed) return;
    websocket.pause();
    // Who is not read from is not heard to leave: what is sent to who has left fails.
    const asking = setInterval(() => websocket.ping(), PING_MS);
    const goOn = (): void => {
      clearInterval(asking);
      stream.off('drain', goOn).off('close', goOn);
      websocket.resume();
    };
    stream.on('drain', goOn).on('close', goOn);
  });
  websocket.on('close', () => stream.destroy());
  stream.on('error', (error) => close(websocket, error));
  void pump(websocket, stream);
}

/** Sends output as fast as the reader takes it. */
async function pump(websocket: WebSocket, stream: Duplex): Promise<void> {
  try {
    for await (const message of stream as AsyncIterable<ExecOutput>) {
      await new Promise((sent) => {
        websocket.send(JSON.stringify(outputFrame(message)), sent);
      });
    }
    websocket.close(1000);
  } catch (error) {
    close(websocket, error);
  }
}

/** The reason of a close may have 123 bytes (RFC 6455, 5.5.1). */
function close(websocket: WebSocket, error: unknown): void {
  let reason = errorAnswer(error).text;
  while (Buffer.byteLength(reason) > 123) reason = reason.slice(0, -1);
  websocket.close(1011, reason);
}

/** What a frame of the caller asks for; empty for a heartbeat, undefined when it is none. */
export function readFrame(text: string): ExecInput[] | undefined {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(frame)) return undefined;
  const inputs: ExecInput[] = [];
  const { stdin, tty_size: size } = frame;
  if (isObject(stdin)) {
    const { data = null } = stdin;
    if (data !== null && typeof data !== 'string') return undefined;
    if (data) inputs.push({ Type: 'stdin', Data: Buffer.from(data, 'base64') });
    if (stdin['close'] === true) inputs.push({ Type: 'stdin-close' });
  }
  if (isObject(size)) {
    const { height, width } = size;
    if (!isCells(height) || !isCells(width)) return undefined;
    inputs.push({ Type: 'resize', Height: height, Width: width });
  }
  return inputs;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCells(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 65_535;
}

function outputFrame(message: ExecOutput): object {
  switch (message.Type) {
    case 'stdout':
    case 'stderr':
      return { [message.Type]: { data: Buffer.from(message.Data).toString('base64') } };
    case 'stdout-close':
      return { stdout: { close: true } };
    case 'stderr-close':
      return { stderr: { close: true } };
    case 'exited':
      return { exited: true, result: { exit_code: message.ExitCode } };
  }
}
