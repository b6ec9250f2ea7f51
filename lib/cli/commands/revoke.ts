import type { Tombstone } from '../../structs/mesh.js';
import type { Command } from '../command.js';
import { confirm } from '../confirm.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad revoke [options] <member>',
  about: `Puts a member out of the mesh, for ever: its links are closed at once and nobody speaks to its key again, also where no
server leads. Says what it had seen, so that you can change it.`,
  flags: {
    reason: { type: 'string', value: 'text', help: 'Why; everybody can read it.' },
    yes: { type: 'bool', help: 'Do not ask.' },
    json: { type: 'bool', help: "Print the API's JSON." },
  },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 1, 1, 'name or key of the member');
    const member = args[0] as string;
    const sure = await confirm(flags, `Put ${member} out of the mesh, for ever?`, 'say that you are sure with -yes');
    if (!sure) return 1;
    const api = await connect();
    const { value } = await api.put<{ Tombstone: Tombstone; Exposed: string[]; Recorded: boolean }>(
      `/v1/mesh/member/${encodeURIComponent(member)}/revoke`,
      { Reason: flags.string('reason') ?? '' },
    );
    if (flags.bool('json')) {
      output.out(JSON.stringify(value, null, 4));
      return 0;
    }
    output.out(`${member} is out (key ${value.Tombstone.Key.slice(0, 16)}…).`);
    if (!value.Recorded)
      output.error('No server leads: the members in reach know; it is written down as soon as one does.');
    if (value.Exposed.length > 0)
      output.out(`\nIt had seen:\n${value.Exposed.map((line) => `  - ${line}`).join('\n')}`);
    return 0;
  },
};
