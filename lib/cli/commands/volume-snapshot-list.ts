import type { CsiSnapshot } from '../../structs/csi.js';
import { type Command, UsageError } from '../command.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';
import { snapshotTable } from '../volume-snapshots.js';
import { pairsOf, secretsHeader } from '../volume-source.js';

export const command: Command = {
  usage: 'meshnomad volume snapshot list -plugin <plugin> [options]',
  about: 'Lists the snapshots that a plugin knows.',
  flags: {
    ...DATA_FLAGS,
    plugin: { type: 'string', value: 'plugin', help: 'The plugin; needed.' },
    'page-token': { type: 'string', value: 'token', help: 'Go on where an earlier page ended.' },
    'per-page': { type: 'int', value: 'n', help: 'So many at once; default 30.' },
    secret: { type: 'list', value: 'key=value', help: 'A secret for the plugin; may be given several times.' },
    verbose: { type: 'bool', help: 'Show times in full.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 0, 0, '');
    const plugin_id = flags.string('plugin');
    if (!plugin_id) throw new UsageError('-plugin is needed: snapshots are known to their plugin only');
    const api = await context.api();
    const query = { plugin_id, per_page: flags.int('per-page') ?? 30, next_token: flags.string('page-token') };
    const headers = secretsHeader(pairsOf(flags.list('secret'), 'secret'));
    const { value } = await api.get<{ Snapshots: CsiSnapshot[]; NextToken: string }>(
      '/v1/volumes/snapshot',
      query,
      headers,
    );
    if (await printData(context, value.Snapshots)) return 0;
    const table = snapshotTable(value.Snapshots, { verbose: flags.bool('verbose'), nowMs: Date.now() });
    output.out(value.Snapshots.length === 0 ? 'No snapshots' : table);
    if (value.NextToken !== '') output.out(`\nThere are more: -page-token=${value.NextToken}`);
    return 0;
  },
};
