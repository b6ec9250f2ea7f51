import { atOnce, GROUPS_PER_TURN, inTurns, type Resting } from '../../util/turns.js';
import type { Job, TaskGroup } from '../job.js';
import { validatePlacement } from './constraint.js';
import { warnOfEnterprise } from './enterprise.js';
import { validateForeign } from './foreign.js';
import { findRepeated, type Issue, newReport, type Report } from './issue.js';
import { validateLaunch } from './launch.js';
import { JOB_LIMITS, type JobLimits } from './limits.js';
import { validateNotYet } from './not-yet.js';
import { validateTaskGroup } from './task-group.js';

const DESCRIPTION_CHARACTERS_MAX = 1000;
const TYPES = ['service', 'batch', 'system', 'sysbatch'];

/** Everything wrong with a canonical job, and what to be warned of. Pure: what only a server knows, it checks itself. */
export function findIssues(job: Job, limits: JobLimits = JOB_LIMITS): Issues {
  return atOnce(findIssuesInTurns(job, limits));
}

interface Issues {
  errors: Issue[];
  warnings: Issue[];
}

/** The same with rests between its groups. */
export function* findIssuesInTurns(job: Job, limits: JobLimits): Resting<Issues> {
  const errors: Issue[] = [];
  const warnings: Issue[] = [];
  const report = newReport(errors, warnings);
  validateNotYet(job, report);
  validateNames(job, report);
  validateNumbers(job, limits, report);
  validatePlacement(job, job.Type, report, 'job');
  validateLaunch(job, report);
  yield* validateGroups(job, report);
  yield* validateForeign(job, report);
  warn(job, report);
  yield* warnOfEnterprise(job, report);
  return { errors, warnings };
}

/** The same as texts, for the API's answers: messages name groups and tasks, and where they do not, the path does. */
export function validateJob(job: Job): { errors: string[]; warnings: string[] } {
  const { errors, warnings } = findIssues(job);
  return { errors: errors.map(issueText), warnings: warnings.map(issueText) };
}

/** An issue for someone who does not see the job file. */
export function issueText({ reason, path, message }: Issue): string {
  return reason === 'not-yet' ? `${message} (at ${path})` : message;
}

function validateNames(job: Job, report: Report): void {
  if (job.ID === '') report.error('ID', 'Missing job ID');
  else if (job.ID.includes(' ')) report.error('ID', 'Job ID contains a space');
  else if (job.ID.includes('\0')) report.error('ID', 'Job ID contains a NUL');
  if (job.Name === '') report.error('Name', 'Missing job name');
  else if (job.Name.includes('\0')) report.error('Name', 'Job name contains a NUL');
  if (!TYPES.includes(job.Type))
    report.error('Type', `Unknown job type ${JSON.stringify(job.Type)}: it must be service, batch, system or sysbatch`);
  if (job.Datacenters.length === 0) report.error('Datacenters', 'Missing job datacenters');
  if (job.Datacenters.includes('')) report.error('Datacenters', 'A datacenter has an empty name');
  if (!/^[A-Za-z0-9-_]{1,128}$/.test(job.NodePool)) {
    report.error(
      'NodePool',
      `Invalid node pool name ${JSON.stringify(job.NodePool)}: 1 to 128 letters, digits, - and _`,
    );
  }
  if ((job.UI?.Description.length ?? 0) > DESCRIPTION_CHARACTERS_MAX) {
    report.error('UI.Description', `The description in ui is longer than ${DESCRIPTION_CHARACTERS_MAX} characters`);
  }
  for (const [i, link] of (job.UI?.Links ?? []).entries()) {
    if (link.Label === '') report.warning(`UI.Links[${i}].Label`, `Link ${i + 1} in ui has no label`);
    if (link.Url === '') report.warning(`UI.Links[${i}].Url`, `Link ${i + 1} in ui has no url`);
  }
}

function validateNumbers(job: Job, { priorityMax, countMax }: JobLimits, report: Report): void {
  if (job.Priority < 1 || job.Priority > priorityMax) {
    report.error('Priority', `Job priority must lie between 1 and ${priorityMax}, not ${job.Priority}`);
  }
  const count = job.TaskGroups.reduce((sum, group) => sum + Math.max(0, group.Count), 0);
  if (count > countMax) {
    report.error('TaskGroups', `The groups ask for ${count} allocations together; at most ${countMax} are allowed`);
  }
}

function* validateGroups(job: Job, report: Report): Resting<void> {
  if (job.TaskGroups.length === 0) report.error('TaskGroups', 'Missing task groups: a job has at least one');
  for (const { name, first, again } of findRepeated(job.TaskGroups.map((group) => group.Name))) {
    if (name === '') continue;
    report.error(
      `TaskGroups[${again}].Name`,
      `Task groups ${first + 1} and ${again + 1} are both named ${JSON.stringify(name)}`,
    );
  }
  const validate = ([i, group]: [number, TaskGroup]): void => {
    const at = report.at('TaskGroups').at(i);
    if (group.Name === '') at.error('Name', `Task group ${i + 1} has no name`);
    if (job.Type === 'system' && group.Count > 1) {
      at.error('Count', `Task group ${group.Name} has count ${group.Count}, but a system job runs once on each node`);
    }
    validateTaskGroup(group, job, report.at('TaskGroups').at(i, `Task group ${group.Name} validation failed: `));
  };
  yield* inTurns(job.TaskGroups.entries(), validate, GROUPS_PER_TURN);
}

function warn(job: Job, report: Report): void {
  if (job.Periodic && job.Periodic.Spec !== '') {
    report.warning('Periodic.Spec', 'cron in periodic is deprecated: write crons = ["…"]');
  }
  const updates = job.TaskGroups.flatMap((group) => group.Update ?? []);
  const someAutoPromote = updates.some((update) => update.AutoPromote);
  if (someAutoPromote && !updates.every((update) => update.Canary === 0 || update.AutoPromote)) {
    report.warning(
      'TaskGroups',
      'Canaries are promoted by themselves only when every group with canaries has auto_promote',
    );
  }
}
