import { parseBytes } from '../../jobspec/volume-file.js';
import { type Command, type Flags, UsageError } from '../command.js';
import { formatBytes } from '../format.js';
import { whilePluginWorks } from '../plugin-wait.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad volume expand [options] <volume>',
  about: 'Grows a CSI volume, and its file system wherever it is in use.',
  flags: {
    'capacity-min': { type: 'string', value: 'size', help: 'How large it must become, such as 20GiB.' },
    'capacity-max': { type: 'string', value: 'size', help: 'How large it may become.' },
  },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 1, 1, '<volume>');
    const id = args[0] as string;
    const body = { CapacityMin: size(flags, 'capacity-min'), CapacityMax: size(flags, 'capacity-max') };
    const api = await connect();
    const path = `/v1/volume/csi/${encodeURIComponent(id)}/expand`;
    const { value } = await whilePluginWorks(
      { api, output },
      { what: `grow volume ${JSON.stringify(id)}`, volumeId: id },
      api.put<{ CapacityBytes: number }>(path, body),
    );
    output.out(`Volume ${JSON.stringify(id)} has ${formatBytes(value.CapacityBytes)} now`);
    return 0;
  },
};

function size(flags: Flags, name: string): number {
  const given = flags.string(name);
  if (given === undefined) return 0;
  const bytes = parseBytes(given);
  if (!bytes.ok) throw new UsageError(`-${name}: ${bytes.error}`);
  return bytes.value;
}
