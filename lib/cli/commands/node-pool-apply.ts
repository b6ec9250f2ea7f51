import { readFileSync } from 'node:fs';
import { parseNodePool } from '../../jobspec/node-pool.js';
import { ApiError } from '../api.js';
import type { Command } from '../command.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad node pool apply [options] <file>',
  about: 'Makes or changes a node pool, from a file or, with "-", from standard input.',
  flags: { json: { type: 'bool', help: 'Accepted for compatibility: JSON is recognised by its first character.' } },
  async run({ args, output, api: connect }) {
    takeArgs(args, 1, 1, '<file>');
    const path = args[0] as string;
    const parsed = parseNodePool(readText(path), path === '-' ? 'stdin' : path);
    if (!parsed.ok) throw new ApiError(0, `Failed to parse node pool:\n${parsed.error}`);
    const api = await connect();
    await api.put('/v1/node/pools', parsed.value);
    output.out(`Successfully applied node pool ${JSON.stringify(parsed.value.Name)}!`);
    return 0;
  },
};

function readText(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new ApiError(0, `cannot read ${path}: ${(error as Error).message}`);
  }
}
