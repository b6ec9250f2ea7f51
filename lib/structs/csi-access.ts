import { assertNever } from '../util/assert.js';
import type { CsiAccessMode, CsiClaim } from './csi.js';

/** How somebody wants to use a volume. */
export type CsiUse = Pick<CsiClaim, 'AllocationID' | 'NodeID' | 'Mode' | 'AccessMode' | 'AttachmentMode'>;

/** The claims that keep another one from being granted; empty = it can be. */
export function claimsInTheWay(
  volume: { readonly Claims: Readonly<Record<string, CsiClaim>> },
  wanted: CsiUse,
): CsiClaim[] {
  const others = Object.values(volume.Claims).filter(({ AllocationID }) => AllocationID !== wanted.AllocationID);
  return others.filter((other) => {
    if (other.AccessMode !== wanted.AccessMode || other.AttachmentMode !== wanted.AttachmentMode) return true;
    // The controller is about to detach the volume from this node: attached now, it would be torn away again.
    if (other.State === 'node-detached' && other.NodeID === wanted.NodeID) return true;
    switch (wanted.AccessMode) {
      case 'single-node-writer':
        return true;
      case 'single-node-reader-only':
        return other.NodeID !== wanted.NodeID;
      case 'multi-node-single-writer':
        return wanted.Mode === 'write' && other.Mode === 'write';
      case 'multi-node-reader-only':
      case 'multi-node-multi-writer':
        return false;
      default:
        return assertNever(wanted.AccessMode);
    }
  });
}

/** Whether a mode of access lets anybody write. */
export function allowsWriting(accessMode: CsiAccessMode): boolean {
  return !accessMode.endsWith('-reader-only');
}

/** Whether two allocations cannot both use a volume like this. */
export function isExclusive(accessMode: string, { readOnly }: { readOnly: boolean }): boolean {
  return accessMode === 'single-node-writer' || (accessMode === 'multi-node-single-writer' && !readOnly);
}
