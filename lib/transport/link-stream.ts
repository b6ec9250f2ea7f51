import { Duplex } from 'node:stream';
import type { MeshError } from '../structs/errors.js';
import { encodeFrame, type Frame, KIND } from './frame.js';

/** Bytes of one stream that may wait unread at the other end: a reader that does not read stops its writer, and nobody else. */
export const STREAM_WINDOW_BYTES = 1024 * 1024;
/**
 * Bytes of all streams of a link that may be under way. More adds delay for everybody and speed for nobody: on a short way a
 * quarter of a megabyte is as fast as a whole one, and small calls beside it take a third of the time.
 */
const LINK_WINDOW_BYTES = { near: 256 * 1024, far: 1024 * 1024 };
const NEAR_MS = 5;
/** What was taken is told to the writer in portions, so that small messages do not double the frames. */
const TELL_EVERY_BYTES = 64 * 1024;

/** What a message costs besides its bytes: a million tiny ones are no small matter for the one who keeps them. */
const MESSAGE_COST_BYTES = 512;

/** What a stream needs of its link. */
export interface StreamLink {
  send(frame: Buffer): void;
  forget(id: number): void;
  errorBody(error: unknown): Record<string, unknown>;
  /** Whether more stream data may go now; if not, `go` is called when it may. */
  readonly outlet: Outlet;
  /** The other side sent more than it may. */
  overrun(): void;
}

/** The window of a whole link: streams take turns when it is full. */
export class Outlet {
  #inFlight = 0;
  #received = 0;
  #waiting: (() => void)[] = [];
  readonly #bestRttMs: () => number;

  /** `bestRttMs`: the shortest round trip of the link so far. */
  constructor(bestRttMs: () => number) {
    this.#bestRttMs = bestRttMs;
  }

  get full(): boolean {
    return this.#inFlight >= (this.#bestRttMs() < NEAR_MS ? LINK_WINDOW_BYTES.near : LINK_WINDOW_BYTES.far);
  }

  sent(bytes: number): void {
    this.#inFlight += bytes;
  }

  /** Called again for each time that there may be room. */
  wait(go: () => void): void {
    this.#waiting.push(go);
  }

  /** The other side has got so much of it. */
  acknowledged(bytes: number): void {
    this.#inFlight = Math.max(0, this.#inFlight - bytes);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }

  /** Counts what came in; answers what the other side is to be told, or 0. */
  received(bytes: number): number {
    this.#received += bytes;
    if (this.#received < TELL_EVERY_BYTES) return 0;
    const tell = this.#received;
    this.#received = 0;
    return tell;
  }
}

/** One end of a stream on a link: object mode, one message a frame, bounded by bytes and not by messages. */
export class LinkStream extends Duplex {
  readonly #id: number;
  readonly #link: StreamLink;
  #credit = STREAM_WINDOW_BYTES;
  /** Sizes of the messages that wait here to be read, the oldest first. */
  readonly #sizes: number[] = [];
  #unread = 0;
  /** Bytes the reader here has taken since the writer there was last told. */
  #taken = 0;
  #waiting: (() => void) | undefined;
  #told = false;

  constructor(id: number, link: StreamLink) {
    super({ objectMode: true, highWaterMark: 16 });
    this.#id = id;
    this.#link = link;
  }

  receive(message: Record<string, unknown>, bytes: number): void {
    // A message may be larger than what is left of the window: one is let through.
    if (this.#unread >= STREAM_WINDOW_BYTES) {
      this.#link.overrun();
      return;
    }
    const cost = bytes + MESSAGE_COST_BYTES;
    this.#unread += cost;
    this.#sizes.push(cost);
    const before = this.readableLength;
    this.push(message);
    // A flowing reader takes it on the way, without read().
    if (this.readableLength === before) this.#took();
  }

  ended(): void {
    this.push(null);
  }

  override read(size?: number): unknown {
    const message = super.read(size) as unknown;
    if (message !== null) this.#took();
    return message;
  }

  #took(): void {
    const bytes = this.#sizes.shift() ?? 0;
    this.#unread -= bytes;
    this.#taken += bytes;
    if (this.#taken < TELL_EVERY_BYTES) return;
    this.#send({ kind: KIND.credit, id: this.#id, body: { count: this.#taken } });
    this.#taken = 0;
  }

  /** The other side failed or went away: nobody need be told. */
  fail(error: MeshError | undefined): void {
    this.#told = true;
    this.destroy(error);
  }

  grant(bytes: number): void {
    this.#credit += bytes;
    this.#go();
  }

  #go(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }

  override _read(): void {
    // Messages come by receive().
  }

  override _write(message: Record<string, unknown>, _encoding: string, done: () => void): void {
    const frame = encodeFrame({ kind: KIND.message, id: this.#id, body: message });
    const go = (): void => {
      if (this.destroyed) {
        done();
        return;
      }
      if (this.#credit <= 0) {
        this.#waiting = go;
        return;
      }
      if (this.#link.outlet.full) {
        this.#link.outlet.wait(go);
        return;
      }
      this.#credit -= frame.length + MESSAGE_COST_BYTES;
      this.#link.outlet.sent(frame.length);
      this.#link.send(frame);
      done();
    };
    go();
  }

  override _final(done: () => void): void {
    this.#send({ kind: KIND.end, id: this.#id, body: {} });
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#link.forget(this.#id);
    const whole = this.writableFinished && this.readableEnded;
    if (!this.#told && !whole) {
      this.#send(
        error
          ? { kind: KIND.error, id: this.#id, body: this.#link.errorBody(error) }
          : { kind: KIND.cancel, id: this.#id, body: {} },
      );
    }
    done(error);
    this.#go();
  }

  #send(frame: Frame): void {
    this.#link.send(encodeFrame(frame));
  }
}
