import type { Job } from '../structs/job.js';
import { shareEqual } from './share.js';

/** What the server writes into a job: no difference in these makes a new version. Stop is a wish, so it does. */
const SERVER_FIELDS = [
  'Status',
  'StatusDescription',
  'Stable',
  'Version',
  'VersionTag',
  'SubmitTime',
  'CreateIndex',
  'ModifyIndex',
  'JobModifyIndex',
] as const satisfies readonly (keyof Job)[];

/** Whether `wanted`, registered over `existing`, would be a new version. */
export function isNewSpec(existing: Job, wanted: Job): boolean {
  return specChanged(existing, shareEqual(existing, wanted));
}

/** The same when `shared` has already been made to share what is equal (shareEqual). */
export function specChanged(existing: Job, shared: Job): boolean {
  const server: readonly string[] = SERVER_FIELDS;
  const keys = new Set([...Object.keys(existing), ...Object.keys(shared)]) as Set<keyof Job>;
  for (const key of keys) {
    if (!server.includes(key) && existing[key] !== shared[key]) return true;
  }
  return false;
}
