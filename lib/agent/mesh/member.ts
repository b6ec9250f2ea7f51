import { join } from 'node:path';
import type { NetReport, NodeKey } from '../../structs/mesh.js';
import { systemClock } from '../../transport/clock.js';
import { openDhtNetwork } from '../../transport/dht/index.js';
import type { Identity } from '../../transport/identity.js';
import { discoveryDays, discoveryTopic } from '../../transport/invite.js';
import { createAddressBook } from '../../transport/mesh/address-book.js';
import { createPeers } from '../../transport/mesh/peers.js';
import type { MeshHome } from '../../transport/mesh-home.js';
import type { Connection, Network } from '../../transport/network.js';
import type { Peers } from '../../transport/peers.js';
import { createRoster, type MemberRoster } from '../../transport/roster.js';
import type { Address } from '../../transport/tcp.js';
import type { Log } from '../../util/log.js';
import type { Random } from '../../util/random.js';
import type { Served } from '../dispatch.js';
import type { MeshSettings } from '../settings.js';

export interface MemberOptions {
  home: MeshHome;
  identity: Identity;
  settings: MeshSettings;
  /** Whether the UDP port is the same at each start: where others find an agent again. */
  keepPort: boolean;
  /** Whether clients may ask what their HTTP API is asked; default false. */
  clientApi?: boolean;
  /** Comes for a moment only: one link to a server has to do. */
  passing?: boolean;
  /** What other members may ask; tables that may be filled later. */
  served: Served;
  /** Takes connections of those who want to join; absent on whoever lets nobody in. */
  onJoin?: (connection: Connection) => void;
  log: Log;
  random: Random;
  version: string;
}

/** This machine in its mesh: whom it knows, whom it is linked with. */
export interface Member {
  readonly network: Network;
  readonly roster: MemberRoster;
  readonly peers: Peers;
  /** Those who may serve, this agent left out. */
  servers(): NodeKey[];
  nameOf(key: NodeKey): string;
  /** Where a member is, or was last. */
  addressesOf(key: NodeKey): readonly Address[];
  /** How this machine is linked, and the names of all members by key. */
  net(): NetReport & { Names: Record<NodeKey, string> };
  close(): Promise<void>;
}

/** Opens the network of a member; links come with `peers.start()`. Rejects with MeshError E_STORAGE or E_CONFLICT. */
export async function openMember(options: MemberOptions): Promise<Member> {
  const { home, identity, settings, log } = options;
  const { folder } = settings;
  const roster = createRoster({ home, key: identity.publicKey, now: () => Date.now(), log: log.child('roster') });
  const network = await openDhtNetwork({
    ...settings,
    folder: options.keepPort ? folder : null,
    identity,
    log: log.child('network'),
  });
  const addressBook = createAddressBook({
    path: folder === null ? null : join(folder, 'addresses'),
    clock: systemClock,
    log,
  });
  const peers = createPeers({
    network,
    roster,
    certificate: () => roster.own(),
    verify: (key, chain) => roster.verify(key, chain),
    vouch: (claims) => roster.vouch(claims),
    ...options.served,
    ...(options.onJoin ? { onJoin: options.onJoin } : {}),
    clientApi: options.clientApi ?? false,
    relay: settings.relay,
    addressBook,
    // Servers are found by key: who is gone in a moment need not be found by anybody.
    ...(options.passing ? { streamsOver: 'control' as const } : { topics: () => topicsOf(roster) }),
    log: log.child('links'),
    clock: systemClock,
    random: options.random,
    version: options.version,
  });
  const nameOf = (key: NodeKey): string => roster.find(key)?.name ?? key.slice(0, 8);
  const servers = (): NodeKey[] =>
    roster.members().filter((key) => key !== identity.publicKey && roster.find(key)?.role === 'server');
  // Before anybody has gossiped: where they were when this machine joined.
  for (const key of servers()) if (addressBook.find(key).length === 0) peers.learn(key, settings.hints);
  return {
    network,
    roster,
    peers,
    servers,
    nameOf,
    net: () => ({
      ...peers.report(),
      Names: Object.fromEntries([...roster.members(), identity.publicKey].map((key) => [key, nameOf(key)])),
    }),
    addressesOf: (key) => (key === identity.publicKey ? peers.addresses() : addressBook.find(key)),
    async close() {
      await peers.close();
      addressBook.close();
      roster.close();
    },
  };
}

/** Under which others look for members today. */
function topicsOf(roster: MemberRoster): Uint8Array[] {
  const days = discoveryDays(Date.now());
  return roster
    .info()
    .DiscoverySecrets.flatMap((secret) => days.map((day) => discoveryTopic(Buffer.from(secret, 'hex'), day)));
}
