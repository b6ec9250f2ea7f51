import { type Cron, nextLaunch, parseCron, type ZoneOffset } from '../util/cron.js';
import { zoneOffset } from '../util/time-zone.js';
import type { Job, PeriodicConfig } from './job.js';

/** Whether it only is a pattern for jobs to be dispatched. A dispatched job keeps the block, but runs. */
export function isParameterized(job: Pick<Job, 'ParameterizedJob' | 'Dispatched'>): boolean {
  return job.ParameterizedJob !== null && !job.Dispatched;
}

/** Whether the job itself never runs, only the jobs that the clock or a person makes of it. */
export function isParent(job: Pick<Job, 'Periodic' | 'ParameterizedJob' | 'Dispatched'>): boolean {
  return job.Periodic !== null || isParameterized(job);
}

/** Whether the clock launches it. */
export function isPeriodicActive(job: Job): boolean {
  return job.Periodic?.Enabled === true && !job.Stop && !isParameterized(job);
}

/** The expressions of a periodic block. */
export function cronSpecs({ Spec, Specs }: PeriodicConfig): readonly string[] {
  return Spec !== '' ? [Spec] : (Specs ?? []);
}

const crons = new WeakMap<PeriodicConfig, { crons: Cron[]; offset: ZoneOffset }>();

/** The next launch of a periodic block after a moment, of all its expressions; undefined when there is none. */
export function nextPeriodicLaunch(periodic: PeriodicConfig, afterMs: number): number | undefined {
  let known = crons.get(periodic);
  if (!known) {
    const parsed = cronSpecs(periodic).flatMap((spec) => {
      const cron = parseCron(spec);
      return cron.ok ? [cron.value] : [];
    });
    known = { crons: parsed, offset: zoneOffset(periodic.TimeZone || 'UTC') ?? (() => 0) };
    crons.set(periodic, known);
  }
  let next: number | undefined;
  for (const cron of known.crons) {
    const due = nextLaunch(cron, afterMs, known.offset);
    if (due !== undefined && (next === undefined || due < next)) next = due;
  }
  return next;
}
