import type { CsiSnapshot } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { meta } from '../blocking.js';
import { askPlugin } from '../csi/ask-plugin.js';
import { listed } from '../csi/listed.js';
import { pluginsOf } from '../csi/plugins.js';
import { hidden } from '../csi/view.js';
import { openVolume } from '../keyring/volumes.js';
import { requireVolumeAccess } from '../volume-access.js';
import { turnKey } from '../volume-watcher.js';
import { type EndpointContext, namespaceOf, requireFound, requireText } from './context.js';

/** What only the storage knows: its snapshots, and the volumes it has whether they are registered or not. */
export function csiSnapshotEndpoints(context: EndpointContext): RpcHandlers {
  const { store, controllers } = context;
  const pluginOf = (name: string) => pluginsOf(store.snapshot()).get(name);

  return {
    async 'CSIVolume.CreateSnapshot'(args) {
      const namespace = namespaceOf(args);
      const made: CsiSnapshot[] = [];
      for (const wanted of given(args.Snapshots)) {
        const name = requireText(wanted.SourceVolumeID, 'source volume ID');
        requireVolumeAccess(context, args, { kind: 'csi', namespace, name, operation: 'snapshot' });
        const volume = requireFound(store.snapshot().csiVolumeById(namespace, name), `volume "${name}"`);
        if (wanted.PluginID && wanted.PluginID !== volume.PluginID) {
          const its = JSON.stringify(volume.PluginID);
          const other = JSON.stringify(wanted.PluginID);
          throw new MeshError('E_BAD_REQUEST', `volume "${name}" is one of plugin ${its}, not of ${other}`);
        }
        const Secrets = wanted.Secrets ?? (await openVolume(context, volume)).Secrets;
        const Parameters = wanted.Parameters ?? null;
        const ask = {
          ExternalSourceVolumeID: volume.ExternalID,
          Name: requireText(wanted.Name, 'snapshot name'),
          Secrets,
          Parameters,
        };
        const { PluginID } = volume;
        const reply = await context.volumeWatcher.turns.take(turnKey(volume), () =>
          askPlugin({ ID: volume.ID, Secrets }, () =>
            controllers.ask(
              'ClientCSI.ControllerCreateSnapshot',
              PluginID,
              ask,
              ({ ControllerInfo }) => ControllerInfo?.SupportsCreateDeleteSnapshot === true,
              volume.Topologies,
            ),
          ),
        );
        made.push({
          ...reply,
          SourceVolumeID: name,
          PluginID,
          Name: ask.Name,
          Secrets: Secrets && hidden(Object.keys(Secrets)),
          Parameters,
        });
      }
      return { Index: store.index, Snapshots: made };
    },

    async 'CSIVolume.DeleteSnapshot'(args) {
      for (const { ID, PluginID, Secrets } of given(args.Snapshots)) {
        const id = requireText(ID, 'snapshot ID');
        const name = requireText(PluginID, 'plugin ID');
        requireVolumeAccess(context, args, { kind: 'plugin', namespace: '', name, operation: 'snapshot' });
        await askPlugin({ ID: id, Secrets: Secrets ?? null, kind: 'snapshot' }, () =>
          controllers.ask(
            'ClientCSI.ControllerDeleteSnapshot',
            name,
            { ID: id, Secrets: Secrets ?? null },
            ({ ControllerInfo }) => ControllerInfo?.SupportsCreateDeleteSnapshot === true,
          ),
        );
      }
      return { Index: store.index };
    },

    async 'CSIVolume.ListSnapshots'(args) {
      const name = requireText(args.PluginID, 'plugin ID');
      requireVolumeAccess(context, args, { kind: 'plugin', namespace: '', name, operation: 'list' });
      const ask = { ...paging(args), Secrets: args.Secrets ?? null };
      const { Entries, NextToken } = await listed(pluginOf(name), ask, (page, where) =>
        controllers.ask(
          'ClientCSI.ControllerListSnapshots',
          name,
          { ...ask, ...page },
          ({ ControllerInfo }) => ControllerInfo?.SupportsListSnapshots === true,
          where,
        ),
      );
      const known = new Map([...store.snapshot().csiVolumes()].map(({ ExternalID, ID }) => [ExternalID, ID]));
      const Snapshots = Entries.map((entry) => ({
        ...entry,
        PluginID: name,
        SourceVolumeID: entry.SourceVolumeID || (known.get(entry.ExternalSourceVolumeID) ?? ''),
        Secrets: null,
      }));
      return { ...meta(context, store.index), Snapshots, NextToken };
    },

    async 'CSIVolume.ListExternal'(args) {
      const name = requireText(args.PluginID, 'plugin ID');
      requireVolumeAccess(context, args, { kind: 'plugin', namespace: '', name, operation: 'list' });
      const { Entries, NextToken } = await listed(pluginOf(name), paging(args), (page, where) =>
        controllers.ask(
          'ClientCSI.ControllerListVolumes',
          name,
          page,
          ({ ControllerInfo }) => ControllerInfo?.SupportsListVolumes === true,
          where,
        ),
      );
      return { ...meta(context, store.index), Volumes: Entries, NextToken };
    },
  };
}

/** Entries of one answer, when nobody says how many. */
const ENTRIES_MAX = 500;

const paging = ({ PerPage, NextToken }: { PerPage?: number; NextToken?: string }) => ({
  MaxEntries: PerPage && PerPage > 0 ? Math.min(PerPage, ENTRIES_MAX) : ENTRIES_MAX,
  StartingToken: NextToken ?? '',
});

function given(snapshots: Partial<CsiSnapshot>[] | undefined): Partial<CsiSnapshot>[] {
  const isGiven = Array.isArray(snapshots) && snapshots.length > 0;
  if (isGiven && snapshots.every((one) => typeof one === 'object' && one !== null)) return snapshots;
  throw new MeshError('E_BAD_REQUEST', 'missing snapshot definition');
}
