import { describeClaim } from '../../state/claims.js';
import type { CsiVolumeSeed } from '../../state/volume-commands.js';
import type { CsiTopology, CsiVolume, CsiVolumeRequest, CsiVolumeSpec, StoredCsiVolume } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import type { BackupPlan } from '../../structs/volume-data.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { askPlugin } from '../csi/ask-plugin.js';
import { capacityOf, roomOnNode, tooLittleRoom } from '../csi/capacity.js';
import { liesApart } from '../csi/controllers.js';
import { pluginsOf } from '../csi/plugins.js';
import { type CsiVolumeDraft, checkVolumeSpec } from '../csi/spec.js';
import { isToldToStop, volumeView, withoutSecrets } from '../csi/view.js';
import { openVolume, sealVolume } from '../keyring/volumes.js';
import { propose } from '../propose.js';
import type { VolumeOperation } from '../volume-access.js';
import { requireVolumeAccess } from '../volume-access.js';
import { requireCsiBackup } from '../volume-data/csi-goals.js';
import { archivedCsiVolume } from '../volume-data/csi-volume.js';
import { planOfBlock } from '../volume-data/plan.js';
import { claimsToEnd } from '../volume-data/target.js';
import { turnKey } from '../volume-watcher.js';
import { type EndpointContext, namespaceOf, requireFound, requireText } from './context.js';
import { expandVolume, requireNoShrinking } from './csi-expand.js';

