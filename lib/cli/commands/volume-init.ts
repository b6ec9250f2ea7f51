import { INIT_VOLUMES } from '../../jobspec/volume-file.js';
import { type Command, UsageError } from '../command.js';
import { takeArgs } from '../print.js';
import { writeExample } from '../write-example.js';

export const command: Command = {
  usage: 'meshnomad volume init [options] [filename]',
  about: 'Writes an example of a volume specification, volume.hcl unless another name is given, to start from.',
  flags: { type: { type: 'string', value: 'type', help: 'Kind of volume: csi (default) or host.' } },
  local: true,
  async run(context) {
    takeArgs(context.args, 0, 1, '[filename]');
    const type = context.flags.string('type') ?? 'csi';
    if (type !== 'csi' && type !== 'host')
      throw new UsageError(`-type must be csi or host, not ${JSON.stringify(type)}`);
    return writeExample(context, context.args[0] ?? 'volume.hcl', INIT_VOLUMES[type], 'volume specification');
  },
};
