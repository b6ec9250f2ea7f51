import { type ApiClient, ApiError } from '../api.js';
import { type Command, UsageError } from '../command.js';
import { findVolume } from '../find-volume.js';
import { whilePluginWorks } from '../plugin-wait.js';
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
      const { id: whole } = await findVolume(api, { type, id });
      const query = { force: flags.bool('force') || undefined, reason: flags.string('reason') };
      await api.delete(`/v1/volume/host/${encodeURIComponent(whole)}`, query);
    } else if (type === 'csi') {
      const headers = secretsHeader(pairsOf(flags.list('secret'), 'secret'));
      const answer = api.delete(`/v1/volume/csi/${encodeURIComponent(id)}/delete`, {}, headers);
      const work = { what: `delete volume ${JSON.stringify(id)}`, volumeId: id };
      await whilePluginWorks({ api, output }, work, answer).catch(async (error: unknown) => {
        throw (await whyNotThere(api, id, error)) ?? error;
      });
    } else throw new UsageError(`-type must be csi or host, not ${JSON.stringify(type)}`);
    output.out(`Successfully deleted volume ${JSON.stringify(id)}!`);
    return 0;
  },
};

/** A host volume of that name is deleted only by who says that he means one. */
async function whyNotThere(api: ApiClient, id: string, error: unknown): Promise<ApiError | null> {
  if (!(error instanceof ApiError) || error.status !== 404) return null;
  const host = await findVolume(api, { type: 'host', id }).catch(() => null);
  return host && new ApiError(404, `There is no CSI volume "${id}"; to delete host volume ${host.id}, say -type host`);
}
