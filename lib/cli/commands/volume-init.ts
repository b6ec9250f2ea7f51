import { INIT_VOLUMES, INIT_VOLUMES_JSON } from '../../jobspec/volume-file.js';
import { type Command, UsageError } from '../command.js';
import { takeArgs } from '../print.js';
import { writeExample } from '../write-example.js';

export const command: Command = {
  usage: 'meshnomad volume init [options] [filename]',
  about: 'Writes an example of a volume specification, volume.hcl unless another name is given, to start from.',
  flags: {
    type: { type: 'string', value: 'type', help: 'Kind of volume: csi (default) or host.' },
    json: { type: 'bool', help: 'In JSON, to volume.json.' },
  },
  local: true,
  async run(context) {
    takeArgs(context.args, 0, 1, '[filename]');
    const type = context.flags.string('type') ?? 'csi';
    if (type !== 'csi' && type !== 'host')
      throw new UsageError(`-type must be csi or host, not ${JSON.stringify(type)}`);
    const [filename, examples] = context.flags.bool('json')
      ? ['volume.json', INIT_VOLUMES_JSON]
      : ['volume.hcl', INIT_VOLUMES];
    return writeExample(context, context.args[0] ?? filename, examples[type], 'volume specification');
  },
};
