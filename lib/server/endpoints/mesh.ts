import type { StateSnapshot } from '../../state/store.js';
import { watchKeys } from '../../state/watch.js';
import { MeshError } from '../../structs/errors.js';
import type { MeshInfo, MeshMember } from '../../structs/mesh.js';
import type { MeshMemberStub } from '../../structs/rpc-mesh.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { tombstoneHandlers } from '../../transport/spread-tombstones.js';
import { answerQuery } from '../blocking.js';
import { requireMesh } from '../mesh/config.js';
import { restingOnBuried } from '../mesh/renewal-rules.js';
import { rosterIndex, rosterOf } from '../mesh/roster-view.js';
import type { EndpointContext } from './context.js';

/** What can be read of the mesh. */
export function meshEndpoints(context: EndpointContext): RpcHandlers {
  const stub = ({ Chain: _, ...member }: MeshMember): MeshMemberStub => ({
    ...member,
    ...requireMesh(context.config).view(member.Key),
  });

  return {
    async 'Mesh.Info'(args, call) {
      requireMesh(context.config);
      return answerQuery(context, args, call, [watchKeys.mesh()], (state) => {
        const { DiscoverySecrets: _, SealedRoot: __, ...Mesh } = requireFounded(state);
        const Members = [...state.meshMembers()].filter(({ Status }) => Status === 'admitted').length;
        return {
          index: rosterIndex(state),
          reply: { Mesh, Members, Leader: context.consensus.leader, Problems: problems(state) },
        };
      });
    },

    async 'Mesh.Members'(args, call) {
      requireMesh(context.config);
      return answerQuery(context, args, call, [watchKeys.mesh()], (state) => ({
        index: rosterIndex(state),
        reply: { Members: [...state.meshMembers()].map(stub) },
      }));
    },

    async 'Mesh.Member'(args, call) {
      return answerQuery(context, args, call, [watchKeys.meshMember(args.Key)], (state) => {
        const Member = state.meshMember(args.Key) ?? null;
        return { index: Member?.ModifyIndex ?? 1, reply: { Member } };
      });
    },

    async 'Mesh.Roster'(args, call) {
      const key = call.peer?.key ?? args.Key ?? requireMesh(context.config).identity.publicKey;
      const role = call.peer?.role ?? 'server';
      return answerQuery(context, args, call, [watchKeys.mesh()], (state) => {
        const index = rosterIndex(state);
        // Whoever knows of later things than there are here has them from before a restore.
        const known = args.Since ?? 0;
        const reply = rosterOf(state, { key, role, since: known <= index ? known : 0 });
        if (!reply) throw notFounded();
        return { index, reply };
      });
    },

    async 'Mesh.ListInvites'(args, call) {
      requireMesh(context.config);
      return answerQuery(context, args, call, [watchKeys.mesh()], (state) => ({
        index: state.tableIndex('mesh_invites'),
        reply: { Invites: [...state.meshInvites()].sort((a, b) => a.CreatedAt - b.CreatedAt) },
      }));
    },

    ...(context.config.mesh ? tombstoneHandlers(context.config.mesh.roster) : {}),
  };
}

/** The mesh of the state, or E_NOT_FOUND in the moments before its founding is committed. */
export function requireFounded(state: StateSnapshot): MeshInfo {
  const mesh = state.mesh();
  if (mesh) return mesh;
  throw notFounded();
}

const notFounded = (): MeshError => new MeshError('E_NOT_FOUND', 'the mesh is not founded yet: retry in a moment');

function problems(state: StateSnapshot): string[] {
  const names = restingOnBuried(state);
  if (names.length === 0) return [];
  return [
    `the certificates of ${names.join(', ')} were signed by way of a member that is out: "meshnomad mesh reissue", with the recovery code, puts that right`,
  ];
}
