import { CsiError, type CsiMethods } from '../../plugin/sdk/csi.js';
import type { CsiExternalVolume } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { checkCreated } from './answers.js';
import { fromCsiTopologies, toCsiCapability, toCsiTopologies } from './capability.js';
import { toMeshError } from './errors.js';
import type { CsiPlugins, ReadyPlugin } from './plugins.js';

const CALL_TIMEOUT_MS = 120_000;
/** Somebody looks at a status. */
const LOOK_TIMEOUT_MS = 5_000;
/** Copies of large volumes take their time. */
const COPY_TIMEOUT_MS = 3_600_000;

type ControllerMethod = Extract<keyof RpcHandlers, `ClientCSI.Controller${string}`>;

/** What servers ask of a controller that runs here. */
export function controllerHandlers(plugins: CsiPlugins): Pick<RpcHandlers, ControllerMethod> {
  const fences = new Fences();
  const call = async <T>(pluginId: string, work: (plugin: ReadyPlugin) => Promise<T>): Promise<T> => {
    try {
      return await work(await plugins.find(pluginId, 'controller'));
    } catch (error) {
      throw toMeshError(error);
    }
  };
  const short = { timeoutMs: CALL_TIMEOUT_MS };
  return {
    'ClientCSI.ControllerValidate': (args) =>
      call(args.PluginID, async ({ rpc }) => {
        const request = {
          volumeId: args.ExternalID,
          volumeContext: args.Context ?? {},
          volumeCapabilities: args.Capabilities.map((one) => toCsiCapability(one, args.MountOptions)),
          parameters: args.Parameters ?? {},
          secrets: args.Secrets ?? {},
        };
        const { confirmed, message } = await rpc.call('Controller.ValidateVolumeCapabilities', request, short);
        return { Message: confirmed ? '' : message || 'the plugin does not confirm the capabilities' };
      }),
    'ClientCSI.ControllerAttach': (args) =>
      call(args.PluginID, async ({ rpc }) => {
        fences.check(args.PluginID, args);
        const request = {
          volumeId: args.ExternalID,
          nodeId: args.ExternalNodeID,
          volumeCapability: toCsiCapability(args, args.MountOptions),
          readonly: args.ReadOnly,
          secrets: args.Secrets ?? {},
          volumeContext: args.VolumeContext ?? {},
        };
        const answer = await rpc.call('Controller.ControllerPublishVolume', request, short);
        return { PublishContext: answer.publishContext };
      }),
    'ClientCSI.ControllerDetach': (args) =>
      call(args.PluginID, async ({ rpc }) => {
        fences.check(args.PluginID, args);
        const request = { volumeId: args.ExternalID, nodeId: args.ExternalNodeID, secrets: args.Secrets ?? {} };
        await unlessAbsent(rpc.call('Controller.ControllerUnpublishVolume', request, short));
        return {};
      }),
    'ClientCSI.ControllerCreate': (args) =>
      call(args.PluginID, async ({ rpc }) => {
        const topologies = args.RequestedTopologies;
        const request: CsiMethods['Controller.CreateVolume'][0] = {
          name: args.Name,
          capacityRange: { requiredBytes: args.CapacityMin, limitBytes: args.CapacityMax },
          volumeCapabilities: args.Capabilities.map((one) => toCsiCapability(one, args.MountOptions)),
          parameters: args.Parameters ?? {},
          secrets: args.Secrets ?? {},
          volumeContentSource: sourceOf(args),
          accessibilityRequirements: topologies && {
            requisite: toCsiTopologies(topologies.Required),
            preferred: toCsiTopologies(topologies.Preferred),
          },
        };
        const answer = await rpc.call('Controller.CreateVolume', request, { timeoutMs: COPY_TIMEOUT_MS });
        const range = { min: args.CapacityMin, max: args.CapacityMax };
        const volume = checkCreated(answer.volume, { pluginId: args.PluginID, range });
        return {
          ExternalID: volume.volumeId,
          CapacityBytes: volume.capacityBytes,
          VolumeContext: volume.volumeContext,
          SnapshotID: volume.contentSource?.snapshot?.snapshotId ?? '',
          CloneID: volume.contentSource?.volume?.volumeId ?? '',
          Topologies: fromCsiTopologies(volume.accessibleTopology),
        };
      }),
    'ClientCSI.ControllerDelete': (args) =>
      call(args.PluginID, async ({ rpc }) => {
        const request = { volumeId: args.ExternalID, secrets: args.Secrets ?? {} };
        await unlessAbsent(rpc.call('Controller.DeleteVolume', request, short));
        return {};
      }),
    'ClientCSI.ControllerExpand': (args) =>
      call(args.PluginID, async ({ rpc }) => {
        const request = {
          volumeId: args.ExternalID,
          capacityRange: { requiredBytes: args.CapacityMin, limitBytes: args.CapacityMax },
          secrets: args.Secrets ?? {},
          volumeCapability: args.Capability && toCsiCapability(args.Capability, null),
        };
        const answer = await rpc.call('Controller.ControllerExpandVolume', request, short);
        return { CapacityBytes: answer.capacityBytes, NodeExpansionRequired: answer.nodeExpansionRequired };
      }),
    'ClientCSI.ControllerListVolumes': (args) =>
      call(args.PluginID, async ({ rpc }) => {
        const request = { maxEntries: args.MaxEntries, startingToken: args.StartingToken };
        const { entries, nextToken } = await rpc.call('Controller.ListVolumes', request, short);
        return { Entries: entries.flatMap(tellVolume), NextToken: nextToken };
      }),
    ...lookHandlers(call),
    ...snapshotHandlers(call),
  };
}

