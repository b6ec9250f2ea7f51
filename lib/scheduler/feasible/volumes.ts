import type { Allocation } from '../../structs/allocation.js';
import type { CsiInfo, CsiTopology, StoredCsiVolume } from '../../structs/csi.js';
import { type CsiUse, claimsInTheWay } from '../../structs/csi-access.js';
import { groupOf } from '../../structs/group-of.js';
import type { Job, TaskGroup } from '../../structs/job.js';
import type { HostVolumeInfo, Node } from '../../structs/node.js';
import { type VolumeRequest, volumeSource } from '../../structs/volume.js';
import type { StateReader } from '../ports.js';
import { isClientTerminal } from '../usage.js';
import type { AvailabilityCheck } from './checks.js';
import { csiRequestsOf, csiUse, isSuccessor, requestFor, usesClash } from './csi-use.js';

// Volumes: asked of every node, for what one class of nodes has, and who uses it, differs from node to node.

/** What the volumes of a group are judged by. */
export interface VolumeWorld {
  readonly job: Job;
  readonly state: StateReader;
  /** Whether the plan so far stops an allocation. */
  isStopped(allocId: string): boolean;
  /** Other allocations of a group of the job that run on, and those the plan has placed. */
  others(group: string): number;
  /** The same of one node. */
  othersOn(group: string, nodeId: string): number;
}

/** The checks of a group's volumes. */
export function volumeChecks(group: TaskGroup, world: VolumeWorld): AvailabilityCheck[] {
  const requests = Object.values(group.Volumes ?? {});
  const host = requests.filter(({ Type }) => Type !== 'csi');
  const csi = requests.filter(({ Type }) => Type === 'csi');
  const checks: AvailabilityCheck[] = [];
  if (host.length > 0) checks.push(hostCheck(group, host, world));
  if (csi.length > 0) checks.push(csiCheck(csi, world));
  return checks;
}

const MISSING_HOST_VOLUME = 'missing compatible host volumes';

function hostCheck(group: TaskGroup, requests: readonly VolumeRequest[], world: VolumeWorld): AvailabilityCheck {
  const { state, job } = world;
  const held = requests.some(({ Sticky }) => Sticky)
    ? (state.hostVolumeClaimsByGroup?.(job.Namespace, job.ID, group.Name) ?? [])
    : [];
  return {
    refusal(node, allocName) {
      for (const request of requests) {
        const source = volumeSource(request, allocName);
        const volumes = node.HostVolumes;
        const volume = volumes && Object.hasOwn(volumes, source) ? volumes[source] : undefined;
        if (!volume || isTooLittle(volume, request)) return MISSING_HOST_VOLUME;
        if (request.Sticky) {
          if (volume.ID === '') return `host volume "${source}" is no dynamic one, and cannot be sticky`;
          const claim = held.find(({ AllocName, VolumeName }) => AllocName === allocName && VolumeName === source);
          if (claim && claim.VolumeID !== volume.ID) return `sticky host volume "${source}" lies on another node`;
        }
        const refusal = dynamicRefusal(node, volume, request, allocName, world);
        if (refusal !== '') return refusal;
      }
      return '';
    },
    told(node, allocName) {
      for (const request of requests) {
        const source = volumeSource(request, allocName);
        const volume = node.HostVolumes?.[source];
        if (!volume) return `no "${source}"`;
        if (isTooLittle(volume, request)) return `"${source}" is read-only, and read_only = true is not asked for`;
      }
      return '';
    },
  };
}

const isTooLittle = (volume: HostVolumeInfo, request: VolumeRequest): boolean => volume.ReadOnly && !request.ReadOnly;

/** What a volume that was made through the API says about its use; those of a configuration say nothing. */
function dynamicRefusal(
  node: Node,
  { ID, Name }: HostVolumeInfo,
  request: VolumeRequest,
  allocName: string,
  world: VolumeWorld,
): string {
  const { state, job, isStopped } = world;
  const volume = ID === '' ? undefined : state.hostVolumeById?.(ID);
  if (ID !== '' && volume?.State !== 'ready') return `host volume "${Name}" is not ready`;
  // It was taken elsewhere while this node was away, and what is here is old.
  if (volume && volume.NodeID !== node.ID) return `host volume "${Name}" lies on another node now`;
  if (volume && volume.Namespace !== job.Namespace) return MISSING_HOST_VOLUME;
  const mode = request.AccessMode;
  if (volume && mode !== '' && !volume.RequestedCapabilities.some(({ AccessMode }) => AccessMode === mode)) {
    return `host volume "${Name}" cannot be used as ${mode}`;
  }
  if (!writesAlone(request)) return '';
  const other = state.allocsByNode(node.ID).find((alloc) => {
    if (isClientTerminal(alloc) || isStopped(alloc.ID)) return false;
    if (alloc.Namespace === job.Namespace && alloc.JobID === job.ID && alloc.Name === allocName) return false;
    return writesHostVolumeAlone(alloc, Name);
  });
  return other || isWrittenWithin(node, Name, world)
    ? `host volume "${Name}" has exhausted its available writer claims`
    : '';
}

