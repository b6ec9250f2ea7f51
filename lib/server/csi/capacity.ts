import type { CsiCapacity, CsiTopology, CsiVolumeSpec } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import { formatBytes } from '../../util/byte-size.js';
import type { Millis } from '../../util/clock.js';
import type { ServerWorld } from '../world.js';
import { type Controllers, isIn, placeOf } from './controllers.js';
import { type PluginView, pluginsOf } from './plugins.js';
import { withoutSecrets } from './view.js';

/** Somebody looks at a status, or waits for a volume: who says nothing within this time is passed over. */
const CAPACITY_MS: Millis = 5_000;
/** Of so many places the room is asked, no more. */
const PLACES_MAX = 32;

/** What kind of volume the room would be for. */
type Kind = Pick<CsiVolumeSpec, 'MountOptions' | 'Parameters' | 'Secrets'> & {
  RequestedCapabilities: CsiVolumeSpec['RequestedCapabilities'];
};

const ANY_KIND: Kind = { RequestedCapabilities: [], MountOptions: null, Parameters: null, Secrets: null };

/** How much more a plugin says that it can hold, in each of `places` (default: all that it tells apart). Empty: it does not say. */
export async function capacityOf(
  world: Pick<ServerWorld, 'store'> & { readonly controllers: Controllers },
  pluginId: string,
  { kind = ANY_KIND, places = null }: { kind?: Kind; places?: readonly CsiTopology[] | null } = {},
): Promise<CsiCapacity[]> {
  const plugin = pluginsOf(world.store.snapshot()).get(pluginId);
  if (!plugin || ![...plugin.controllers.values()].some(({ ControllerInfo }) => ControllerInfo?.SupportsGetCapacity))
    return [];
  const asked = (places ?? []).length > 0 ? (places as readonly CsiTopology[]) : placesOf(plugin);
  return Promise.all(
    asked.slice(0, PLACES_MAX).map(async (Topology) => {
      try {
        const { Available, MaximumVolume } = await world.controllers.ask(
          'ClientCSI.ControllerGetCapacity',
          pluginId,
          {
            Capabilities: kind.RequestedCapabilities,
            MountOptions: kind.MountOptions,
            Parameters: kind.Parameters,
            Topology,
          },
          ({ ControllerInfo }) => ControllerInfo?.SupportsGetCapacity === true,
          Topology && [Topology],
          { withinMs: CAPACITY_MS },
        );
        return { Topology, Available, MaximumVolume, Error: '' };
      } catch (error) {
        if (!(error instanceof MeshError)) throw error;
        return { Topology, Available: 0, MaximumVolume: 0, Error: withoutSecrets(error.message, kind.Secrets) };
      }
    }),
  );
}

/** The most that one volume can have there; Infinity where nobody says. */
export const roomAt = ({ Available, MaximumVolume, Error: why }: CsiCapacity): number =>
  why === '' ? Math.min(Available, MaximumVolume || Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;

/** How much room there is on a node; 0 where nobody says. */
export function roomOnNode(world: Pick<ServerWorld, 'store'>, pluginId: string, room: readonly CsiCapacity[]) {
  const nodes = pluginsOf(world.store.snapshot()).get(pluginId)?.nodes;
  return (nodeId: string): number => {
    const topology = nodes?.get(nodeId)?.NodeInfo?.AccessibleTopology;
    const here = room.find(({ Topology, Error: why }) => why === '' && Topology && isIn(topology, [Topology]));
    return here ? roomAt(here) : 0;
  };
}

/** What is said of a volume that is larger than the room there is for it, wherever it may be made; '' = there is enough, or nobody says. */
export function tooLittleRoom(pluginId: string, room: readonly CsiCapacity[], wantedBytes: number): string {
  if (room.length === 0 || room.some((place) => roomAt(place) >= wantedBytes)) return '';
  const most = Math.max(...room.map(roomAt));
  const where = room.length > 1 ? ` where it has the most of ${room.length} places` : '';
  return `plugin "${pluginId}" says that it has room for ${formatBytes(most)}${where}, and ${formatBytes(wantedBytes)} are asked for`;
}

/** The places that a plugin's nodes say they are in, each once; null stands for a plugin that tells none apart. */
function placesOf({ nodes }: PluginView): (CsiTopology | null)[] {
  const known = new Map<string, CsiTopology>();
  for (const { NodeInfo } of nodes.values()) {
    const topology = NodeInfo?.AccessibleTopology;
    const place = placeOf(topology);
    if (topology && place !== '') known.set(place, topology);
  }
  if (known.size === 0) return [null];
  return [...known].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, topology]) => topology);
}
