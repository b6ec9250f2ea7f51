import type { StateSnapshot } from '../../state/store.js';
import type { CsiInfo, StoredCsiVolume } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import type { Node } from '../../structs/node.js';
import type { VolumeCapability } from '../../structs/volume.js';
import type { ArchivedCsiVolume, VolumeArchive, VolumeSnapshot } from '../../structs/volume-data.js';
import { isIn } from '../csi/controllers.js';
import { type PluginView, pluginsOf } from '../csi/plugins.js';

// What backups need to know of CSI volumes: how they can be made again, what their plugins can do, and which nodes reach them.

/** How a CSI volume can be made again. */
export function archivedCsiVolume(volume: StoredCsiVolume): ArchivedCsiVolume {
  const { PluginID, Parameters, RequestedCapabilities, RequestedTopologies, Capacity, MountOptions } = volume;
  const { RequestedCapacityMin, RequestedCapacityMax } = volume;
  return {
    PluginID,
    Parameters,
    RequestedCapabilities,
    RequestedCapacityMin,
    RequestedCapacityMax,
    RequestedTopologies,
    Capacity,
    FSType: MountOptions?.FSType ?? '',
  };
}

/** How a volume is mounted for the sake of its data. Throws E_NOT_SUPPORTED for one that is a block device only. */
export function dataCapability(name: string, asked: readonly VolumeCapability[]): VolumeCapability {
  const files = asked.filter(({ AttachmentMode }) => AttachmentMode === 'file-system');
  if (files.length === 0) {
    throw new MeshError('E_NOT_SUPPORTED', `volume "${name}" is a block device: only files can be backed up`);
  }
  const single = files.find(({ AccessMode }) => AccessMode === 'single-node-writer');
  return (
    single ??
    files.find(({ AccessMode }) => !AccessMode.endsWith('reader-only')) ?? {
      AccessMode: 'single-node-writer',
      AttachmentMode: 'file-system',
    }
  );
}

/** Refuses a plugin whose volumes cannot be backed up: a copy that stands still comes only of a snapshot. */
export function requireSnapshots(state: StateSnapshot, pluginId: string): PluginView {
  const plugin = pluginsOf(state).get(pluginId);
  if (!plugin) throw new MeshError('E_CONFLICT', `plugin "${pluginId}" is on no node: run its job first`);
  const infos = [...plugin.controllers.values()];
  if (infos.some(({ ControllerInfo }) => ControllerInfo?.SupportsCreateDeleteSnapshot)) return plugin;
  throw new MeshError(
    'E_NOT_SUPPORTED',
    `plugin "${pluginId}" makes no snapshots, and of a volume that may be in use nothing else can be backed up`,
  );
}

/** Why a CSI volume cannot be mounted on a node; '' when it can. */
function unfit(node: Node, pluginId: string): string {
  if (node.Status !== 'ready') return `it is ${node.Status}`;
  const info = node.CSINodePlugins?.[pluginId];
  if (!info) return `it has no plugin "${pluginId}"`;
  return info.Healthy && info.NodeInfo ? '' : `its plugin "${pluginId}" is not healthy`;
}

/** The node's part of a plugin. Throws E_CONFLICT when a volume cannot be mounted there now. */
export function requirePlugin(
  node: Node | undefined,
  nodeId: string,
  pluginId: string,
): NonNullable<CsiInfo['NodeInfo']> {
  if (!node) throw new MeshError('E_CONFLICT', `node ${nodeId.slice(0, 8)} is gone`);
  const why = unfit(node, pluginId);
  const info = node.CSINodePlugins?.[pluginId]?.NodeInfo;
  if (why === '' && info) return info;
  throw new MeshError('E_CONFLICT', `node ${node.Name} cannot mount it: ${why}`);
}

/** Whether a node reaches a volume. */
export function reaches(node: Node, pluginId: string, { Topologies }: Pick<StoredCsiVolume, 'Topologies'>): boolean {
  if ((Topologies ?? []).length === 0) return true;
  return isIn(node.CSINodePlugins?.[pluginId]?.NodeInfo?.AccessibleTopology, Topologies ?? []);
}

/** A node on which the data of a volume can be read or written. Throws what is in the way of each. */
export function chooseCsiNode(
  state: StateSnapshot,
  wish: {
    readonly pluginId: string;
    /** Only those that reach this volume. */
    readonly of?: Pick<StoredCsiVolume, 'Topologies'>;
    /** This one and no other. */
    readonly wanted?: Node | undefined;
    /** The higher, the rather. */
    readonly worth: (node: Node) => number;
  },
): Node {
  const { pluginId, of, wanted, worth } = wish;
  const why = (node: Node): string =>
    unfit(node, pluginId) || (of && !reaches(node, pluginId, of) ? 'it does not reach the volume' : '');
  const nodes = wanted ? [wanted] : [...state.nodes()];
  const [best] = nodes.filter((node) => why(node) === '').toSorted((a, b) => worth(b) - worth(a));
  if (best) return best;
  const reasons = nodes.map((node) => `${node.Name}: ${why(node)}`).join('; ');
  throw new MeshError('E_CONFLICT', `no node can mount it (${reasons || 'there is none'})`);
}

/** Rather a node that has the blocks of a snapshot, and among those the one that wrote the last. */
export function hasBlocks({ Cores }: VolumeArchive, snapshot: VolumeSnapshot | undefined): (node: Node) => number {
  const core = Cores.find(({ Key }) => Key === snapshot?.Core);
  return ({ ID }) => {
    if (core?.NodeID === ID) return 2;
    return core?.Holders.some(({ NodeID, Length }) => NodeID === ID && Length >= (snapshot?.Length ?? 0)) ? 1 : 0;
  };
}
