import type { StateSnapshot } from '../../state/store.js';
import { MeshError } from '../../structs/errors.js';
import { MESH_ROLES, type MeshInvite, type MeshRole } from '../../structs/mesh.js';
import type { MeshRpcMethods } from '../../structs/rpc-mesh.js';
import type { Millis } from '../../util/clock.js';
import { nearest } from '../../util/nearest.js';

const HOUR_MS = 3_600_000;
const TTL_DEFAULT_MS = HOUR_MS;
const TTL_MIN_MS = 60_000;
const TTL_MAX_MS = 30 * 24 * HOUR_MS;
const USES_MAX = 1_000;
/** Kept at a time, dead ones among them: enough for any household, and for many offices. */
const INVITES_MAX = 1_000;
const TAGS_MAX = 32;
const TAG_MAX = 256;
/** An invite that has ended still opens the door so long: to be told who used it, or to hear a lost answer again. */
export const INVITE_KEPT_MS = 24 * HOUR_MS;

const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

type InviteArgs = MeshRpcMethods['Mesh.CreateInvite']['args'];

export type InviteDraft = Pick<
  MeshInvite,
  'Role' | 'Name' | 'Tags' | 'Uses' | 'NeedsApproval' | 'CreatedAt' | 'ExpiresAt'
>;

/** What an invite as it was asked for will be. Throws E_BAD_REQUEST with what to write instead. */
export function draftInvite(state: StateSnapshot, args: InviteArgs, now: Millis): InviteDraft {
  const role = readRole(args.Role ?? 'client');
  const uses = args.Uses ?? 1;
  const ttlMs = args.TTLMs ?? TTL_DEFAULT_MS;
  if (!Number.isSafeInteger(uses) || uses < 1 || uses > USES_MAX) {
    throw refused(`an invite has 1 to ${USES_MAX} uses, not ${uses}`);
  }
  if (!Number.isSafeInteger(ttlMs) || ttlMs < TTL_MIN_MS || ttlMs > TTL_MAX_MS) {
    throw refused('an invite lives between 1m and 720h (30 days): choose with -ttl');
  }
  const name = args.Name ?? '';
  if (name !== '') checkName(name);
  if (name !== '' && uses > 1) throw refused('an invite for several machines cannot give them all one name');
  const tags = args.Tags ?? {};
  const entries = Object.entries(tags);
  const good = entries.every(([key, text]) => typeof text === 'string' && key.length + text.length <= TAG_MAX);
  if (entries.length > TAGS_MAX || !good) {
    throw refused(`an invite has at most ${TAGS_MAX} tags, of ${TAG_MAX} characters each`);
  }
  if (state.count('mesh_invites') >= INVITES_MAX) {
    throw new MeshError('E_TOO_MANY', `there are ${INVITES_MAX} invites: revoke some, or wait for their end`);
  }
  const NeedsApproval = uses > 1 || args.Approve === true;
  return { Role: role, Name: name, Tags: tags, Uses: uses, NeedsApproval, CreatedAt: now, ExpiresAt: now + ttlMs };
}

/** Refuses what cannot be the name of a member. */
export function checkName(name: string): void {
  if (NAME.test(name)) return;
  throw refused(
    `${JSON.stringify(name.slice(0, 80))} is no name for a member: 1 to 63 letters, digits, -, _ and ., with a letter or digit at both ends`,
  );
}

function readRole(role: string): MeshRole {
  const found = MESH_ROLES.find((one) => one === role);
  if (found) return found;
  const near = nearest(role, MESH_ROLES);
  throw refused(`no role ${JSON.stringify(role)}: ${MESH_ROLES.join(', ')}${near ? `; did you mean ${near}?` : ''}`);
}

const refused = (why: string): MeshError => new MeshError('E_BAD_REQUEST', why);

/** Invites that nobody needs to hear of any more. */
export function forgottenInvites(state: StateSnapshot, now: Millis): string[] {
  const waiting = new Set(
    [...state.meshMembers()].filter(({ Status }) => Status === 'pending').map(({ InviteID }) => InviteID),
  );
  return [...state.meshInvites()]
    .filter(({ ID, ExpiresAt }) => ExpiresAt + INVITE_KEPT_MS <= now && !waiting.has(ID))
    .map(({ ID }) => ID);
}
