import type { Millis } from '../../util/clock.js';
import { nextLaunch, parseCron } from '../../util/cron.js';
import { zoneOffset } from '../../util/time-zone.js';
import type { Job, ParameterizedJobConfig, PeriodicConfig } from '../job.js';
import type { Report } from './issue.js';

const PAYLOADS = ['optional', 'required', 'forbidden'];

/** Jobs that something else starts: the clock, or a dispatch. */
export function validateLaunch(job: Job, report: Report): void {
  const isBatch = job.Type === 'batch' || job.Type === 'sysbatch';
  if (job.Periodic) {
    if (!isBatch && job.Periodic.Enabled)
      report.error('Periodic', `\`periodic\` is for jobs of type batch and sysbatch, not ${job.Type}`);
    validatePeriodic(job.Periodic, report.at('Periodic'));
  }
  if (job.ParameterizedJob) {
    if (!isBatch) {
      report.error('ParameterizedJob', `\`parameterized\` is for jobs of type batch and sysbatch, not ${job.Type}`);
    }
    validateParameterized(job.ParameterizedJob, report.at('ParameterizedJob'));
  }
}

function validatePeriodic({ Enabled, Spec, Specs, SpecType, TimeZone }: PeriodicConfig, report: Report): void {
  if (!Enabled) return;
  if (Spec !== '' && Specs) report.error('Spec', 'periodic: either cron or crons');
  if (Spec === '' && !Specs) report.error('', 'periodic: neither cron nor crons says when');
  if (SpecType !== 'cron') {
    report.error('SpecType', `periodic: unknown type ${JSON.stringify(SpecType)}; it must be "cron"`);
    return;
  }
  for (const spec of Specs ?? (Spec === '' ? [] : [Spec])) {
    const key = Specs ? 'Specs' : 'Spec';
    const cron = parseCron(spec);
    if (!cron.ok) report.error(key, `periodic: ${JSON.stringify(spec)} is no cron expression: ${cron.error}`);
    else if (nextLaunch(cron.value, 0, () => 0) === undefined) {
      report.warning(key, `periodic: ${JSON.stringify(spec)} is never due: no month that it names has such a day`);
    }
  }
  if (!zoneOffset(TimeZone)) report.error('TimeZone', `periodic: unknown time_zone ${JSON.stringify(TimeZone)}`);
}

/** The times at which a job was to be launched, where all of them are past at a moment. */
export function pastLaunches({ Periodic }: Job, now: Millis): string[] {
  if (!Periodic?.Enabled) return [];
  const offset = zoneOffset(Periodic.TimeZone);
  return (Periodic.Specs ?? [Periodic.Spec]).flatMap((spec) => {
    const cron = parseCron(spec);
    if (!cron.ok || !offset || nextLaunch(cron.value, now, offset) !== undefined) return [];
    if (nextLaunch(cron.value, 0, () => 0) === undefined) return [];
    return [`periodic: ${JSON.stringify(spec)} is never due again: the years that it names are past`];
  });
}

function validateParameterized({ Payload, MetaRequired, MetaOptional }: ParameterizedJobConfig, report: Report): void {
  if (!PAYLOADS.includes(Payload)) {
    report.error(
      'Payload',
      `parameterized: unknown payload ${JSON.stringify(Payload)}; known are ${PAYLOADS.join(', ')}`,
    );
  }
  const both = (MetaRequired ?? []).filter((key) => MetaOptional?.includes(key));
  if (both.length > 0) report.error('MetaOptional', `parameterized: ${both.join(', ')} is both required and optional`);
}
