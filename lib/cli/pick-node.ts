import type { Node } from '../structs/node.js';
import { type ApiClient, ApiError } from './api.js';
import type { Context } from './command.js';
import { confirm } from './confirm.js';
import { findNode } from './resolve.js';

/** The node that the argument or -self names. */
export async function namedNode({ args, flags, ...context }: Context): Promise<Node> {
  const api = await context.api();
  return findNode(api, flags.bool('self') ? await ownNode(api) : (args[0] as string));
}

/** The same for what is not undone easily; null when only a prefix was given and the user did not mean it. */
export async function pickNode(context: Context, action: string): Promise<Node | null> {
  const { args, flags } = context;
  const node = await namedNode(context);
  if (flags.bool('self') || node.ID === args[0]) return node;
  const asked = await confirm(
    flags,
    `Are you sure you want to ${action} node ${JSON.stringify(node.ID)}?`,
    `the id given is a prefix of node ${JSON.stringify(node.ID)}: write it whole, or add -yes`,
  );
  return asked ? node : null;
}

/** The node of the agent that is asked. */
export async function ownNode(api: ApiClient): Promise<string> {
  const { value } = await api.get<{ stats?: { client?: { node_id?: string } } }>('/v1/agent/self');
  const id = value.stats?.client?.node_id ?? '';
  if (id === '') throw new ApiError(0, 'the agent that is asked is no client: it has no node of its own');
  return id;
}
