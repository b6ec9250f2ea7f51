import type { QueryOptions } from './rpc-options.js';

/** What only servers ask of a node, on behalf of the autoscaler. */
export interface PowerRpcMethods {
  /** The node NodeID wakes another machine on its local network by Wake-on-LAN. */
  'ClientPower.Wake': { args: { NodeID: string; MacAddress: string } & QueryOptions; reply: object };
  /** The node goes to sleep by the command of its own configuration, a moment after it has answered. */
  'ClientPower.Sleep': { args: { NodeID: string } & QueryOptions; reply: object };
  /** Who is at the tasks of the node just now: a line for each. */
  'ClientPower.Sessions': { args: { NodeID: string } & QueryOptions; reply: { Sessions: string[] } };
}
