import type { CsiMethods, CsiVolume } from '../../plugin/sdk/csi.js';
import type { CsiVolumeStats } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';

// What plugins answer is others' word: what would do harm later, or be of no use, is refused where it comes in. All checks throw
// MeshError E_INTERNAL, in words for whoever wrote the plugin.

/** The specification allows 4 KiB to a map; real plugins are not so exact. What goes into the log must stay small. */
const MAP_CHARS_MAX = 65_536;
/** The specification allows an id 128 bytes. */
const ID_CHARS_MAX = 1_024;
const CONDITION_CHARS_MAX = 300;

/** Every plugin has a name. */
export function checkPluginInfo({ name }: CsiMethods['Identity.GetPluginInfo'][1]): void {
  if (name === '') throw wrong('GetPluginInfo: it gives no name');
}

/** A node without an id could not be told from another when a volume is attached. */
export function checkNodeInfo({ nodeId, accessibleTopology }: CsiMethods['Node.NodeGetInfo'][1]): void {
  if (nodeId === '') throw wrong('NodeGetInfo: it gives no node ID');
  checkId('NodeGetInfo: its node ID', nodeId);
  checkMap('NodeGetInfo: its topology', accessibleTopology?.segments);
}

/** A volume that was made is named, and as large as it was to be. `range`: 0 = not asked for. */
export function checkCreated(
  volume: CsiVolume | null,
  { pluginId, range }: { pluginId: string; range: { min: number; max: number } },
): CsiVolume {
  const who = `CSI plugin "${pluginId}"`;
  if (!volume || volume.volumeId === '') throw wrong(`${who} created a volume and does not say which`);
  checkId(`${who}: the volume's id`, volume.volumeId);
  checkMap(`${who}: the volume's context`, volume.volumeContext);
  for (const { segments } of volume.accessibleTopology) checkMap(`${who}: the volume's topology`, segments);
  const { capacityBytes: bytes, volumeId } = volume;
  // 0 = it does not say.
  if (bytes !== 0 && (bytes < range.min || (range.max > 0 && bytes > range.max))) {
    const asked = range.max > 0 ? `${range.min} to ${range.max}` : `at least ${range.min}`;
    throw wrong(`${who} made volume ${volumeId} with ${bytes} bytes, and ${asked} were asked for`);
  }
  return volume;
}

/** How a volume fares: what is told at no more length than fits a status. */
export function toVolumeStats({ usage, volumeCondition }: CsiMethods['Node.NodeGetVolumeStats'][1]): CsiVolumeStats {
  return {
    Usage: usage
      .filter(({ unit }) => unit === 'BYTES' || unit === 'INODES')
      .slice(0, 2)
      .map(({ unit, total, used, available }) => ({ Unit: unit, Total: total, Used: used, Available: available })),
    Condition: volumeCondition && {
      Abnormal: volumeCondition.abnormal,
      Message: volumeCondition.message.slice(0, CONDITION_CHARS_MAX),
    },
  };
}

function checkId(what: string, id: string): void {
  if (id.length > ID_CHARS_MAX) throw wrong(`${what} has more than ${ID_CHARS_MAX} characters`);
}

function checkMap(what: string, map: Readonly<Record<string, string>> | undefined): void {
  const chars = Object.entries(map ?? {}).reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  if (chars > MAP_CHARS_MAX) throw wrong(`${what} has more than ${MAP_CHARS_MAX} characters`);
}

const wrong = (message: string): MeshError => new MeshError('E_INTERNAL', message);