type Call = <T>(pluginId: string, work: (plugin: ReadyPlugin) => Promise<T>) => Promise<T>;

function lookHandlers(
  call: Call,
): Pick<RpcHandlers, 'ClientCSI.ControllerGetCapacity' | 'ClientCSI.ControllerGetVolume'> {
  const options = { timeoutMs: LOOK_TIMEOUT_MS };
  return {
    'ClientCSI.ControllerGetCapacity': (args) =>
      call(args.PluginID, async ({ rpc }) => {
        const request = {
          volumeCapabilities: args.Capabilities.map((one) => toCsiCapability(one, args.MountOptions)),
          parameters: args.Parameters ?? {},
          accessibleTopology: args.Topology && { segments: args.Topology.Segments },
        };
        const answer = await rpc.call('Controller.GetCapacity', request, options);
        return {
          Available: Math.max(0, answer.availableCapacity),
          MaximumVolume: Math.max(0, answer.maximumVolumeSize?.value ?? 0),
        };
      }),
    'ClientCSI.ControllerGetVolume': (args) =>
      call(args.PluginID, async ({ rpc }) => {
        const request = { volumeId: args.ExternalID };
        const answer = await rpc.call('Controller.ControllerGetVolume', request, options).catch((error: unknown) => {
          if (error instanceof CsiError && error.code === 'NOT_FOUND') return null;
          throw error;
        });
        if (!answer) return { Volume: null };
        const [Volume] = tellVolume(answer);
        if (!Volume) throw new MeshError('E_INTERNAL', `CSI plugin "${args.PluginID}" tells of a volume and not which`);
        return { Volume };
      }),
  };
}

