import type { Duplex } from 'node:stream';
import { MeshError } from '../structs/errors.js';
import { type MeshClock, systemClock } from './clock.js';
import {
  commonVersion,
  encodeFrame,
  FRAME_MAX_BYTES,
  FRAME_VERSIONS,
  FrameReader,
  KIND,
  type ReadFrame,
  relabelFrame,
} from './frame.js';
import { CALM, Heartbeat, type Pace } from './heartbeat.js';
import { bodyError, errorBody, Serving } from './link-serving.js';
import { LinkStream, Outlet } from './link-stream.js';
import { unknownMethod } from './local.js';
import type { RpcCaller, RpcContext, RpcHandlers, RpcStreamHandlers } from './rpc.js';

/** Streams of both sides at a time. */
const STREAMS_MAX = 256;
/** Bytes that wait to be sent, as a multiple of the largest frame: beyond it the other side does not read. */
const UNSENT_MAX_FRAMES = 2;
/** Datagrams are dropped above this rather than queued: they would come too late. */
const DATAGRAM_BACKLOG_MAX_BYTES = 1024 * 1024;

/** Answers that are too large for this link wait for the other side to take them over another one. */
export interface Parking {
  /** An encoded answer above this is parked. */
  readonly aboveBytes: number;
  /** Keeps the frame for a while; answers the token that it is taken by. */
  park(frame: Buffer): string;
  /** Takes what the other side parked, by its token; it has about so many bytes. */
  fetch(token: string, bytes: number): Promise<object>;
}

/** What a link of the mesh has more than a plain one. */
export interface MeshLinkOptions {
  /** Who is at the other end, as proven; asked for each call, for certificates are renewed. */
  readonly peer: () => NonNullable<RpcContext['peer']>;
  /** Whether the other side may ask this. */
  readonly mayAsk: (method: string) => boolean;
  /** Streams that the link manager serves itself, before all others. */
  readonly ownStreams: RpcStreamHandlers;
  readonly onDatagram: (id: number, data: Uint8Array) => void;
  readonly onCertificate: (body: Record<string, unknown>) => void;
  readonly parking: Parking | undefined;
  /** Gives out what was parked for the other side; undefined = nothing by this token. */
  readonly unpark: (token: string) => Buffer | undefined;
  /** How seldom this side would like to be pinged: many links make each of them slower. */
  readonly pingWishMs: () => number;
  /** Largest frame taken from the other side. */
  readonly limitBytes: number;
  readonly pace: Pace;
  /** What came behind the handshake. */
  readonly head: Buffer;
}

export interface LinkOptions {
  /** What the other side may ask of us. */
  handlers: RpcHandlers;
  streamHandlers: RpcStreamHandlers;
  onClose?: (reason: string) => void;
  clock?: MeshClock;
  /** Of mesh links, whose handshake lies behind them. Absent: a plain link, which begins with a word about versions. */
  mesh?: MeshLinkOptions;
}

/** One connection to another agent, over any byte stream. Both sides may call, stream and serve. */
export interface Link extends RpcCaller {
  readonly closed: boolean;
  /** Median of the latest round trips; null before the first. */
  readonly rttMs: number | null;
  /** Milliseconds since anything came. */
  readonly silentMs: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Whether calls or streams are under way, of either side. */
  readonly busy: boolean;
  /** Whether streams are: those may last, and whoever is in the middle of one does not begin anew. */
  readonly streaming: boolean;
  /** Whether this side waits for something from the other. */
  readonly waiting: boolean;
  close(reason: string): void;
  /** Sends a datagram, or drops it when too much waits already; `id` says what it is about. */
  datagram(id: number, data: Uint8Array): boolean;
  /** Shows the other side a renewed certificate. */
  showCertificate(body: Record<string, unknown>): void;
  /** Takes an answer that the other side parked. */
  take(token: string): Promise<object>;
  pace(pace: Pace): void;
  /** Something is wrong around here: no answer soon means that the link is dead. */
  hurry(): void;
}

interface Pending {
  resolve: (value: never) => void;
  reject: (error: Error) => void;
}

type AnyHandler = (args: object, context: RpcContext) => Promise<object>;
type AnyStreamHandler = (args: object, stream: Duplex, context: RpcContext) => void;

/** Speaks the link protocol over `socket`; ids are even on the side that dialled and odd on the other. */
export function createLink(socket: Duplex, options: LinkOptions & { dialled: boolean }): Link {
  return new SocketLink(socket, options);
}

