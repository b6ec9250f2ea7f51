import { setTimeout as sleep } from 'node:timers/promises';
import type { Allocation } from '../../structs/allocation.js';
import type { Deployment } from '../../structs/deployment.js';
import type { Evaluation } from '../../structs/evaluation.js';
import type { Job } from '../../structs/job.js';
import type { AllocListStub } from '../../structs/rpc.js';
import { formatDuration, parseDuration } from '../../util/duration.js';
import { type ApiClient, ApiError } from '../api.js';
import { type Command, type Context, type Flags, UsageError } from '../command.js';
import { canAsk, confirm } from '../confirm.js';
import { localTime, paint, shortId } from '../format.js';
import { takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';
import { metricText } from '../tables.js';

const WAIT = '30s';
const ASKS_ON_TERMINAL = '-batch-wait=ask asks on a terminal only: give a time instead';

export const command: Command = {
  usage: 'meshnomad job restart [options] <job>',
  about: `Restarts the allocations of a job, batch by batch: in place, or with -reschedule by stopping them and waiting for their
replacements.`,
  flags: {
    'all-tasks': { type: 'bool', help: 'Also tasks that have ended.' },
    'batch-size': { type: 'string', value: 'n|n%', help: 'So many at once; default 1.' },
    'batch-wait': { type: 'string', value: 'duration|ask', help: 'Wait so long between batches, or for an answer.' },
    group: { type: 'list', value: 'group', help: 'Only this group; may be given several times.' },
    'no-shutdown-delay': { type: 'bool', help: 'With -reschedule: stop at once, whatever shutdown_delay says.' },
    'on-error': {
      type: 'string',
      value: 'ask|fail',
      help: 'After an error, ask whether to go on, or end; default ask.',
    },
    reschedule: { type: 'bool', help: 'Stop and replace instead of restarting in place.' },
    task: { type: 'list', value: 'task', help: 'Only this task, where there is one; may be given several times.' },
    verbose: { type: 'bool', help: 'Show whole ids.' },
    yes: { type: 'bool', help: 'Answer every question with yes.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<job>');
    if (flags.bool('reschedule') && (flags.bool('all-tasks') || flags.list('task').length > 0)) {
      throw new UsageError('-reschedule is about whole allocations: it excludes -all-tasks and -task');
    }
    if (flags.bool('all-tasks') && flags.list('task').length > 0) {
      throw new UsageError('-all-tasks and -task exclude each other');
    }
    const onError = flags.string('on-error') ?? 'ask';
    if (onError !== 'ask' && onError !== 'fail') throw new UsageError('-on-error must be ask or fail');
    const wait = readBatchWait(flags.string('batch-wait') ?? '0s');
    if (wait === 'ask' && !flags.bool('yes') && !canAsk()) throw new UsageError(ASKS_ON_TERMINAL);
    const api = await context.api();
    const id = await findJobId(api, args[0] as string);
    const job = (await api.get<Job>(`/v1/job/${encodeURIComponent(id)}`)).value;
    if (flags.bool('reschedule')) checkReplaceable(job);
    const allocs = await running(api, id, chosenGroups(flags, job));
    if (allocs.length === 0) {
      output.out('No allocations to restart');
      return 0;
    }
    const size = readBatchSize(flags.string('batch-size') ?? '1', allocs.length);
    let errors = 0;
    headline(context, `Restarting ${allocs.length} allocation${allocs.length === 1 ? '' : 's'}`);
    for (let at = 0; at < allocs.length; at += size) {
      if (at > 0 && !(await pause(context, wait))) {
        headline(context, 'Job restart canceled');
        return 0;
      }
      if (size > 1) {
        const count = Math.min(size, allocs.length - at);
        headline(context, `Restarting ${ordinal(at / size + 1)} batch of ${count} allocation${count === 1 ? '' : 's'}`);
      }
      const deployment = await activeDeployment(api, id);
      if (deployment) {
        const name = JSON.stringify(shortId(deployment.ID, flags.bool('verbose')));
        output.error(`Job restart did not finish: deployment ${name} is ${deployment.Status}; wait until it is over`);
        return 1;
      }
      const outcomes = await Promise.allSettled(
        allocs.slice(at, at + size).map((alloc) => restart(context, api, alloc)),
      );
      const failed = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as Error] : []));
      errors += failed.length;
      if (failed.length === 0) continue;
      for (const error of failed) output.error(`    ${error.message}`);
      const last = at + size >= allocs.length;
      if (last || onError === 'fail' || !(await goOn(context))) {
        output.error('Job restart did not finish: see the errors above');
        return 1;
      }
    }
    if (errors > 0) {
      headline(context, 'Job restart finished with errors');
      output.error(`${errors} of ${allocs.length} allocations could not be restarted: see the errors above`);
      return 1;
    }
    headline(context, 'Job restart finished');
    output.out('\nJob restarted successfully!');
    return 0;
  },
};

