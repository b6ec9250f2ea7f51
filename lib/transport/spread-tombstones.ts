import type { NodeKey } from '../structs/mesh.js';
import type { Peers } from './peers.js';
import type { MemberRoster } from './roster.js';
import type { RpcHandlers } from './rpc.js';

// Tombstones go from member to member over the links, so that they reach also those whom no server reaches: to everybody who
// is linked when one is new here, and all of them to whoever is linked anew. Who knows them already says nothing further.

const TELL_TIMEOUT_MS = 10_000;

/** Passes on whatever tombstone this agent hears of. Call it before the peers are started. */
export function spreadTombstones(roster: MemberRoster, peers: Pick<Peers, 'linked' | 'onLink' | 'caller'>): void {
  let told = new Set<NodeKey>();

  const tell = (to: NodeKey, keys: (key: NodeKey) => boolean): void => {
    const Tombstones = roster.tombstones().filter(({ Key }) => Key !== to && keys(Key));
    if (Tombstones.length === 0) return;
    // Whoever is not reached now is told when it is linked again.
    peers
      .caller(to)
      .call('Mesh.Bury', { Tombstones }, { timeoutMs: TELL_TIMEOUT_MS })
      .catch(() => {});
  };

  peers.onLink((peer, up) => {
    if (up) tell(peer.key, () => true);
  });
  roster.onChange(() => {
    const before = told;
    told = new Set(roster.tombstones().map(({ Key }) => Key));
    for (const { key } of peers.linked()) tell(key, (one) => !before.has(one));
  });
}

/** What every agent, server or not, answers about tombstones. */
export function tombstoneHandlers(roster: MemberRoster): RpcHandlers {
  return {
    async 'Mesh.Bury'({ Tombstones }) {
      return { Taken: roster.bury(Array.isArray(Tombstones) ? Tombstones : []) };
    },
  };
}
