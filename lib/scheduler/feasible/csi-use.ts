import type { Allocation } from '../../structs/allocation.js';
import type { CsiClaim, StoredCsiVolume } from '../../structs/csi.js';
import { type CsiUse, claimsInTheWay } from '../../structs/csi-access.js';
import { groupOf } from '../../structs/group-of.js';
import { type VolumeRequest, volumeSource } from '../../structs/volume.js';
import { isTerminal } from '../usage.js';

// An allocation claims its CSI volumes when it is started on its node. From its placement until then nobody else may be
// promised what it is about to take: two jobs that are submitted together would both be placed, and one would wait for ever.

const NO_REQUESTS: readonly VolumeRequest[] = [];

/** The CSI volumes that an allocation asks for. */
export function csiRequestsOf({ Job, TaskGroup }: Allocation): readonly VolumeRequest[] {
  const group = groupOf(Job, TaskGroup);
  return group?.Volumes ? Object.values(group.Volumes).filter(({ Type }) => Type === 'csi') : NO_REQUESTS;
}

/** Whether it is to run, and asks for CSI volumes: it has claimed them, or will. */
export function willClaim(alloc: Allocation): boolean {
  return !isTerminal(alloc) && csiRequestsOf(alloc).length > 0;
}

/** How an allocation on a node is going to use a volume. */
export function csiUse(
  { ReadOnly, AccessMode, AttachmentMode }: VolumeRequest,
  NodeID: string,
  AllocationID = '',
): CsiUse {
  return {
    AllocationID,
    NodeID,
    Mode: ReadOnly ? 'read' : 'write',
    AccessMode: AccessMode as CsiUse['AccessMode'],
    AttachmentMode: AttachmentMode as CsiUse['AttachmentMode'],
  };
}

/** How an allocation asks for this volume; undefined = it does not. */
export function requestFor(
  alloc: Allocation,
  { Namespace, ID }: Pick<StoredCsiVolume, 'Namespace' | 'ID'>,
): VolumeRequest | undefined {
  if (alloc.Namespace !== Namespace) return undefined;
  return csiRequestsOf(alloc).find((request) => volumeSource(request, alloc.Name) === ID);
}

/** Whether two allocations cannot have the volume at the same time, as they ask for it. */
export function usesClash(one: CsiUse, other: CsiUse): boolean {
  const claim = { ...other, State: 'taken' } as CsiClaim;
  return claimsInTheWay({ Claims: { [other.AllocationID]: claim } }, one).length > 0;
}

/** Whether one takes the place of the other: it then waits on its node until the volume is free. */
export function isSuccessor(one: Pick<Allocation, 'Namespace' | 'JobID' | 'Name'>, other: typeof one): boolean {
  return one.Namespace === other.Namespace && one.JobID === other.JobID && one.Name === other.Name;
}
