import { compileCheck } from '../../scheduler/feasible/constraint.js';
import { isClientTerminal } from '../../scheduler/usage.js';
import type { StateSnapshot } from '../../state/store.js';
import type { HostVolumeUpsertCommand } from '../../state/volume-commands.js';
import { watchKeys } from '../../state/watch.js';
import type { Allocation } from '../../structs/allocation.js';
import { MeshError } from '../../structs/errors.js';
import { groupOf } from '../../structs/group-of.js';
import type { HostVolume, HostVolumeListStub, HostVolumeView } from '../../structs/host-volume.js';
import type { Node } from '../../structs/node.js';
import { volumeSource } from '../../structs/volume.js';
import type { BackupPlan } from '../../structs/volume-data.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { randomUuid } from '../../util/random.js';
import { answerQuery } from '../blocking.js';
import { checkHostVolume } from '../host-volume-spec.js';
import { byCreation, byId, inOrder, page, pageOptions } from '../page.js';
import { propose } from '../propose.js';
import { allocStub } from '../stubs.js';
import { mayListVolume, requireVolumeAccess, type VolumeOperation } from '../volume-access.js';
import { archivedVolume } from '../volume-data/operations.js';
import { planOfBlock } from '../volume-data/plan.js';
import { hostUsers, refuseUsers, usersToEnd } from '../volume-data/target.js';
import { type EndpointContext, listOptions, namespaceOf, requireFound, requireText } from './context.js';

/** A plugin of a node may take as long as Nomad's, a minute; the node ends it then, and says so. */
const PLUGIN_MS = 75_000;
/** A node that is down is asked all the same, since it may be that only its heartbeats are missing; but not waited for. */
const DOWN_NODE_MS = 5_000;
const BUILT_IN_PLUGIN = 'mkdir';

type Wanted = HostVolumeUpsertCommand['volume'];

