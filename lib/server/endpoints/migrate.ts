import type { StateSnapshot } from '../../state/store.js';
import { watchKeys } from '../../state/watch.js';
import type { Allocation } from '../../structs/allocation.js';
import { MeshError } from '../../structs/errors.js';
import { groupOf } from '../../structs/group-of.js';
import type { MigrateSource } from '../../structs/rpc-migrate.js';
import { migrateToken } from '../../transport/migrate-token.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { answerQuery } from '../blocking.js';
import { isClientTerminal } from '../node-evals.js';
import { type EndpointContext, requireText } from './context.js';

/** Who may have the data of an allocation that was replaced: the node of the one that replaces it, and nobody else. */
export function migrateEndpoints(context: EndpointContext): RpcHandlers {
  return {
    async 'Alloc.GetMigrateToken'(args, call) {
      const id = requireText(args.AllocID, 'allocation ID');
      const state = context.store.snapshot();
      const node = state.nodeById(requireText(args.NodeID, 'node ID'));
      const alloc = state.allocById(id);
      if (!node || node.SecretID !== args.SecretID || alloc?.NodeID !== node.ID || !wantsData(alloc)) {
        throw new MeshError('E_PERMISSION_DENIED', `allocation ${id} of node ${args.NodeID} has no data to fetch`);
      }
      const previous = alloc.PreviousAllocation;
      return answerQuery(context, args, call, [watchKeys.alloc(previous), watchKeys.nodes()], (current) => ({
        index: current.tableIndex('allocs', 'nodes'),
        reply: sourceOf(previous, current),
      }));
    },
  };
}

function wantsData({ Job, TaskGroup, PreviousAllocation, DesiredStatus }: Allocation): boolean {
  const group = groupOf(Job, TaskGroup);
  return PreviousAllocation !== '' && DesiredStatus === 'run' && group?.EphemeralDisk.Migrate === true;
}

function sourceOf(previous: string, state: StateSnapshot): MigrateSource {
  const alloc = state.allocById(previous);
  const node = alloc && state.nodeById(alloc.NodeID);
  const gone =
    !alloc || !node || node.Status === 'down' || node.Status === 'disconnected' || alloc.ClientStatus === 'lost';
  if (gone) return { State: 'gone', NodeID: node?.ID ?? '', Token: '' };
  if (!isClientTerminal(alloc.ClientStatus)) return { State: 'running', NodeID: node.ID, Token: '' };
  return { State: 'ended', NodeID: node.ID, Token: migrateToken(node.SecretID, alloc.ID) };
}