/** What changes CSI volumes: made known, made, taken from who holds them, forgotten, deleted. */
export function csiVolumeWriteEndpoints(context: EndpointContext): RpcHandlers {
  const { store, consensus, now } = context;

  const requireVolume = (args: object, id: unknown, operation: VolumeOperation): StoredCsiVolume => {
    const [namespace, name] = [namespaceOf(args), requireText(id, 'volume ID')];
    requireVolumeAccess(context, args, { kind: 'csi', namespace, name, operation });
    return requireFound(store.snapshot().csiVolumeById(namespace, name), `volume "${name}"`);
  };

  const keep = async (drafts: readonly CsiVolumeDraft[]): Promise<number> => {
    const volumes: CsiVolumeSeed[] = [];
    for (const draft of drafts) volumes.push(await sealVolume(context, draft));
    return (await propose(consensus, { type: 'csi-volume-upsert', volumes, time: now() })).index;
  };

  const backUp = async ({ seed, backup }: Asked): Promise<void> => {
    if (!backup) return;
    const { Namespace, ID } = seed;
    const volume = requireFound(store.snapshot().csiVolumeById(Namespace, ID), `volume "${ID}"`);
    const subject = { Namespace, VolumeID: ID, Name: ID, NodeID: '', Volume: null, Csi: archivedCsiVolume(volume) };
    await context.archives.plan(subject, () => backup);
  };

  return {
    async 'CSIVolume.Register'(args) {
      const wanted = askedFor(args, args.Volumes);
      const confirmed: CsiVolumeDraft[] = [];
      for (const asked of wanted) {
        requireVolumeAccess(context, args, accessTo(asked.seed, 'register'));
        const seed = await confirmedByPlugin(context, asked.seed);
        requireBackups(context, asked);
        confirmed.push(seed);
      }
      const index = await keep(confirmed);
      for (const asked of wanted) await backUp(asked);
      return { Index: index, Warnings: '' };
    },

    async 'CSIVolume.Create'(args) {
      const wanted = askedFor(args, args.Volumes);
      const made: CsiVolume[] = [];
      const warnings: string[] = [];
      let index = store.index;
      for (const asked of wanted) {
        const { seed } = asked;
        requireVolumeAccess(context, args, accessTo(seed, 'create'));
        requireBackups(context, asked);
        const existing = store.snapshot().csiVolumeById(seed.Namespace, seed.ID);
        if (existing) {
          requireNoShrinking(existing, seed.RequestedCapacityMax);
          index = await keep([{ ...seed, ExternalID: '', Capacity: 0 }]);
          if (seed.RequestedCapacityMin > existing.Capacity)
            index = (await expandVolume(context, existing, seed)).index;
        } else {
          // What could not be kept must not be made.
          await sealVolume(context, seed);
          const { draft, warning } = await createdBy(context, seed);
          if (warning !== '') warnings.push(warning);
          index = await keep([draft]);
        }
        await backUp(asked);
        const state = store.snapshot();
        const stored = state.csiVolumeById(seed.Namespace, seed.ID);
        if (stored) made.push(volumeView(stored, state));
      }
      return { Index: index, Volumes: made, Warnings: warnings.join('\n') };
    },

    async 'CSIVolume.Deregister'(args) {
      const ids = (args.VolumeIDs ?? []).map((id) => requireVolume(args, id, 'delete').ID);
      const force = args.Force === true;
      if (force) requireReason(args.Reason);
      const namespace = namespaceOf(args);
      await consensus.readIndex();
      for (const id of ids) {
        if (force) requireNoWriter(context, namespace, id);
        else await claimsToEnd(context, namespace, id);
      }
      const { index } = await propose(consensus, { type: 'csi-volume-deregister', namespace, ids, force });
      if (force)
        context.log.warn('volumes were forgotten by force', {
          namespace,
          volumes: ids.join(', '),
          reason: String(args.Reason),
        });
      return { Index: index };
    },

    async 'CSIVolume.Delete'(args) {
      let index = store.index;
      for (const id of args.VolumeIDs ?? []) {
        const { ID, Namespace } = requireVolume(args, id, 'delete');
        await claimsToEnd(context, Namespace, ID);
        const volume = requireVolume(args, id, 'delete');
        // Before its turn comes: a release that waits may have it, and whoever asks hears for what.
        requireUnclaimed(volume);
        const key = turnKey({ Namespace, ID: id });
        // In its turn: nobody claims it in between.
        index = await context.volumeWatcher.turns.take(key, () =>
          deleteVolume(context, Namespace, id, args.Secrets ?? null),
        );
      }
      return { Index: index };
    },

    async 'CSIVolume.Detach'(args) {
      const volume = requireVolume(args, args.VolumeID, 'detach');
      const nodeId = requireText(args.NodeID, 'node ID');
      const claims = Object.values(volume.Claims).filter(({ NodeID }) => NodeID === nodeId);
      if (claims.length === 0) {
        throw new MeshError('E_NOT_FOUND', `volume "${volume.ID}" is not claimed on node ${nodeId.slice(0, 8)}`);
      }
      const reason = args.Force === true ? requireReason(args.Reason) : '';
      const state = store.snapshot();
      const live = claims.find(({ AllocationID }) => isLive(state.allocById(AllocationID)));
      if (live && reason === '') {
        const alloc = state.allocById(live.AllocationID);
        const advice = alloc && isToldToStop(alloc) ? 'it was told to stop, and has not ended: wait' : 'stop it first';
        throw new MeshError(
          'E_CONFLICT',
          `${describeClaim(live)} still uses volume "${volume.ID}": ${advice}; or have it ended, with -force and a -reason`,
        );
      }
      const step = { kind: 'release', ...(reason === '' ? {} : { reason }) } as const;
      if (reason !== '')
        context.log.warn('a volume is being detached by force', { volume: volume.ID, node: nodeId, reason });
      const { index } = await propose(consensus, {
        type: 'csi-claim-steps',
        steps: claims.map(({ AllocationID, Fence }) => ({
          namespace: volume.Namespace,
          volumeId: volume.ID,
          allocId: AllocationID,
          fence: Fence,
          step,
        })),
        time: now(),
      });
      return { Index: index };
    },

    async 'CSIVolume.Expand'(args) {
      const volume = requireVolume(args, args.VolumeID, 'expand');
      const wanted = {
        RequestedCapacityMin: args.CapacityMin ?? 0,
        RequestedCapacityMax: args.CapacityMax ?? 0,
        Secrets: args.Secrets ?? null,
      };
      const { index, capacityBytes } = await expandVolume(context, volume, wanted);
      return { Index: index, CapacityBytes: capacityBytes };
    },
  };
}