/** Directories of nodes that are made through the API. */
export function hostVolumeEndpoints(context: EndpointContext): RpcHandlers {
  const { store, consensus, now } = context;

  const access = (args: object, volume: { Namespace: string; Name: string }, operation: VolumeOperation): void =>
    requireVolumeAccess(context, args, { kind: 'host', namespace: volume.Namespace, name: volume.Name, operation });

  const keep = async (
    volume: Wanted,
    Plan: BackupPlan | null,
  ): Promise<{ Index: number; Volume: HostVolumeView; Warnings: string }> => {
    const { index } = await propose(consensus, { type: 'host-volume-upsert', volume, time: now() });
    const state = store.snapshot();
    const stored = requireFound(state.hostVolumeById(volume.ID), 'host volume');
    if (Plan) {
      const { Namespace, ID: VolumeID, Name, NodeID } = stored;
      const subject = { Namespace, VolumeID, Name, NodeID, Volume: archivedVolume(stored) };
      await context.archives.plan(subject, () => Plan);
    }
    return { Index: index, Volume: viewOf(stored, state), Warnings: '' };
  };

  return {
    async 'HostVolume.List'(args, call) {
      const options = pageOptions(args);
      return answerQuery(context, args, call, [watchKeys.hostVolumes()], async (state) => {
        const volumes = [...state.hostVolumes(listOptions(args))].filter(
          ({ NodeID, NodePool, Namespace, Name }) =>
            (!args.NodeID || NodeID === args.NodeID) &&
            (!args.NodePool || NodePool === args.NodePool) &&
            mayListVolume(context, args, { kind: 'host', namespace: Namespace, name: Name }),
        );
        const order = inOrder(volumes, byId, args.Reverse ?? false);
        const { items, nextToken } = await page(context.turns, order.items, { ...options, ...order, show: stubOf });
        return { index: state.tableIndex('host_volumes'), reply: { Volumes: items, NextToken: nextToken } };
      });
    },

    async 'HostVolume.Get'(args, call) {
      const id = requireText(args.ID, 'volume ID');
      return answerQuery(context, args, call, [watchKeys.hostVolume(id), watchKeys.allocs()], (state) => {
        const volume = state.hostVolumeById(id);
        if (volume) access(args, volume, 'read');
        const index = volume?.ModifyIndex ?? state.tableIndex('host_volumes');
        return { index, reply: { Volume: volume ? viewOf(volume, state) : null } };
      });
    },

    async 'HostVolume.Create'(args) {
      const wanted = checkHostVolume(args.Volume, namespaceOf(args));
      const backup = planOfBlock(args.Volume.Backup);
      access(args, wanted, 'create');
      const state = store.snapshot();
      const existing = wanted.ID === '' ? undefined : requireFound(state.hostVolumeById(wanted.ID), 'host volume');
      const node = existing ? requireNode(state, existing.NodeID) : chooseNode(state, wanted);
      if (existing) mayChange(existing, wanted, state);
      const whole = {
        ...wanted,
        ID: existing?.ID ?? randomUuid(context.random),
        PluginID: existing?.PluginID ?? (wanted.PluginID || BUILT_IN_PLUGIN),
        NodeID: node.ID,
        NodePool: node.NodePool,
      };
      // Asked for by its name twice, the same node would have two: known before anything is made.
      refuseTwin(state, whole);
      const path = await context.nodePaths.find(node.ID, { forwarded: false });
      const { ID, Name, Namespace, PluginID, NodeID, NodePool, Parameters } = whole;
      const { RequestedCapacityMinBytes, RequestedCapacityMaxBytes } = whole;
      const ask = { ID, Name, Namespace, PluginID, NodeID, NodePool, Parameters };
      const made = await path.call(
        'ClientHostVolume.Create',
        { ...ask, RequestedCapacityMinBytes, RequestedCapacityMaxBytes },
        { timeoutMs: PLUGIN_MS },
      );
      try {
        return await keep({ ...whole, HostPath: made.HostPath, CapacityBytes: made.CapacityBytes }, backup);
      } catch (error) {
        // Somebody else made one of this name meanwhile: nobody would know of this one.
        if (!existing && error instanceof MeshError && error.code === 'E_CONFLICT') {
          await path.call('ClientHostVolume.Delete', { ...ask, HostPath: made.HostPath }, { timeoutMs: PLUGIN_MS });
        }
        throw error;
      }
    },

    async 'HostVolume.Register'(args) {
      const wanted = checkHostVolume(args.Volume, namespaceOf(args));
      const backup = planOfBlock(args.Volume.Backup);
      access(args, wanted, 'register');
      const refuse = (what: string): never => {
        throw new MeshError('E_BAD_REQUEST', `volume "${wanted.Name}": ${what}`);
      };
      if (wanted.NodeID === '') refuse('it names no node_id');
      if (!wanted.HostPath.startsWith('/')) refuse('it names no host_path, which begins with a slash');
      const state = store.snapshot();
      const node = requireNode(state, wanted.NodeID);
      const existing = wanted.ID === '' ? undefined : state.hostVolumeById(wanted.ID);
      if (existing) mayChange(existing, wanted, state);
      const whole = { ...wanted, ID: wanted.ID || randomUuid(context.random), NodePool: node.NodePool };
      refuseTwin(state, whole);
      const path = await context.nodePaths.find(node.ID, { forwarded: false });
      const { ID, Name, Namespace, NodeID, HostPath, CapacityBytes, Parameters } = whole;
      const ask = { ID, Name, Namespace, NodeID, HostPath, CapacityBytes, Parameters };
      await path.call('ClientHostVolume.Register', ask, { timeoutMs: PLUGIN_MS });
      return keep(whole, backup);
    },

    async 'HostVolume.Delete'(args) {
      const id = requireText(args.VolumeID, 'volume ID');
      await consensus.readIndex();
      const volume = requireFound(store.snapshot().hostVolumeById(id), `host volume "${id}"`);
      access(args, volume, 'delete');
      await usersToEnd(context, hostUsers(volume));
      refuseUsers(store.snapshot(), volume);
      const force = args.Force === true;
      if (force && (args.Reason ?? '').trim() === '') {
        throw new MeshError(
          'E_BAD_REQUEST',
          'by force only with a reason: what was made on the node is then left there',
        );
      }
      const { ID, Name, Namespace, PluginID, NodeID, NodePool, HostPath, Parameters } = volume;
      const ask = { ID, Name, Namespace, PluginID, NodeID, NodePool, HostPath, Parameters, Force: force };
      const isReady = store.snapshot().nodeById(NodeID)?.Status === 'ready';
      const told = context.nodePaths
        .find(NodeID, { forwarded: false })
        .then((path) => path.call('ClientHostVolume.Delete', ask, { timeoutMs: isReady ? PLUGIN_MS : DOWN_NODE_MS }));
      if (force) {
        const why = await told.then(
          () => '',
          (error: unknown) => (error instanceof Error ? error.message : String(error)),
        );
        const isShown = why === '' ? {} : { node: `it still has it: ${why}` };
        context.log.warn('a host volume was forgotten by force', {
          volume: id,
          reason: String(args.Reason),
          ...isShown,
        });
      } else
        await told.catch((error: unknown) => {
          if (isReady || !(error instanceof MeshError)) throw error;
          const what = 'delete it when the node is back, or have it forgotten with -force and a -reason';
          throw new MeshError(
            error.code,
            `volume "${Name}" is on node ${NodeID.slice(0, 8)}, which is not there: ${what} (${error.message})`,
          );
        });
      const { index } = await propose(consensus, { type: 'host-volume-delete', id, force });
      return { Index: index };
    },

    async 'HostVolume.ClaimList'(args, call) {
      const options = pageOptions(args);
      return answerQuery(context, args, call, [watchKeys.hostVolumeClaims()], async (state) => {
        const claims = [...state.hostVolumeClaims(listOptions(args))].filter(
          ({ JobID, TaskGroupName, VolumeName, Namespace }) =>
            (!args.JobID || JobID === args.JobID) &&
            (!args.TaskGroup || TaskGroupName === args.TaskGroup) &&
            (!args.VolumeName || VolumeName === args.VolumeName) &&
            mayListVolume(context, args, { kind: 'host', namespace: Namespace, name: VolumeName }),
        );
        const order = inOrder(claims, byCreation, args.Reverse ?? false);
        const { items, nextToken } = await page(context.turns, order.items, {
          ...options,
          ...order,
          show: (claim) => claim,
        });
        return { index: state.tableIndex('host_volume_claims'), reply: { Claims: items, NextToken: nextToken } };
      });
    },

    async 'HostVolume.ClaimDelete'(args) {
      const id = requireText(args.ClaimID, 'claim ID');
      const claim = [...store.snapshot().hostVolumeClaims()].find(({ ID }) => ID === id);
      if (claim) access(args, { Namespace: claim.Namespace, Name: claim.VolumeName }, 'delete');
      const { index } = await propose(consensus, { type: 'host-volume-claim-delete', id });
      return { Index: index };
    },
  };
}