const goOn = ({ flags }: Context): Promise<boolean> =>
  confirm(flags, 'Proceed with the next batch?', 'not going on after an error: add -yes to do so');

/** Nanoseconds between batches, or the question whether to go on. */
function readBatchWait(text: string): number | 'ask' {
  if (text === 'ask') return text;
  const parsed = parseDuration(text);
  if (!parsed.ok) throw new UsageError(`-batch-wait must be "ask" or a time: ${parsed.error}`);
  if (parsed.value < 0) throw new UsageError(`-batch-wait must not be negative: ${JSON.stringify(text)}`);
  return parsed.value;
}

/** Whether the next batch shall be restarted: now, or when the time is over. */
async function pause(context: Context, wait: number | 'ask'): Promise<boolean> {
  const next = 'Proceed with the next batch?';
  if (wait === 'ask') return confirm(context.flags, next, ASKS_ON_TERMINAL);
  if (wait > 0) headline(context, `Waiting ${formatDuration(wait)} before restarting the next batch`);
  await sleep(wait / 1e6);
  return true;
}

function ordinal(n: number): string {
  const suffix = ['th', 'st', 'nd', 'rd'][n % 100 >= 11 && n % 100 <= 13 ? 0 : n % 10] ?? 'th';
  return `${n}${suffix}`;
}

/** What stands on every node cannot be moved elsewhere. */
function checkReplaceable({ Type }: Job): void {
  if (Type !== 'system' && Type !== 'sysbatch') return;
  throw new ApiError(0, `Jobs of type "${Type}" are not allowed to be rescheduled: leave -reschedule out.`);
}

/** The groups that are meant: those named, or all, as far as they have one of the tasks that are named. */
function chosenGroups(flags: Flags, { ID, TaskGroups }: Job): ReadonlySet<string> {
  const named = flags.list('group');
  for (const name of named) {
    if (!TaskGroups.some(({ Name }) => Name === name)) throw absent('group', name, ID, TaskGroups);
  }
  const groups = TaskGroups.filter(({ Name }) => named.length === 0 || named.includes(Name));
  const tasks = flags.list('task');
  for (const name of tasks) {
    const known = groups.flatMap(({ Tasks }) => Tasks);
    if (!known.some(({ Name }) => Name === name)) throw absent('task', name, ID, known);
  }
  const meant = groups.filter(({ Tasks }) => tasks.length === 0 || Tasks.some(({ Name }) => tasks.includes(Name)));
  return new Set(meant.map(({ Name }) => Name));
}

function absent(kind: 'group' | 'task', name: string, job: string, known: readonly { Name: string }[]): ApiError {
  const names = [...new Set(known.map(({ Name }) => Name))].join(', ');
  return new ApiError(0, `job ${JSON.stringify(job)} has no ${kind} ${JSON.stringify(name)}: there are ${names}`);
}

/** A number, or a share of all, rounded up. */
function readBatchSize(text: string, total: number): number {
  const match = /^(\d{1,6})(%?)$/.exec(text);
  const value = Number(match?.[1] ?? 0);
  if (value < 1)
    throw new UsageError(`-batch-size must be a number or a percentage above zero, not ${JSON.stringify(text)}`);
  return match?.[2] ? Math.max(1, Math.ceil((total * value) / 100)) : value;
}

/** A roll-out that restarts would disturb: what is restarted has to prove its health anew. */
async function activeDeployment(api: ApiClient, id: string): Promise<Deployment | undefined> {
  const { value } = await api.get<Deployment[] | null>(`/v1/job/${encodeURIComponent(id)}/deployments`);
  return value?.find(({ Status }) => !['failed', 'successful', 'cancelled'].includes(Status));
}

