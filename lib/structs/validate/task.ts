import { formatDuration } from '../../util/duration.js';
import type { Job, JobType, LogConfig, RestartPolicy, Task, TaskGroup } from '../job.js';
import { signalProblem } from '../signal.js';
import { validatePlacement } from './constraint.js';
import type { Report } from './issue.js';
import { validateResources } from './resources.js';
import { warnOfRestart } from './restart.js';
import { validateServices } from './service.js';
import { validateTaskParts } from './task-parts.js';
import { validateArtifacts, validateTemplates } from './template.js';
import { validateMounts } from './volume.js';

const HOOKS = ['prestart', 'poststart', 'poststop'];

export function validateTask(task: Task, group: TaskGroup, job: Job, report: Report): void {
  const type = job.Type;
  validateName(task.Name, report);
  if (task.Driver === '') report.error('Driver', 'Missing task driver');
  validateTimes(task, group, type, report);
  validateKillSignal(task, report);
  validateResources(task.Resources, report.at('Resources'));
  if (task.RestartPolicy && differs(task.RestartPolicy, group.RestartPolicy)) {
    warnOfRestart(task.RestartPolicy, task.Name, report.at('RestartPolicy'));
  }
  validateLogs(task.LogConfig, group, report.at('LogConfig'));
  validatePlacement(task, type, report, 'task');
  validateLifecycle(task, report);
  validateMounts(task.VolumeMounts, group, report);
  validateServices(group, task, report);
  validateTemplates(task, report);
  validateArtifacts(task.Artifacts, report);
  validateTaskParts(task, group, job, report);
  for (const name of Object.keys(task.Env ?? {})) {
    if (name === '' || /[=\0]/.test(name)) {
      report.error('Env', `Environment variable ${JSON.stringify(name)} is empty or contains = or null`);
    }
  }
  for (const [name, value] of Object.entries(task.Env ?? {})) {
    if (value.includes('\0')) report.error('Env', `Environment variable ${name} contains a null character`);
  }
}

/** A task without a restart policy of its own has the group's, which was looked at before. */
function differs(a: RestartPolicy, b: RestartPolicy): boolean {
  return (Object.keys(a) as (keyof RestartPolicy)[]).some((key) => a[key] !== b[key]);
}

function validateName(name: string, report: Report): void {
  if (name === '') report.error('Name', 'Missing task name');
  // It is a directory beside the tasks' own.
  else if (name === 'alloc') report.error('Name', 'A task named "alloc" would hide the directory that all tasks share');
  else if (name === '.' || name === '..')
    report.error('Name', `${JSON.stringify(name)} is no name for a directory, which every task has`);
  else if (/[/\\]/.test(name)) report.error('Name', 'The name contains a slash');
  else if (name.includes('\0')) report.error('Name', 'The name contains a NUL');
}

/** Found out at the task's end only, it would leave a task that cannot be ended in good order. */
function validateKillSignal({ KillSignal }: Task, report: Report): void {
  const problem = signalProblem(KillSignal);
  if (problem !== '') report.error('KillSignal', `kill_signal: ${problem}`);
}

function validateTimes({ KillTimeout, ShutdownDelay }: Task, group: TaskGroup, type: JobType, report: Report): void {
  if (ShutdownDelay < 0) report.error('ShutdownDelay', 'shutdown_delay must not be negative');
  if (KillTimeout < 0) report.error('KillTimeout', 'kill_timeout must not be negative');
  const deadline = group.Update?.ProgressDeadline ?? 0;
  if (type === 'service' && deadline > 0 && KillTimeout > deadline) {
    const [timeout, progress] = [formatDuration(KillTimeout), formatDuration(deadline)];
    report.error('KillTimeout', `kill_timeout (${timeout}) is longer than progress_deadline in update (${progress})`);
  }
}

function validateLogs({ MaxFiles, MaxFileSizeMB }: LogConfig, group: TaskGroup, report: Report): void {
  if (MaxFiles < 1) report.error('MaxFiles', `logs: max_files must be at least 1, not ${MaxFiles}`);
  if (MaxFileSizeMB < 1)
    report.error('MaxFileSizeMB', `logs: max_file_size must be at least 1 MB, not ${MaxFileSizeMB}`);
  const usage = MaxFiles * MaxFileSizeMB;
  if (group.EphemeralDisk.SizeMB <= usage) {
    report.error(
      '',
      `logs may take ${usage} MB, which leaves nothing of the group's ephemeral_disk (${group.EphemeralDisk.SizeMB} MB)`,
    );
  }
}

function validateLifecycle({ Lifecycle, Leader }: Task, report: Report): void {
  if (!Lifecycle) return;
  if (!HOOKS.includes(Lifecycle.Hook)) {
    report.error(
      'Lifecycle.Hook',
      `Lifecycle hook must be prestart, poststart or poststop, not ${JSON.stringify(Lifecycle.Hook)}`,
    );
  }
  if (Lifecycle.Hook === 'poststop' && Leader) report.error('Leader', 'A poststop task cannot be the leader');
}
