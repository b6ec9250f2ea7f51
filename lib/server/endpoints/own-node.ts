import { MeshError } from '../../structs/errors.js';
import type { Node } from '../../structs/node.js';
import { type EndpointContext, requireText } from './context.js';

/** The node, if the caller is it. */
export function requireOwnNode({ store }: EndpointContext, args: { NodeID: string; SecretID: string }): Node {
  const node = store.snapshot().nodeById(requireText(args.NodeID, 'node ID'));
  if (!node) throw new MeshError('E_NOT_FOUND', `node not found: ${args.NodeID} must register first`);
  checkSecret(node, args.SecretID);
  return node;
}

export function checkSecret(node: Node, secretId: string): void {
  if (node.SecretID === secretId) return;
  throw new MeshError(
    'E_PERMISSION_DENIED',
    `node secret ID does not match: ${node.ID} is registered by another client; give this one another data_dir, or purge the node`,
  );
}