const stubOf = (volume: HostVolume): HostVolumeListStub => ({
  Namespace: volume.Namespace,
  ID: volume.ID,
  Name: volume.Name,
  PluginID: volume.PluginID,
  NodePool: volume.NodePool,
  NodeID: volume.NodeID,
  CapacityBytes: volume.CapacityBytes,
  State: volume.State,
  CreateIndex: volume.CreateIndex,
  ModifyIndex: volume.ModifyIndex,
  CreateTime: volume.CreateTime,
  ModifyTime: volume.ModifyTime,
});

function viewOf(volume: HostVolume, state: StateSnapshot): HostVolumeView {
  return { ...volume, Allocations: usersOf(volume, state).map((alloc) => allocStub(alloc)) };
}

/** The allocations on its node that use it, and have not ended. */
function usersOf(volume: HostVolume, state: StateSnapshot): Allocation[] {
  return state.allocsByNode(volume.NodeID).filter((alloc) => {
    if (isClientTerminal(alloc)) return false;
    const group = groupOf(alloc.Job, alloc.TaskGroup);
    return Object.values(group?.Volumes ?? {}).some((request) => {
      return request.Type === 'host' && volumeSource(request, alloc.Name) === volume.Name;
    });
  });
}

function requireNode(state: StateSnapshot, nodeId: string): Node {
  const node = state.nodeById(nodeId);
  if (!node) throw new MeshError('E_BAD_REQUEST', `node ${nodeId} is not known`);
  if (node.Status !== 'ready') {
    throw new MeshError('E_CONFLICT', `node ${nodeId.slice(0, 8)} is ${node.Status}: nothing can be done on it now`);
  }
  return node;
}

