import type { CertificateChain, CertificateClaims, NodeKey } from '../../structs/mesh.js';
import type { Log } from '../../util/log.js';
import type { Random } from '../../util/random.js';
import type { Result } from '../../util/result.js';
import type { MeshClock } from '../clock.js';
import type { Connection, Network } from '../network.js';
import type { OwnCertificate, Roster } from '../peers.js';
import type { RpcHandlers, RpcStreamHandlers } from '../rpc.js';
import type { Address } from '../tcp.js';
import type { LinkKind } from './hello.js';

/**
 * Whether a chain proves that `key` belongs to the mesh. The member's own certificate may have ended (the link manager looks
 * at NotAfter itself: who is expired may renew); everything else that is wrong is an error. The roster has one.
 */
export type VerifyChain = (
  key: NodeKey,
  chain: CertificateChain,
) => Result<{ readonly claims: CertificateClaims }, { readonly message: string }>;

/** Where members were last seen, kept over restarts: a network without internet forms again from it. */
export interface AddressBook {
  find(key: NodeKey): readonly Address[];
  /** The latest first; keeps a few a key. */
  add(key: NodeKey, addresses: readonly Address[]): void;
}

export interface PeersOptions {
  readonly network: Network;
  readonly roster: Roster;
  /** Asked again from time to time: a renewed one is shown to everybody who is linked. */
  certificate(): OwnCertificate;
  readonly verify: VerifyChain;
  /** What other members may ask of this agent, each within its rights (lib/transport/mesh/access.ts). */
  readonly handlers: RpcHandlers;
  readonly streamHandlers: RpcStreamHandlers;
  /** Whether clients may ask what their HTTP API is asked, as operators may; default false. */
  readonly clientApi?: boolean;
  /** A connection of a live invite's key: it speaks join/1 and nothing else is served on it. Absent: it is carried to a server. */
  readonly onJoin?: (connection: Connection) => void;
  /** Discovery topics of the day (32 bytes each); absent = members are found by key and address only. */
  readonly topics?: () => readonly Uint8Array[];
  /** Takes an unknown key for a server that has proven itself to be one, while none is known to be there; absent = nobody is. */
  readonly vouch?: (claims: CertificateClaims) => void;
  /** Lets other members' traffic pass through here when this machine is reachable by everybody. */
  readonly relay: boolean;
  readonly addressBook: AddressBook;
  /**
   * What streams go over; default `bulk`. Who comes for a question or two has no heartbeats to keep up, and behind some NATs a
   * second link takes ten seconds: it uses `control`.
   */
  readonly streamsOver?: LinkKind;
  readonly log: Log;
  readonly clock: MeshClock;
  readonly random: Random;
  /** Of this program, shown in reports. */
  readonly version: string;
}
