import type { MeshError } from '../structs/errors.js';
import { Heap } from '../util/heap.js';

interface Waiting {
  readonly token: string;
  readonly priority: number;
  readonly order: number;
  readonly go: () => void;
  readonly refuse: (error: MeshError) => void;
}

/**
 * Lets evaluations that place very many come one after the other: each until all it placed is in the state. There is one
 * thread, so side by side they are done no sooner; but they give away the same room, most of what they place is refused, and
 * they place it again. Whoever places few goes past them.
 */
export class LongWork {
  #holder = '';
  #order = 0;
  readonly #waiting = new Heap<Waiting>((a, b) =>
    a.priority !== b.priority ? a.priority > b.priority : a.order < b.order,
  );

  /** null: it is its turn, until it leaves. Else resolves when it is: the most important first, then first come. */
  enter(token: string, priority: number): Promise<void> | null {
    if (this.#holder === '') this.#holder = token;
    if (this.#holder === token) return null;
    return new Promise((go, refuse) => {
      this.#waiting.push({ token, priority, order: this.#order++, go, refuse });
    });
  }

  /** Its turn is over, if it is its turn. */
  leave(token: string): void {
    if (this.#holder !== token) return;
    const next = this.#waiting.pop();
    this.#holder = next?.token ?? '';
    next?.go();
  }

  /** Forgets who is at it, and refuses all that wait. */
  clear(error: MeshError): void {
    this.#holder = '';
    for (let one = this.#waiting.pop(); one; one = this.#waiting.pop()) one.refuse(error);
  }
}
