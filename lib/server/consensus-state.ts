import type { MeshError } from '../structs/errors.js';
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

/** Why nothing can be asked of a host, if so. */
export function notRunning(state: HostState, admitted: boolean): MeshError | null {
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
