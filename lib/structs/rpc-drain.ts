import type { DrainStrategy } from './node.js';
import type { Query, Write } from './rpc-options.js';

/**
 * How far a node's drain is. `drains`: work is left on it, or is on its way to another; `canceled`: somebody wants it to stay;
 * `over`: nothing of it is needed any more.
 */
export type DrainState = 'drains' | 'canceled' | 'over';

export interface DrainRpcMethods {
  'Node.UpdateDrain': Write<
    { NodeID: string; DrainStrategy: DrainStrategy | null; MarkEligible?: boolean; Meta?: Record<string, string> },
    { EvalIDs: string[]; NodeModifyIndex: number }
  >;
  /**
   * What a node asks before its agent ends: it drains itself and no other, so it may where clients see their own work alone.
   * `IsAlone`: no other node takes work.
   */
  'Node.DrainSelf': Write<
    { NodeID: string; SecretID: string; DrainStrategy: DrainStrategy; Meta?: Record<string, string> },
    { IsAlone: boolean }
  >;
  'Node.OwnDrain': Query<{ NodeID: string; SecretID: string }, { State: DrainState }>;
}
