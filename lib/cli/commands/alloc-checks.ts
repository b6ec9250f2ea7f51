import type { CheckStatus } from '../../structs/service.js';
import type { Command } from '../command.js';
import { formatPairs, formatTime } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';
import { findAllocation } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad alloc checks [options] <allocation>',
  about: 'Shows the newest answers of the checks of an allocation, as the machine that runs it has them.',
  flags: { ...DATA_FLAGS, verbose: { type: 'bool', help: 'Show whole answers.' } },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<allocation>');
    const api = await context.api();
    const alloc = await findAllocation(api, args[0] as string);
    const { value } = await api.get<Record<string, CheckStatus>>(`/v1/client/allocation/${alloc.ID}/checks`);
    if (await printData(context, value)) return 0;
    const checks = Object.values(value).sort((a, b) => (a.Service + a.Check < b.Service + b.Check ? -1 : 1));
    if (checks.length === 0) output.out('Allocation has no checks');
    else output.out(checks.map((check) => show(check, flags.bool('verbose'))).join('\n\n'));
    return 0;
  },
};

const OUTPUT_MAX_CHARS = 200;

function show(check: CheckStatus, verbose: boolean): string {
  const text = check.Output.trim();
  const short = text.length > OUTPUT_MAX_CHARS && !verbose ? `${text.slice(0, OUTPUT_MAX_CHARS)} …` : text;
  return formatPairs([
    ['ID', check.ID],
    ['Service', check.Service],
    ['Task', check.Task === '' ? '(group)' : check.Task],
    ['Name', check.Check],
    ['Mode', check.Mode],
    ['Status', check.Status],
    ['Last Check', check.Timestamp === 0 ? 'never' : formatTime(check.Timestamp * 1e9)],
    ...(check.StatusCode === 0 ? [] : [['Status Code', String(check.StatusCode)] as [string, string]]),
    ['Output', short],
  ]);
}
