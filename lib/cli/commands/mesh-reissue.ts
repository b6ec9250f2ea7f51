import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { readSecret } from '../read-secret.js';

export const command: Command = {
  usage: 'meshnomad mesh reissue [options]',
  about: `Has the root of the mesh certify all servers anew, when none is left that may admit others. Needs the recovery code,
which is asked for, or read from standard input.`,
  flags: { json: { type: 'bool', help: "Print the API's JSON." } },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 0, 0, '');
    const Code = await readSecret('Recovery code: ');
    const api = await connect();
    const { value } = await api.put<{ Names: string[] }>('/v1/mesh/reissue', { Code });
    const said = `Certified by the root: ${value.Names.join(', ') || 'nobody'}`;
    output.out(flags.bool('json') ? JSON.stringify(value, null, 4) : said);
    return 0;
  },
};
