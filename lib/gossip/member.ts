import type { MeshRole, NetReport, NodeKey } from '../structs/mesh.js';
import type { Millis } from '../util/clock.js';

/** `suspect`: did not answer, and has not yet refuted it; `dead`: had its time to; `left`: said good-bye. */
export type MemberState = 'alive' | 'suspect' | 'dead' | 'left';

/** `host:port`, taken apart. */
export interface MemberAddress {
  readonly host: string;
  readonly port: number;
}

/** What a member tells of its part in Raft; a hint, never proof. `none`: it is no server. */
export interface RaftHint {
  readonly state: 'none' | 'standby' | 'voter' | 'leader';
  readonly term: number;
}

/** What a member says of itself. Its encoding has at most MEMBER_BYTES_MAX bytes. */
export interface MemberInfo {
  readonly name: string;
  readonly role: MeshRole;
  /** Where others may reach it; at most ADDRESSES_MAX. */
  readonly addresses: readonly MemberAddress[];
  /** How its network lets others in. */
  readonly nat: NetReport['Nat'];
  /** Others' traffic may pass through it. */
  readonly relays: boolean;
  readonly raft: RaftHint;
  /** Small words for others: version and the like. */
  readonly meta: Readonly<Record<string, string>>;
}

/** What is believed of a member. Immutable: a change is a new record. */
export interface MemberRecord {
  readonly key: NodeKey;
  readonly state: MemberState;
  /** Counted up by the member itself alone; the higher one is the newer truth. */
  readonly incarnation: number;
  readonly info: MemberInfo;
  /** Since when it has been in this state, by this machine's clock. */
  readonly since: Millis;
}

/** Whether it still counts as a member that takes part: alive, or not yet found dead. */
export function isPresent(record: MemberRecord): boolean {
  return record.state === 'alive' || record.state === 'suspect';
}
