import type { Job, TaskGroup } from '../job.js';
import { validatePlacement } from './constraint.js';
import { validateGroupPolicies } from './group-policies.js';
import { findRepeated, type Report } from './issue.js';
import { validateNetworks } from './network.js';
import { validateReschedule } from './reschedule.js';
import { validateRestart } from './restart.js';
import { validateServices } from './service.js';
import { validateTask } from './task.js';
import { validateMigrate, validateUpdate } from './update.js';
import { validateVolumes } from './volume.js';

const DISK_MIN_MB = 10;

export function validateTaskGroup(group: TaskGroup, job: Job, report: Report): void {
  if (group.Name.includes('\0')) report.error('Name', 'The name contains a NUL');
  else if (/[/\\]/.test(group.Name)) report.error('Name', 'The name contains a slash');
  if (group.Count < 0) report.error('Count', `count must not be negative (${group.Count})`);
  if (group.ShutdownDelay !== null && group.ShutdownDelay < 0) {
    report.error('ShutdownDelay', 'shutdown_delay must not be negative');
  }
  validatePlacement(group, job.Type, report, 'group');
  validateRestart(group.RestartPolicy, report.at('RestartPolicy'));
  validatePolicies(group, job, report);
  validateGroupPolicies(group, job, report);
  if (group.EphemeralDisk.SizeMB < DISK_MIN_MB) {
    report.error(
      'EphemeralDisk.SizeMB',
      `ephemeral_disk: size must be at least ${DISK_MIN_MB} MB, not ${group.EphemeralDisk.SizeMB}`,
    );
  }
  validateTasks(group, report);
  validateVolumes(group, job, report);
  validateServices(group, null, report);
  validateProviders(group, report);
  validateNetworks(group, report);
  for (const [i, task] of group.Tasks.entries()) {
    validateTask(task, group, job, report.at('Tasks').at(i, `Task ${task.Name} validation failed: `));
  }
  warn(group, report);
}

/** Nomad lists the services of a group in one catalogue. */
function validateProviders(group: TaskGroup, report: Report): void {
  const all = [group, ...group.Tasks].flatMap(({ Services }) => Services ?? []);
  const providers = new Set(all.map(({ Provider }) => Provider));
  if (providers.size < 2) return;
  report.error(
    'Services',
    `Services of one group have one provider, these have ${[...providers].join(' and ')}: write provider = "nomad" in each`,
  );
}

function validatePolicies(group: TaskGroup, job: Job, report: Report): void {
  if (job.Type === 'system' || job.Type === 'sysbatch') {
    if (group.ReschedulePolicy) {
      report.error(
        'ReschedulePolicy',
        'A system job has an allocation on every node: `reschedule` has no meaning for it',
      );
    }
  } else if (group.ReschedulePolicy) {
    validateReschedule(group.ReschedulePolicy, report.at('ReschedulePolicy'));
  }
  if (group.Update) {
    if (job.Type !== 'service' && job.Type !== 'system') {
      report.error('Update', `\`update\` has no meaning for a job of type ${JSON.stringify(job.Type)}`);
    }
    validateUpdate(group.Update, report.at('Update'));
  }
  if (!group.Migrate) return;
  if (job.Type === 'service') validateMigrate(group.Migrate, report.at('Migrate'));
  else report.error('Migrate', `\`migrate\` has no meaning for a job of type ${JSON.stringify(job.Type)}`);
}

function validateTasks(group: TaskGroup, report: Report): void {
  if (group.Tasks.length === 0) {
    report.error('Tasks', 'Missing tasks: a group has at least one');
    return;
  }
  for (const { name, first, again } of findRepeated(group.Tasks.map((task) => task.Name))) {
    if (name !== '')
      report.error(
        `Tasks[${again}].Name`,
        `Tasks ${first + 1} and ${again + 1} are both named ${JSON.stringify(name)}`,
      );
  }
  if (group.Tasks.filter((task) => task.Leader).length > 1) {
    report.error('Tasks', 'Two tasks claim to be the leader');
  }
  if (group.Tasks.every((task) => task.Lifecycle)) {
    report.error('Tasks', 'Every task has a lifecycle hook: a group needs one without, for the others to go by');
  }
}

function warn(group: TaskGroup, report: Report): void {
  const { Update, Count } = group;
  const warning = (key: string, message: string): void => {
    report.warning(key, `Group ${JSON.stringify(group.Name)}: ${message}`);
  };
  if (Update && Count > 1 && Update.MaxParallel > Count) {
    warning(
      'Update.MaxParallel',
      `max_parallel (${Update.MaxParallel}) is greater than count (${Count}): an update may replace all allocations at once`,
    );
  }
  if (group.MaxClientDisconnect !== null) {
    warning('MaxClientDisconnect', 'max_client_disconnect has no effect; lost_after in disconnect replaces it');
  }
  if (group.StopAfterClientDisconnect !== null) {
    warning(
      'StopAfterClientDisconnect',
      'stop_after_client_disconnect has no effect; stop_on_client_after in disconnect replaces it',
    );
  }
  if (group.PreventRescheduleOnLost) {
    warning('PreventRescheduleOnLost', 'prevent_reschedule_on_lost has no effect; replace in disconnect replaces it');
  }
}
