import type { NodeKey } from '../../structs/mesh.js';
import type { MeshClock } from '../clock.js';
import type { Connection, Network } from '../network.js';
import { eitherWay } from './either-way.js';
import { FIRST_HELLO_TIMEOUT_MS, HELLO_TIMEOUT_MS } from './handshake.js';
import { LINK_KINDS, type LinkKind } from './hello.js';
import type { LiveLink } from './live-link.js';
import type { AddressBook } from './options.js';

export const DIAL_TIMEOUT_MS = 15_000;
const CHEAP_DIAL_MS = 300;
/** Members dialled at a time. */
const DIALS_MAX = 16;
/**
 * A way of its own that takes longer is raced by one through a member, by what kind of NAT is here: who calls waits ten seconds.
 * Where each destination sees another port, getting through is a matter of chance, and a way through a member one of a second.
 */
const CARRY_AFTER_MS = { open: 5_000, consistent: 5_000, unknown: 5_000, random: 1_000, blocked: 0 } as const;

export interface DiallerOptions {
  readonly network: Network;
  readonly addressBook: AddressBook;
  readonly clock: MeshClock;
  up(key: NodeKey, kind: LinkKind): LiveLink | undefined;
  /** Members that may relay to this one. */
  relays(key: NodeKey): readonly NodeKey[];
  /** A connection by way of another member. */
  carried(key: NodeKey, signal: AbortSignal): Promise<Connection>;
  /** Says hello and takes the link. */
  greet(connection: Connection, kind: LinkKind, timeoutMs: number): Promise<void>;
}

/** Dials members, a few at a time: directly, and where that fails by way of another member. */
export class Dialler {
  readonly #options: DiallerOptions;
  readonly #queue: (() => void)[] = [];
  #dials = 0;

  constructor(options: DiallerOptions) {
    this.#options = options;
  }

  /** Resolves when the link is taken. `attempt`: how many failed before. */
  async dial(key: NodeKey, kind: LinkKind, signal: AbortSignal, attempt: number): Promise<void> {
    if (this.#dials >= DIALS_MAX) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#dials++;
    try {
      const { clock } = this.#options;
      const startedMs = clock.monotonicMs();
      const connection = await this.#connect(key, kind, signal);
      // A connection that took long to get is not thrown away so soon.
      const cheap = attempt === 0 && !connection.carried && clock.monotonicMs() - startedMs < CHEAP_DIAL_MS;
      await this.#options.greet(connection, kind, cheap ? FIRST_HELLO_TIMEOUT_MS : HELLO_TIMEOUT_MS);
    } finally {
      this.#dials--;
      this.#queue.shift()?.();
    }
  }

  /** Tries to put links of its own in the place of carried ones; what is carried goes on until then. */
  improve(controls: readonly LiveLink[]): void {
    // There is still no way of its own: told when the first one failed.
    for (const { key, carried } of controls) if (carried) this.#improve(key).catch(() => {});
  }

  async #improve(key: NodeKey): Promise<void> {
    for (const kind of LINK_KINDS) {
      if (!this.#options.up(key, kind)?.carried) continue;
      const connection = await this.#direct(key, new AbortController().signal);
      await this.#options.greet(connection, kind, HELLO_TIMEOUT_MS);
    }
  }

  #connect(key: NodeKey, kind: LinkKind, signal: AbortSignal): Promise<Connection> {
    const { network, clock, up, carried } = this.#options;
    const control = kind === 'bulk' ? up(key, 'control') : undefined;
    // A second link goes the way of the first; where that one is direct, nobody else's links are needed.
    if (control) return control.carried ? carried(key, signal) : this.#direct(key, signal);
    return eitherWay(
      (one) => this.#direct(key, one),
      (other) => carried(key, other),
      { clock, afterMs: () => CARRY_AFTER_MS[network.report().nat], signal },
    );
  }

  #direct(key: NodeKey, signal: AbortSignal): Promise<Connection> {
    const { network, addressBook, relays } = this.#options;
    return network.dial(key, {
      addresses: addressBook.find(key),
      relays: relays(key),
      timeoutMs: DIAL_TIMEOUT_MS,
      signal,
    });
  }
}
