import type { StateSnapshot } from '../../state/store.js';
import type { MeshMember, MeshRole, NodeKey } from '../../structs/mesh.js';
import type { RosterReply } from '../../structs/rpc-mesh.js';
import { rosterDigest } from '../../transport/roster-digest.js';
import type { ServerWorld } from '../world.js';
import type { ServerMesh } from './config.js';
import { INVITE_KEPT_MS } from './invite-rules.js';

/** Until a leader is known. */
const CURRENT_RETRY_MS = 200;

type RosterWorld = Pick<ServerWorld, 'store' | 'consensus' | 'timers' | 'log'>;

/**
 * What one agent gets to know of who belongs to the mesh; undefined while no mesh is founded. With `since` only what changed after
 * that index: of five hundred members each hears of every change, and mostly one has changed.
 */
export function rosterOf(
  state: StateSnapshot,
  { key, role, since = 0 }: { key: NodeKey; role: MeshRole; since?: number },
): RosterReply | undefined {
  const mesh = state.mesh();
  if (!mesh) return undefined;
  const isNew = (row: { ModifyIndex: number } | undefined): boolean => row === undefined || row.ModifyIndex > since;
  // A person takes no connections.
  const invites = role === 'operator' ? [] : [...state.meshInvites()].filter(isNew);
  const own = state.meshMember(key);
  return {
    Mesh: role === 'server' ? mesh : { ...mesh, SealedRoot: '' },
    Members: [...state.meshMembers()].filter(isNew).map(shown),
    InviteKeys: invites.map(({ Key, ExpiresAt }) => ({ Key, ExpiresAt: ExpiresAt + INVITE_KEPT_MS })),
    // Who is signed out is a member that has changed; a key that never was one is told each time.
    Tombstones: [...state.meshTombstones()].filter(({ Key }) => isNew(state.meshMember(Key))),
    Chain: own && isNew(own) ? own.Chain : [],
    Digest: digestOf(state),
    ...(since > 0 ? { Since: since } : {}),
  };
}

const shown = ({ Key, Name, Role, Status }: MeshMember): RosterReply['Members'][number] => ({
  Key,
  Name,
  Role,
  Status,
});

/** Everybody who asks at a time gets the same one. */
const digests = new WeakMap<StateSnapshot, string>();

function digestOf(state: StateSnapshot): string {
  const known = digests.get(state);
  if (known !== undefined) return known;
  const Members = [...state.meshMembers()].map(shown);
  const made = rosterDigest({ Members, Tombstones: [...state.meshTombstones()] });
  digests.set(state, made);
  return made;
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
