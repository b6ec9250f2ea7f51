import type { Command } from '../command.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad operator snapshot save [options] [file]',
  about:
    'Writes the state of all servers into a file: jobs, allocations, nodes and the mesh itself. Whoever has the file knows all ' +
    'of that: keep it as safe as the servers. Without a name it is meshnomad-state-<time>.snap.',
  flags: {
    stale: { type: 'bool', help: 'Let any server answer, also without a leader; the newest writes may be missing.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 0, 1, 'the name of the file');
    const time = new Date().toISOString().replace(/[-:]/g, '').slice(0, 15);
    const file = args[0] ?? `meshnomad-state-${time}Z.snap`;
    const api = await context.api();
    const { saveDownload } = await import('../download.js');
    await saveDownload(file, await api.stream('/v1/operator/snapshot', flags.bool('stale') ? { stale: true } : {}));
    output.out(`State file written to ${file}`);
    return 0;
  },
};
