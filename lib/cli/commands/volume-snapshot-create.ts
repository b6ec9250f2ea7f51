import type { CsiSnapshot } from '../../structs/csi.js';
import type { Command } from '../command.js';
import { whilePluginWorks } from '../plugin-wait.js';
import { takeArgs } from '../print.js';
import { snapshotTable } from '../volume-snapshots.js';
import { pairsOf } from '../volume-source.js';

export const command: Command = {
  usage: 'meshnomad volume snapshot create [options] <volume> [snapshot_name]',
  about: 'Has the plugin of a CSI volume make a snapshot of it.',
  flags: {
    parameter: { type: 'list', value: 'key=value', help: 'Something for the plugin; may be given several times.' },
    secret: { type: 'list', value: 'key=value', help: 'A secret for the plugin, if it is not kept with the volume.' },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 1, 2, '<volume> [snapshot_name]');
    const [volume, name] = args as [string, string | undefined];
    const snapshot: Partial<CsiSnapshot> = {
      SourceVolumeID: volume,
      // Asked for again under the same name it is the same snapshot; each call without one is another.
      Name:
        name ??
        `${volume}-${new Date()
          .toISOString()
          .replace(/[^0-9]/g, '')
          .slice(0, 14)}`,
      Parameters: pairsOf(flags.list('parameter'), 'parameter'),
      Secrets: pairsOf(flags.list('secret'), 'secret'),
    };
    const api = await connect();
    const { value } = await whilePluginWorks(
      { api, output },
      { what: `make a snapshot of volume ${JSON.stringify(volume)}`, volumeId: volume },
      api.put<{ Snapshots: CsiSnapshot[] }>('/v1/volumes/snapshot', { Snapshots: [snapshot] }),
    );
    output.out(snapshotTable(value.Snapshots, { verbose: flags.bool('verbose'), nowMs: Date.now() }));
    return 0;
  },
};
