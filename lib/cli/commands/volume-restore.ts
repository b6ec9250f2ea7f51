import type { VolumeSnapshot } from '../../structs/volume-data.js';
import { ApiError } from '../api.js';
import type { Command } from '../command.js';
import { formatAgo, shortId } from '../format.js';
import { takeArgs } from '../print.js';
import {
  type Begun,
  backupPath,
  endOf,
  followOperation,
  UNKNOWN_END,
  WHICH_FLAGS,
  whichVolume,
} from '../volume-backups.js';

export const command: Command = {
  usage: 'meshnomad volume restore [options] <volume> [backup]',
  about:
    'Makes a volume again of a backup, by default the newest: in its place, beside it under another name (-as), or on another node when its own is lost. Nothing is seen of it until all of it is there.',
  flags: {
    as: {
      type: 'string',
      value: 'name',
      help: 'Make a new volume of this name; the old one, if it is there, stays as it is.',
    },
    node: { type: 'string', value: 'node', help: 'The node on which it is to be; default its own, or one that fits.' },
    force: { type: 'bool', help: 'In its place: what was written since the backup is lost.' },
    ...WHICH_FLAGS,
    detach: { type: 'bool', help: 'Do not wait for the volume to be there.' },
    json: { type: 'bool', help: 'A line of JSON for each step.' },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 1, 2, '<volume> [backup]');
    const [volume, backup = ''] = args as [string, string | undefined];
    const [which, json, verbose] = [whichVolume(flags), flags.bool('json'), flags.bool('verbose')];
    const api = await connect();
    const body = {
      SnapshotID: backup,
      TargetNode: flags.string('node') ?? '',
      As: flags.string('as') ?? '',
      Force: flags.bool('force'),
    };
    const { value } = await api.put<Begun & { Snapshot: VolumeSnapshot }>(`${backupPath(volume)}/restore`, body, {
      ...which,
    });
    const { Operation: operation, Snapshot: snapshot } = value;
    const what = `volume ${operation.TargetName} of backup ${shortId(snapshot.ID, verbose)}, made ${formatAgo(snapshot.CreateTime, Date.now())}`;
    if (flags.bool('detach')) {
      output.out(json ? JSON.stringify(operation) : `Restoring ${what}: see volume backup -list ${volume}`);
      return 0;
    }
    if (!json) output.out(`==> Restoring ${what}, on node ${shortId(operation.TargetNodeID, verbose)}`);
    const archive = await followOperation(api, value, { output, json, volume });
    const last = endOf(archive, operation);
    if (last?.Step !== 'done') throw new ApiError(0, `The restore has failed: ${last?.Message ?? UNKNOWN_END}`);
    if (json) output.out(JSON.stringify({ Operation: last, Snapshot: snapshot }));
    else {
      const id = last.TargetVolumeID === '' ? '' : ` (${shortId(last.TargetVolumeID, verbose)})`;
      output.out(
        `    Volume ${last.TargetName}${id} is on node ${shortId(last.TargetNodeID, verbose)} as it was ${formatAgo(snapshot.CreateTime, Date.now())}`,
      );
    }
    return 0;
  },
};