class SocketLink implements Link {
  readonly #socket: Duplex;
  readonly #options: LinkOptions;
  readonly #clock: MeshClock;
  readonly #limitBytes: number;
  readonly #reader: FrameReader;
  readonly #pending = new Map<number, Pending>();
  readonly #serving = new Serving();
  readonly #streams = new Map<number, LinkStream>();
  readonly #outlet = new Outlet(() => this.#heartbeat.bestRttMs);
  readonly #heartbeat: Heartbeat;
  #nextId: number;
  #closed = false;
  sentBytes = 0;
  receivedBytes = 0;

  constructor(socket: Duplex, options: LinkOptions & { dialled: boolean }) {
    this.#socket = socket;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#limitBytes = options.mesh?.limitBytes ?? FRAME_MAX_BYTES;
    this.#reader = new FrameReader(this.#limitBytes);
    this.#nextId = options.dialled ? 2 : 1;
    if (!options.mesh) this.#send(encodeFrame({ kind: KIND.hello, id: 0, body: { ...FRAME_VERSIONS } }));
    this.#heartbeat = new Heartbeat({
      clock: this.#clock,
      pace: options.mesh?.pace ?? CALM,
      leads: options.dialled,
      ping: (id, Every) => this.#send(encodeFrame({ kind: KIND.ping, id, body: { Every } })),
      dead: (silentMs) => this.close(`silent for ${(silentMs / 1000).toFixed(1)} s`),
    });
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', (error) => this.close(error.message));
    socket.on('close', () => this.close('closed by the other side'));
    if (options.mesh) {
      // Not now: whoever makes the link must have it in hand before it hears of anything.
      const { head } = options.mesh;
      queueMicrotask(() => {
        this.#read(head);
        socket.resume();
      });
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  get rttMs(): number | null {
    return this.#heartbeat.rttMs;
  }

  get silentMs(): number {
    return this.#heartbeat.silentMs;
  }

  get waiting(): boolean {
    return this.#pending.size + this.#streams.size > 0;
  }

  get streaming(): boolean {
    return this.#streams.size > 0;
  }

  get busy(): boolean {
    return this.#pending.size + this.#serving.size + this.#streams.size > 0;
  }

  close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#heartbeat.stop();
    this.#socket.destroy();
    const error = new MeshError('E_TIMEOUT', `the link was lost: ${reason}`);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#serving.cancelAll();
    for (const stream of this.#streams.values()) stream.destroy(error);
    this.#pending.clear();
    this.#options.onClose?.(reason);
  }

  call: RpcCaller['call'] = (method, args, { signal, timeoutMs } = {}) =>
    this.#ask(KIND.call, { method, args }, { what: method, signal, timeoutMs });

  stream: RpcCaller['stream'] = (method, args) => {
    const id = this.#takeId();
    const stream = this.#newStream(id);
    if (this.#closed) stream.destroy(new MeshError('E_TIMEOUT', 'the link is closed'));
    else this.#send(encodeFrame({ kind: KIND.open, id, body: { method, args } }));
    return stream;
  };

  take(token: string): Promise<object> {
    return this.#ask(KIND.take, { token }, { what: 'a large answer', signal: undefined, timeoutMs: undefined });
  }

  datagram(id: number, data: Uint8Array): boolean {
    if (this.#closed || this.#socket.writableLength > DATAGRAM_BACKLOG_MAX_BYTES) return false;
    this.#send(encodeFrame({ kind: KIND.datagram, id, body: { Data: data } }));
    return true;
  }

  showCertificate(body: Record<string, unknown>): void {
    this.#send(encodeFrame({ kind: KIND.certificate, id: 0, body }));
  }

  pace(pace: Pace): void {
    if (!this.#closed) this.#heartbeat.pace(pace);
  }

  hurry(): void {
    if (!this.#closed) this.#heartbeat.hurry();
  }

  #takeId(): number {
    const id = this.#nextId;
    this.#nextId = (this.#nextId + 2) % 0x1_0000_0000;
    return id;
  }

  #send(frame: Buffer): void {
    if (this.#closed) return;
    this.sentBytes += frame.length;
    this.#socket.write(frame);
    if (this.#socket.writableLength > this.#limitBytes * UNSENT_MAX_FRAMES) {
      this.close(`the other side does not read: ${this.#socket.writableLength} bytes wait for it`);
    }
  }

  #ask(
    kind: typeof KIND.call | typeof KIND.take,
    body: Record<string, unknown>,
    options: { what: string; signal: AbortSignal | undefined; timeoutMs: number | undefined },
  ): Promise<never> {
    if (this.#closed) return Promise.reject(new MeshError('E_TIMEOUT', 'the link is closed'));
    const { what, signal, timeoutMs } = options;
    const id = this.#takeId();
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        this.#pending.delete(id);
        cancelDeadline?.();
        signal?.removeEventListener('abort', onAbort);
      };
      const give = (error: MeshError): void => {
        finish();
        this.#send(encodeFrame({ kind: KIND.cancel, id, body: {} }));
        reject(error);
      };
      const onAbort = (): void => give(new MeshError('E_TIMEOUT', `${what} was given up`));
      const cancelDeadline =
        timeoutMs === undefined
          ? undefined
          : this.#clock.setTimeout(timeoutMs, () =>
              give(new MeshError('E_TIMEOUT', `no answer to ${what} within ${Math.ceil(timeoutMs)} ms`)),
            );
      const frame = encodeFrame({ kind, id, body });
      if (frame.length > this.#limitBytes) {
        finish();
        reject(new MeshError('E_TOO_LARGE', `${what} takes ${frame.length} bytes, a link carries ${this.#limitBytes}`));
        return;
      }
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#pending.set(id, {
        resolve: (value) => {
          finish();
          resolve(value);
        },
        reject: (error) => {
          finish();
          reject(error);
        },
      });
      this.#send(frame);
    });
  }

  #newStream(id: number): LinkStream {
    const stream = new LinkStream(id, {
      send: (frame) => this.#send(frame),
      forget: () => this.#streams.delete(id),
      errorBody,
      outlet: this.#outlet,
      overrun: () => this.close('the other side sends more than it may'),
    });
    this.#streams.set(id, stream);
    return stream;
  }

  #context(signal: AbortSignal): RpcContext {
    const peer = this.#options.mesh?.peer();
    return peer ? { signal, peer } : { signal };
  }

  /** Why the other side gets no answer to this; undefined = it does. */
  #refusal(method: string, handler: unknown, busy: boolean): MeshError | undefined {
    if (this.#options.mesh?.mayAsk(method) === false) {
      const peer = this.#options.mesh.peer();
      return new MeshError(
        'E_PERMISSION_DENIED',
        `${peer.name}, a ${peer.role} of the mesh, may not ask ${method} here`,
      );
    }
    if (!handler) return unknownMethod(method);
    return busy ? new MeshError('E_TOO_MANY', 'too many calls are under way on this link; retry later') : undefined;
  }

  async #serveCall(id: number, body: Record<string, unknown>, bytes: number): Promise<void> {
    // An id that is in use would hide the one before from its cancel.
    if (this.#serving.has(id)) {
      this.close('two calls have one number');
      return;
    }
    const busy = this.#serving.full(bytes);
    const signal = this.#serving.begin(id, bytes);
    try {
      const method = String(body['method']);
      const handler = own(this.#options.handlers, method) as AnyHandler | undefined;
      const refusal = this.#refusal(method, handler, busy);
      if (refusal || !handler) throw refusal;
      const value = await handler(asObject(body['args']), this.#context(signal));
      this.#reply(id, value as Record<string, unknown>);
    } catch (error) {
      this.#send(encodeFrame({ kind: KIND.error, id, body: errorBody(error) }));
    } finally {
      this.#serving.end(id);
    }
  }

  #reply(id: number, body: Record<string, unknown>): void {
    if (this.#closed) return;
    const frame = encodeFrame({ kind: KIND.reply, id, body });
    const parking = this.#options.mesh?.parking;
    if (parking && frame.length > parking.aboveBytes) {
      this.#send(encodeFrame({ kind: KIND.parked, id, body: { token: parking.park(frame), bytes: frame.length } }));
    } else if (frame.length > this.#limitBytes) {
      throw new MeshError('E_TOO_LARGE', `the answer takes ${frame.length} bytes, a link carries ${this.#limitBytes}`);
    } else this.#send(frame);
  }

  #serveTake(id: number, body: Record<string, unknown>): void {
    const parked = this.#options.mesh?.unpark(String(body['token']));
    const frame = parked && parked.length <= this.#limitBytes ? parked : undefined;
    if (frame) relabelFrame(frame, KIND.reply, id);
    this.#send(
      frame ??
        encodeFrame({
          kind: KIND.error,
          id,
          body: errorBody(new MeshError('E_TIMEOUT', 'the answer was not taken in time; ask again')),
        }),
    );
  }

  #serveStream(id: number, body: Record<string, unknown>): void {
    if (this.#streams.has(id)) {
      this.close('two streams have one number');
      return;
    }
    const method = String(body['method']);
    const { mesh, streamHandlers } = this.#options;
    const handler = (own(mesh?.ownStreams ?? {}, method) ?? own(streamHandlers, method)) as
      | AnyStreamHandler
      | undefined;
    const busy = this.#streams.size >= STREAMS_MAX;
    const stream = this.#newStream(id);
    // A handler refuses by destroying its end: the caller hears of it, nobody else need.
    stream.on('error', () => {});
    const refusal = this.#refusal(method, handler, busy);
    if (refusal || !handler) {
      stream.destroy(refusal);
      return;
    }
    const controller = new AbortController();
    stream.once('close', () => controller.abort());
    handler(asObject(body['args']), stream, this.#context(controller.signal));
  }

  #fetchParked(id: number, body: Record<string, unknown>): void {
    const pending = this.#pending.get(id);
    const parking = this.#options.mesh?.parking;
    if (!pending || !parking) return;
    parking.fetch(String(body['token']), Number(body['bytes'])).then(
      (value) => pending.resolve(value as never),
      (error: Error) => pending.reject(error),
    );
  }

  #read(chunk: Buffer): void {
    this.#heartbeat.heard();
    this.receivedBytes += chunk.length;
    try {
      for (const frame of this.#reader.push(chunk)) {
        if (this.#closed) return;
        this.#receive(frame);
      }
    } catch (error) {
      this.close(`not understood: ${(error as Error).message}`);
    }
  }

  #receive({ kind, id, body, bytes }: ReadFrame): void {
    switch (kind) {
      case KIND.hello:
        this.#greet(body);
        return;
      case KIND.call:
        void this.#serveCall(id, body, bytes);
        return;
      case KIND.reply:
        this.#pending.get(id)?.resolve(body as never);
        return;
      case KIND.error:
        this.#pending.get(id)?.reject(bodyError(body));
        this.#streams.get(id)?.fail(bodyError(body));
        return;
      case KIND.cancel:
        this.#serving.cancel(id);
        this.#streams.get(id)?.fail(undefined);
        return;
      case KIND.open:
        this.#serveStream(id, body);
        return;
      case KIND.message:
        this.#receiveMessage(id, body, bytes);
        return;
      case KIND.end:
        this.#streams.get(id)?.ended();
        return;
      case KIND.credit:
        this.#grant(id, Number(body['count']));
        return;
      case KIND.ping:
        this.#heartbeat.expectEvery(body['Every']);
        this.#send(encodeFrame({ kind: KIND.pong, id, body: { Wish: this.#options.mesh?.pingWishMs() ?? 0 } }));
        return;
      case KIND.pong:
        this.#heartbeat.pong(id, body['Wish']);
        return;
      case KIND.datagram:
        if (body['Data'] instanceof Uint8Array) this.#options.mesh?.onDatagram(id, body['Data']);
        return;
      case KIND.parked:
        this.#fetchParked(id, body);
        return;
      case KIND.take:
        this.#serveTake(id, body);
        return;
      case KIND.certificate:
        this.#options.mesh?.onCertificate(body);
        return;
      default:
        this.close(`an unknown kind of frame (${String(kind)})`);
    }
  }

  #receiveMessage(id: number, body: Record<string, unknown>, bytes: number): void {
    const tell = this.#outlet.received(bytes);
    if (tell > 0) this.#send(encodeFrame({ kind: KIND.credit, id: 0, body: { count: tell } }));
    this.#streams.get(id)?.receive(body, bytes);
  }

  #grant(id: number, bytes: number): void {
    if (!Number.isSafeInteger(bytes) || bytes <= 0) throw new Error(`a credit of ${bytes} bytes`);
    if (id === 0) this.#outlet.acknowledged(bytes);
    else this.#streams.get(id)?.grant(bytes);
  }

  #greet({ min, max }: Record<string, unknown>): void {
    const theirs = { min: Number(min), max: Number(max) };
    if (commonVersion(theirs, FRAME_VERSIONS) !== undefined) return;
    this.close(
      `the other side speaks versions ${theirs.min} to ${theirs.max} of the protocol, this one ${FRAME_VERSIONS.min} to ${FRAME_VERSIONS.max}: update the older`,
    );
  }
}

function own(table: object, method: string): unknown {
  return Object.hasOwn(table, method) ? (table as Record<string, unknown>)[method] : undefined;
}

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}
