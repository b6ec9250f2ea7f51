import type { NodeKey } from '../../lib/structs/mesh.js';
import type { MeshClock } from '../../lib/transport/clock.js';
import type { DatagramChannel, Peer, Peers } from '../../lib/transport/peers.js';
import type { Address } from '../../lib/transport/tcp.js';

/** Carries datagrams between members in one process, and nothing else: for what needs no links. */
export class FakeWire {
  readonly #clock: MeshClock;
  readonly #members = new Map<NodeKey, FakePeers>();
  /** Keys whose datagrams are lost, both ways. */
  readonly cut = new Set<NodeKey>();

  constructor(clock: MeshClock) {
    this.#clock = clock;
  }

  join(key: NodeKey): FakePeers {
    const peers = new FakePeers(key, (to, channel, data) => this.#carry(key, to, channel, data));
    this.#members.set(key, peers);
    return peers;
  }

  #carry(from: NodeKey, to: NodeKey, channel: DatagramChannel, data: Uint8Array): void {
    if (this.cut.has(from) || this.cut.has(to)) return;
    this.#clock.setTimeout(1, () => this.#members.get(to)?.deliver(from, channel, data));
  }
}

export class FakePeers implements Peers {
  readonly key: NodeKey;
  readonly learned = new Map<NodeKey, readonly Address[]>();
  own: Address[] = [];
  readonly #carry: (to: NodeKey, channel: DatagramChannel, data: Uint8Array) => void;
  readonly #listeners: { channel: DatagramChannel; hear: (from: NodeKey, data: Uint8Array) => void }[] = [];

  constructor(key: NodeKey, carry: (to: NodeKey, channel: DatagramChannel, data: Uint8Array) => void) {
    this.key = key;
    this.#carry = carry;
  }

  async start(): Promise<void> {}
  linked(): readonly Peer[] {
    return [];
  }
  onLink(): void {}
  caller(): never {
    throw new Error('nobody is asked here');
  }
  keep(): void {}
  send(key: NodeKey, channel: DatagramChannel, data: Uint8Array): void {
    this.#carry(key, channel, data);
  }
  onDatagram(channel: DatagramChannel, hear: (from: NodeKey, data: Uint8Array) => void): void {
    this.#listeners.push({ channel, hear });
  }
  deliver(from: NodeKey, channel: DatagramChannel, data: Uint8Array): void {
    for (const listener of this.#listeners) if (listener.channel === channel) listener.hear(from, data);
  }
  learn(key: NodeKey, addresses: readonly Address[]): void {
    this.learned.set(key, addresses);
  }
  addresses(): readonly Address[] {
    return this.own;
  }
  place(): ReturnType<Peers['place']> {
    return { addresses: this.own, nat: 'open', relays: false };
  }
  report(): ReturnType<Peers['report']> {
    return {
      Key: this.key,
      Nat: 'open',
      PublicAddress: '',
      LocalAddresses: [],
      Dht: 'silent',
      Relays: false,
      Links: [],
      Problems: [],
    };
  }
  async close(): Promise<void> {}
}
