import type { Allocation } from '../../structs/allocation.js';
import { MeshError } from '../../structs/errors.js';
import { groupOf } from '../../structs/group-of.js';
import { type EndpointContext, requireText } from './context.js';

type OwnArgs = { NodeID: string; SecretID: string; AllocID: string; Task: string };

/**
 * The allocation that a client asks for, if it is that client's and its task is in it. A server that does not lead, and has just begun,
 * may not have heard of it yet: a refusal would end the task for good.
 */
export async function requireOwnAlloc(context: EndpointContext, args: OwnArgs): Promise<Allocation> {
  const known = findOwnAlloc(context, args);
  if (known) return known;
  await context.consensus.readIndex();
  const found = findOwnAlloc(context, args);
  if (found) return found;
  throw new MeshError(
    'E_PERMISSION_DENIED',
    `allocation ${args.AllocID} is not one of node ${args.NodeID}, or has no such task`,
  );
}

function findOwnAlloc({ store }: EndpointContext, args: OwnArgs): Allocation | undefined {
  const state = store.snapshot();
  const node = state.nodeById(requireText(args.NodeID, 'node ID'));
  const alloc = state.allocById(requireText(args.AllocID, 'allocation ID'));
  const group = alloc && groupOf(alloc.Job, alloc.TaskGroup);
  const isOwn = node?.SecretID === args.SecretID && alloc?.NodeID === node.ID;
  return isOwn && group?.Tasks.some(({ Name }) => Name === args.Task) ? alloc : undefined;
}
