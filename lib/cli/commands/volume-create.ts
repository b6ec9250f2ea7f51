import type { CsiVolume } from '../../structs/csi.js';
import type { HostVolumeView } from '../../structs/host-volume.js';
import type { ApiClient } from '../api.js';
import type { Command, Output } from '../command.js';
import { whilePluginWorks } from '../plugin-wait.js';
import { takeArgs } from '../print.js';
import { ID_FLAG, readVolumeFile, withId } from '../volume-source.js';

/** A node shows a new volume with its next report. */
const READY_TRIES_MAX = 60;

export const command: Command = {
  usage: 'meshnomad volume create [options] <file>',
  about:
    'Makes a volume, from a file or, with "-", from standard input: its plugin makes it, and it is known from then on. Of a known CSI volume that has become larger in the file, it grows. "volume init" writes an example.',
  flags: { ...ID_FLAG, detach: { type: 'bool', help: 'Do not wait until the node shows a host volume.' } },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 1, 1, '<file>');
    const given = readVolumeFile(args[0] as string);
    const api = await connect();
    const file = await withId(api, given, flags.string('id'));
    if (file.type === 'host') return createHost(api, file.volume, { output, detach: flags.bool('detach') });
    const id = file.volume.ID ?? '';
    const path = `/v1/volume/csi/${encodeURIComponent(id)}/create`;
    const { value } = await whilePluginWorks(
      { api, output },
      { what: `make volume ${JSON.stringify(id)}`, pluginId: file.volume.PluginID },
      api.put<{ Volumes: CsiVolume[]; Warnings?: string }>(path, { Volumes: [file.volume] }),
    );
    if (value.Warnings) output.error(`Warning: ${value.Warnings}`);
    for (const volume of value.Volumes) {
      output.out(`Created external volume ${volume.ExternalID} with ID ${volume.ID}`);
    }
    return 0;
  },
};

async function createHost(
  api: ApiClient,
  volume: object,
  { output, detach }: { output: Output; detach: boolean },
): Promise<number> {
  const { value } = await api.put<{ Volume: HostVolumeView }>('/v1/volume/host/create', { Volume: volume });
  const { ID, Name, NodeID } = value.Volume;
  output.out(`==> Created host volume ${Name} with ID ${ID}`);
  if (detach) return 0;
  let index = 1;
  for (let tries = 0; tries < READY_TRIES_MAX; tries++) {
    const seen = await api.get<HostVolumeView>(`/v1/volume/host/${ID}`, { index, wait: '1s' });
    if (seen.value.State === 'ready') {
      output.out(`==> Host volume ${Name} is ready on node ${NodeID.slice(0, 8)}`);
      return 0;
    }
    index = seen.index;
  }
  output.error(
    `Host volume ${Name} was made, but node ${NodeID.slice(0, 8)} does not show it yet: see volume status ${ID}`,
  );
  return 1;
}
