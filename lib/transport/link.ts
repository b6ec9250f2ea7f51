import { Duplex } from 'node:stream';
import { ERRORS, type ErrorCode, MeshError } from '../structs/errors.js';
import { encodeFrame, FRAME_VERSION, type Frame, FrameReader, KIND } from './frame.js';
import { unknownMethod } from './local.js';
import type { RpcCaller, RpcContext, RpcHandlers, RpcStreamHandlers } from './rpc.js';

/** Messages of one stream that may be under way before the reader has asked for more. */
const STREAM_CREDIT = 32;
const PING_EVERY_MS = 5_000;
/** Silence after which the other side is taken for gone: the transport itself may take minutes to notice. */
const SILENCE_MAX_MS = 15_000;

export interface LinkOptions {
  /** What the other side may ask of us. */
  handlers: RpcHandlers;
  streamHandlers: RpcStreamHandlers;
  onClose?: (reason: string) => void;
}

/** One connection to another agent, over any byte stream. Both sides may call, stream and serve. */
export interface Link extends RpcCaller {
  readonly closed: boolean;
  close(reason: string): void;
}

interface Pending {
  resolve: (value: never) => void;
  reject: (error: Error) => void;
}

type AnyHandler = (args: object, context: RpcContext) => Promise<object>;
type AnyStreamHandler = (args: object, stream: Duplex) => void;

