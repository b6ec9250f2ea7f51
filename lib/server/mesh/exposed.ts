import type { StateSnapshot } from '../../state/store.js';
import type { KnownMember } from './find-member.js';

/** What a member had seen that others should not have: a line each, for the person who signs it out. */
export function exposedTo(state: StateSnapshot, member: KnownMember): string[] {
  const lines = ['the discovery secret (changed now, by itself)'];
  if (member.Status === 'pending') return [];
  if (member.Role === 'server') {
    lines.push('the whole state: every job with its environment, templates and variables');
    lines.push(
      'the root key, sealed: useless without the recovery code; "meshnomad mesh export-recovery -new-code" changes that',
    );
  }
  const jobs = new Set<string>();
  for (const alloc of state.allocsByNode(member.NodeID)) jobs.add(`${alloc.JobID} (namespace ${alloc.Namespace})`);
  for (const job of [...jobs].sort()) lines.push(`what job ${job} was given: environment, templates, credentials`);
  if (member.Role === 'operator') lines.push('whatever its user read or wrote over the API');
  return lines;
}
