import type { TaskState } from './allocation.js';

/** What has become of one allocation of a node that was apart from its servers. */
export interface SeparationRow {
  AllocID: string;
  JobID: string;
  TaskGroup: string;
  /** It ran on; was started again; is over; or was stopped, here or by the servers. */
  Outcome: 'kept' | 'restarted' | 'ended' | 'stopped';
  /** Empty for what ran on. */
  Why: string;
}

/** A time that a node was apart from its servers. */
export interface Separation {
  /** Nanoseconds since 1970, as is the other. */
  Since: number;
  Until: number;
  Allocs: SeparationRow[];
}

/** The event of a task that its client stopped since it reached no server. Nomad's word. */
export const CLIENT_DISCONNECTED = 'Client Disconnected';

/** Whether its client ended an allocation for want of a server: it is over, but its work was not done. */
export function wasStoppedApart(states: Readonly<Record<string, TaskState>> | null): boolean {
  return Object.values(states ?? {}).some(({ Events }) => Events?.some(({ Type }) => Type === CLIENT_DISCONNECTED));
}
