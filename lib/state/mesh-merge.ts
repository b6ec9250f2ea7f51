import type { MeshInfo, MeshMember } from '../structs/mesh.js';
import type { Tables } from './schema.js';

/**
 * The mesh after a snapshot was restored into it: of those who are in it now nobody is put out by that, and nobody comes back
 * who was put out since. From a snapshot of the same mesh come those whom it does not know (it was founded again after all its
 * servers were lost, or its newest members were lost with their log). Writes to the tables of `present`.
 */
export function mergeMesh(present: Tables, restored: Tables, epoch: number): void {
  const [now, then] = [present.mesh.value, restored.mesh.value];
  if (now === null || then === null || now.Root !== then.Root) return;
  for (const tombstone of restored.mesh_tombstones.values()) {
    const isKnown = present.mesh_tombstones.get(tombstone.Key) ?? present.mesh_members.get(tombstone.Key);
    if (!isKnown) present.mesh_tombstones.put(tombstone, epoch);
  }
  for (const member of restored.mesh_members.values()) {
    const returned = returning(present, member);
    if (returned) present.mesh_members.put(returned, epoch);
  }
  present.mesh.value = mergedInfo(now, then);
}

/** The member as it comes back; undefined for one that is known, and for one whose invite is gone. */
function returning({ mesh_members, mesh_tombstones }: Tables, member: MeshMember): MeshMember | undefined {
  if (mesh_members.get(member.Key) || member.Status === 'pending') return undefined;
  if (mesh_tombstones.get(member.Key)) return { ...member, Status: 'revoked', Chain: [] };
  // Another machine has the name now: that of a server which was lost.
  const isTaken = mesh_members.under('name', member.Name).length > 0;
  return isTaken && member.Status === 'admitted' ? { ...member, Status: 'left', Chain: [] } : member;
}

/** A mesh that was founded again is found where its members look for it, and goes by its old name. */
function mergedInfo(now: MeshInfo, then: MeshInfo): MeshInfo {
  const NextSerial = Math.max(now.NextSerial, then.NextSerial);
  if (now.CreatedAt <= then.CreatedAt) return { ...now, NextSerial };
  const { Name, CreatedAt, DiscoverySecrets } = then;
  const DiscoveryEpoch = Math.max(now.DiscoveryEpoch, then.DiscoveryEpoch) + 1;
  return { ...now, Name, CreatedAt, DiscoverySecrets, DiscoveryEpoch, NextSerial };
}
