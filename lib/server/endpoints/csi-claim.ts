import { stepClaim } from '../../state/claims.js';
import type { CsiClaimCommand } from '../../state/volume-commands.js';
import { type WatchKey, watchKeys } from '../../state/watch.js';
import type { CsiClaim, StoredCsiVolume } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import { groupOf } from '../../structs/group-of.js';
import type { CsiClaimArgs } from '../../structs/rpc-volume.js';
import { volumeSource } from '../../structs/volume.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { pluginsOf, whyUnschedulable } from '../csi/plugins.js';
import { withoutSecrets } from '../csi/view.js';
import { openVolume, type VolumeSecrets } from '../keyring/volumes.js';
import { propose } from '../propose.js';
import { requireVolumeAccess } from '../volume-access.js';
import { turnKey } from '../volume-watcher.js';
import { type EndpointContext, namespaceOf, requireFound, requireText } from './context.js';
import { requireOwnNode } from './own-node.js';

/** Less than a lease stands, or the answer could not be used. */
const WAIT_MAX_MS = 20_000;

/** What a node says of the volumes its allocations use. */
export function csiClaimEndpoints(context: EndpointContext): RpcHandlers {
  const { store, consensus, now } = context;

  const requireVolume = (args: { Namespace?: string; VolumeID: string }): StoredCsiVolume => {
    const id = requireText(args.VolumeID, 'volume ID');
    return requireFound(store.snapshot().csiVolumeById(namespaceOf(args), id), `volume "${id}"`);
  };

  /** The claim, as soon as nobody is in the way, if that is soon enough. */
  const granted = async (signal: AbortSignal, args: CsiClaimArgs, command: CsiClaimCommand) => {
    const untilMs = now() + Math.min(Math.max(0, args.WaitMs ?? 0), WAIT_MAX_MS);
    for (;;) {
      // What frees it may come while the log is asked.
      const changed = nextChange(context, watchKeys.csiVolume(command.namespace, command.volumeId), untilMs, signal);
      try {
        return await propose(consensus, { ...command, time: now() });
      } catch (error) {
        const mayPass = error instanceof MeshError && error.code === 'E_CONFLICT' && now() < untilMs;
        if (!mayPass || !consensus.isLeader || !(await changed)) throw error;
      }
    }
  };

  /** Has the controller attach the volume, while the claim is the one it is attached for. */
  const attach = async (
    volume: StoredCsiVolume,
    claim: CsiClaim,
    { readOnly, secrets }: { readOnly: boolean; secrets: VolumeSecrets },
  ): Promise<Record<string, string>> => {
    await consensus.readIndex();
    // Of this order: the claim may be older than another one on this node that came in between.
    const { index } = store;
    const current = store.snapshot().csiVolumeById(volume.Namespace, volume.ID)?.Claims[claim.AllocationID];
    if (current?.Fence !== claim.Fence || current.State !== 'taken') {
      throw new MeshError('E_CONFLICT', `the claim on volume "${volume.ID}" was released while it was being attached`);
    }
    const { PublishContext } = await context.controllers.ask('ClientCSI.ControllerAttach', volume.PluginID, {
      ExternalID: volume.ExternalID,
      ExternalNodeID: claim.ExternalNodeID,
      AccessMode: claim.AccessMode,
      AttachmentMode: claim.AttachmentMode,
      ReadOnly: readOnly,
      ...secrets,
      VolumeContext: volume.Context,
      Fence: index,
    });
    return PublishContext;
  };

  return {
    async 'CSIVolume.Claim'(args, call) {
      const node = requireOwnNode(context, args);
      const volume = requireVolume(args);
      const operation = args.Mode === 'read' ? 'mount-readonly' : 'mount-readwrite';
      requireVolumeAccess(context, args, { kind: 'csi', namespace: volume.Namespace, name: volume.ID, operation });
      requireRequest(args, context);
      const plugin = pluginsOf(store.snapshot()).get(volume.PluginID);
      const waits = whyUnschedulable(volume.PluginID, plugin);
      if (waits !== '') throw new MeshError('E_CONFLICT', `volume "${volume.ID}" waits: ${waits}`);
      const here = node.CSINodePlugins?.[volume.PluginID];
      if (!here?.Healthy || !here.NodeInfo) {
        throw new MeshError('E_CONFLICT', `plugin "${volume.PluginID}" is not healthy on this node yet`);
      }
      const ControllerRequired = plugin?.attaches ?? false;
      const { index, value } = await granted(call.signal, args, {
        type: 'csi-claim',
        namespace: volume.Namespace,
        volumeId: volume.ID,
        request: {
          AllocationID: requireText(args.AllocationID, 'allocation ID'),
          NodeID: node.ID,
          ExternalNodeID: here.NodeInfo.ID,
          Mode: args.Mode,
          AccessMode: args.AccessMode,
          AttachmentMode: args.AttachmentMode,
          ControllerRequired,
        },
        time: now(),
      });
      // The log has it: a majority stood behind this server just now.
      context.leases.renewed(node.ID, now());
      const { claim } = value;
      const secrets = await openVolume(context, value.volume);
      const { Claims: _claims, PastClaims: _past, ...spec } = value.volume;
      const Volume = { ...spec, ...secrets };
      if (!claim.ControllerRequired) return { Index: index, Volume, PublishContext: {}, Fence: claim.Fence };
      try {
        const readOnly = args.Mode === 'read';
        const PublishContext = await context.volumeWatcher.turns.take(turnKey(volume), () =>
          attach(value.volume, claim, { readOnly, secrets }),
        );
        return { Index: index, Volume, PublishContext, Fence: claim.Fence };
      } catch (error) {
        const why = withoutSecrets(error instanceof Error ? error.message : String(error), secrets.Secrets);
        const code = error instanceof MeshError && error.code === 'E_BAD_REQUEST' ? error.code : 'E_CONFLICT';
        throw new MeshError(code, `volume "${volume.ID}" cannot be attached: ${why}`, { cause: error });
      }
    },

    async 'CSIVolume.Unpublish'(args) {
      const node = requireOwnNode(context, args);
      const volume = store.snapshot().csiVolumeById(namespaceOf(args), requireText(args.VolumeID, 'volume ID'));
      const claim = volume?.Claims[requireText(args.AllocationID, 'allocation ID')];
      if (!volume || !claim || claim.NodeID !== node.ID) return { Index: store.index };
      const which = { allocId: claim.AllocationID, fence: claim.Fence };
      const detached = { kind: 'node-detached', proof: 'node' } as const;
      // Said before, and answered by a leader that died: nothing new.
      if (stepClaim(volume, which, detached, now()) === volume) return { Index: store.index };
      const at = { namespace: volume.Namespace, volumeId: volume.ID, ...which };
      const { index } = await propose(consensus, {
        type: 'csi-claim-steps',
        steps: [{ ...at, step: detached }],
        time: now(),
      });
      return { Index: index };
    },
  };
}

