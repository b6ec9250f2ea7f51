import type { Socket } from 'node:net';

/** Counts connections by the address they come from: one greedy caller must not use up the agent's descriptors. */
export class ConnectionLimit {
  readonly #perAddressMax: number;
  readonly #open = new Map<string, number>();
  readonly #refused = new WeakSet<Socket>();

  /** 0 = no limit. */
  constructor(perAddressMax: number) {
    this.#perAddressMax = perAddressMax;
  }

  /** Counts a new connection until it closes. One beyond the limit stays open until it has heard why it is refused. */
  add(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    const open = (this.#open.get(address) ?? 0) + 1;
    if (this.#perAddressMax > 0 && open > this.#perAddressMax) {
      this.#refused.add(socket);
      return;
    }
    this.#open.set(address, open);
    socket.once('close', () => {
      const left = (this.#open.get(address) ?? 1) - 1;
      if (left > 0) this.#open.set(address, left);
      else this.#open.delete(address);
    });
  }

  refuses(socket: Socket): boolean {
    return this.#refused.has(socket);
  }
}
