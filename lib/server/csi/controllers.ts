import { watchKeys } from '../../state/watch.js';
import type { CsiInfo, CsiTopology } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import type { RpcMethods } from '../../structs/rpc.js';
import type { ClientVolumeRpcMethods } from '../../structs/rpc-volume.js';
import type { Millis } from '../../util/clock.js';
import type { NodePaths } from '../node-path.js';
import type { ServerWorld } from '../world.js';
import { type PluginView, pluginsOf } from './plugins.js';

type ControllerMethod = Exclude<Extract<keyof ClientVolumeRpcMethods, `ClientCSI.Controller${string}`>, never>;
type Args<M extends ControllerMethod> = Omit<RpcMethods[M]['args'], 'NodeID' | 'PluginID' | 'Forwarded'>;

/** How long a controller may take: what is behind it may be slow, and the asker is asked again. */
const CONTROLLER_MS = 50_000;
/** So long a person waits for a volume to be made, copied, grown or removed: storage may take minutes for it. */
const STORAGE_MS = 600_000;
const AT_THE_STORAGE: ReadonlySet<string> = new Set<ControllerMethod>([
  'ClientCSI.ControllerCreate',
  'ClientCSI.ControllerDelete',
  'ClientCSI.ControllerExpand',
  'ClientCSI.ControllerCreateSnapshot',
  'ClientCSI.ControllerDeleteSnapshot',
]);

/** Asks a controller of a plugin, one at a time for each volume, on whichever node has a healthy one. */
export interface Controllers {
  /**
   * Rejects with E_NOT_FOUND when no node knows the plugin, E_CONFLICT when none has a healthy controller or no way leads to one,
   * E_NOT_SUPPORTED when the plugin cannot do it, and with whatever the plugin says.
   */
  ask<M extends ControllerMethod>(
    method: M,
    pluginId: string,
    args: Args<M>,
    can?: (info: CsiInfo) => boolean,
    /** Where the volume is, or is to be: a controller there is asked before others, which may not see it. */
    where?: readonly CsiTopology[] | null,
    how?: AskHow,
  ): Promise<RpcMethods[M]['reply']>;
}

export interface AskHow {
  /** For the whole of it, whoever has to be asked. Default: as long as what is asked may take, for each who is. */
  readonly withinMs?: Millis;
  /** Of several nodes the one with the most is asked first. */
  readonly rank?: (nodeId: string) => number;
}

export function createControllers(world: ServerWorld, paths: NodePaths): Controllers {
  return {
    async ask(method, pluginId, args, can = () => true, where = null, how = {}) {
      const state = world.store.snapshot();
      const plugin = pluginsOf(state).get(pluginId);
      if (!plugin) throw new MeshError('E_NOT_FOUND', `plugin "${pluginId}" is on no node: run its job first`);
      const healthy = healthyControllers(plugin, (nodeId) => state.nodeById(nodeId)?.Status === 'ready');
      if (healthy.length === 0) {
        throw new MeshError('E_CONFLICT', `no controller of plugin "${pluginId}" is healthy at the moment`);
      }
      const able = healthy.filter(([, info]) => can(info));
      if (able.length === 0) {
        const what = method.replace('ClientCSI.Controller', '');
        throw new MeshError(
          'E_NOT_SUPPORTED',
          `plugin "${pluginId}" cannot do this (${what}): it does not say that it can`,
        );
      }
      let refused: MeshError | undefined;
      const near = able.filter(([nodeId]) => isIn(plugin.nodes.get(nodeId)?.NodeInfo?.AccessibleTopology, where ?? []));
      if (near.length === 0 && where && where.length > 0 && liesApart(plugin)) {
        throw new MeshError(
          'E_CONFLICT',
          `plugin "${pluginId}" is healthy on no node that reaches ${where.map(placeText).join(' or ')}`,
        );
      }
      const rank = how.rank ?? (() => 0);
      const untilMs = how.withinMs === undefined ? undefined : world.now() + how.withinMs;
      for (const [NodeID] of (near.length > 0 ? near : able).sort(
        (a, b) => rank(b[0]) - rank(a[0]) || Number(paths.isLinked(b[0])) - Number(paths.isLinked(a[0])),
      )) {
        const patienceMs = AT_THE_STORAGE.has(method) ? STORAGE_MS : CONTROLLER_MS;
        const timeoutMs = untilMs === undefined ? patienceMs : untilMs - world.now();
        if (timeoutMs <= 0) break;
        try {
          const path = await paths.find(NodeID, { forwarded: false });
          const whole = { ...args, NodeID, PluginID: pluginId } as RpcMethods[typeof method]['args'];
          return await whileHealthy(world.store, { nodeId: NodeID, pluginId }, (signal) =>
            path.call(method, whole, { timeoutMs, signal }),
          );
        } catch (error) {
          if (!(error instanceof MeshError)) throw error;
          const isAway = error.code === 'E_NO_NODE_PATH' || (error.code === 'E_TIMEOUT' && !liesApart(plugin));
          const mayBeElsewhere = near.length === 0 && ELSEWHERE.includes(error.code) && liesApart(plugin);
          if (!isAway && !mayBeElsewhere) throw error;
          if (error.code !== 'E_NO_NODE_PATH' || !refused) refused = error;
        }
      }
      if (refused && refused.code !== 'E_NO_NODE_PATH') throw refused;
      throw new MeshError('E_CONFLICT', `no node with a controller of plugin "${pluginId}" can be reached`, {
        cause: refused,
      });
    },
  };
}

