/**
 * Raft: agreement of the servers on one order of commands. Pure: ticks, messages and randomness come in, effects go out.
 * Comes from server/consensus.ts (propose, and what other servers send), goes to storage/ (log, term and vote,
 * snapshots) and, once committed, to state/ through the same host.
 *
 * The host's loop: `while (raft.hasReady()) { const ready = raft.ready(); …do what Ready says…; raft.advance() }`.
 */
export { decodeMessage, encodeMessage } from './codec.js';
export type { Membership, MembershipChange } from './membership.js';
export { decodeMembership, encodeMembership, NO_MEMBERS } from './membership.js';
export type * from './messages.js';
export type * from './ports.js';
export { EMPTY_HARD_STATE } from './ports.js';
export type { Refusal } from './raft.js';
export { Raft } from './raft.js';
export type { ReadState, Ready, Role } from './ready.js';
export type { RaftOptions } from './state.js';
