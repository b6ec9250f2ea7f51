import type { Millis } from '../../util/clock.js';
import type { ServerView } from './view.js';

/** Slower disks and links than these make no voter: every write of the mesh would wait for them. */
const SYNC_MAX_MS = 1_000;
const RTT_MAX_MS = 1_000;
const SLOW_SYNC_MS = 100;
const SLOW_RTT_MS = 200;

/** So many points of difference are worth a change of voters, or of the leader: a wire alone is not, a relay is. */
export const CHANGE_WORTH = 4;

interface Fault {
  readonly points: number;
  readonly text: string;
}

/** What speaks against a server as a voter, the worst first. */
function faultsOf(server: ServerView): Fault[] {
  const faults: Fault[] = [];
  if (server.relayed) faults.push({ points: 4, text: 'most of its links to other servers pass through a relay' });
  if (isAbove(server.syncMs, SLOW_SYNC_MS)) {
    faults.push({ points: 4, text: `a write takes its disk ${Math.round(server.syncMs ?? 0)} ms` });
  }
  if (isAbove(server.rttMs, SLOW_RTT_MS)) {
    faults.push({ points: 2, text: `it is ${Math.round(server.rttMs ?? 0)} ms away` });
  }
  if (server.mains === false) faults.push({ points: 2, text: 'it runs on a battery' });
  if (server.wired === false) faults.push({ points: 1, text: 'it has no wire' });
  return faults;
}

/** The less the better: wired, on mains, well linked and with a fast disk is 0. */
export function penaltyOf(server: ServerView): number {
  return faultsOf(server).reduce((sum, { points }) => sum + points, 0);
}

/** In words; '' when nothing speaks against it. */
export function faultsText(server: ServerView): string {
  return faultsOf(server)
    .map(({ text }) => text)
    .join(', ');
}

/** Why it cannot vote however few servers there are; null when it can. */
export function hardFault(server: ServerView): string | null {
  if (isAbove(server.syncMs, SYNC_MAX_MS)) return `a write takes its disk ${Math.round(server.syncMs ?? 0)} ms`;
  if (isAbove(server.rttMs, RTT_MAX_MS)) return `it is ${Math.round(server.rttMs ?? 0)} ms away`;
  return null;
}

function isAbove(value: Millis | null, limit: Millis): boolean {
  return value !== null && value > limit;
}
