import { type MeshClock, untilBeatMs } from '../clock.js';
import type { LiveLink } from './live-link.js';

/** Between two ticks; the next beat makes it about a second. */
const TICK_MIN_MS = 900;
/** A tick so late, or a wall clock so far from where it should be, means that this machine slept or was stopped. */
const JUMP_MS = 2_000;
/** Silence at which a look around is worth while, though nobody is given up yet. */
const SILENT_MS = 2_000;
/** Looking around costs the network something. */
const ALARM_EVERY_MS = 5_000;

export interface WatchOptions {
  readonly clock: MeshClock;
  /** Control links on which traffic is expected. */
  expected(): readonly LiveLink[];
  /** The trouble is probably here: addresses have changed, or the machine slept. */
  alarm(reason: string, asleep: boolean): void;
  /** Once a second. */
  tick(): void;
}

/** Notices what no single link can: that many fell silent at once, or that time went on without this process. */
export class Watch {
  readonly #options: WatchOptions;
  #cancel: (() => void) | undefined;
  #dueAtMs = 0;
  #offsetMs = 0;
  #alarmedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock } = this.#options;
    this.#offsetMs = clock.now() - clock.monotonicMs();
    this.#schedule();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #schedule(): void {
    const { clock } = this.#options;
    const waitMs = untilBeatMs(clock, TICK_MIN_MS);
    this.#dueAtMs = clock.monotonicMs() + waitMs;
    this.#cancel = clock.setTimeout(waitMs, () => {
      this.#look();
      this.#options.tick();
      if (this.#cancel) this.#schedule();
    });
  }

  #look(): void {
    const { clock, expected } = this.#options;
    const now = clock.monotonicMs();
    const offsetMs = clock.now() - now;
    const jumpedMs = Math.abs(offsetMs - this.#offsetMs);
    this.#offsetMs = offsetMs;
    if (now - this.#dueAtMs > JUMP_MS || jumpedMs > JUMP_MS) {
      this.#alarm('time went on without this process, or the clock was set', true);
      return;
    }
    const links = expected();
    const silent = links.filter(({ link }) => link.silentMs > SILENT_MS).length;
    if (silent > 0 && silent * 2 >= links.length) this.#alarm(`${silent} of ${links.length} members are silent`, false);
  }

  #alarm(reason: string, asleep: boolean): void {
    const now = this.#options.clock.monotonicMs();
    if (!asleep && now - this.#alarmedAtMs < ALARM_EVERY_MS) return;
    this.#alarmedAtMs = now;
    this.#options.alarm(reason, asleep);
  }
}
