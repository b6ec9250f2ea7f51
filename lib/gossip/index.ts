/**
 * Gossip: who is in the mesh, and who is there now. Pure: datagrams and time come in, effects go out.
 * Comes from transport/gossip.ts (datagrams of other members, links, the roster), goes to the links again, and to whoever
 * wants to know of members: the leader, `meshnomad members`, the address book.
 */
export type { GossipConfig } from './config.js';
export { GOSSIP_CONFIG } from './config.js';
export type { GossipEffect } from './effects.js';
export type { MemberAddress, MemberInfo, MemberRecord, MemberState, RaftHint } from './member.js';
export { isPresent } from './member.js';
export { ADDRESSES_MAX, checkInfo, MEMBER_BYTES_MAX } from './member-codec.js';
export type { GossipOptions } from './state.js';
export type { GossipEvent } from './swim.js';
export { Gossip } from './swim.js';
