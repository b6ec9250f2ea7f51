import type { StateSnapshot } from '../../state/store.js';
import type { MeshMember, NodeKey } from '../../structs/mesh.js';
import { claimsOf, renewalDueMs } from '../../transport/certificate.js';
import type { Millis } from '../../util/clock.js';

/** A client's or operator's certificate lasts so long; a server's as long as the word of whoever admitted it. */
export const CERTIFICATE_MS = 30 * 86_400_000;
/** Whether a member's certificate is in the last third of its life, over, or none. */
export function isDue({ Chain }: Pick<MeshMember, 'Chain'>, now: Millis): boolean {
  const claims = claimsOf(Chain[0]);
  return !claims || now >= renewalDueMs(claims);
}

/** Whoever signed in a chain, or holds it. */
export function keysOf(chain: readonly string[]): NodeKey[] {
  return chain.flatMap((text) => claimsOf(text)?.Key ?? []);
}

/**
 * Members whose certificates the leader should issue anew, without being asked: servers, whose life ends or whose chain is
 * longer than it would be from the leader, and everybody whose certificate came through one who is out. A leader cannot
 * certify itself: what is wrong with its own chain is for another leader, or for the root.
 */
export function membersToReissue(
  state: StateSnapshot,
  leader: { key: NodeKey; chain: readonly string[]; notAfter: Millis },
  now: Millis,
): MeshMember[] {
  const isBuried = (key: NodeKey): boolean => state.meshTombstone(key) !== undefined;
  if (keysOf(leader.chain).some(isBuried)) return [];
  const anyBuried = state.count('mesh_tombstones') > 0;
  return [...state.meshMembers()].filter((member) => {
    if (member.Status !== 'admitted' || member.Key === leader.key) return false;
    if (anyBuried && keysOf(member.Chain).some(isBuried)) return true;
    if (member.Role !== 'server') return false;
    // Issuing again gives it no more than the leader itself has.
    return member.Chain.length > leader.chain.length + 1 || (isDue(member, now) && member.NotAfter < leader.notAfter);
  });
}

/** Names of those whose certificates rest on somebody who is out: only the root can help them now. */
export function restingOnBuried(state: StateSnapshot): string[] {
  if (state.count('mesh_tombstones') === 0) return [];
  return [...state.meshMembers()]
    .filter(({ Status, Chain }) => Status === 'admitted' && keysOf(Chain).some((key) => state.meshTombstone(key)))
    .map(({ Name }) => Name);
}
