import type { HostVolumeView } from '../../structs/host-volume.js';
import type { Command } from '../command.js';
import { whilePluginWorks } from '../plugin-wait.js';
import { takeArgs } from '../print.js';
import { ID_FLAG, readVolumeFile, withId } from '../volume-source.js';

export const command: Command = {
  usage: 'meshnomad volume register [options] <file>',
  about:
    'Makes a volume known that exists already, from a file or, with "-", from standard input; or changes what may be changed of a known one. "volume init" writes an example.',
  flags: { ...ID_FLAG },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 1, 1, '<file>');
    const given = readVolumeFile(args[0] as string);
    const api = await connect();
    const file = await withId(api, given, flags.string('id'));
    if (file.type === 'host') {
      const { value } = await api.put<{ Volume: HostVolumeView }>('/v1/volume/host/register', { Volume: file.volume });
      output.out(`==> Registered host volume ${value.Volume.Name} with ID ${value.Volume.ID}`);
      return 0;
    }
    const id = file.volume.ID ?? '';
    await whilePluginWorks(
      { api, output },
      { what: `confirm volume ${JSON.stringify(id)}`, pluginId: file.volume.PluginID },
      api.put(`/v1/volume/csi/${encodeURIComponent(id)}`, { Volumes: [file.volume] }),
    );
    output.out(`Volume ${JSON.stringify(id)} registered`);
    return 0;
  },
};
