import type { CsiMethods } from '../../plugin/sdk/csi.js';
import type { CsiControllerInfo, CsiInfo, CsiNodeInfo } from '../../structs/csi.js';
import type { Millis } from '../../util/clock.js';
import { checkNodeInfo, checkPluginInfo } from './answers.js';
import type { CsiRpc } from './rpc.js';

/** What a plugin is asked to be by whoever started it. */
export type CsiPluginType = 'controller' | 'node' | 'monolith';

/** What a plugin says of itself, but for its health. */
export interface CsiFacts extends Pick<CsiInfo, 'Provider' | 'ProviderVersion'> {
  requiresController: boolean;
  requiresTopologies: boolean;
  /** Null where it is not asked to be one. */
  controller: CsiControllerInfo | null;
  node: CsiNodeInfo | null;
}

const PROBE_TIMEOUT_MS: Millis = 5_000;

/** Asks whether the plugin is ready. Throws CsiError when it does not answer or says no. */
export async function probe(rpc: CsiRpc, signal: AbortSignal): Promise<void> {
  const { ready } = await rpc.call('Identity.Probe', {}, { timeoutMs: PROBE_TIMEOUT_MS, signal });
  if (ready?.value === false) throw new Error('the plugin says that it is not ready yet');
}

/** Asks what the plugin is and can. Throws CsiError. */
export async function askFacts(rpc: CsiRpc, type: CsiPluginType, signal: AbortSignal): Promise<CsiFacts> {
  const options = { timeoutMs: PROBE_TIMEOUT_MS, signal };
  const info = await rpc.call('Identity.GetPluginInfo', {}, options);
  checkPluginInfo(info);
  const { capabilities } = await rpc.call('Identity.GetPluginCapabilities', {}, options);
  const services = new Set(capabilities.flatMap((one) => ('service' in one && one.service ? [one.service.type] : [])));
  const controller =
    type === 'node' || !services.has('CONTROLLER_SERVICE')
      ? null
      : controllerInfo(await rpc.call('Controller.ControllerGetCapabilities', {}, options));
  const node =
    type === 'controller'
      ? null
      : nodeInfo(
          await rpc.call('Node.NodeGetInfo', {}, options),
          await rpc.call('Node.NodeGetCapabilities', {}, options),
        );
  return {
    Provider: info.name,
    ProviderVersion: info.vendorVersion,
    // A node plugin says what its controllers can: whether volumes must be attached by one.
    requiresController: services.has('CONTROLLER_SERVICE'),
    requiresTopologies: services.has('VOLUME_ACCESSIBILITY_CONSTRAINTS'),
    controller,
    node,
  };
}

type Capabilities = { capabilities: { rpc: { type: string } | null }[] };

function namesOf({ capabilities }: Capabilities): Set<string> {
  return new Set(capabilities.flatMap(({ rpc }) => rpc?.type ?? []));
}

function controllerInfo(answer: Capabilities): CsiControllerInfo {
  const can = namesOf(answer);
  return {
    SupportsCreateDelete: can.has('CREATE_DELETE_VOLUME'),
    SupportsAttachDetach: can.has('PUBLISH_UNPUBLISH_VOLUME'),
    SupportsListVolumes: can.has('LIST_VOLUMES'),
    SupportsGetCapacity: can.has('GET_CAPACITY'),
    SupportsCreateDeleteSnapshot: can.has('CREATE_DELETE_SNAPSHOT'),
    SupportsListSnapshots: can.has('LIST_SNAPSHOTS'),
    SupportsClone: can.has('CLONE_VOLUME'),
    SupportsReadOnlyAttach: can.has('PUBLISH_READONLY'),
    SupportsExpand: can.has('EXPAND_VOLUME'),
    SupportsListVolumesAttachedNodes: can.has('LIST_VOLUMES_PUBLISHED_NODES'),
    SupportsCondition: can.has('VOLUME_CONDITION'),
    SupportsGet: can.has('GET_VOLUME'),
  };
}

function nodeInfo(info: CsiMethods['Node.NodeGetInfo'][1], answer: Capabilities): CsiNodeInfo {
  checkNodeInfo(info);
  const can = namesOf(answer);
  return {
    ID: info.nodeId,
    MaxVolumes: info.maxVolumesPerNode,
    AccessibleTopology: info.accessibleTopology ? { Segments: info.accessibleTopology.segments } : null,
    RequiresNodeStageVolume: can.has('STAGE_UNSTAGE_VOLUME'),
    SupportsStats: can.has('GET_VOLUME_STATS'),
    SupportsExpand: can.has('EXPAND_VOLUME'),
    SupportsCondition: can.has('VOLUME_CONDITION'),
  };
}