/** Whether another of the job writes to the host volume of a node alone: one that the plan has just placed there, say. */
function isWrittenWithin({ ID }: Node, name: string, { job, othersOn }: VolumeWorld): boolean {
  return job.TaskGroups.some((group) =>
    Object.values(group.Volumes ?? {}).some(
      (request) =>
        request.Type !== 'csi' &&
        !request.PerAlloc &&
        request.Source === name &&
        writesAlone(request) &&
        othersOn(group.Name, ID) > 0,
    ),
  );
}

const writesAlone = ({ AccessMode, ReadOnly }: VolumeRequest): boolean =>
  AccessMode === 'single-node-single-writer' && !ReadOnly;

/** Whether an allocation wants to be the only one that writes to the host volume of its node with this name. */
export function writesHostVolumeAlone(alloc: Allocation, name: string): boolean {
  return hostVolumesWrittenAlone(alloc).includes(name);
}

/** The host volumes that an allocation wants to be the only one to write to. */
export function hostVolumesWrittenAlone(alloc: Allocation): string[] {
  const group = groupOf(alloc.Job, alloc.TaskGroup);
  return Object.values(group?.Volumes ?? {}).flatMap((request) =>
    request.Type !== 'csi' && writesAlone(request) ? [volumeSource(request, alloc.Name)] : [],
  );
}

function csiCheck(requests: readonly VolumeRequest[], world: VolumeWorld): AvailabilityCheck {
  const { state, job } = world;
  const controllers = new HealthyControllers(state);
  return {
    refusal(node, allocName, stays) {
      for (const request of requests) {
        const id = volumeSource(request, allocName);
        const volume = state.csiVolumeById?.(job.Namespace, id);
        if (!volume) return `missing CSI Volume ${id}`;
        const refusal =
          modeRefusal(volume, request) ||
          pluginRefusal(node, volume, world, controllers) ||
          claimRefusal(node, volume, { request, allocName, stays }, world);
        if (refusal !== '') return refusal;
      }
      return '';
    },
  };
}

function modeRefusal(volume: StoredCsiVolume, { AccessMode, AttachmentMode }: VolumeRequest): string {
  const fits = volume.RequestedCapabilities.some(
    (c) => c.AccessMode === AccessMode && c.AttachmentMode === AttachmentMode,
  );
  return fits || volume.RequestedCapabilities.length === 0
    ? ''
    : `CSI volume ${volume.ID} cannot be used as ${AccessMode} (${AttachmentMode})`;
}

function pluginRefusal(
  node: Node,
  volume: StoredCsiVolume,
  world: VolumeWorld,
  controllers: HealthyControllers,
): string {
  const { PluginID } = volume;
  const plugins = node.CSINodePlugins;
  const plugin = plugins && Object.hasOwn(plugins, PluginID) ? plugins[PluginID] : undefined;
  if (!plugin) return `CSI plugin ${PluginID} is missing from client`;
  if (!plugin.Healthy) return `CSI plugin ${PluginID} is unhealthy on client`;
  if (plugin.RequiresControllerPlugin && !controllers.has(PluginID)) {
    return `CSI plugin ${PluginID} has no healthy controller`;
  }
  if (!isReachableFrom(volume.Topologies, plugin)) return 'did not meet topology requirement';
  const max = plugin.NodeInfo?.MaxVolumes ?? 0;
  if (max > 0 && volumesOn(node, volume, world) >= max) {
    return `CSI plugin ${PluginID} has the maximum number of volumes on client`;
  }
  return '';
}

/** Of one evaluation: looked up once. */
class HealthyControllers {
  readonly #state: StateReader;
  #plugins: Set<string> | undefined;

  constructor(state: StateReader) {
    this.#state = state;
  }

  has(pluginId: string): boolean {
    if (!this.#plugins) {
      this.#plugins = new Set();
      for (const { Status, CSIControllerPlugins } of this.#state.nodes()) {
        if (Status !== 'ready' || !CSIControllerPlugins) continue;
        for (const info of Object.values(CSIControllerPlugins)) if (info.Healthy) this.#plugins.add(info.PluginID);
      }
    }
    return this.#plugins.has(pluginId);
  }
}

/** Whether a node lies in one of the topologies; a volume without any is reachable from everywhere. */
function isReachableFrom(topologies: readonly CsiTopology[] | null, { NodeInfo }: CsiInfo): boolean {
  if (!topologies || topologies.length === 0) return true;
  const own = NodeInfo?.AccessibleTopology?.Segments ?? {};
  return topologies.some(({ Segments }) =>
    Object.entries(Segments ?? {}).every(([key, value]) => Object.hasOwn(own, key) && own[key] === value),
  );
}

