import type { CsiVolume, CsiVolumeAtStorage, CsiVolumeListStub, CsiVolumeUse } from '../../structs/csi.js';
import type { HostVolumeListStub, HostVolumeView } from '../../structs/host-volume.js';
import { type ApiClient, ApiError } from '../api.js';
import { type Command, type Context, UsageError } from '../command.js';
import { findVolume } from '../find-volume.js';
import { paint } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';
import { backupSummary, readArchive } from '../volume-backups.js';
import { csiVolumeTable, csiVolumeText, hostVolumeTable, hostVolumeText } from '../volume-text.js';

export const command: Command = {
  usage: 'meshnomad volume status [options] [volume]',
  about:
    'Shows a volume: who holds it, since when, and what a release waits for. Without one, all of them. An unambiguous beginning of an id is enough.',
  flags: {
    ...DATA_FLAGS,
    type: { type: 'string', value: 'type', help: 'Only csi or host volumes.' },
    'plugin-id': {
      type: 'string',
      value: 'plugin',
      help: 'Only CSI volumes of this plugin; plugin_id is understood too.',
    },
    plugin_id: { type: 'string', value: 'plugin', help: 'As -plugin-id.' },
    node: { type: 'string', value: 'node', help: 'Only host volumes of this node.' },
    'node-pool': { type: 'string', value: 'pool', help: 'Only host volumes of this node pool.' },
    filter: { type: 'string', value: 'expression', help: 'Only those for which it holds.' },
    'page-token': { type: 'string', value: 'token', help: 'Go on where an earlier page ended.' },
    'per-page': { type: 'int', value: 'n', help: 'So many at once; default all.' },
    verbose: { type: 'bool', help: 'Show whole ids, and everything there is to show.' },
  },
  async run(context) {
    takeArgs(context.args, 0, 1, '[volume]');
    const type = context.flags.string('type') ?? '';
    if (!['', 'csi', 'host'].includes(type))
      throw new UsageError(`-type must be csi or host, not ${JSON.stringify(type)}`);
    const api = await context.api();
    const [id] = context.args;
    return id === undefined ? list(context, api, type) : show(context, api, { type, id });
  },
};

async function list(context: Context, api: ApiClient, type: string): Promise<number> {
  const { flags, output } = context;
  const paging = {
    filter: flags.string('filter'),
    per_page: flags.int('per-page'),
    next_token: flags.string('page-token'),
  };
  const csi =
    type === 'host'
      ? []
      : (
          await api.get<CsiVolumeListStub[]>('/v1/volumes', {
            type: 'csi',
            plugin_id: flags.string('plugin-id') ?? flags.string('plugin_id'),
            ...paging,
          })
        ).value;
  const host =
    type === 'csi'
      ? []
      : (
          await api.get<HostVolumeListStub[]>('/v1/volumes', {
            type: 'host',
            node_id: flags.string('node'),
            node_pool: flags.string('node-pool'),
            ...paging,
          })
        ).value;
  if (await printData(context, [...csi, ...host])) return 0;
  const title = (text: string): string => paint(output.color, 'bold', text);
  if (type !== 'host') {
    const many = new Set(csi.map(({ Namespace }) => Namespace)).size > 1;
    output.out(
      `${title('Container Storage Interface')}\n${csi.length === 0 ? 'No CSI volumes' : csiVolumeTable(csi, many)}`,
    );
  }
  if (type === '') output.out('');
  if (type !== 'csi') {
    const table =
      host.length === 0 ? 'No dynamic host volumes' : hostVolumeTable(host, { verbose: flags.bool('verbose') });
    output.out(`${title('Dynamic Host Volumes')}\n${table}`);
  }
  return 0;
}

async function show(context: Context, api: ApiClient, wanted: { type: string; id: string }): Promise<number> {
  const shown = { verbose: context.flags.bool('verbose'), nowMs: Date.now() };
  const found = await findVolume(api, wanted);
  if (found.type === 'csi') {
    const { value } = await api.get<CsiVolume>(`/v1/volume/csi/${encodeURIComponent(found.id)}`);
    if (await printData(context, value)) return 0;
    const [uses, atStorage] = await Promise.all([usesOf(api, value), atStorageOf(api, value)]);
    context.output.out(csiVolumeText(value, { uses, atStorage }, shown));
    await showBackups(context, api, value.ID, 'csi');
    return 0;
  }
  const { value } = await api.get<HostVolumeView>(`/v1/volume/host/${encodeURIComponent(found.id)}`);
  if (await printData(context, value)) return 0;
  context.output.out(hostVolumeText(value, shown));
  await showBackups(context, api, value.ID, 'host');
  return 0;
}

async function showBackups({ output }: Context, api: ApiClient, id: string, type: string): Promise<void> {
  const archive = await readArchive(api, id, { on: undefined, type }).catch((error: unknown) => {
    // Servers of another kind know no such path.
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  });
  if (archive) output.out(`\nBackups\n${backupSummary(archive, Date.now())}`);
}

/** What the storage says of it, likewise. */
async function atStorageOf(api: ApiClient, { ID }: CsiVolume): Promise<CsiVolumeAtStorage | null> {
  return api.get<CsiVolumeAtStorage>(`/v1/volume/csi/${encodeURIComponent(ID)}/storage`).then(
    ({ value }) => value,
    () => null,
  );
}

/** How it fares where it is in use. Who cannot be asked for that is no reason to show nothing. */
async function usesOf(api: ApiClient, { ID, Claims }: CsiVolume): Promise<CsiVolumeUse[]> {
  if (!Claims.some(({ State }) => State === 'taken')) return [];
  const path = `/v1/volume/csi/${encodeURIComponent(ID)}/stats`;
  return api.get<CsiVolumeUse[]>(path).then(
    ({ value }) => value,
    () => [],
  );
}
