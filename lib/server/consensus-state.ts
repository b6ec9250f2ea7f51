import type { Raft, Role } from '../raft/index.js';
import type { MeshError } from '../structs/errors.js';
import type { ConsensusStats } from './consensus.js';
import { noLeader } from './consensus-errors.js';

/**
 * The life of the host of raft:
 *
 *     opened ─start─▶ running ◀─repair─▶ broken
 *                        └─▶ halted          each ─close─▶ closed
 */
export type HostState =
  | { readonly kind: 'opened' }
  | { readonly kind: 'running' }
  /** The disk refused a write: waiting to try again. */
  | { readonly kind: 'broken'; readonly error: MeshError }
  /** The log holds what this version cannot apply: nothing but another version helps. */
  | { readonly kind: 'halted'; readonly error: MeshError }
  | { readonly kind: 'closed' };

/** What decides whether a host can be asked for something. */
export interface Standing {
  readonly state: HostState;
  readonly admitted: boolean;
  readonly leads: boolean;
  readonly role: Role;
  readonly isSoleVoter: boolean;
  /** How many there are. */
  readonly voters: number;
}

/** Why nothing can be proposed here, if so. */
export function refusalToWrite({ state, admitted, leads, role }: Standing): MeshError | null {
  const reason = notRunning(state, admitted);
  if (reason !== null || leads) return reason;
  return noLeader(role === 'leader' ? 'the log is still being replayed' : 'this server does not lead');
}

/** Why nothing can be read here that is up to date, if so. */
export function refusalToRead({ state, admitted, leads, isSoleVoter, voters }: Standing): MeshError | null {
  const reason = notRunning(state, admitted);
  if (reason !== null || leads) return reason;
  if (isSoleVoter) return noLeader('the log is still being replayed');
  return voters === 0 ? noLeader('this server waits until a leader adds it to its group') : null;
}

function notRunning(state: HostState, admitted: boolean): MeshError | null {
  switch (state.kind) {
    case 'broken':
    case 'halted':
      return state.error;
    case 'closed':
      return noLeader('the server is shutting down');
    case 'opened':
      return noLeader('it has not started');
    default:
      return admitted ? null : noLeader('this server waits until the leader admits it');
  }
}

/** What an operator may want to know of a host. */
export function statsOf(
  raft: Raft,
  host: Standing & { readonly appliedIndex: number; readonly snapshotIndex: number },
): ConsensusStats {
  const { term, lastIndex, committed, membership } = raft;
  const { state, admitted, appliedIndex, snapshotIndex } = host;
  const { voters } = membership;
  return { state: state.kind, admitted, term, lastIndex, commitIndex: committed, appliedIndex, snapshotIndex, voters };
}
