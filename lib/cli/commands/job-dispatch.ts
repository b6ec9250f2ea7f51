import { readFileSync } from 'node:fs';
import type { JobDispatchResponse } from '../../structs/rpc.js';
import { ApiError } from '../api.js';
import { type Command, UsageError } from '../command.js';
import { formatPairs, shortId } from '../format.js';
import { takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';
import { WATCH_FLAGS, watchEvaluation } from '../watch.js';

export const command: Command = {
  usage: 'meshnomad job dispatch [options] <job> [input]',
  about: `Makes a job of a parameterized one, and watches until it is placed. The input is a file with the payload, or "-" for
standard input; it may have 16 KiB.`,
  flags: {
    ...WATCH_FLAGS,
    'id-prefix-template': { type: 'string', value: 'text', help: 'Put into the id of the new job.' },
    'idempotency-token': {
      type: 'string',
      value: 'token',
      help: 'However often it is dispatched with this token, there is one job.',
    },
    meta: { type: 'list', value: 'key=value', help: 'Meta data for the new job; may be given several times.' },
    priority: { type: 'int', value: 'n', help: "Priority of the new job, 1 to 100; default its parent's." },
    ui: { type: 'bool', help: 'Accepted for compatibility.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 2, '<job> [input]');
    const body = {
      Meta: readMeta(flags.list('meta')),
      Payload: args[1] === undefined ? '' : readInput(args[1]).toString('base64'),
      IdPrefixTemplate: flags.string('id-prefix-template') ?? '',
      Priority: flags.int('priority') ?? 0,
    };
    const api = await context.api();
    const id = await findJobId(api, args[0] as string);
    const { value } = await api.put<JobDispatchResponse>(
      `/v1/job/${encodeURIComponent(id)}/dispatch`,
      { JobID: id, ...body },
      { idempotency_token: flags.string('idempotency-token') },
    );
    const facts: [string, string][] = [['Dispatched Job ID', value.DispatchedJobID]];
    if (value.EvalID !== '') facts.push(['Evaluation ID', shortId(value.EvalID, flags.bool('verbose'))]);
    output.out(formatPairs(facts));
    if (value.EvalID === '' || flags.bool('detach')) return 0;
    output.out('');
    return watchEvaluation(context, value.EvalID);
  },
};

/** `key=value` pairs as an object. */
export function readMeta(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw new UsageError(`-meta must be key=value, not ${JSON.stringify(pair)}`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

function readInput(path: string): Buffer {
  try {
    return readFileSync(path === '-' ? 0 : path);
  } catch (error) {
    throw new ApiError(0, `Error reading input data: ${(error as Error).message}`);
  }
}
