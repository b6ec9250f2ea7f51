import type { StateSnapshot } from '../../state/store.js';
import { MeshError } from '../../structs/errors.js';
import type { MeshMember } from '../../structs/mesh.js';
import { nodeIdOf } from '../../transport/certificate.js';
import type { MemberRoster } from '../../transport/roster.js';
import { nearest } from '../../util/nearest.js';

const PREFIX_MIN = 4;

/** What is known of a member also where the state is not. */
export type KnownMember = Pick<MeshMember, 'Key' | 'NodeID' | 'Name' | 'Role' | 'Status'>;

/** The member of the state that a person means: see `findAmong`. */
export function findMember(state: StateSnapshot, text: unknown): MeshMember {
  return findAmong([...state.meshMembers()], text);
}

/** Likewise, by a server that may stand outside of the group and have no state: then by what it was told last. */
export function findKnown(state: StateSnapshot, roster: MemberRoster, text: unknown): KnownMember {
  const inState = [...state.meshMembers()];
  const told = roster.members().flatMap((Key): KnownMember[] => {
    const found = state.meshMember(Key) ? undefined : roster.find(Key);
    return found ? [{ Key, NodeID: nodeIdOf(Key), Name: found.name, Role: found.role, Status: found.status }] : [];
  });
  return findAmong([...inState, ...told], text);
}

/**
 * The member that a person means: by name, by key, by the id of its node, or by a beginning of one of these that only one has.
 * Those who are out are found by their key only. Throws E_NOT_FOUND with the nearest name, E_BAD_REQUEST when several fit.
 */
function findAmong<M extends KnownMember>(members: readonly M[], text: unknown): M {
  if (typeof text !== 'string' || text === '') throw new MeshError('E_BAD_REQUEST', 'missing member: its name or key');
  const present = members.filter(({ Status }) => Status === 'admitted' || Status === 'pending');
  const exact = present.find(({ Name }) => Name === text) ?? members.find(({ Key }) => Key === text.toLowerCase());
  if (exact) return exact;
  const begins = (whole: string): boolean => text.length >= PREFIX_MIN && whole.startsWith(text.toLowerCase());
  const found = present.filter(({ Key, NodeID, Name }) => begins(Key) || begins(NodeID) || begins(Name.toLowerCase()));
  const [only] = found;
  if (only && found.length === 1) return only;
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
