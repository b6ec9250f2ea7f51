import type { CsiAccessMode, CsiVolumeCapability } from '../../plugin/sdk/csi.js';
import type { CsiMountOptions, CsiTopology } from '../../structs/csi.js';
import type { VolumeCapability } from '../../structs/volume.js';

/** A capability as plugins are asked for it: `single-node-writer` is SINGLE_NODE_WRITER. */
export function toCsiCapability(
  { AccessMode, AttachmentMode }: VolumeCapability,
  options: CsiMountOptions | null,
): CsiVolumeCapability {
  const accessMode = { mode: AccessMode.toUpperCase().replaceAll('-', '_') as CsiAccessMode };
  if (AttachmentMode === 'block-device') return { block: {}, accessMode };
  const mount = { fsType: options?.FSType ?? '', mountFlags: options?.MountFlags ?? [], volumeMountGroup: '' };
  return { mount, accessMode };
}

export function toCsiTopologies(topologies: CsiTopology[] | null): { segments: Record<string, string> }[] {
  return (topologies ?? []).map(({ Segments }) => ({ segments: Segments }));
}

export function fromCsiTopologies(topologies: { segments: Record<string, string> }[]): CsiTopology[] | null {
  return topologies.length === 0 ? null : topologies.map(({ segments }) => ({ Segments: segments }));
}
