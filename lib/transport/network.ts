import type { Duplex } from 'node:stream';
import type { LinkPath, NetReport, NodeKey } from '../structs/mesh.js';
import type { Address } from './tcp.js';

// The port to whatever carries bytes between keys: the DHT in production, a network in memory in tests. Everything above
// (hello, links, admission, RPC) is the same code over both.

/** A key pair that a connection is made with: the member's own, or the one that derives from an invite. */
export interface ConnectAs {
  readonly publicKey: NodeKey;
  /** 32 bytes. */
  readonly seed: Uint8Array;
}

/**
 * One encrypted byte stream to a proven key. That it is open proves nothing: see the hello of lib/transport/mesh. The side that
 * dialled speaks first: a network may wait a moment for its first bytes before it hands an accepted connection on.
 */
export interface Connection {
  /** Bytes, with back-pressure. Has an 'error' listener already. */
  readonly stream: Duplex;
  readonly remoteKey: NodeKey;
  /** The key this side used. */
  readonly localKey: NodeKey;
  /** 64 bytes that only this handshake has: what is signed over it cannot be used on another connection. */
  readonly handshakeHash: Uint8Array;
  /** Whether this side dialled. */
  readonly dialled: boolean;
  /** Another member passes its bytes on: see Network.secure. */
  readonly carried?: true;
  /** As it is now: a relayed one may become direct. */
  path(): LinkPath;
}

export interface DialOptions {
  /** Tried at once, besides whatever the network itself knows of the key. */
  readonly addresses?: readonly Address[];
  /** Default: the network's own identity. */
  readonly as?: ConnectAs;
  /** Members that may relay when there is no other way. */
  readonly relays?: readonly NodeKey[];
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface ListenOptions {
  /**
   * Asked before there is a stream: a refused key gets none and learns nothing. May wait a moment, for a roster that is about
   * to learn of a new member. What throws refuses.
   */
  admit(key: NodeKey): boolean | Promise<boolean>;
  onConnection(connection: Connection): void;
  /**
   * Members that may relay to this node, the best first. While its NAT gives every destination another port it tells those who
   * dial to meet there, who may know no relay themselves.
   */
  relays?(): readonly NodeKey[];
}

/** Someone who may be the member with this key, and where. Nothing is proven. */
export interface Sighting {
  readonly key: NodeKey;
  readonly addresses: readonly Address[];
  readonly source: 'mdns' | 'topic';
}

export interface Discovery {
  /** Looks and announces again now: after a join, when peers went silent, when the address changed. */
  refresh(): Promise<void>;
  close(): Promise<void>;
}

export interface NatReport {
  readonly nat: 'open' | 'consistent' | 'random' | 'blocked' | 'unknown';
  /** As others see it; null while nobody told, or while each of them sees another port. */
  readonly publicAddress: Address | null;
  /** Where it may be dialled directly: what is advertised first, then the addresses of its interfaces. */
  readonly localAddresses: readonly Address[];
  readonly dht: NetReport['Dht'];
  /** Whether this machine has an address that the network can use: it speaks IPv4 only. */
  readonly hasIpv4: boolean;
}

export interface SecureOptions {
  readonly dialled: boolean;
  /** How the bytes come. */
  path(): LinkPath;
  /** Default: the network's own identity. */
  readonly as?: ConnectAs;
}

export interface Network {
  readonly key: NodeKey;
  /** Takes connections from now on. Resolves when it does so on the local network; the DHT may take longer. */
  listen(options: ListenOptions): Promise<void>;
  /** Opens a stream; rejects with MeshError E_TIMEOUT that says what was tried and what stood in the way. */
  dial(key: NodeKey, options?: DialOptions): Promise<Connection>;
  /** Announces under a topic (32 bytes) when `announce`, and looks for others there. */
  discover(
    topics: readonly Uint8Array[],
    options: { announce: boolean; onFound: (found: Sighting) => void },
  ): Discovery;
  report(): NatReport;
  /** This machine's own addresses may have changed, or peers fell silent: look again at once. */
  refresh(): Promise<void>;
  /** The listener hears that local addresses changed. */
  onChange(listener: () => void): void;
  /**
   * Makes a connection of a byte stream that somebody else carries: both ends prove their own keys anew, and whoever carries it
   * sees ciphertext only. Rejects when the stream ends or the other end proves nothing; who it is, is for the caller to look at.
   */
  secure(stream: Duplex, options: SecureOptions): Promise<Connection>;
  /**
   * Lets the traffic of those whom `admit` allows pass through here (ciphertext only) while this node is publicly reachable.
   * Others name this node's own key in `DialOptions.relays`.
   */
  serveRelay(admit: (key: NodeKey) => boolean): Promise<void>;
  /** Ends what it has opened and its discoveries, and takes leave of the DHT as long as that answers. */
  close(): Promise<void>;
}
