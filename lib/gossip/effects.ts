import type { NodeKey } from '../structs/mesh.js';
import type { MemberRecord } from './member.js';

/** What the shell does for the machine, in this order. */
export type GossipEffect =
  /** A datagram; may be lost. */
  | { readonly type: 'send'; readonly to: NodeKey; readonly data: Uint8Array }
  /** A member is new (`before` null), changed its state, or says something else of itself. Never about this member. */
  | { readonly type: 'member'; readonly record: MemberRecord; readonly before: MemberRecord | null }
  /** It was dead or gone for long, or is revoked: nothing is known of it any more. */
  | { readonly type: 'forgotten'; readonly record: MemberRecord }
  /** Nobody answers any more, or somebody does again: while true, nobody is accused. */
  | { readonly type: 'isolated'; readonly isolated: boolean }
  /** Somebody passed this on. Checked by the shell and given back as `bury`, else it is dropped. */
  | { readonly type: 'tombstone'; readonly from: NodeKey; readonly key: NodeKey; readonly bytes: Uint8Array }
  /** Must be on disk before a later run, which begins beyond it. */
  | { readonly type: 'reserve'; readonly incarnation: number };