const accessTo = ({ Namespace, ID }: CsiVolumeDraft, operation: VolumeOperation) =>
  ({ kind: 'csi', namespace: Namespace, name: ID, operation }) as const;

/** A volume as somebody wants it, and what is to be done with its data without being asked; null = the file does not say. */
interface Asked {
  seed: CsiVolumeDraft;
  backup: BackupPlan | null;
}

function askedFor(args: { Namespace?: string }, volumes: CsiVolumeRequest[] | undefined): Asked[] {
  if (!Array.isArray(volumes) || volumes.length === 0)
    throw new MeshError('E_BAD_REQUEST', 'missing volume definition');
  return volumes.map((volume) => {
    const seed = checkVolumeSpec(volume, namespaceOf(args));
    return { seed, backup: planOfBlock(volume.Backup) };
  });
}

/** Known before anything is made: a schedule of backups that can never be made. */
function requireBackups({ store }: EndpointContext, { seed, backup }: Asked): void {
  if (backup) requireCsiBackup(store.snapshot(), seed.ID, seed);
}

function requireReason(reason: unknown): string {
  if (typeof reason === 'string' && reason.trim() !== '') return reason.trim().slice(0, 500);
  throw new MeshError('E_BAD_REQUEST', 'by force only with a reason, which is recorded and shown: say why it must be');
}

function requireUnclaimed({ ID, Claims }: StoredCsiVolume): void {
  const claim = Object.values(Claims)[0];
  if (!claim) return;
  throw new MeshError('E_CONFLICT', `volume "${ID}" is in use and not deleted: it is held by ${describeClaim(claim)}`);
}

/** A volume that is forgotten while something writes to it could be registered again, for a second writer. */
function requireNoWriter({ store }: EndpointContext, namespace: string, id: string): void {
  const claims = Object.values(store.snapshot().csiVolumeById(namespace, id)?.Claims ?? {});
  const claim = claims.find(({ State }) => State !== 'node-detached');
  if (!claim) return;
  const how = `volume detach -force -reason … ${id} ${claim.NodeID.slice(0, 8)}`;
  const advice = claim.ForcedReason === '' ? `; first "${how}"` : '';
  throw new MeshError(
    'E_CONFLICT',
    `volume "${id}" may still be written to and is not forgotten: it is held by ${describeClaim(claim)}${advice}`,
  );
}

/** Whether it may still write. */
function isLive(alloc: { ClientStatus: string; DesiredStatus: string } | undefined): boolean {
  return alloc !== undefined && (alloc.ClientStatus === 'running' || alloc.ClientStatus === 'pending');
}

/** A volume that is registered must be known to its plugin, and usable as it says; where it lies is found out if need be. */
async function confirmedByPlugin(context: EndpointContext, seed: CsiVolumeDraft): Promise<CsiVolumeDraft> {
  const existing = context.store.snapshot().csiVolumeById(seed.Namespace, seed.ID);
  if (!existing && seed.ExternalID === '') {
    throw new MeshError(
      'E_BAD_REQUEST',
      `volume "${seed.ID}": it has no external_id; to make a new one, use volume create`,
    );
  }
  const plugin = pluginsOf(context.store.snapshot()).get(seed.PluginID);
  if (!plugin) {
    throw new MeshError(
      'E_BAD_REQUEST',
      `volume "${seed.ID}": no node has a plugin "${seed.PluginID}"; run its job first`,
    );
  }
  if (plugin.controllers.size === 0) return seed;
  const ExternalID = seed.ExternalID || (existing?.ExternalID ?? '');
  const known = [seed.Topologies, existing?.Topologies ?? null].find((places) => (places ?? []).length > 0);
  if (known || !liesApart(plugin)) {
    await validate(context, { ...seed, ExternalID }, known ?? null);
    return seed;
  }
  let refused: unknown;
  for (const { NodeInfo } of plugin.nodes.values()) {
    const Topologies = NodeInfo?.AccessibleTopology ? [NodeInfo.AccessibleTopology] : null;
    try {
      await validate(context, { ...seed, ExternalID }, Topologies);
      return { ...seed, Topologies };
    } catch (error) {
      // One that is not healthy may have it: that goes before what the others do not know.
      if (!(error instanceof MeshError) || !['E_NOT_FOUND', 'E_CONFLICT', 'E_TIMEOUT'].includes(error.code))
        throw error;
      if (!refused || error.code !== 'E_NOT_FOUND') refused = error;
    }
  }
  throw refused;
}

