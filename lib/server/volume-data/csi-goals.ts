import { describeClaim } from '../../state/claims.js';
import type { StateSnapshot } from '../../state/store.js';
import type { StoredCsiVolume } from '../../structs/csi.js';
import { MeshError } from '../../structs/errors.js';
import type { Node } from '../../structs/node.js';
import type { ArchivedCsiVolume, VolumeArchive, VolumeOperation, VolumeSnapshot } from '../../structs/volume-data.js';
import type { Millis } from '../../util/clock.js';
import { chooseCsiNode, dataCapability, hasBlocks, reaches, requireSnapshots } from './csi-volume.js';
import { findNode, type Subject, VOLUME_NAME } from './subject.js';
import { ageOf } from './view.js';

type Goal = Pick<VolumeOperation, 'TargetNodeID' | 'TargetVolumeID' | 'TargetName'>;

/** Throws what is in the way of a backup of a CSI volume. */
export function requireCsiBackup(
  state: StateSnapshot,
  name: string,
  how: Pick<ArchivedCsiVolume, 'PluginID' | 'RequestedCapabilities'>,
): void {
  dataCapability(name, how.RequestedCapabilities);
  requireSnapshots(state, how.PluginID);
}

/** Where a restore of a CSI volume leads: into a new volume on a node, under its id or another one. Throws what is in the way. */
export function csiRestoreGoal(
  state: StateSnapshot,
  {
    archive,
    how,
    snapshot,
    nowMs,
  }: { archive: VolumeArchive; how: ArchivedCsiVolume; snapshot: VolumeSnapshot; nowMs: Millis },
  { TargetNodeID = '', As = '', Force }: { TargetNodeID?: string; As?: string; Force?: boolean },
): Goal & Pick<VolumeOperation, 'Keep'> {
  const { Namespace, VolumeID } = archive;
  const wanted = TargetNodeID === '' ? undefined : findNode(state, TargetNodeID);
  const worth = hasBlocks(archive, snapshot);
  const choose = (extra: (node: Node) => number = () => 0): string =>
    chooseCsiNode(state, { pluginId: how.PluginID, wanted, worth: (node) => 10 * extra(node) + worth(node) }).ID;
  if (As !== '') {
    if (!VOLUME_NAME.test(As)) throw new MeshError('E_BAD_REQUEST', `"${As}" is no id of a volume`);
    if (state.csiVolumeById(Namespace, As)) throw new MeshError('E_CONFLICT', `there is a volume "${As}" already`);
    return { TargetNodeID: choose(), TargetVolumeID: As, TargetName: As, Keep: true };
  }
  const volume = state.csiVolumeById(Namespace, VolumeID);
  const named = { TargetVolumeID: VolumeID, TargetName: VolumeID };
  if (!volume) return { ...named, TargetNodeID: choose(), Keep: true };
  refuseClaims(volume);
  const isHere = (node: Node): number => Number(reaches(node, how.PluginID, volume));
  const target = choose(isHere);
  // What lies where nobody can go now may have what no backup has: it stays.
  const isReachable = [...state.nodes()].some((node) => node.Status === 'ready' && isHere(node) === 1);
  if (isReachable && wanted && isHere(wanted) === 0) {
    throw new MeshError('E_CONFLICT', `volume "${VolumeID}" can be reached where it is: see volume move`);
  }
  if (Force === true) return { ...named, TargetNodeID: target, Keep: !isReachable };
  const lost = `what was written to volume "${VolumeID}" since backup ${snapshot.ID.slice(0, 8)}, made ${ageOf(snapshot, nowMs)} ago, is lost`;
  const where = isReachable ? '' : 'no node that reaches it is ready. ';
  throw new MeshError('E_CONFLICT', `${where}${lost}: say so with -force, or restore beside it with -as`);
}

/** Where a CSI volume is moved to. Throws what is in the way. */
export function csiMoveGoal(
  state: StateSnapshot,
  { subject, how }: { subject: Subject; how: ArchivedCsiVolume },
  target: string,
): Goal {
  const volume = state.csiVolumeById(subject.Namespace, subject.VolumeID);
  if (!volume) throw new MeshError('E_NOT_FOUND', `volume "${subject.Name}" was deleted: only its backups are left`);
  requireCsiBackup(state, subject.Name, how);
  const node = findNode(state, target);
  if (reaches(node, how.PluginID, volume)) {
    throw new MeshError('E_BAD_REQUEST', `volume "${volume.ID}" can be used on node ${node.Name} where it is`);
  }
  refuseClaims(volume);
  const { ID: TargetNodeID } = chooseCsiNode(state, { pluginId: how.PluginID, wanted: node, worth: () => 0 });
  return { TargetNodeID, TargetVolumeID: volume.ID, TargetName: volume.ID };
}

function refuseClaims({ ID, Claims }: StoredCsiVolume): void {
  const [claim] = Object.values(Claims);
  if (claim)
    throw new MeshError(
      'E_CONFLICT',
      `volume "${ID}" is in use: it is held by ${describeClaim(claim)}; stop its job first`,
    );
}
