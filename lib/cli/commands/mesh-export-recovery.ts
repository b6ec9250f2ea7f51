import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { readSecret } from '../read-secret.js';

interface Recovery {
  Sealed: string;
  Root: string;
  Code: string;
}

export const command: Command = {
  usage: 'meshnomad mesh export-recovery [options]',
  about: `Prints the root key of the mesh, sealed by the recovery code, to be kept away from the servers. With -new-code it is
sealed anew under another code, which is shown once; the present code is asked for, or read from standard input. Copies made
before still open with the old one: destroy them.`,
  flags: {
    'new-code': { type: 'bool', help: 'Make a new recovery code.' },
    json: { type: 'bool', help: "Print the API's JSON." },
  },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 0, 0, '');
    const code = flags.bool('new-code') ? await readSecret('Recovery code: ') : '';
    const api = await connect();
    const { value } = await api.put<Recovery>('/v1/mesh/recovery', { Code: code });
    if (flags.bool('json')) {
      output.out(JSON.stringify(value, null, 4));
      return 0;
    }
    output.out(value.Sealed);
    if (value.Code !== '') output.error(`\nNew recovery code, shown this once:\n\n    ${value.Code}\n`);
    return 0;
  },
};