/** Whether something under the key has changed before the time was up and the caller gone. */
function nextChange(
  { store, timers, now }: EndpointContext,
  key: WatchKey,
  untilMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (changed: boolean): void => {
      forget();
      cancel();
      signal.removeEventListener('abort', leave);
      resolve(changed);
    };
    const leave = (): void => end(false);
    const forget = store.subscribe([key], () => end(true));
    const cancel = timers.setTimeout(Math.max(0, untilMs - now()), leave);
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
  });
}

/** The allocation must be of that node, and its group must ask for this very volume. */
function requireRequest(args: CsiClaimArgs, { store }: EndpointContext): void {
  const alloc = store.snapshot().allocById(requireText(args.AllocationID, 'allocation ID'));
  if (alloc?.NodeID !== args.NodeID) {
    throw new MeshError('E_NOT_FOUND', `allocation ${args.AllocationID} is not one of this node`);
  }
  const group = groupOf(alloc.Job, alloc.TaskGroup);
  const request = Object.values(group?.Volumes ?? {}).find(
    (wanted) => wanted.Type === 'csi' && volumeSource(wanted, alloc.Name) === args.VolumeID,
  );
  if (!request || alloc.Namespace !== namespaceOf(args)) {
    throw new MeshError('E_PERMISSION_DENIED', `group "${alloc.TaskGroup}" does not ask for volume "${args.VolumeID}"`);
  }
  if (args.Mode === 'write' && request.ReadOnly) {
    throw new MeshError(
      'E_PERMISSION_DENIED',
      `group "${alloc.TaskGroup}" asks for volume "${args.VolumeID}" read-only`,
    );
  }
}
