import type { NodePool } from '../../structs/node-pool.js';
import type { Command } from '../command.js';
import { formatPairs, paint } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad node pool info [options] <pool>',
  about: 'Shows a node pool.',
  flags: DATA_FLAGS,
  async run(context) {
    const { args, output } = context;
    takeArgs(args, 1, 1, '<pool>');
    const api = await context.api();
    const pool = (await api.get<NodePool>(`/v1/node/pool/${encodeURIComponent(args[0] as string)}`)).value;
    if (await printData(context, pool)) return 0;
    const title = (text: string): string => paint(output.color, 'bold', text);
    output.out(
      formatPairs([
        ['Name', pool.Name],
        ['Description', pool.Description],
      ]),
    );
    const meta = Object.entries(pool.Meta ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    output.out(`\n${title('Metadata')}\n${meta.length > 0 ? formatPairs(meta) : 'No metadata'}`);
    const scheduler = pool.SchedulerConfiguration;
    const facts: [string, string | boolean][] = [];
    if (scheduler?.SchedulerAlgorithm) facts.push(['Scheduler Algorithm', scheduler.SchedulerAlgorithm]);
    if (typeof scheduler?.MemoryOversubscriptionEnabled === 'boolean') {
      facts.push(['Memory Oversubscription Enabled', scheduler.MemoryOversubscriptionEnabled]);
    }
    const text = facts.length > 0 ? formatPairs(facts) : 'No scheduler configuration';
    output.out(`\n${title('Scheduler Configuration')}\n${text}`);
    return 0;
  },
};
