import { ApiError } from '../api.js';
import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { variableUrl } from '../variable-url.js';

export const command: Command = {
  usage: 'meshnomad var purge [options] <path>',
  about: 'Removes a variable.',
  flags: { 'check-index': { type: 'string', value: 'index', help: 'Only if its ModifyIndex is this.' } },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 1, 1, '<path>');
    const path = args[0] as string;
    const api = await connect();
    await api.delete(variableUrl(path), { cas: flags.string('check-index') }).catch((error: unknown) => {
      const isConflict = error instanceof ApiError && error.status === 409;
      throw isConflict
        ? new ApiError(409, `Check-and-set conflict: variable ${path} has changed; read it again`)
        : error;
    });
    output.out(`Successfully purged variable ${JSON.stringify(path)}!`);
    return 0;
  },
};
