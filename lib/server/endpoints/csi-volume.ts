import { watchKeys } from '../../state/watch.js';
import { MeshError } from '../../structs/errors.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { answerQuery } from '../blocking.js';
import { pluginStub, pluginsOf, pluginView } from '../csi/plugins.js';
import { volumeStub, volumeView } from '../csi/view.js';
import { byId, byNamespacedId, inOrder, page, pageOptions } from '../page.js';
import { mayListVolume, requireVolumeAccess } from '../volume-access.js';
import { type EndpointContext, listOptions, namespaceOf, requireFound, requireText } from './context.js';

/** What is asked about CSI volumes and plugins. What depends on health changes with nodes and allocations. */
export function csiVolumeEndpoints(context: EndpointContext): RpcHandlers {
  const plugins = [watchKeys.nodes(), watchKeys.allocs()];

  return {
    async 'CSIVolume.List'(args, call) {
      const options = pageOptions(args);
      return answerQuery(context, args, call, [watchKeys.csiVolumes(), ...plugins], async (state) => {
        const volumes = [...state.csiVolumes(listOptions(args))].filter((volume) => {
          if (args.PluginID && volume.PluginID !== args.PluginID) return false;
          if (args.NodeID && !Object.values(volume.Claims).some(({ NodeID }) => NodeID === args.NodeID)) return false;
          return mayListVolume(context, args, { kind: 'csi', namespace: volume.Namespace, name: volume.ID });
        });
        const order = inOrder(volumes, byNamespacedId, args.Reverse ?? false);
        const { items, nextToken } = await page(context.turns, order.items, {
          ...options,
          ...order,
          show: (volume) => volumeStub(volume, state),
        });
        return { index: state.tableIndex('csi_volumes'), reply: { Volumes: items, NextToken: nextToken } };
      });
    },

    async 'CSIVolume.Get'(args, call) {
      const [namespace, name] = [namespaceOf(args), requireText(args.ID, 'volume ID')];
      requireVolumeAccess(context, args, { kind: 'csi', namespace, name, operation: 'read' });
      const keys = [watchKeys.csiVolume(namespace, name), ...plugins];
      return answerQuery(context, args, call, keys, (state) => {
        const volume = state.csiVolumeById(namespace, name);
        const plugin = volume && pluginsOf(state).get(volume.PluginID);
        const index = volume ? Math.max(volume.ModifyIndex, plugin?.modifyIndex ?? 0) : state.tableIndex('csi_volumes');
        return { index, reply: { Volume: volume ? volumeView(volume, state) : null } };
      });
    },

    async 'CSIPlugin.List'(args, call) {
      const options = pageOptions(args);
      return answerQuery(context, args, call, plugins, async (state) => {
        const all = [...pluginsOf(state).values()].filter(({ id }) => {
          return (
            id.startsWith(args.Prefix ?? '') &&
            mayListVolume(context, args, { kind: 'plugin', namespace: '', name: id })
          );
        });
        const order = inOrder(all.map(pluginStub), byId, args.Reverse ?? false);
        const { items, nextToken } = await page(context.turns, order.items, {
          ...options,
          ...order,
          show: (plugin) => plugin,
        });
        return { index: state.tableIndex('nodes', 'allocs'), reply: { Plugins: items, NextToken: nextToken } };
      });
    },

    async 'CSIPlugin.Get'(args, call) {
      const name = requireText(args.ID, 'plugin ID');
      requireVolumeAccess(context, args, { kind: 'plugin', namespace: '', name, operation: 'read' });
      return answerQuery(context, args, call, plugins, (state) => {
        const plugin = pluginsOf(state).get(name);
        const index = plugin?.modifyIndex ?? state.tableIndex('nodes', 'allocs');
        return { index, reply: { Plugin: plugin ? pluginView(plugin) : null } };
      });
    },

    async 'CSIPlugin.Delete'(args) {
      const name = requireText(args.ID, 'plugin ID');
      requireVolumeAccess(context, args, { kind: 'plugin', namespace: '', name, operation: 'delete' });
      await context.consensus.readIndex();
      const state = context.store.snapshot();
      const plugin = requireFound(pluginsOf(state).get(name), `plugin "${name}"`);
      const user = [...state.csiVolumes()].find(({ PluginID }) => PluginID === name);
      const why = user
        ? `volume "${user.ID}" needs it`
        : `${plugin.nodes.size + plugin.controllers.size + plugin.allocs.length} instances of it are there`;
      // Nothing of a plugin is stored: it goes with its last instance, by itself.
      throw new MeshError('E_CONFLICT', `plugin "${name}" is in use: ${why}; stop its job, and it is gone`);
    },
  };
}