/** How many other volumes of the plugin are in use on a node, or will be by what was placed there. */
function volumesOn(node: Node, { PluginID, Namespace, ID }: StoredCsiVolume, world: VolumeWorld): number {
  const { state, job, isStopped, othersOn } = world;
  const ids = new Set<string>();
  for (const { ID: id, Namespace: of, PluginID: plugin, Claims } of state.claimedCsiVolumes?.() ?? []) {
    if (plugin === PluginID && Object.values(Claims).some(({ NodeID }) => NodeID === node.ID)) ids.add(`${of}/${id}`);
  }
  const promise = (id: string): void => {
    if (state.csiVolumeById?.(Namespace, id)?.PluginID === PluginID) ids.add(`${Namespace}/${id}`);
  };
  const known = new Map<string, number>();
  for (const alloc of state.allocsWithCsi?.(Namespace) ?? []) {
    if (alloc.NodeID !== node.ID || isStopped(alloc.ID)) continue;
    for (const request of csiRequestsOf(alloc)) promise(volumeSource(request, alloc.Name));
    if (alloc.JobID === job.ID) known.set(alloc.TaskGroup, (known.get(alloc.TaskGroup) ?? 0) + 1);
  }
  let fresh = 0;
  for (const group of job.TaskGroups) {
    // Of what the plan has placed only the number is known: with per_alloc each has another volume.
    const placed = othersOn(group.Name, node.ID) - (known.get(group.Name) ?? 0);
    if (placed <= 0) continue;
    for (const { Type, PerAlloc, Source } of Object.values(group.Volumes ?? {})) {
      if (Type !== 'csi') continue;
      if (!PerAlloc) promise(Source);
      else if (sourceIsOf(PluginID, Source, group, world)) fresh += placed;
    }
  }
  ids.delete(`${Namespace}/${ID}`);
  return ids.size + fresh;
}

/** Whether the volumes of a `per_alloc` request are of this plugin: the first that there is tells of all. */
function sourceIsOf(pluginId: string, source: string, { Count }: TaskGroup, { state, job }: VolumeWorld): boolean {
  for (let index = 0; index < Count; index++) {
    const volume = state.csiVolumeById?.(job.Namespace, `${source}[${index}]`);
    if (volume) return volume.PluginID === pluginId;
  }
  return false;
}

function claimRefusal(
  node: Node,
  volume: StoredCsiVolume,
  { request, allocName, stays }: { request: VolumeRequest; allocName: string; stays: boolean },
  world: VolumeWorld,
): string {
  const { job, state, isStopped } = world;
  const exhausted = request.ReadOnly
    ? `CSI volume ${volume.ID} is unschedulable or has exhausted its available reader claims`
    : `CSI volume ${volume.ID} has exhausted its available writer claims`;
  const use = csiUse(request, node.ID);
  if (!request.PerAlloc && !stays && isTakenWithin(request, use, world)) return exhausted;
  const wanted = { Namespace: job.Namespace, JobID: job.ID, Name: allocName };
  for (const claim of claimsInTheWay(volume, use)) {
    // What the plan stops, and what it follows, lets go of the volume: the successor waits for that on its node.
    if (isStopped(claim.AllocationID)) continue;
    const holder = state.allocById(claim.AllocationID);
    if (!holder) {
      return `${exhausted} and is claimed by a garbage collected allocation ${claim.AllocationID}; waiting for claim to be released`;
    }
    if (!isSuccessor(wanted, holder)) return exhausted;
  }
  return isPromised(volume, use, wanted, world) ? exhausted : '';
}

/** Whether another allocation of this job has it, or gets it by the same plan: one of this group, or of another one. */
function isTakenWithin({ Source }: VolumeRequest, use: CsiUse, { job, others }: VolumeWorld): boolean {
  return job.TaskGroups.some((group) => {
    const own = Object.values(group.Volumes ?? {}).find((one) => one.Type === 'csi' && one.Source === Source);
    return (
      own !== undefined &&
      !own.PerAlloc &&
      usesClash(use, csiUse(own, use.NodeID, group.Name)) &&
      others(group.Name) > 0
    );
  });
}

/** Whether an allocation of another job was placed that is about to claim it. */
function isPromised(
  volume: StoredCsiVolume,
  use: CsiUse,
  wanted: Pick<Allocation, 'Namespace' | 'JobID' | 'Name'>,
  { state, isStopped }: VolumeWorld,
): boolean {
  return (state.allocsWithCsi?.(volume.Namespace) ?? []).some((alloc) => {
    // Of this job the plan itself knows more: what stays, and what goes.
    if (alloc.JobID === wanted.JobID || isStopped(alloc.ID) || Object.hasOwn(volume.Claims, alloc.ID)) return false;
    const request = requestFor(alloc, volume);
    return request !== undefined && usesClash(use, csiUse(request, alloc.NodeID, alloc.ID));
  });
}
