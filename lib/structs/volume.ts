import type { Nanos } from '../util/clock.js';

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
