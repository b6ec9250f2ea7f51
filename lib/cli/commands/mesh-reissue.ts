import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { readSecret } from '../read-secret.js';

export const command: Command = {
  usage: 'meshnomad mesh reissue [options]',
  about: `Has the root of the mesh certify all servers anew, when none is left that may admit others. Needs the recovery code,
which is asked for, or read from standard input.`,
  flags: {},
  async run({ args, output, api: connect }) {
    takeArgs(args, 0, 0, '');
    const Code = await readSecret('Recovery code: ');
    const api = await connect();
    const { value } = await api.put<{ Names: string[] }>('/v1/mesh/reissue', { Code });
    output.out(`Certified by the root: ${value.Names.join(', ') || 'nobody'}`);
    return 0;
  },
};
