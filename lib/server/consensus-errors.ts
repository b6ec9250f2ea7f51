import type { Refusal } from '../raft/index.js';
import { MeshError } from '../structs/errors.js';
import { assertNever } from '../util/assert.js';

/** Nothing can be written or read for certain, and why. */
export function noLeader(why: string): MeshError {
  return new MeshError('E_NO_LEADER', `no leader: ${why}`);
}

/** A proposal that may have been kept, or not. */
export function unknownOutcome(why = 'another server took over'): MeshError {
  return new MeshError('E_TIMEOUT', `${why}; whether the write was kept is unknown: read before writing again`);
}

/** Raft’s refusal in words. */
export function refusalError(refusal: Refusal): MeshError {
  switch (refusal.kind) {
    case 'notLeader':
      return noLeader('this server does not lead');
    case 'transferring':
      return noLeader(`leadership is going to ${refusal.to}`);
    case 'busy':
      return new MeshError('E_TOO_MANY', 'too many writes wait for the disk: retry in a moment');
    case 'pending':
      return new MeshError('E_CONFLICT', 'another change of the members is under way: retry when it is done');
    case 'invalid':
      return new MeshError('E_BAD_REQUEST', refusal.why);
    default:
      return assertNever(refusal);
  }
}

/** What stopped the host, in words; a defect keeps its cause. */
export function asMeshError(cause: unknown): MeshError {
  if (cause instanceof MeshError) return cause;
  return new MeshError('E_INTERNAL', `consensus failed: ${(cause as Error).message}`, { cause });
}