/**
 * Whoever is asked may stop to answer in the middle: then nobody waits for the time that storage may take, and E_TIMEOUT says why. All
 * that controllers are asked may be asked again, of this one or of another that has the same storage before it.
 */
async function whileHealthy<T>(
  store: ServerWorld['store'],
  { nodeId, pluginId }: { nodeId: string; pluginId: string },
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const silent = new Promise<never>((_, reject) => {
    over.signal.addEventListener('abort', () => reject(over.signal.reason));
  });
  const look = (): void => {
    const node = store.snapshot().nodeById(nodeId);
    const info = node?.CSIControllerPlugins?.[pluginId];
    if (node?.Status === 'ready' && info?.Healthy) return;
    const why = node?.Status !== 'ready' ? 'its node is away' : (info?.HealthDescription ?? 'it has ended');
    const who = `the controller of plugin "${pluginId}" on node ${nodeId.slice(0, 8)}`;
    over.abort(new MeshError('E_TIMEOUT', `${who} does not answer any more (${why}): try again`));
  };
  const forget = store.subscribe([watchKeys.node(nodeId)], look);
  try {
    return await Promise.race([ask(over.signal), silent]);
  } finally {
    forget();
  }
}

/** What a controller says of what another one may have: it is not there, not its own, or it has no room. */
const ELSEWHERE: readonly string[] = ['E_NOT_FOUND', 'E_CONFLICT', 'E_TOO_LARGE'];

/** Whether each node reaches other storage than all others and has a controller, which then knows only what lies there. */
export function liesApart({ nodes, controllers }: PluginView): boolean {
  if ([...nodes.keys()].some((nodeId) => !controllers.has(nodeId))) return false;
  const places = [...nodes.values()].map(({ NodeInfo }) => placeOf(NodeInfo?.AccessibleTopology));
  return places.length > 1 && !places.includes('') && new Set(places).size === places.length;
}

/** A place in a form in which alike ones are alike; '' = everywhere. */
export const placeOf = (topology: CsiTopology | null | undefined): string =>
  Object.entries(topology?.Segments ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join('\n');

/** Whether a node is in one of the places. */
export function isIn(node: CsiTopology | null | undefined, places: readonly CsiTopology[]): boolean {
  return places.some(({ Segments }) => Object.entries(Segments).every(([key, value]) => node?.Segments[key] === value));
}

function healthyControllers(plugin: PluginView, isReady: (nodeId: string) => boolean): [string, CsiInfo][] {
  return [...plugin.controllers].filter(([nodeId, { Healthy }]) => Healthy && isReady(nodeId));
}

/** As `volume status` writes it. */
function placeText({ Segments }: CsiTopology): string {
  return Object.entries(Segments ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
}
