import type { QueryOptions } from './rpc-options.js';

/** The metadata of a node: what holds, what was said while it ran (null: taken away), and what its configuration says. */
export interface NodeMetadata {
  Meta: Record<string, string>;
  Dynamic: Record<string, string | null>;
  Static: Record<string, string>;
}

/** Answered by the client that is the node; servers pass them on. */
export interface NodeMetaRpcMethods {
  /** Changes the keys that are named: null takes one away, also one of the configuration. */
  'NodeMeta.Apply': {
    args: { NodeID: string; Meta: Record<string, string | null> } & QueryOptions;
    reply: NodeMetadata;
  };
  'NodeMeta.Read': { args: { NodeID: string } & QueryOptions; reply: NodeMetadata };
}
