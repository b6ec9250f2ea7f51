import type { StateSnapshot } from '../../state/store.js';
import type { Allocation } from '../../structs/allocation.js';
import type { CsiClaim } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import type { Node } from '../../structs/node.js';
import type { VolumeArchive, VolumeSnapshot } from '../../structs/volume-data.js';
import type { Millis } from '../../util/clock.js';
import type { ServerWorld } from '../world.js';
import { pause } from './node-work.js';
import { BUILT_IN_PLUGIN, usersSince } from './operations.js';

/** People stop a job and move or delete its volume in one breath: what was told to stop has so long to end. */
const ENDING_MAX_MS: Millis = 30_000;
const LOOK_MS: Millis = 250;

/** Refuses a node on which nothing can be done now. */
export function requireReady(node: Node | undefined, nodeId: string): Node {
  if (!node) throw new MeshError('E_CONFLICT', `node ${nodeId.slice(0, 8)} is gone`);
  if (node.Status !== 'ready') {
    throw new MeshError('E_CONFLICT', `node ${node.Name} is ${node.Status}: nothing can be done on it now`);
  }
  return node;
}

/** Refuses when an allocation uses the volume where it is. */
export function refuseUsers(state: StateSnapshot, volume: Pick<VolumeArchive, 'Name' | 'NodeID'>): void {
  const [user] = usersSince(state, volume, volume.NodeID, state.index);
  if (!user) return;
  const advice = isEnding(state, user) ? 'it was told to stop, and has not yet: try again' : 'stop the job first';
  throw new MeshError(
    'E_CONFLICT',
    `volume "${volume.Name}" is in use by allocation ${user.ID.slice(0, 8)} of job "${user.JobID}": ${advice}`,
  );
}

/** Waits a while for the users of a volume when all of them were told to stop; who uses it after that is refused by others. */
export async function usersToEnd(
  world: ServerWorld,
  usersOf: (state: StateSnapshot) => readonly Allocation[],
): Promise<void> {
  await whileEnding(world, (state) => {
    const users = usersOf(state);
    return users.length > 0 && users.every((alloc) => isEnding(state, alloc));
  });
}

/** Waits a while for the claims on a CSI volume when all of them are about to be released, and nothing is known to be in the way. */
export async function claimsToEnd(world: ServerWorld, namespace: string, id: string): Promise<void> {
  await whileEnding(world, (state) => {
    const claims = Object.values(state.csiVolumeById(namespace, id)?.Claims ?? {});
    const isGoing = ({ State, WaitsFor, AllocationID, NodeID }: CsiClaim): boolean => {
      if (WaitsFor !== '' || state.nodeById(NodeID)?.Status !== 'ready') return false;
      const alloc = state.allocById(AllocationID);
      return State !== 'taken' || alloc === undefined || isToEnd(state, alloc);
    };
    return claims.length > 0 && claims.every(isGoing);
  });
}

async function whileEnding(world: ServerWorld, mayEnd: (state: StateSnapshot) => boolean): Promise<void> {
  const untilMs = world.now() + ENDING_MAX_MS;
  while (mayEnd(world.store.snapshot()) && world.now() < untilMs) await pause(world, LOOK_MS);
}

/** Told to stop, on a node that can hear it. */
function isEnding(state: StateSnapshot, alloc: Allocation): boolean {
  return isToEnd(state, alloc) && state.nodeById(alloc.NodeID)?.Status === 'ready';
}

/** Told to stop, or about to be told: its job was stopped a moment ago. */
function isToEnd(state: StateSnapshot, { DesiredStatus, Namespace, JobID }: Allocation): boolean {
  return DesiredStatus !== 'run' || (state.jobById(Namespace, JobID)?.Stop ?? true);
}

/** The allocations that use a volume where it is. */
export function hostUsers({ Name, NodeID }: Pick<VolumeArchive, 'Name' | 'NodeID'>) {
  return (state: StateSnapshot): Allocation[] => usersSince(state, { Name }, NodeID, state.index);
}

/** The allocations with a claim on a CSI volume, also those that have ended and whose claim is not released yet. */
export function csiUsers({ Namespace, VolumeID }: Pick<VolumeArchive, 'Namespace' | 'VolumeID'>) {
  return (state: StateSnapshot): Allocation[] =>
    Object.keys(state.csiVolumeById(Namespace, VolumeID)?.Claims ?? {}).flatMap((id) => state.allocById(id) ?? []);
}

/** Why a volume cannot be brought to a node; '' when it can. */
function unfit(node: Node, { Volume, Leftovers }: VolumeArchive, name: string): string {
  if (node.Status !== 'ready') return `it is ${node.Status}`;
  // Who clears it away must not meet what is brought there.
  const left = Leftovers.find(({ NodeID }) => NodeID === node.ID);
  if (left) {
    const { HostPath, Message } = left;
    return `what an earlier move left at ${HostPath} is not cleared away yet${Message === undefined ? '' : `: ${Message}`}`;
  }
  const plugin = Volume?.PluginID || BUILT_IN_PLUGIN;
  if (plugin !== BUILT_IN_PLUGIN && node.Attributes[`plugins.host_volume.version.${plugin}`] === undefined) {
    return `it has no host volume plugin "${plugin}"`;
  }
  return node.HostVolumes?.[name] === undefined ? '' : `it has a host volume "${name}" already`;
}

/** A node for a volume that is brought from elsewhere. `wanted`: this one and no other. Throws what is in the way. */
export function chooseTarget(
  state: StateSnapshot,
  {
    archive,
    snapshot,
    name,
    wanted,
    except,
  }: {
    archive: VolumeArchive;
    snapshot: VolumeSnapshot | undefined;
    name: string;
    wanted: Node | undefined;
    except: string;
  },
): Node {
  if (wanted) {
    const why = unfit(wanted, archive, name);
    if (why !== '') throw new MeshError('E_CONFLICT', `node ${wanted.Name} cannot have it: ${why}`);
    return wanted;
  }
  const core = archive.Cores.find(({ Key }) => Key === snapshot?.Core);
  const hasIt = ({ ID }: Node): number => {
    if (core?.NodeID === ID) return 0;
    return core?.Holders.some(({ NodeID, Length }) => NodeID === ID && Length >= (snapshot?.Length ?? 0)) ? 0 : 1;
  };
  const roomOf = ({ Attributes }: Node): number => Number(Attributes['unique.storage.bytesfree'] ?? 0);
  const reasons: string[] = [];
  const fitting = [...state.nodes()].filter((node) => {
    if (node.ID === except) return false;
    const isEligible = node.SchedulingEligibility === 'eligible';
    const why = isEligible ? unfit(node, archive, name) : 'it is not eligible';
    if (why !== '') reasons.push(`${node.Name}: ${why}`);
    return why === '';
  });
  const [best] = fitting.toSorted((a, b) => hasIt(a) - hasIt(b) || roomOf(b) - roomOf(a));
  if (best) return best;
  throw new MeshError('E_CONFLICT', `no node can have it (${reasons.join('; ') || 'there is no other'})`);
}