/** Only sizes, parameters and capabilities change, and only while nobody uses the volume. */
function mayChange(existing: HostVolume, wanted: Wanted, state: StateSnapshot): void {
  const refuse = (what: string): never => {
    throw new MeshError('E_CONFLICT', `volume "${existing.Name}" cannot be changed: ${what}`);
  };
  if (wanted.Name !== existing.Name) refuse('its name stays');
  if (wanted.NodeID !== '' && wanted.NodeID !== existing.NodeID) refuse(`it lies on node ${existing.NodeID}`);
  if (wanted.PluginID !== '' && wanted.PluginID !== existing.PluginID) refuse(`its plugin is "${existing.PluginID}"`);
  const user = usersOf(existing, state)[0];
  if (user) refuse(`allocation ${user.ID.slice(0, 8)} uses it`);
}

function refuseTwin(state: StateSnapshot, { ID, Name, NodeID }: { ID: string; Name: string; NodeID: string }): void {
  const twin = state.hostVolumesByNode(NodeID).find((other) => other.Name === Name && other.ID !== ID);
  const shown = state.nodeById(NodeID)?.HostVolumes?.[Name];
  if (!twin && (!shown || shown.ID === ID)) return;
  if (!twin && shown && shown.ID !== '') {
    throw new MeshError(
      'E_CONFLICT',
      `node ${NodeID.slice(0, 8)} has a host volume "${Name}" that the servers do not know, at ${shown.Path}: register it with its id, ${shown.ID}; then it can be used, or deleted`,
    );
  }
  const which = twin ? twin.ID.slice(0, 8) : 'it is in its configuration';
  throw new MeshError(
    'E_CONFLICT',
    `node ${NodeID.slice(0, 8)} has a host volume "${Name}" already (${which}): to change it, give its id`,
  );
}

/**
 * The node for a new volume: the one named, or of those that fit the one with the fewest volumes. Each must have the plugin; one
 * that has a volume of this name already is passed over.
 */
function chooseNode(state: StateSnapshot, wanted: Wanted): Node {
  const plugin = wanted.PluginID || BUILT_IN_PLUGIN;
  const lacks = (node: Node): boolean =>
    plugin !== BUILT_IN_PLUGIN && node.Attributes[`plugins.host_volume.version.${plugin}`] === undefined;
  if (wanted.NodeID !== '') {
    const node = requireNode(state, wanted.NodeID);
    if (lacks(node))
      throw new MeshError('E_BAD_REQUEST', `node ${node.ID.slice(0, 8)} has no host volume plugin "${plugin}"`);
    return node;
  }
  const checks = (wanted.Constraints ?? []).map(compileCheck);
  const reasons = new Map<string, number>();
  let best: { node: Node; volumes: number } | undefined;
  for (const node of state.nodes()) {
    const why = unfit(node);
    if (why !== '') {
      reasons.set(why, (reasons.get(why) ?? 0) + 1);
      continue;
    }
    const volumes = state.hostVolumesByNode(node.ID).length;
    if (!best || volumes < best.volumes) best = { node, volumes };
  }
  if (best) return best.node;
  const list = [...reasons].map(([why, count]) => `${count} × ${why}`).join(', ');
  throw new MeshError('E_BAD_REQUEST', `volume "${wanted.Name}": no node fits (${list || 'there is none'})`);

  function unfit(node: Node): string {
    if (node.Status !== 'ready' || node.SchedulingEligibility !== 'eligible') return 'not ready';
    const pool = wanted.NodePool;
    if (pool !== '' && pool !== 'all' && pool !== node.NodePool) return `not in node pool "${pool}"`;
    if (lacks(node)) return `no host volume plugin "${plugin}"`;
    if (node.HostVolumes?.[wanted.Name] !== undefined) return 'has one of this name already';
    return checks.find((check) => !check.holds(node))?.reason ?? '';
  }
}
