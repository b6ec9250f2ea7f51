import { Duplex } from 'node:stream';
import type { MeshClock } from './clock.js';

/** What the way from one end to the other is like at the moment; asked for every chunk. */
export interface MemoryWay {
  delayMs(): number;
  /** True: nothing arrives. Bytes wait, as a transport that sends again would keep them, and go on when the cut is healed. */
  cut(): boolean;
  /** Bytes a second; Infinity = no limit. */
  rate(): number;
}

/** Silence after which the transport itself gives up what it could not deliver. */
const GIVE_UP_MS = 15_000;
/** Bytes under way before the writer has to wait. */
const IN_FLIGHT_MAX = 1024 * 1024;

/** One end of a byte stream between two members of one process: ordered, delayed, and dead when its way is cut. */
export class MemoryStream extends Duplex {
  peer!: MemoryStream;
  readonly #clock: MeshClock;
  readonly #way: MemoryWay;
  /** Chunks not yet delivered; null is the end. */
  readonly #queue: { chunk: Buffer | null; atMs: number }[] = [];
  #inFlight = 0;
  #busyUntilMs = 0;
  #cancelTimer: (() => void) | undefined;
  #cancelGiveUp: (() => void) | undefined;
  #writeDone: (() => void) | undefined;
  #finalDone: (() => void) | undefined;
  #peerFull = false;

  constructor(clock: MeshClock, way: MemoryWay) {
    super({ highWaterMark: 64 * 1024 });
    this.#clock = clock;
    this.#way = way;
    this.on('error', () => {});
  }

  /** The cut may be healed: what waited goes on. */
  heal(): void {
    if (this.#way.cut()) return;
    this.#cancelGiveUp?.();
    this.#cancelGiveUp = undefined;
    this.#deliver();
  }

  override _read(): void {
    if (!this.peer.#peerFull) return;
    this.peer.#peerFull = false;
    this.peer.#deliver();
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#enqueue(chunks.length === 1 && chunks[0] ? chunks[0].chunk : Buffer.concat(chunks.map(({ chunk }) => chunk)));
    if (this.#inFlight < IN_FLIGHT_MAX) done();
    else this.#writeDone = done;
  }

  override _final(done: () => void): void {
    // Finished is what has arrived: a stream that is destroyed then loses nothing.
    this.#finalDone = done;
    this.#enqueue(null);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#cancelTimer?.();
    this.#cancelGiveUp?.();
    this.#queue.length = 0;
    this.#writeDone?.();
    const { peer } = this;
    const whole = this.writableFinished && this.readableEnded;
    // The other side hears of it as of everything else: later, and not at all over a cut way.
    if (!whole && !peer.destroyed && !this.#way.cut()) {
      this.#clock.setTimeout(this.#way.delayMs(), () => {
        if (!this.#way.cut()) peer.destroy();
      });
    }
    done(error);
  }

  #enqueue(chunk: Buffer | null): void {
    const now = this.#clock.monotonicMs();
    const bytes = chunk?.length ?? 0;
    this.#busyUntilMs = Math.max(now, this.#busyUntilMs) + (bytes * 1000) / this.#way.rate();
    const last = this.#queue.at(-1)?.atMs ?? 0;
    this.#queue.push({ chunk, atMs: Math.max(last, this.#busyUntilMs + this.#way.delayMs()) });
    this.#inFlight += bytes;
    if (this.#queue.length === 1) this.#deliver();
  }

  #deliver(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    while (!this.destroyed && !this.#peerFull) {
      const head = this.#queue[0];
      if (!head) return;
      if (this.#way.cut()) {
        this.#stall();
        return;
      }
      const waitMs = head.atMs - this.#clock.monotonicMs();
      if (waitMs > 0) {
        this.#cancelTimer = this.#clock.setTimeout(waitMs, () => this.#deliver());
        return;
      }
      this.#queue.shift();
      this.#inFlight -= head.chunk?.length ?? 0;
      if (!this.peer.destroyed) this.#peerFull = !this.peer.push(head.chunk) && head.chunk !== null;
      if (head.chunk === null) this.#finalDone?.();
      const done = this.#writeDone;
      this.#writeDone = undefined;
      done?.();
    }
  }

  #stall(): void {
    this.#cancelGiveUp ??= this.#clock.setTimeout(GIVE_UP_MS, () =>
      this.destroy(new Error('nothing came back for 15 s')),
    );
  }
}
