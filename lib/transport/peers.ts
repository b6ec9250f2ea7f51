import type {
  CertificateChain,
  CertificateClaims,
  LinkReport,
  MeshInfo,
  MeshRole,
  NetReport,
  NodeKey,
  Tombstone,
} from '../structs/mesh.js';
import type { RpcCaller } from './rpc.js';
import type { Address } from './tcp.js';

// What the rest of the agent sees of the mesh: members by key, callers, datagrams. lib/transport/mesh implements it over any
// Network.

/** What small unreliable messages are about. */
export type DatagramChannel = 'gossip' | 'raft';

/** A member that is linked now: both sides have proven themselves. */
export interface Peer {
  readonly key: NodeKey;
  readonly claims: CertificateClaims;
  readonly report: LinkReport;
}

/** Who belongs to the mesh, as this agent knows it at the moment; the source of every admission. */
export interface Roster {
  readonly mesh: NodeKey;
  /** Undefined: never heard of. */
  find(key: NodeKey): { name: string; role: MeshRole; status: 'pending' | 'admitted' | 'left' | 'revoked' } | undefined;
  /** A live invite: may speak join/1 and nothing else. */
  isInvite(key: NodeKey): boolean;
  members(): readonly NodeKey[];
  /** Something changed: links to those who are out are closed at once. */
  onChange(listener: () => void): void;
  tombstones(): readonly Tombstone[];
  /** Takes tombstones that a peer passed on; false when one does not verify (none of them is taken then). */
  bury(tombstones: readonly Tombstone[]): boolean;
  info(): MeshInfo;
}

/** This agent's own proof of membership; replaced when it is renewed. */
export interface OwnCertificate {
  readonly chain: CertificateChain;
  readonly claims: CertificateClaims;
}

export interface Peers {
  readonly key: NodeKey;
  start(): Promise<void>;
  /** Everybody who is linked now. */
  linked(): readonly Peer[];
  /** Hears of every link that comes up (true) or is lost (false). */
  onLink(listener: (peer: Peer, up: boolean) => void): void;
  /**
   * Asks a member: links on demand, waits for the link at most as long as the call may take. Streams and large answers go over
   * the bulk link.
   */
  caller(key: NodeKey): RpcCaller;
  /** Links to these are kept: dialled again whenever they are lost. Others are opened on demand and closed when idle. */
  keep(keys: readonly NodeKey[]): void;
  /** May be lost, doubled or late. Goes through a hub when there is no direct link. */
  send(key: NodeKey, channel: DatagramChannel, data: Uint8Array): void;
  onDatagram(channel: DatagramChannel, listener: (from: NodeKey, data: Uint8Array) => void): void;
  /** Addresses learned by gossip: tried at the next dial, and kept on disk. */
  learn(key: NodeKey, addresses: readonly Address[]): void;
  /** Where others may reach this agent, its public address first. */
  addresses(): readonly Address[];
  /** The same with what stands before it and whether it relays, for gossip: cheap, where a report looks at every link. */
  place(): { readonly addresses: readonly Address[]; readonly nat: NetReport['Nat']; readonly relays: boolean };
  report(): NetReport;
  close(): Promise<void>;
}