/** Speaks the link protocol over `socket`; ids are even on the side that dialled and odd on the other. */
export function createLink(socket: Duplex, options: LinkOptions & { dialled: boolean }): Link {
  const reader = new FrameReader();
  const pending = new Map<number, Pending>();
  const serving = new Map<number, AbortController>();
  const streams = new Map<number, LinkStream>();
  let nextId = options.dialled ? 2 : 1;
  let closed = false;
  let heardAt = performance.now();

  const send = (frame: Frame): boolean => (closed ? true : socket.write(encodeFrame(frame)));
  const takeId = (): number => {
    const id = nextId;
    nextId += 2;
    return id;
  };

  const close = (reason: string): void => {
    if (closed) return;
    closed = true;
    clearInterval(timer);
    socket.destroy();
    const error = new MeshError('E_TIMEOUT', `the link was lost: ${reason}`);
    for (const { reject } of pending.values()) reject(error);
    for (const controller of serving.values()) controller.abort();
    for (const stream of streams.values()) stream.destroy(error);
    pending.clear();
    serving.clear();
    options.onClose?.(reason);
  };

  const newStream = (id: number): LinkStream => {
    const stream = new LinkStream(id, send, () => streams.delete(id));
    streams.set(id, stream);
    return stream;
  };

  async function serveCall(id: number, body: Record<string, unknown>): Promise<void> {
    const controller = new AbortController();
    serving.set(id, controller);
    try {
      const method = String(body['method']);
      const handler = own(options.handlers, method) as AnyHandler | undefined;
      if (!handler) throw unknownMethod(method);
      const value = await handler(asObject(body['args']), { signal: controller.signal });
      send({ kind: KIND.reply, id, body: value as Record<string, unknown> });
    } catch (error) {
      send({ kind: KIND.error, id, body: errorBody(error) });
    } finally {
      serving.delete(id);
    }
  }

  function serveStream(id: number, body: Record<string, unknown>): void {
    const method = String(body['method']);
    const handler = own(options.streamHandlers, method) as AnyStreamHandler | undefined;
    const stream = newStream(id);
    // A handler refuses by destroying its end: the caller hears of it, nobody else need.
    stream.on('error', () => {});
    if (!handler) stream.destroy(unknownMethod(method));
    else handler(asObject(body['args']), stream);
  }

  function receive({ kind, id, body }: Frame): void {
    switch (kind) {
      case KIND.hello:
        if (body['version'] !== FRAME_VERSION)
          close(
            `the other side speaks version ${String(body['version'])} of the protocol, this one ${FRAME_VERSION}: update the older`,
          );
        return;
      case KIND.call:
        void serveCall(id, body);
        return;
      case KIND.reply:
        pending.get(id)?.resolve(body as never);
        pending.delete(id);
        return;
      case KIND.error:
        pending.get(id)?.reject(bodyError(body));
        pending.delete(id);
        streams.get(id)?.fail(bodyError(body));
        return;
      case KIND.cancel:
        serving.get(id)?.abort();
        streams.get(id)?.fail(undefined);
        return;
      case KIND.open:
        serveStream(id, body);
        return;
      case KIND.message:
        streams.get(id)?.receive(body);
        return;
      case KIND.end:
        streams.get(id)?.receive(null);
        return;
      case KIND.credit:
        streams.get(id)?.grant(Number(body['count']));
        return;
      case KIND.ping:
        send({ kind: KIND.pong, id: 0, body: {} });
        return;
      case KIND.pong:
        return;
      default:
        close(`an unknown kind of frame (${String(kind)})`);
    }
  }

  socket.on('data', (chunk: Buffer) => {
    heardAt = performance.now();
    try {
      for (const frame of reader.push(chunk)) if (!closed) receive(frame);
    } catch (error) {
      close(`not understood: ${(error as Error).message}`);
    }
  });
  socket.on('error', (error) => close(error.message));
  socket.on('close', () => close('closed by the other side'));
  const timer = setInterval(() => {
    if (performance.now() - heardAt > SILENCE_MAX_MS) close(`silent for ${SILENCE_MAX_MS / 1000} s`);
    else send({ kind: KIND.ping, id: 0, body: {} });
  }, PING_EVERY_MS);
  timer.unref();
  send({ kind: KIND.hello, id: 0, body: { version: FRAME_VERSION } });

  return {
    get closed() {
      return closed;
    },
    close,
    call(method, args, { signal, timeoutMs } = {}) {
      if (closed) return Promise.reject(new MeshError('E_TIMEOUT', 'the link is closed'));
      const id = takeId();
      return new Promise((resolve, reject) => {
        const give = (error: MeshError): void => {
          pending.delete(id);
          send({ kind: KIND.cancel, id, body: {} });
          finish();
          reject(error);
        };
        const onAbort = (): void => give(new MeshError('E_TIMEOUT', `${method} was given up`));
        const deadline =
          timeoutMs === undefined
            ? undefined
            : setTimeout(
                () => give(new MeshError('E_TIMEOUT', `no answer to ${method} within ${timeoutMs} ms`)),
                timeoutMs,
              );
        const finish = (): void => {
          clearTimeout(deadline);
          signal?.removeEventListener('abort', onAbort);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        pending.set(id, {
          resolve: (value) => {
            finish();
            resolve(value);
          },
          reject: (error) => {
            finish();
            reject(error);
          },
        });
        send({ kind: KIND.call, id, body: { method, args } });
      });
    },
    stream(method, args) {
      const id = takeId();
      const stream = newStream(id);
      if (closed) stream.destroy(new MeshError('E_TIMEOUT', 'the link is closed'));
      else send({ kind: KIND.open, id, body: { method, args } });
      return stream;
    },
  };
}

/** One end of a stream on a link: object mode, one message a frame, at most STREAM_CREDIT unread ones under way. */
class LinkStream extends Duplex {
  readonly #id: number;
  readonly #send: (frame: Frame) => boolean;
  readonly #forget: () => void;
  #credit = STREAM_CREDIT;
  /** Messages the reader here has taken since the writer there was last told. */
  #taken = 0;
  #waiting: (() => void) | undefined;
  #told = false;

  constructor(id: number, send: (frame: Frame) => boolean, forget: () => void) {
    super({ objectMode: true, highWaterMark: STREAM_CREDIT });
    this.#id = id;
    this.#send = send;
    this.#forget = forget;
  }

  receive(message: Record<string, unknown> | null): void {
    const before = this.readableLength;
    this.push(message);
    // A flowing reader takes it on the way, without read().
    if (message !== null && this.readableLength === before) this.#took();
  }

  override read(size?: number): unknown {
    const message = super.read(size) as unknown;
    if (message !== null) this.#took();
    return message;
  }

  #took(): void {
    this.#taken++;
    if (this.#taken < STREAM_CREDIT / 2) return;
    this.#send({ kind: KIND.credit, id: this.#id, body: { count: this.#taken } });
    this.#taken = 0;
  }

  /** The other side failed or went away: nobody need be told. */
  fail(error: Error | undefined): void {
    this.#told = true;
    this.destroy(error);
  }

  grant(count: number): void {
    this.#credit += count;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }

  override _read(): void {
    // Messages come by receive().
  }

  override _write(message: Record<string, unknown>, _encoding: string, done: () => void): void {
    const go = (): void => {
      this.#credit--;
      this.#send({ kind: KIND.message, id: this.#id, body: message });
      done();
    };
    if (this.#credit > 0) go();
    else this.#waiting = go;
  }

  override _final(done: () => void): void {
    this.#send({ kind: KIND.end, id: this.#id, body: {} });
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#forget();
    const whole = this.writableFinished && this.readableEnded;
    if (!this.#told && !whole) {
      this.#send(
        error
          ? { kind: KIND.error, id: this.#id, body: errorBody(error) }
          : { kind: KIND.cancel, id: this.#id, body: {} },
      );
    }
    done(error);
  }
}

function own(table: object, method: string): unknown {
  return Object.hasOwn(table, method) ? (table as Record<string, unknown>)[method] : undefined;
}

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}

function errorBody(error: unknown): Record<string, unknown> {
  if (error instanceof MeshError) return { code: error.code, message: error.message };
  return { code: 'E_INTERNAL', message: error instanceof Error ? error.message : String(error) };
}

function bodyError(body: Record<string, unknown>): MeshError {
  const code = String(body['code']);
  return new MeshError(Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : 'E_INTERNAL', String(body['message']));
}
