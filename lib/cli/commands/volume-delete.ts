import { type Command, UsageError } from '../command.js';
import { takeArgs } from '../print.js';
import { pairsOf, secretsHeader } from '../volume-source.js';

export const command: Command = {
  usage: 'meshnomad volume delete [options] <volume>',
  about: 'Deletes a volume that nobody uses, with its data.',
  flags: {
    type: { type: 'string', value: 'type', help: 'Kind of volume: csi (default) or host.' },
    secret: { type: 'list', value: 'key=value', help: 'A secret for the plugin, if it is not kept with the volume.' },
    force: { type: 'bool', help: 'Host volumes only: forget it, though its node cannot be asked. With -reason.' },
    reason: { type: 'string', value: 'text', help: 'Why by force: recorded in the log of the servers.' },
  },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 1, 1, '<volume>');
    const id = args[0] as string;
    const type = flags.string('type') ?? 'csi';
    const api = await connect();
    if (type === 'host') {
      const query = { force: flags.bool('force') || undefined, reason: flags.string('reason') };
      await api.delete(`/v1/volume/host/${encodeURIComponent(id)}`, query);
    } else if (type === 'csi') {
      const headers = secretsHeader(pairsOf(flags.list('secret'), 'secret'));
      await api.delete(`/v1/volume/csi/${encodeURIComponent(id)}/delete`, {}, headers);
    } else throw new UsageError(`-type must be csi or host, not ${JSON.stringify(type)}`);
    output.out(`Successfully deleted volume ${JSON.stringify(id)}!`);
    return 0;
  },
};
