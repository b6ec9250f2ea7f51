import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import { OWNER_LABEL } from './labels.js';

// A container that somebody has paused looks as if it ran, and does nothing: its task is told of that.

/** What its task is told. */
export const PAUSED = 'Somebody has paused the container: it does nothing until it is unpaused';
const UNPAUSED = 'The container was unpaused: it goes on';
const RETRY_MS = 5_000;

/** What a watch needs. */
export interface PauseWatchOptions {
  connect: () => Promise<Docker>;
  /** Whose containers: the agent's with this state directory. */
  stateDir: string;
  tell: (containerId: string, message: string) => void;
}

/** Hears of containers that are paused and unpaused, from the first `open` to `close`. */
export class PauseWatch {
  readonly #options: PauseWatchOptions;
  readonly #closing = new AbortController();
  #isOpen = false;

  constructor(options: PauseWatchOptions) {
    this.#options = options;
  }

  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    void this.#run();
  }

  close(): void {
    this.#closing.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await this.#listen(signal).catch(() => {});
      // An engine that is away may come back.
      await sleep(RETRY_MS, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  async #listen(abortSignal: AbortSignal): Promise<void> {
    const filters = { label: [`${OWNER_LABEL}=${this.#options.stateDir}`], event: ['pause', 'unpause'] };
    const engine = await this.#options.connect();
    let rest = '';
    for await (const chunk of await engine.getEvents({ filters, abortSignal })) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines.filter((line) => line.trim() !== '')) {
        const { Action, Actor } = JSON.parse(line) as { Action?: string; Actor?: { ID?: string } };
        this.#options.tell(Actor?.ID ?? '', Action === 'pause' ? PAUSED : UNPAUSED);
      }
    }
  }
}
