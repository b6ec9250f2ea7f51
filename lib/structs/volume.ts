import type { Nanos } from '../util/clock.js';
import type { CsiAccessMode, CsiAttachmentMode } from './csi.js';

export interface VolumeRequest {
  Name: string;
  Type: 'host' | 'csi' | '';
  Source: string;
  ReadOnly: boolean;
  Sticky: boolean;
  AccessMode: string;
  AttachmentMode: string;
  MountOptions: { FSType: string; MountFlags: string[] | null } | null;
  PerAlloc: boolean;
}

/** The volume that an allocation asks for: with per_alloc it is one for each index, `data[2]`. */
export function volumeSource({ Source, PerAlloc }: VolumeRequest, allocName: string): string {
  return PerAlloc ? `${Source}${/\[\d+\]$/.exec(allocName)?.[0] ?? ''}` : Source;
}

export interface VolumeMount {
  Volume: string;
  Destination: string;
  ReadOnly: boolean;
  PropagationMode: string;
  SELinuxLabel: string;
}

export interface CsiPluginConfig {
  ID: string;
  Type: 'node' | 'controller' | 'monolith';
  MountDir: string;
  StagePublishBaseDir: string;
  HealthTimeout: Nanos;
}

/** One way in which a volume may be used. Host volumes have `file-system` only. */
export interface VolumeCapability {
  AccessMode: CsiAccessMode | HostAccessMode;
  AttachmentMode: CsiAttachmentMode;
}

/** How allocations of one node share a host volume. */
export const HOST_ACCESS_MODES = [
  'single-node-reader-only',
  'single-node-writer',
  'single-node-single-writer',
  'single-node-multi-writer',
] as const;
export type HostAccessMode = (typeof HOST_ACCESS_MODES)[number];
