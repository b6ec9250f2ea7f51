import type { CertificateClaims, NodeKey } from '../../structs/mesh.js';
import { ok } from '../../util/result.js';
import type { MeshClock } from '../clock.js';
import type { Network, Sighting } from '../network.js';
import type { Greeter } from './greeter.js';
import type { Greeted } from './handshake.js';
import type { Notices } from './notices.js';

// A machine that was away for long may know no server that is still there: all were replaced meanwhile. Whoever is found under
// the topic and proves by its certificates to be a server of this mesh is then taken for one, until it has told who else is.

const DIAL_TIMEOUT_MS = 10_000;
const HELLO_TIMEOUT_MS = 4_000;
/** A key that proved nothing is not asked again for so long. */
const AGAIN_MS = 60_000;
/** Keys that are remembered: anybody who knows the topic may announce under it. */
const KEYS_MAX = 64;

export interface StrangersOptions {
  readonly network: Pick<Network, 'dial'>;
  readonly greeter: Greeter;
  readonly clock: MeshClock;
  readonly notices: Notices;
  vouch(claims: CertificateClaims): void;
  /** Whether this agent is a client or a person, and no server is linked with it. */
  isLost(): boolean;
  /** The hello is done: the link comes up. */
  met(greeted: Greeted): void;
}

export class Strangers {
  readonly #options: StrangersOptions;
  readonly #askedMs = new Map<NodeKey, number>();
  #busy = false;

  constructor(options: StrangersOptions) {
    this.#options = options;
  }

  /** Somebody unknown was seen. One at a time is asked who it is, and only while no server is known to be there. */
  consider({ key, addresses }: Sighting): void {
    const { clock, isLost } = this.#options;
    const now = clock.monotonicMs();
    const last = this.#askedMs.get(key);
    if (this.#busy || !isLost() || (last !== undefined && now - last < AGAIN_MS)) return;
    this.#askedMs.delete(key);
    this.#askedMs.set(key, now);
    for (const oldest of this.#askedMs.keys()) {
      if (this.#askedMs.size <= KEYS_MAX) break;
      this.#askedMs.delete(oldest);
    }
    this.#busy = true;
    void this.#ask(key, addresses).finally(() => {
      this.#busy = false;
    });
  }

  async #ask(key: NodeKey, addresses: Sighting['addresses']): Promise<void> {
    const { network, greeter, vouch, notices, met } = this.#options;
    try {
      const connection = await network.dial(key, { addresses, timeoutMs: DIAL_TIMEOUT_MS });
      const greeted = await greeter.greet(connection, 'control', HELLO_TIMEOUT_MS, (chain) => {
        const server = greeter.serverOf(key, chain);
        if (!server.ok) return server;
        vouch(server.value);
        return ok(server.value);
      });
      notices.say('info', key, 'found a server that was not known', greeted.claims.Name);
      met(greeted);
    } catch (error) {
      notices.say('info', key, 'somebody who was found is no server of this mesh', (error as Error).message);
    }
  }
}
