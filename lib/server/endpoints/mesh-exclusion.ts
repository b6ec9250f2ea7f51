import { randomBytes } from 'node:crypto';
import { MeshError } from '../../structs/errors.js';
import type { Tombstone } from '../../structs/mesh.js';
import { sealRoot } from '../../transport/root-key.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { REASON_MAX, signTombstone } from '../../transport/tombstone.js';
import { requireMesh } from '../mesh/config.js';
import { exposedTo } from '../mesh/exposed.js';
import { findKnown, type KnownMember } from '../mesh/find-member.js';
import { propose } from '../propose.js';
import type { EndpointContext } from './context.js';
import { requireFounded } from './mesh.js';
import { openRoot } from './open-root.js';

/** So long a revocation waits to be written down; it holds without. */
const RECORD_WAIT_MS = 3_000;

/** How somebody goes, and what changes so that it stays out; the root key, for when no server is left to say so. */
export function meshExclusionEndpoints(context: EndpointContext): RpcHandlers {
  const { consensus, store } = context;

  /** Resolves with true when the state has the tombstone: the leader, this server or another, writes it down. */
  function recorded({ Key }: Tombstone): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (done: boolean): void => {
        unsubscribe();
        cancel();
        resolve(done);
      };
      const look = (): void => {
        if (store.snapshot().meshTombstone(Key)) end(true);
      };
      const unsubscribe = store.subscribe([{ kind: 'mesh', key: '' }], look);
      const cancel = context.timers.setTimeout(RECORD_WAIT_MS, () => end(false));
      look();
    });
  }

  return {
    /** Needs no leader: signed here, told to everybody who is linked, written down as soon as there is one. */
    async 'Mesh.Revoke'(args) {
      const { roster } = requireMesh(context.config);
      const state = store.snapshot();
      const member = findKnown(state, roster, args.Member);
      const tombstone = revocation(context, member, args.Reason ?? '');
      const Exposed = exposedTo(state, member);
      if (!roster.bury([tombstone])) {
        throw new MeshError('E_PERMISSION_DENIED', 'this server may not sign others out: it is out itself');
      }
      const Recorded = await recorded(tombstone);
      return { Tombstone: tombstone, Exposed, Recorded, Index: store.snapshot().tableIndex('mesh_tombstones') };
    },

    async 'Mesh.Leave'(args) {
      requireMesh(context.config);
      const state = store.snapshot();
      const member = state.meshMember(args.Key);
      const servers = [...state.meshMembers()].filter(({ Role, Status }) => Role === 'server' && Status === 'admitted');
      if (member?.Role === 'server' && servers.length === 1) {
        throw new MeshError('E_CONFLICT', `${member.Name} is the only server: the mesh would end with it`);
      }
      const { index } = await propose(consensus, { type: 'mesh-leave', key: args.Key });
      return { Index: index };
    },

    async 'Mesh.Rotate'() {
      requireMesh(context.config);
      const discoverySecret = randomBytes(32).toString('hex');
      const { index, value } = await propose(consensus, { type: 'mesh-rotate', discoverySecret });
      return { Epoch: value.epoch, Index: index };
    },

    async 'Mesh.ExportRecovery'(args) {
      requireMesh(context.config);
      const mesh = requireFounded(store.snapshot());
      if (args.Code === undefined)
        return { Sealed: mesh.SealedRoot, Root: mesh.Root, Code: '', Index: mesh.ModifyIndex };
      const { sealed, code } = sealRoot(openRoot(store.snapshot(), args.Code));
      const { index } = await propose(consensus, { type: 'mesh-seal', sealedRoot: sealed });
      return { Sealed: sealed, Root: mesh.Root, Code: code, Index: index };
    },

    async 'Mesh.Reissue'(args) {
      requireMesh(context.config);
      const root = openRoot(store.snapshot(), args.Code);
      const members = [...store.snapshot().meshMembers()];
      const servers = members.filter(({ Role, Status }) => Role === 'server' && Status === 'admitted');
      const certificates = servers.map((server) => context.issuer?.issueByRoot(root, server));
      const { index } = await propose(consensus, {
        type: 'mesh-renew',
        certificates: certificates.filter((one) => one !== undefined),
      });
      return { Names: servers.map(({ Name }) => Name), Index: index };
    },
  };
}

/** The tombstone that there is, or a new one by this server. */
function revocation(context: EndpointContext, { Key, Name }: KnownMember, reason: unknown): Tombstone {
  const { identity, roster } = requireMesh(context.config);
  if (Key === identity.publicKey) {
    throw new MeshError('E_CONFLICT', `a server does not sign itself out: ask another server, or leave ${Name}`);
  }
  if (typeof reason !== 'string' || reason.length > REASON_MAX) {
    throw new MeshError('E_BAD_REQUEST', `the reason has more than ${REASON_MAX} characters`);
  }
  const known = roster.tombstones().find((one) => one.Key === Key);
  if (known) return known;
  const { chain } = roster.own();
  return signTombstone({ mesh: roster.mesh, key: Key, atMs: context.now(), reason, by: identity, chain });
}
