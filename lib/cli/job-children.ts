import type { Job, PeriodicConfig } from '../structs/job.js';
import { isParameterized, nextPeriodicLaunch } from '../structs/job-kind.js';
import type { JobListStub, JobSummary } from '../structs/rpc.js';
import type { Millis } from '../util/clock.js';
import { zoneOffset } from '../util/time-zone.js';
import type { ApiClient } from './api.js';
import { formatAgo, formatPairs, formatTable } from './format.js';

/** What `job status` says of a job that only makes other jobs: how it does so, and how they are. */
export async function childrenText(api: ApiClient, job: Job, title: (text: string) => string): Promise<string> {
  const path = `/v1/job/${encodeURIComponent(job.ID)}`;
  const [summary, listed] = await Promise.all([
    api.get<JobSummary>(`${path}/summary`),
    api.get<JobListStub[] | null>('/v1/jobs', { prefix: `${job.ID}/` }),
  ]);
  const { Pending, Running, Dead } = summary.value.Children ?? { Pending: 0, Running: 0, Dead: 0 };
  const dispatches = isParameterized(job);
  const children = (listed.value ?? []).filter(({ ParentID }) => ParentID === job.ID);
  const counts = formatTable([['Pending', 'Running', 'Dead'], [Pending, Running, Dead].map(String)]);
  const parts: string[] = [];
  if (job.ParameterizedJob && dispatches) {
    const { Payload, MetaRequired, MetaOptional } = job.ParameterizedJob;
    const facts = formatPairs([
      ['Payload', Payload],
      ['Required Metadata', (MetaRequired ?? []).join(', ')],
      ['Optional Metadata', (MetaOptional ?? []).join(', ')],
    ]);
    parts.push(`${title('Parameterized Job')}\n${facts}`);
  }
  parts.push(`${title(dispatches ? 'Parameterized Job Summary' : 'Children Job Summary')}\n${counts}`);
  const head = title(dispatches ? 'Dispatched Jobs' : 'Previously Launched Jobs');
  const none = dispatches ? 'No dispatched instances of parameterized job found' : 'No instances of periodic job found';
  const rows = children.map(({ ID, Status }) => [ID, Status]);
  parts.push(rows.length === 0 ? none : `${head}\n${formatTable([['ID', 'Status'], ...rows])}`);
  return parts.join('\n\n');
}

/** When the clock launches next, as the clocks of the job's time zone show it. */
export function nextLaunchText(periodic: PeriodicConfig): string {
  const next = nextPeriodicLaunch(periodic, Date.now());
  if (next === undefined) return 'none';
  return `${zonedTime(next, periodic.TimeZone)} (${formatAgo(next * 1e6, Date.now())})`;
}

function zonedTime(at: Millis, zone: string): string {
  const offset = zoneOffset(zone || 'UTC')?.(at) ?? 0;
  const text = new Date(at + offset).toISOString().slice(0, 19);
  if (offset === 0) return `${text}Z`;
  const minutes = Math.abs(Math.round(offset / 60_000));
  const [hh, mm] = [Math.floor(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, '0'));
  return `${text}${offset < 0 ? '-' : '+'}${hh}:${mm}`;
}
