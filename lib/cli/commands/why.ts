import type { JobListStub } from '../../structs/rpc.js';
import type { Why, WhyGroup } from '../../structs/why.js';
import { nearest } from '../../util/nearest.js';
import { type ApiClient, ApiError } from '../api.js';
import type { Command } from '../command.js';
import { formatTable, formatTime, paint } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';
import { findAllocation, findJobId } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad why [options] <allocation or job>',
  about:
    'Says in sentences why an allocation or a job is where it is, or why it is not placed: which nodes, which rule, what would have to change, and what happened so far. A prefix of the id is enough.',
  flags: { ...DATA_FLAGS },
  async run(context) {
    const { args, output } = context;
    takeArgs(args, 1, 1, '<allocation or job>');
    const why = await ask(await context.api(), args[0] as string);
    if (await printData(context, why)) return 0;
    output.out(whyText(why, output.color));
    return 0;
  },
};

/** A job's whole id comes first; then ids of allocations, which nobody types in full; then jobs by a prefix. */
async function ask(api: ApiClient, id: string): Promise<Why> {
  const ofJob = async (job: string): Promise<Why> =>
    (await api.get<Why>(`/v1/job/${encodeURIComponent(job)}/why`)).value;
  try {
    return await ofJob(id);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
  }
  if (/^[0-9a-f-]{2,36}$/i.test(id)) {
    try {
      const alloc = await findAllocation(api, id);
      return (await api.get<Why>(`/v1/allocation/${alloc.ID}/why`)).value;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
  }
  const jobs = (await api.get<JobListStub[] | null>('/v1/jobs')).value ?? [];
  if (!jobs.some(({ ID }) => ID.startsWith(id))) {
    const near = nearest(
      id,
      jobs.map(({ ID }) => ID),
    );
    const hint = near === undefined ? '' : `; did you mean "${near}"?`;
    throw new ApiError(404, `No allocation or job with prefix or ID ${JSON.stringify(id)} found${hint}`);
  }
  return ofJob(await findJobId(api, id));
}

/** The explanation as a person reads it. */
export function whyText(why: Why, color: boolean): string {
  const title = (text: string): string => paint(color, 'bold', text);
  const parts = [why.Summary, ...why.Groups.map(groupText)];
  if (why.Choice.length > 0) {
    parts.push(`${title('How the node was chosen')}\n${why.Choice.map((line) => `  ${line}`).join('\n')}`);
  }
  if (why.Story.length > 0) {
    const rows = why.Story.map(({ Time, Text }) => [formatTime(Time), Text]);
    parts.push(`${title('What happened')}\n${formatTable([['Time', 'Event'], ...rows])}`);
  }
  return parts.join('\n\n');
}

function groupText(group: WhyGroup): string {
  if (group.Placed >= group.Wanted && group.Unplaced === 0) return group.Summary;
  const refusals = group.Refusals.map(
    ({ Sentence, Nodes, NodeNames, Change }) =>
      `  * ${Sentence}: ${namesText(NodeNames, Nodes)}.\n    To change that: ${Change}.`,
  );
  return [group.Summary, ...refusals].join('\n');
}

function namesText(names: readonly string[], nodes: number): string {
  return nodes > names.length ? `${names.join(', ')} and ${nodes - names.length} more` : names.join(', ');
}
