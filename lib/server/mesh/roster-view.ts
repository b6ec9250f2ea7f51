import type { StateSnapshot } from '../../state/store.js';
import type { MeshRole, NodeKey } from '../../structs/mesh.js';
import type { RosterReply } from '../../structs/rpc-mesh.js';
import type { ServerWorld } from '../world.js';
import type { ServerMesh } from './config.js';
import { INVITE_KEPT_MS } from './invite-rules.js';

/** Until a leader is known. */
const CURRENT_RETRY_MS = 200;

type RosterWorld = Pick<ServerWorld, 'store' | 'consensus' | 'timers' | 'log'>;

/** What one agent gets to know of who belongs to the mesh; undefined while no mesh is founded. */
export function rosterOf(
  state: StateSnapshot,
  { key, role }: { key: NodeKey; role: MeshRole },
): RosterReply | undefined {
  const mesh = state.mesh();
  if (!mesh) return undefined;
  // A person takes no connections.
  const invites = role === 'operator' ? [] : [...state.meshInvites()];
  return {
    Mesh: role === 'server' ? mesh : { ...mesh, SealedRoot: '' },
    Members: [...state.meshMembers()].map(({ Key, Name, Role, Status }) => ({ Key, Name, Role, Status })),
    InviteKeys: invites.map(({ Key, ExpiresAt }) => ({ Key, ExpiresAt: ExpiresAt + INVITE_KEPT_MS })),
    Tombstones: [...state.meshTombstones()],
    Chain: state.meshMember(key)?.Chain ?? [],
  };
}

/** Index at which the answer of `rosterOf` last changed. */
export function rosterIndex(state: StateSnapshot): number {
  return state.tableIndex('mesh', 'mesh_members', 'mesh_invites', 'mesh_tombstones');
}

/**
 * Keeps what a server has on its own disk as new as its state: the roster, the sealed root. The returned function ends that. It
 * begins once the state is known to be the newest: while a log is replayed, members come and go that are long settled, and
 * their links would with them.
 */
export function feedRoster(world: RosterWorld, mesh: ServerMesh): () => void {
  const { store, consensus, timers, log } = world;
  const { roster, home, identity } = mesh;
  let sealed = home.read('root.sealed');
  const feed = (): void => {
    const reply = rosterOf(store.snapshot(), { key: identity.publicKey, role: 'server' });
    // Before its founding is committed, or from a snapshot of another mesh, the state has nothing to say.
    if (reply?.Mesh.Root !== roster.mesh) return;
    roster.update(reply);
    if (reply.Mesh.SealedRoot === sealed) return;
    try {
      home.write('root.sealed', reply.Mesh.SealedRoot);
      sealed = reply.Mesh.SealedRoot;
    } catch (error) {
      // The state has it too; the next change tries again.
      log.warn('the sealed root is not on the disk', { why: (error as Error).message });
    }
  };
  let state: 'waiting' | 'fed' | 'ended' = 'waiting';
  let end = (): void => {};
  const begin = (): void => {
    if (state !== 'waiting') return;
    state = 'fed';
    end();
    feed();
    end = store.subscribe([{ kind: 'mesh', key: '' }], feed);
  };
  const ask = (): void => {
    consensus.readIndex().then(begin, () => {
      if (state === 'waiting') end = timers.setTimeout(CURRENT_RETRY_MS, ask);
    });
  };
  // Who leads has applied everything.
  consensus.onLeadership((leads) => {
    if (leads) begin();
  });
  ask();
  return () => {
    state = 'ended';
    end();
  };
}
