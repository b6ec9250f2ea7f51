import { randomBytes } from 'node:crypto';
import type { NodeKey } from '../../structs/mesh.js';
import type { MeshClock } from '../clock.js';

/** An answer above this would hold up heartbeats on a slow way: it is taken over the bulk link. */
export const LARGE_ANSWER_BYTES = 64 * 1024;
const KEPT_MS = 30_000;
const KEPT_MAX_BYTES = 128 * 1024 * 1024;

interface Parked {
  readonly key: NodeKey;
  readonly frame: Buffer;
  readonly cancel: () => void;
}

/** Answers that wait until those who asked take them over their bulk link. Bounded: the oldest goes first. */
export class ParkedAnswers {
  readonly #clock: MeshClock;
  readonly #parked = new Map<string, Parked>();
  #bytes = 0;

  constructor(clock: MeshClock) {
    this.#clock = clock;
  }

  park(key: NodeKey, frame: Buffer): string {
    const token = randomBytes(16).toString('hex');
    const cancel = this.#clock.setTimeout(KEPT_MS, () => this.#drop(token));
    this.#parked.set(token, { key, frame, cancel });
    this.#bytes += frame.length;
    for (const oldest of this.#parked.keys()) {
      if (this.#bytes <= KEPT_MAX_BYTES || oldest === token) break;
      this.#drop(oldest);
    }
    return token;
  }

  /** Once, and only to the member that asked. */
  take(key: NodeKey, token: string): Buffer | undefined {
    const parked = this.#parked.get(token);
    if (parked?.key !== key) return undefined;
    this.#drop(token);
    return parked.frame;
  }

  clear(): void {
    for (const token of [...this.#parked.keys()]) this.#drop(token);
  }

  #drop(token: string): void {
    const parked = this.#parked.get(token);
    if (!parked) return;
    parked.cancel();
    this.#parked.delete(token);
    this.#bytes -= parked.frame.length;
  }
}
