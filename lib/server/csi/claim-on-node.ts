import type { CsiClaim, StoredCsiVolume } from '../../structs/csi.js';
import type { ClaimOnNode } from '../../structs/rpc-volume.js';

/** What the node of a claim is told to find the volume by. */
export function claimOnNode(volume: StoredCsiVolume, claim: CsiClaim): ClaimOnNode {
  return {
    NodeID: claim.NodeID,
    PluginID: volume.PluginID,
    Namespace: volume.Namespace,
    VolumeID: volume.ID,
    ExternalID: volume.ExternalID,
    AllocID: claim.AllocationID,
    AccessMode: claim.AccessMode,
    AttachmentMode: claim.AttachmentMode,
    ReadOnly: claim.Mode === 'read',
  };
}
