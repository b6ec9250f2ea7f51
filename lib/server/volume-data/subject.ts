import type { StateSnapshot } from '../../state/store.js';
import { MeshError } from '../../structs/errors.js';
import type { Node } from '../../structs/node.js';
import type { VolumeArchive } from '../../structs/volume-data.js';
import { archivedCsiVolume } from './csi-volume.js';

/** As `volume create` has it. */
export const VOLUME_NAME = /^[A-Za-z0-9._-]{1,128}(\[\d{1,6}\])?$/;

/** A volume that is there, or was. */
export type Subject = Pick<VolumeArchive, 'Namespace' | 'VolumeID' | 'Name' | 'NodeID' | 'Csi'>;

/** Whether the volume is there; of one of a configuration only its node can tell. */
export function isThere(state: StateSnapshot, { Namespace, VolumeID, Csi }: Subject): boolean {
  if (Csi) return state.csiVolumeById(Namespace, VolumeID) !== undefined;
  return VolumeID === '' || state.hostVolumeById(VolumeID) !== undefined;
}

/**
 * The one volume that is meant: by its id, the beginning of it, or its name; one that is deleted by what its copies are kept under. The
 * id of the archive says it too, whatever is called the same meanwhile.
 * Throws E_NOT_FOUND, or E_BAD_REQUEST naming all that could be meant.
 */
export function findSubject(
  state: StateSnapshot,
  namespace: string,
  { volume, onNode, type }: { volume: string; onNode: string; type: string },
): Subject {
  const archive = state.volumeArchiveById(volume);
  if (archive?.Namespace === namespace) return archive;
  const all = [...subjects(state, namespace)].filter(({ NodeID, Csi }) => {
    if (type !== '' && (type === 'csi') !== (Csi !== undefined)) return false;
    return onNode === '' || NodeID.startsWith(onNode) || state.nodeById(NodeID)?.Name === onNode;
  });
  const named = all.filter(({ VolumeID, Name }) => VolumeID === volume || Name === volume);
  const found = named.length > 0 ? named : all.filter(({ VolumeID }) => VolumeID !== '' && VolumeID.startsWith(volume));
  const [first, second] = found;
  if (!first) throw new MeshError('E_NOT_FOUND', `volume "${volume}" not found in namespace "${namespace}"`);
  if (!second) return first;
  const list = found.map(({ VolumeID, Name, NodeID, Csi }) => {
    if (Csi) return `CSI volume ${VolumeID}`;
    const node = state.nodeById(NodeID)?.Name ?? NodeID.slice(0, 8);
    return VolumeID === '' ? `${Name} on node ${node}` : `${VolumeID.slice(0, 8)} (${Name}, on node ${node})`;
  });
  throw new MeshError(
    'E_BAD_REQUEST',
    `"${volume}" could be ${list.join(' or ')}: give the id, the node with -on, or the -type`,
  );
}

function* subjects(state: StateSnapshot, namespace: string): Generator<Subject> {
  const seen = new Set<string>();
  for (const { Namespace, ID, Name, NodeID } of state.hostVolumes({ namespace })) {
    seen.add(ID);
    yield { Namespace, VolumeID: ID, Name, NodeID };
  }
  for (const node of state.nodes()) {
    for (const [Name, { ID }] of Object.entries(node.HostVolumes ?? {})) {
      if (ID !== '') continue;
      seen.add(`${node.ID} ${Name}`);
      yield { Namespace: namespace, VolumeID: '', Name, NodeID: node.ID };
    }
  }
  for (const volume of state.csiVolumes({ namespace })) {
    const subject = { Namespace: namespace, VolumeID: volume.ID, Name: volume.ID, Csi: archivedCsiVolume(volume) };
    seen.add(`csi ${volume.ID}`);
    yield { ...subject, NodeID: state.volumeArchiveOf({ ...subject, NodeID: '' })?.NodeID ?? '' };
  }
  for (const archive of state.volumeArchives()) {
    const { Csi, VolumeID, NodeID, Name } = archive;
    const key = Csi ? `csi ${VolumeID}` : VolumeID || `${NodeID} ${Name}`;
    if (archive.Namespace === namespace && !seen.has(key)) yield archive;
  }
}

/** A node by its id, the beginning of it, or its name. Throws E_BAD_REQUEST. */
export function findNode(state: StateSnapshot, wanted: string): Node {
  const nodes = [...state.nodes()];
  const found = nodes.filter(({ ID, Name }) => ID === wanted || Name === wanted);
  const best = found.length > 0 ? found : nodes.filter(({ ID }) => ID.startsWith(wanted));
  const [first, second] = best;
  if (!first) throw new MeshError('E_BAD_REQUEST', `node "${wanted}" is not known`);
  if (second) throw new MeshError('E_BAD_REQUEST', `several nodes begin with "${wanted}": write more of the id`);
  return first;
}
