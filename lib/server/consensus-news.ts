import type { AppendMessage, Message } from '../raft/index.js';
import type { Timers } from './timers.js';

/** So long the word of what is committed waits for entries to go with; a reader that asks a follower does not wait for it. */
const NEWS_MS = 10;

/**
 * Holds back what says nothing but how far is committed: while writes come one after the other, the next one's entries say
 * it too, and a message with its answer is saved each time. To raft it is a network that is a little late, or loses what a
 * later message repeats.
 */
export class CommitNews {
  readonly #send: (messages: readonly Message[]) => void;
  readonly #timers: Timers;
  /** The newest to each member. */
  readonly #held = new Map<string, AppendMessage>();
  #cancel: (() => void) | null = null;

  constructor(parts: { timers: Timers; send: (messages: readonly Message[]) => void }) {
    this.#timers = parts.timers;
    this.#send = parts.send;
  }

  /** Sends messages, at once or a little later. */
  send(messages: readonly Message[]): void {
    const urgent: Message[] = [];
    for (const message of messages) {
      if (message.type === 'append') {
        // Any later append says the same, and more.
        if (message.entries.length > 0) this.#held.delete(message.to);
        else {
          this.#held.set(message.to, message);
          continue;
        }
      }
      urgent.push(message);
    }
    this.#send(urgent);
    if (this.#held.size > 0) this.#cancel ??= this.#timers.setTimeout(NEWS_MS, () => this.flush());
  }

  /** Sends what is held. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = null;
    if (this.#held.size === 0) return;
    const messages = [...this.#held.values()];
    this.#held.clear();
    this.#send(messages);
  }
}
