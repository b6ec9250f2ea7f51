import type { Allocation } from '../../structs/allocation.js';
import { MeshError } from '../../structs/errors.js';
import { type EndpointContext, requireText } from './context.js';

/** The allocation that a client asks for, if it is that client's and its task is in it. */
export function requireOwnAlloc(
  { store }: EndpointContext,
  args: { NodeID: string; SecretID: string; AllocID: string; Task: string },
): Allocation {
  const state = store.snapshot();
  const node = state.nodeById(requireText(args.NodeID, 'node ID'));
  const alloc = state.allocById(requireText(args.AllocID, 'allocation ID'));
  const group = alloc?.Job?.TaskGroups.find(({ Name }) => Name === alloc.TaskGroup);
  const isOwn = node?.SecretID === args.SecretID && alloc?.NodeID === node.ID;
  if (isOwn && group?.Tasks.some(({ Name }) => Name === args.Task)) return alloc;
  throw new MeshError(
    'E_PERMISSION_DENIED',
    `allocation ${args.AllocID} is not one of node ${args.NodeID}, or has no such task`,
  );
}
