import { ApiError } from '../api.js';
import type { Command, Context } from '../command.js';
import { DATA_FLAGS, takeArgs } from '../print.js';

interface SearchReply {
  Matches: Record<string, string[] | null>;
}

/** What a thing of each kind is shown by. */
const SHOWN_BY: Record<string, () => Promise<{ command: Command }>> = {
  jobs: () => import('./job-status.js'),
  allocs: () => import('./alloc-status.js'),
  nodes: () => import('./node-status.js'),
  evals: () => import('./eval-status.js'),
  deployment: () => import('./deployment-status.js'),
};

export const command: Command = {
  usage: 'meshnomad status [options] [id]',
  about:
    'Shows the job, allocation, node, evaluation or deployment that has this id, or begins so; without an id, the jobs.',
  flags: { ...DATA_FLAGS, verbose: { type: 'bool', help: 'Show whole ids.' } },
  async run(context) {
    takeArgs(context.args, 0, 1, '[id]');
    const [id] = context.args;
    return (await pick(context, id)).command.run(context);
  },
};

async function pick({ api }: Context, id: string | undefined): Promise<{ command: Command }> {
  if (id === undefined) return import('./job-status.js');
  const { value } = await (await api()).put<SearchReply>('/v1/search', { Prefix: id, Context: 'all' });
  const found = Object.entries(value.Matches).filter(([, ids]) => (ids?.length ?? 0) > 0);
  // A job's name may well be the beginning of somebody's id: the exact name is meant then.
  const exact = found.find(([, ids]) => ids?.includes(id));
  const kinds = exact ? [exact] : found;
  if (kinds.length === 0) throw new ApiError(404, `Unable to resolve ID: ${id}`);
  if (kinds.length > 1) {
    const lines = kinds.flatMap(([kind, ids]) => [`${kind}:`, ...(ids ?? []).map((match) => `  ${match}`)]);
    throw new ApiError(0, `Multiple matches found for id ${JSON.stringify(id)}\n\n${lines.join('\n')}`);
  }
  const [kind] = kinds[0] as [string, unknown];
  const load = SHOWN_BY[kind];
  if (!load) throw new ApiError(0, `${JSON.stringify(id)} is of a kind (${kind}) that this version cannot show`);
  return load();
}