function snapshotHandlers(call: Call): Pick<RpcHandlers, Extract<ControllerMethod, `${string}Snapshot${string}`>> {
  return {
    'ClientCSI.ControllerCreateSnapshot': (args) =>
      call(args.PluginID, async ({ rpc }) => {
        const request = {
          sourceVolumeId: args.ExternalSourceVolumeID,
          name: args.Name,
          secrets: args.Secrets ?? {},
          parameters: args.Parameters ?? {},
        };
        const { snapshot } = await rpc.call('Controller.CreateSnapshot', request, { timeoutMs: COPY_TIMEOUT_MS });
        if (!snapshot)
          throw new MeshError('E_INTERNAL', `CSI plugin "${args.PluginID}" made a snapshot and does not say which`);
        return {
          ExternalSourceVolumeID: snapshot.sourceVolumeId,
          ID: snapshot.snapshotId,
          SizeBytes: snapshot.sizeBytes,
          CreateTime: snapshot.creationTime?.seconds ?? 0,
          IsReady: snapshot.readyToUse,
        };
      }),
    'ClientCSI.ControllerDeleteSnapshot': (args) =>
      call(args.PluginID, async ({ rpc }) => {
        const request = { snapshotId: args.ID, secrets: args.Secrets ?? {} };
        await unlessAbsent(rpc.call('Controller.DeleteSnapshot', request, { timeoutMs: CALL_TIMEOUT_MS }));
        return {};
      }),
    'ClientCSI.ControllerListSnapshots': (args) =>
      call(args.PluginID, async ({ rpc }) => {
        const request = {
          maxEntries: args.MaxEntries,
          startingToken: args.StartingToken,
          sourceVolumeId: '',
          snapshotId: '',
          secrets: args.Secrets ?? {},
        };
        const { entries, nextToken } = await rpc.call('Controller.ListSnapshots', request, {
          timeoutMs: CALL_TIMEOUT_MS,
        });
        const Entries = entries.flatMap(({ snapshot }) =>
          snapshot
            ? {
                ID: snapshot.snapshotId,
                ExternalSourceVolumeID: snapshot.sourceVolumeId,
                SizeBytes: snapshot.sizeBytes,
                CreateTime: snapshot.creationTime?.seconds ?? 0,
                IsReady: snapshot.readyToUse,
                SourceVolumeID: '',
                PluginID: args.PluginID,
                Name: '',
                Secrets: null,
                Parameters: null,
              }
            : [],
        );
        return { Entries, NextToken: nextToken };
      }),
  };
}

/** Whoever is asked to attach or detach refuses orders older than the newest it has seen for that volume and node. */
class Fences {
  private readonly highest = new Map<string, number>();

  check(pluginId: string, order: { ExternalID: string; ExternalNodeID: string; Fence: number }): void {
    const key = `${pluginId}\n${order.ExternalID}\n${order.ExternalNodeID}`;
    const highest = this.highest.get(key) ?? 0;
    if (order.Fence < highest) {
      const what = `volume ${order.ExternalID} on ${order.ExternalNodeID}`;
      throw new MeshError('E_CONFLICT', `${what}: an order of claim ${order.Fence} came after one of ${highest}`);
    }
    this.highest.set(key, order.Fence);
  }
}

/** What is not there need not be removed. */
async function unlessAbsent(call: Promise<unknown>): Promise<void> {
  await call.catch((error: unknown) => {
    if (!(error instanceof CsiError && error.code === 'NOT_FOUND')) throw error;
  });
}

function sourceOf({
  SnapshotID,
  CloneID,
}: {
  SnapshotID: string;
  CloneID: string;
}): CsiMethods['Controller.CreateVolume'][0]['volumeContentSource'] {
  if (SnapshotID !== '') return { snapshot: { snapshotId: SnapshotID } };
  return CloneID === '' ? null : { volume: { volumeId: CloneID } };
}

function tellVolume({
  volume,
  status,
}: CsiMethods['Controller.ListVolumes'][1]['entries'][number]): CsiExternalVolume[] {
  if (!volume) return [];
  return [
    {
      ExternalID: volume.volumeId,
      CapacityBytes: volume.capacityBytes,
      VolumeContext: volume.volumeContext,
      CloneID: volume.contentSource?.volume?.volumeId ?? '',
      SnapshotID: volume.contentSource?.snapshot?.snapshotId ?? '',
      // Some name a node without a name where there is none.
      PublishedExternalNodeIDs: status?.publishedNodeIds.filter((id) => id !== '') ?? null,
      IsAbnormal: status?.volumeCondition?.abnormal ?? false,
      Status: status?.volumeCondition?.message ?? '',
    },
  ];
}
