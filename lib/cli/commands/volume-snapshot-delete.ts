import type { Command } from '../command.js';
import { whilePluginWorks } from '../plugin-wait.js';
import { takeArgs } from '../print.js';
import { pairsOf, secretsHeader } from '../volume-source.js';

export const command: Command = {
  usage: 'meshnomad volume snapshot delete [options] <plugin> <snapshot>',
  about: 'Has a plugin delete a snapshot.',
  flags: { secret: { type: 'list', value: 'key=value', help: 'A secret for the plugin; may be given several times.' } },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 2, 2, '<plugin> <snapshot>');
    const [plugin_id, snapshot_id] = args as [string, string];
    const api = await connect();
    const headers = secretsHeader(pairsOf(flags.list('secret'), 'secret'));
    const work = { what: `delete snapshot ${JSON.stringify(snapshot_id)}`, pluginId: plugin_id };
    await whilePluginWorks(
      { api, output },
      work,
      api.delete('/v1/volumes/snapshot', { plugin_id, snapshot_id }, headers),
    );
    output.out(`Snapshot ${JSON.stringify(snapshot_id)} deleted`);
    return 0;
  },
};
