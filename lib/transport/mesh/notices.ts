import type { NodeKey } from '../../structs/mesh.js';
import type { Log } from '../../util/log.js';
import type { MeshClock } from '../clock.js';

const EVERY_MS = 10_000;
const KEYS_MAX = 1_024;
/** Of one message for one reason, whatever the keys: who floods has a new one each time. */
const LINES = { burst: 100, perSecond: 2 };

/** Says once in a while what a key does again and again: whoever knocks a thousand times a second fills no disk. */
export class Notices {
  readonly #clock: MeshClock;
  readonly #log: Log;
  /** By key and message. */
  readonly #said = new Map<string, { atMs: number; more: number }>();
  readonly #lines: RateLimit;
  /** By message and reason: of how many keys nothing was said since the last line. */
  readonly #unsaid = new Map<string, number>();

  constructor(clock: MeshClock, log: Log) {
    this.#clock = clock;
    this.#log = log;
    this.#lines = new RateLimit(clock, LINES);
  }

  /** `everyMs`: how soon the same may be said again of the same key. */
  say(level: 'info' | 'warn', key: NodeKey, message: string, reason: string, everyMs = EVERY_MS): void {
    const now = this.#clock.monotonicMs();
    const what = `${key} ${message}`;
    const former = this.#said.get(what);
    if (former && now - former.atMs < everyMs) {
      former.more++;
      return;
    }
    this.#said.delete(what);
    this.#said.set(what, { atMs: now, more: 0 });
    // The key that was silent for longest is forgotten first.
    for (const oldest of this.#said.keys()) {
      if (this.#said.size <= KEYS_MAX) break;
      this.#said.delete(oldest);
    }
    const line = `${message}: ${reason}`;
    const unsaid = this.#unsaid.get(line) ?? 0;
    if (!this.#lines.take(line)) {
      this.#unsaid.set(line, unsaid + 1);
      return;
    }
    this.#unsaid.delete(line);
    this.#log[level](message, {
      key,
      reason,
      ...(former && former.more > 0 ? { times_before: former.more } : {}),
      ...(unsaid > 0 ? { others_before: unsaid } : {}),
    });
  }
}

/** So many at once, and so many a second from then on. */
export interface Allowance {
  readonly burst: number;
  readonly perSecond: number;
}

/** Counts what each key does (or whatever else has a name), and says when it is too much. */
export class RateLimit {
  readonly #clock: MeshClock;
  readonly #allowance: Allowance;
  readonly #left = new Map<string, { tokens: number; atMs: number }>();

  constructor(clock: MeshClock, allowance: Allowance) {
    this.#clock = clock;
    this.#allowance = allowance;
  }

  /** Whether the key may do it once more now. */
  take(key: string): boolean {
    const { burst, perSecond } = this.#allowance;
    const now = this.#clock.monotonicMs();
    const left = this.#left.get(key) ?? { tokens: burst, atMs: now };
    left.tokens = Math.min(burst, left.tokens + ((now - left.atMs) / 1000) * perSecond);
    left.atMs = now;
    this.#left.delete(key);
    this.#left.set(key, left);
    for (const oldest of this.#left.keys()) {
      if (this.#left.size <= KEYS_MAX) break;
      this.#left.delete(oldest);
    }
    if (left.tokens < 1) return false;
    left.tokens--;
    return true;
  }
}