async function validate(context: EndpointContext, seed: CsiVolumeDraft, where: CsiTopology[] | null): Promise<void> {
  const {
    ExternalID,
    PluginID,
    MountOptions,
    Secrets,
    Parameters,
    Context,
    RequestedCapabilities: Capabilities,
  } = seed;
  const ask = { ExternalID, Capabilities, MountOptions, Secrets, Parameters, Context };
  const { Message } = await askPlugin(seed, () =>
    context.controllers.ask('ClientCSI.ControllerValidate', PluginID, ask, undefined, where),
  );
  if (Message === '') return;
  const why = withoutSecrets(Message, Secrets);
  throw new MeshError('E_BAD_REQUEST', `volume "${seed.ID}": its plugin "${PluginID}" refuses it: ${why}`);
}

/**
 * The volume as its plugin has made it, and a warning where there was too little room for it by the plugin's own word: that is no reason
 * not to try, for it may have made the volume before, or promise more than there is.
 */
async function createdBy(
  context: EndpointContext,
  seed: CsiVolumeDraft,
): Promise<{ draft: CsiVolumeDraft; warning: string }> {
  const places = seed.RequestedTopologies?.Preferred ?? seed.RequestedTopologies?.Required ?? null;
  const wanted = seed.RequestedCapacityMin;
  const room = wanted > 0 ? await capacityOf(context, seed.PluginID, { kind: seed, places }) : [];
  const tooLittle = tooLittleRoom(seed.PluginID, room, wanted);
  const roomOn = roomOnNode(context, seed.PluginID, room);
  const made = await askPlugin(seed, () =>
    context.controllers.ask(
      'ClientCSI.ControllerCreate',
      seed.PluginID,
      {
        Name: seed.Name,
        Capabilities: seed.RequestedCapabilities,
        MountOptions: seed.MountOptions,
        Parameters: seed.Parameters,
        Secrets: seed.Secrets,
        CapacityMin: seed.RequestedCapacityMin,
        CapacityMax: seed.RequestedCapacityMax,
        SnapshotID: seed.SnapshotID,
        CloneID: seed.CloneID,
        RequestedTopologies: seed.RequestedTopologies,
      },
      ({ ControllerInfo }) => ControllerInfo?.SupportsCreateDelete === true,
      places,
      { rank: roomOn },
    ),
  ).catch((error: unknown) => {
    if (tooLittle === '' || !(error instanceof MeshError)) throw error;
    throw new MeshError(error.code, `${error.message}; ${tooLittle}`, { cause: error });
  });
  const draft = {
    ...seed,
    ExternalID: made.ExternalID,
    Capacity: made.CapacityBytes,
    Context: made.VolumeContext ?? seed.Context,
    Topologies: made.Topologies ?? seed.Topologies,
  };
  return { draft, warning: tooLittle && `volume "${seed.ID}" is made, but may run out of space: ${tooLittle}` };
}

async function deleteVolume(
  context: EndpointContext,
  namespace: string,
  id: string,
  secrets: CsiVolumeSpec['Secrets'],
): Promise<number> {
  await context.consensus.readIndex();
  const volume = requireFound(context.store.snapshot().csiVolumeById(namespace, id), `volume "${id}"`);
  requireUnclaimed(volume);
  const Secrets = secrets ?? (await openVolume(context, volume)).Secrets;
  await askPlugin({ ID: id, Secrets }, () =>
    context.controllers.ask(
      'ClientCSI.ControllerDelete',
      volume.PluginID,
      { ExternalID: volume.ExternalID, Secrets },
      ({ ControllerInfo }) => ControllerInfo?.SupportsCreateDelete === true,
      volume.Topologies,
    ),
  );
  const forget = { type: 'csi-volume-deregister', namespace, ids: [id], force: false } as const;
  return (await propose(context.consensus, forget)).index;
}
