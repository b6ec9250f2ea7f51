import type { CsiExternalVolume, CsiVolumeAtStorage, StoredCsiVolume } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import type { Millis } from '../../util/clock.js';
import type { ServerWorld } from '../world.js';
import { type Controllers, isIn, liesApart } from './controllers.js';
import { type PluginView, pluginsOf } from './plugins.js';

/** Somebody looks at a status. */
const LOOK_MS: Millis = 5_000;
/** Of a list so many are looked through: of 500 each. */
const PAGES_MAX = 4;
/** More nodes than these that a volume is attached to are not told. */
const PUBLISHED_MAX = 100;
const NOTHING = { CapacityBytes: 0, Condition: null, Published: null };

type World = Pick<ServerWorld, 'store' | 'now'> & { readonly controllers: Controllers };

/** What the controller of a volume's plugin says of it at this moment. Waits a few seconds at most; never rejects for what a plugin does. */
export async function volumeAtStorage(world: World, volume: StoredCsiVolume): Promise<CsiVolumeAtStorage> {
  const plugin = pluginsOf(world.store.snapshot()).get(volume.PluginID);
  const unknown = (Reason: string): CsiVolumeAtStorage => ({ State: 'unknown', Reason, ...NOTHING });
  if (!plugin) return unknown(`plugin "${volume.PluginID}" is on no node`);
  const can = [...plugin.controllers.values()].map(({ ControllerInfo }) => ControllerInfo);
  const places = volume.Topologies ?? [];
  // Whoever lies elsewhere knows nothing of it, which does not mean that it is lost.
  if (places.length > 0 && ![...plugin.nodes.values()].some((node) => isIn(node.NodeInfo?.AccessibleTopology, places)))
    return unknown(`plugin "${volume.PluginID}" is on no node that reaches it`);
  try {
    if (can.some((info) => info?.SupportsGet)) {
      if (liesApart(plugin) && places.length === 0) return unknown('nobody knows where it lies');
      const found = await get(world, volume);
      return found ? told(volume, plugin, found) : { State: 'lost', Reason: '', ...NOTHING };
    }
    if (
      !can.some(
        (info) => info?.SupportsListVolumes && (info.SupportsCondition || info.SupportsListVolumesAttachedNodes),
      )
    )
      return unknown('');
    // Who lists need not list everything that there is: what is not among it is not lost.
    const listed = await find(world, volume);
    return listed ? told(volume, plugin, listed) : unknown('');
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    return unknown(error.message);
  }
}

async function get({ controllers }: World, { PluginID, ExternalID, Topologies }: StoredCsiVolume) {
  const { Volume } = await controllers.ask(
    'ClientCSI.ControllerGetVolume',
    PluginID,
    { ExternalID },
    ({ ControllerInfo }) => ControllerInfo?.SupportsGet === true,
    Topologies,
    { withinMs: LOOK_MS },
  );
  return Volume;
}

async function find(
  { controllers, now }: World,
  { PluginID, ExternalID, Topologies }: StoredCsiVolume,
): Promise<CsiExternalVolume | undefined> {
  const untilMs = now() + LOOK_MS;
  let StartingToken = '';
  for (let page = 0; page < PAGES_MAX && now() < untilMs; page++) {
    const { Entries, NextToken } = await controllers.ask(
      'ClientCSI.ControllerListVolumes',
      PluginID,
      { MaxEntries: 500, StartingToken },
      ({ ControllerInfo }) => ControllerInfo?.SupportsListVolumes === true,
      Topologies,
      { withinMs: untilMs - now() },
    );
    const found = Entries.find((entry) => entry.ExternalID === ExternalID);
    if (found || NextToken === '') return found;
    StartingToken = NextToken;
  }
  return undefined;
}

function told(
  { Claims }: StoredCsiVolume,
  { nodes, controllers }: PluginView,
  found: CsiExternalVolume,
): CsiVolumeAtStorage {
  const can = [...controllers.values()].map(({ ControllerInfo }) => ControllerInfo);
  const claimed = new Set(Object.values(Claims).map(({ ExternalNodeID }) => ExternalNodeID));
  const nodeIds = new Map([...nodes].map(([nodeId, { NodeInfo }]) => [NodeInfo?.ID ?? '', nodeId]));
  const published = (found.PublishedExternalNodeIDs ?? []).slice(0, PUBLISHED_MAX);
  return {
    State: 'known',
    Reason: '',
    CapacityBytes: found.CapacityBytes,
    Condition: can.some((info) => info?.SupportsCondition)
      ? { Abnormal: found.IsAbnormal, Message: found.Status }
      : null,
    // Who does not announce that it tells, and tells of none, may not know.
    Published:
      published.length > 0 || can.some((info) => info?.SupportsListVolumesAttachedNodes)
        ? published.map((id) => ({ ExternalNodeID: id, NodeID: nodeIds.get(id) ?? '', IsClaimed: claimed.has(id) }))
        : null,
  };
}
