import type { Duplex } from 'node:stream';
import type { RpcStreams, StreamFrame } from '../structs/rpc.js';
import type { RpcStreamMethod } from '../transport/rpc.js';
import { badRequest } from './errors.js';
import { flag, wholeNumber } from './query.js';
import type { Exchange } from './router.js';

/** How often an idle stream says that it lives; Nomad's clients expect about one a second. */
const HEARTBEAT_MS = 1000;

/** `fs/cat`: a whole file as it is. */
export async function catFile(exchange: Exchange): Promise<undefined> {
  const args = { ...fileArgs(exchange), Offset: 0, Origin: 'start' as const, Follow: false };
  await sendStream(exchange, openStream(exchange, 'FileSystem.Stream', args), { plain: true, follow: false });
}

/** `fs/readat`: `limit` bytes from `offset`, or all that follow: Nomad's command line says that with a limit of -1. */
export async function readAt(exchange: Exchange): Promise<undefined> {
  const offset = wholeNumber(exchange.query, 'offset');
  const isUnlimited = /^(-\d{1,16}|0*)$/.test(exchange.query.get('limit') ?? '');
  const limit = isUnlimited ? undefined : wholeNumber(exchange.query, 'limit');
  if (offset === undefined) throw badRequest('offset is missing: say where to begin, in bytes');
  const Limit = limit === undefined ? {} : { Limit: limit };
  const args = { ...fileArgs(exchange), Offset: offset, Origin: 'start' as const, ...Limit, Follow: false };
  await sendStream(exchange, openStream(exchange, 'FileSystem.Stream', args), { plain: true, follow: false });
}

/** `fs/stream`: a file in frames, following it as it grows unless follow=false. */
export async function streamFile(exchange: Exchange): Promise<undefined> {
  const follow = exchange.query.has('follow') ? flag(exchange.query, 'follow') : true;
  const args = { ...fileArgs(exchange), ...position(exchange), Follow: follow };
  await sendStream(exchange, openStream(exchange, 'FileSystem.Stream', args), { plain: false, follow });
}

/** `fs/logs`: the output of a task, in frames or (`plain=true`) as it is. */
export async function streamLogs(exchange: Exchange): Promise<undefined> {
  const task = exchange.query.get('task');
  if (!task) throw badRequest('must provide task name');
  const type = exchange.query.get('type');
  if (type !== 'stdout' && type !== 'stderr') throw badRequest('log type must be stdout or stderr');
  const follow = flag(exchange.query, 'follow');
  const plain = flag(exchange.query, 'plain');
  const args = {
    ...exchange.reading(),
    AllocID: exchange.params['id'] ?? '',
    Task: task,
    LogType: type,
    ...position(exchange),
    Follow: follow,
  } as const;
  await sendStream(exchange, openStream(exchange, 'FileSystem.Logs', args), { plain, follow });
}

function fileArgs(exchange: Exchange) {
  const path = exchange.query.get('path');
  if (!path) throw badRequest('must provide a file path');
  return { ...exchange.reading(), AllocID: exchange.params['id'] ?? '', Path: path };
}

function position(exchange: Exchange): { Offset: number; Origin: 'start' | 'end' } {
  const origin = exchange.query.get('origin') ?? 'start';
  if (origin !== 'start' && origin !== 'end') throw badRequest('invalid origin: write "start" or "end"');
  return { Offset: wholeNumber(exchange.query, 'offset') ?? 0, Origin: origin };
}

/** A stream of the RPC that ends when the asker hangs up. */
export function openStream<M extends RpcStreamMethod>(
  exchange: Exchange,
  method: M,
  args: RpcStreams[M]['args'],
): Duplex {
  const stream = exchange.rpc.stream(method, args);
  const hangUp = (): void => {
    stream.destroy();
  };
  exchange.signal.addEventListener('abort', hangUp, { once: true });
  stream.once('close', () => exchange.signal.removeEventListener('abort', hangUp));
  if (exchange.signal.aborted) hangUp();
  return stream;
}

/**
 * Passes a stream on, as it is (`plain`) or in frames. The head of the answer waits for the first frame, so that a refusal
 * is still told as one; a follower of a silent file gets it with the first heartbeat.
 */
export async function sendStream(
  exchange: Exchange,
  stream: Duplex,
  how: { plain: boolean; follow: boolean },
): Promise<void> {
  const { response } = exchange;
  const start = (): void => {
    if (response.headersSent) return;
    response.writeHead(200, { 'Content-Type': how.plain ? 'text/plain; charset=utf-8' : 'application/json' });
    response.flushHeaders();
  };
  const beat = (): void => {
    start();
    if (!how.plain && !response.writableNeedDrain) response.write('{}');
  };
  const heartbeat = how.follow ? setInterval(beat, HEARTBEAT_MS) : undefined;
  try {
    for await (const frame of stream as AsyncIterable<StreamFrame>) {
      start();
      // Answered in full, as far as the asker of a HEAD is concerned.
      if (exchange.request.method === 'HEAD') break;
      if (!how.plain) await write(exchange, frameText(frame));
      else if (frame.Data && frame.Data.length > 0) await write(exchange, frame.Data);
    }
    start();
    response.end();
  } finally {
    clearInterval(heartbeat);
  }
}

function frameText({ Data, ...rest }: StreamFrame): string {
  if (!Data) return JSON.stringify(rest);
  const data = Buffer.from(Data.buffer, Data.byteOffset, Data.byteLength).toString('base64');
  return JSON.stringify({ ...rest, Data: data });
}

/** Writes with back-pressure: a slow reader slows the file down, not the memory up. */
export function write({ response, signal }: Exchange, data: string | Uint8Array): Promise<void> {
  if (response.write(data) || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    response.once('drain', done);
    signal.addEventListener('abort', done, { once: true });
  });
}
