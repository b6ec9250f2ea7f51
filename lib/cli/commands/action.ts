import type { Allocation } from '../../structs/allocation.js';
import type { JobAction } from '../../structs/job.js';
import { type ApiClient, ApiError } from '../api.js';
import { type Command, type Flags, UsageError } from '../command.js';
import { execSession, TERMINAL_FLAGS, terminalOf } from '../exec-session.js';
import { randomAllocation } from '../pick.js';
import { findAllocation, findJobId } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad action [options] -job=<job> <action>',
  about: `Runs a command that a job has under a name, in a running task of it, with this terminal. The exit code is the
command's.`,
  flags: {
    ...TERMINAL_FLAGS,
    allocation: { type: 'string', value: 'id', help: 'The allocation; default: one of the job, taken at random.' },
    group: { type: 'string', value: 'group', help: 'The group, where several have an action of that name.' },
    job: { type: 'string', value: 'job', help: 'The job.' },
    task: { type: 'string', value: 'task', help: 'The task, where several have an action of that name.' },
  },
  async run({ args, flags, api: connect }) {
    const [name, ...rest] = args;
    const terminal = terminalOf(flags);
    const jobName = flags.string('job');
    if (jobName === undefined) throw new UsageError('The job is missing: -job=<job> <action>');
    if (rest.length > 0) throw new UsageError('One action at a time: its arguments stand in the job');
    const api = await connect();
    const job = await findJobId(api, jobName);
    const action = await findAction(api, job, { name, flags });
    const { ID: allocId } = await pickAllocation(api, job, { group: action.TaskGroupName, flags });
    return execSession(api, { allocId, task: action.TaskName, run: { job, action: action.Name }, ...terminal });
  },
};

async function findAction(
  api: ApiClient,
  job: string,
  wanted: { name: string | undefined; flags: Flags },
): Promise<JobAction> {
  const { value } = await api.get<JobAction[] | null>(`/v1/job/${encodeURIComponent(job)}/actions`);
  const all = value ?? [];
  const shown = all.map((found) => `${found.TaskGroupName}/${found.TaskName} ${found.Name}`).join(', ') || 'none';
  if (wanted.name === undefined) throw new UsageError(`An action is missing; job ${job} has: ${shown}`);
  const [group, task] = [wanted.flags.string('group'), wanted.flags.string('task')];
  const matching = all.filter(
    (found) =>
      found.Name === wanted.name &&
      (group === undefined || found.TaskGroupName === group) &&
      (task === undefined || found.TaskName === task),
  );
  const [first, second] = matching;
  if (!first) throw new ApiError(404, `job ${job} has no such action "${wanted.name}" (it has: ${shown})`);
  if (second) throw new UsageError(`Several tasks have an action "${wanted.name}": say which with -group and -task`);
  return first;
}

async function pickAllocation(
  api: ApiClient,
  job: string,
  wanted: { group: string; flags: Flags },
): Promise<Pick<Allocation, 'ID'>> {
  const given = wanted.flags.string('allocation');
  const alloc = given === undefined ? await randomAllocation(api, job, wanted.group) : await findAllocation(api, given);
  if (alloc.JobID !== job) throw new UsageError(`allocation ${alloc.ID.slice(0, 8)} is not one of job ${job}`);
  if (alloc.ClientStatus === 'running') return alloc;
  throw new ApiError(
    0,
    `allocation ${alloc.ID.slice(0, 8)} is ${alloc.ClientStatus}, not running: nothing can be run in it`,
  );
}
