import type { WorkloadIdentity } from '../structs/job.js';
import { listOrNull, or } from './loose.js';
import type { Raw } from './schema/field.js';

const OWN_NAME = 'default';
/** Only the mesh itself takes the default identity for proof. */
const OWN_AUDIENCE = ['nomadproject.io'];

export function canonicalIdentity(raw: Raw): WorkloadIdentity {
  return {
    Name: or(raw['Name'], ''),
    Audience: listOrNull(raw['Audience']),
    ChangeMode: or(raw['ChangeMode'], ''),
    ChangeSignal: or<string>(raw['ChangeSignal'], '').toUpperCase(),
    Env: or(raw['Env'], false),
    File: or(raw['File'], false),
    Filepath: or(raw['Filepath'], ''),
    ServiceName: or(raw['ServiceName'], ''),
    TTL: or(raw['TTL'], 0),
    ExtraClaims: listOrNull(raw['ExtraClaims']),
  };
}

/** What every task has that asks for nothing else: one object for all of them. */
const PLAIN_OWN: WorkloadIdentity = { ...canonicalIdentity({}), Name: OWN_NAME, Audience: OWN_AUDIENCE };

/** The identity that a task has of itself, and those it asks for by name. */
export function canonicalIdentities(
  own: Raw | null,
  others: Raw[] | null,
): { Identity: WorkloadIdentity; Identities: WorkloadIdentity[] | null } {
  const isOwn = (raw: Raw): boolean => !raw['Name'] || raw['Name'] === OWN_NAME;
  const given = others?.findLast((raw) => isOwn(raw)) ?? own;
  const rest = (others ?? []).filter((raw) => !isOwn(raw)).map(canonicalIdentity);
  return {
    Identity: given ? { ...canonicalIdentity(given), Name: OWN_NAME, Audience: OWN_AUDIENCE } : PLAIN_OWN,
    Identities: listOrNull(rest),
  };
}