async function running(api: ApiClient, id: string, groups: ReadonlySet<string>): Promise<AllocListStub[]> {
  const { value } = await api.get<AllocListStub[] | null>(`/v1/job/${encodeURIComponent(id)}/allocations`);
  return (value ?? [])
    .filter((alloc) => alloc.ClientStatus === 'running' && alloc.DesiredStatus === 'run')
    .filter((alloc) => groups.has(alloc.TaskGroup))
    .sort((a, b) => (a.Name < b.Name ? -1 : 1));
}

async function restart(context: Context, api: ApiClient, alloc: AllocListStub): Promise<void> {
  try {
    await restartOrReplace(context, api, alloc);
  } catch (error) {
    const name = shortId(alloc.ID, context.flags.bool('verbose'));
    throw new ApiError(0, `Error restarting allocation "${name}": ${(error as Error).message}`);
  }
}

async function restartOrReplace(context: Context, api: ApiClient, alloc: AllocListStub): Promise<void> {
  const { flags } = context;
  const name = JSON.stringify(shortId(alloc.ID, flags.bool('verbose')));
  const where = `allocation ${name} for group ${JSON.stringify(alloc.TaskGroup)}`;
  if (flags.bool('reschedule')) {
    line(context, `Rescheduling ${where}`);
    await reschedule(context, api, alloc);
    return;
  }
  const path = `/v1/client/allocation/${alloc.ID}/restart`;
  const tasks = flags.list('task');
  if (tasks.length === 0) {
    line(context, `Restarting ${flags.bool('all-tasks') ? 'all' : 'running'} tasks in ${where}`);
    await api.put(path, { TaskName: '', AllTasks: flags.bool('all-tasks') });
  }
  for (const task of tasks) {
    if (!Object.hasOwn(alloc.TaskStates ?? {}, task)) continue;
    line(context, `Restarting task ${JSON.stringify(task)} in ${where}`);
    await api.put(path, { TaskName: task, AllTasks: false });
  }
}

/** Stops an allocation and waits until its replacement runs. */
async function reschedule(context: Context, api: ApiClient, alloc: AllocListStub): Promise<void> {
  const { value } = await api.put<{ EvalID: string }>(
    `/v1/allocation/${alloc.ID}/stop`,
    {},
    { no_shutdown_delay: context.flags.bool('no-shutdown-delay') || undefined },
  );
  const quoted = (id: string): string => JSON.stringify(shortId(id, context.flags.bool('verbose')));
  await untilJudged(api, value.EvalID, alloc);
  const followed = await until(api, alloc.ID, ({ NextAllocation }) => NextAllocation !== '');
  const name = quoted(followed.NextAllocation);
  line(context, `Allocation ${quoted(alloc.ID)} replaced by ${name}, waiting for ${name} to start running`);
  const next = await until(api, followed.NextAllocation, ({ ClientStatus }) => ClientStatus !== 'pending');
  if (next.ClientStatus !== 'running') throw new ApiError(0, `the replacement ${name} is ${next.ClientStatus}`);
  line(context, `Allocation ${name} is "running"`);
}

/** Waits for the evaluation that looks for a replacement; throws what it found when there is no place for one. */
async function untilJudged(api: ApiClient, id: string, { TaskGroup }: AllocListStub): Promise<void> {
  let index = 0;
  for (;;) {
    const reply = await api.get<Evaluation>(`/v1/evaluation/${id}`, { index, wait: WAIT });
    const { Status, FailedTGAllocs } = reply.value;
    index = reply.index;
    if (Status === 'pending') continue;
    const failed = FailedTGAllocs?.[TaskGroup];
    if (!failed) return;
    const why = metricText(failed, '      ');
    throw new ApiError(
      0,
      `Evaluation "${shortId(id, false)}" has placement failures for group "${TaskGroup}":\n${why}`,
    );
  }
}

async function until(api: ApiClient, id: string, holds: (alloc: Allocation) => boolean): Promise<Allocation> {
  let index = 0;
  for (;;) {
    const reply = await api.get<Allocation>(`/v1/allocation/${id}`, { index, wait: WAIT });
    if (holds(reply.value)) return reply.value;
    index = reply.index;
  }
}

function headline({ output }: Context, text: string): void {
  output.out(paint(output.color, 'bold', `==> ${localTime(new Date())}: ${text}`));
}

function line({ output }: Context, text: string): void {
  output.out(`    ${localTime(new Date())}: ${text}`);
}
