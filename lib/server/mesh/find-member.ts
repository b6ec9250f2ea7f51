import type { StateSnapshot } from '../../state/store.js';
import { MeshError } from '../../structs/errors.js';
import type { MeshMember } from '../../structs/mesh.js';
import { nearest } from '../../util/nearest.js';

const PREFIX_MIN = 4;

/**
 * The member that a person means: by name, by key, by the id of its node, or by a beginning of one of these that only one has.
 * Those who are out are found by their key only. Throws E_NOT_FOUND with the nearest name, E_BAD_REQUEST when several fit.
 */
export function findMember(state: StateSnapshot, text: unknown): MeshMember {
  if (typeof text !== 'string' || text === '') throw new MeshError('E_BAD_REQUEST', 'missing member: its name or key');
  const exact = state.meshMemberByName(text) ?? state.meshMember(text.toLowerCase());
  if (exact) return exact;
  const present = [...state.meshMembers()].filter(({ Status }) => Status === 'admitted' || Status === 'pending');
  const begins = (whole: string): boolean => text.length >= PREFIX_MIN && whole.startsWith(text.toLowerCase());
  const found = present.filter(({ Key, NodeID, Name }) => begins(Key) || begins(NodeID) || begins(Name.toLowerCase()));
  if (found.length === 1) return found[0] as MeshMember;
  if (found.length > 1) {
    const names = found.map(({ Name, Key }) => `${Name} (${Key.slice(0, 8)})`).join(', ');
    throw new MeshError('E_BAD_REQUEST', `${JSON.stringify(text)} may be any of ${names}: say more of it`);
  }
  const near = nearest(
    text,
    present.map(({ Name }) => Name),
  );
  const hint = near === undefined ? '"meshnomad members" lists them' : `did you mean ${near}?`;
  throw new MeshError('E_NOT_FOUND', `no member ${JSON.stringify(text)}: ${hint}`);
}
