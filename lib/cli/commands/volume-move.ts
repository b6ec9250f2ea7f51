import { ApiError } from '../api.js';
import { type Command, UsageError } from '../command.js';
import { shortId } from '../format.js';
import { takeArgs } from '../print.js';
import {
  type Begun,
  backupPath,
  endOf,
  followOperation,
  followRemoval,
  leftoverText,
  UNKNOWN_END,
  WHICH_FLAGS,
  whichVolume,
} from '../volume-backups.js';

export const command: Command = {
  usage: 'meshnomad volume move [options] <volume>',
  about:
    'Moves a volume with its data to another node. No allocation may use it meanwhile: stop its job first, and run it again afterwards. Until all of the data is there the volume stays where it is.',
  flags: {
    node: {
      type: 'string',
      value: 'node',
      help: 'Where it is to be: the id of a node, the beginning of it, or a name.',
    },
    keep: { type: 'bool', help: 'Leave the data on the old node too, beside where it was.' },
    ...WHICH_FLAGS,
    detach: { type: 'bool', help: 'Do not wait for the volume to be there.' },
    json: { type: 'bool', help: 'A line of JSON for each step.' },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 1, 1, '<volume>');
    const volume = args[0] as string;
    const [which, json, verbose] = [whichVolume(flags), flags.bool('json'), flags.bool('verbose')];
    const node = flags.string('node');
    if (node === undefined) throw new UsageError('-node says where it is to be');
    const api = await connect();
    const body = { TargetNode: node, Keep: flags.bool('keep') };
    const { value } = await api.put<Begun>(`${backupPath(volume)}/move`, body, { ...which });
    const { Operation: operation } = value;
    if (flags.bool('detach')) {
      output.out(json ? JSON.stringify(operation) : `Moving volume ${volume}: see volume backup -list ${volume}`);
      return 0;
    }
    if (!json) output.out(`==> Moving volume ${volume} to node ${shortId(operation.TargetNodeID, verbose)}`);
    const archive = await followOperation(api, value, { output, json, volume });
    const last = endOf(archive, operation);
    if (last?.Step !== 'done') throw new ApiError(0, `The volume was not moved: ${last?.Message ?? UNKNOWN_END}`);
    if (!json) output.out(`    Volume ${last.TargetName} is on node ${shortId(last.TargetNodeID, verbose)}`);
    const left = await followRemoval(api, archive, last);
    if (json) output.out(JSON.stringify({ Operation: last, ...(left ? { Leftover: left } : {}) }));
    else if (left) output.error(leftoverText(left, verbose));
    return 0;
  },
};
