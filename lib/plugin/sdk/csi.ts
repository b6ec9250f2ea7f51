// The messages of the Container Storage Interface as this program holds them: names in camelCase, 64-bit numbers as
// numbers (exact up to 8 PiB), enums by their names, absent messages null. `lib/plugin/proto/csi.proto` has the wire.

export type CsiAccessMode =
  | 'UNKNOWN'
  | 'SINGLE_NODE_WRITER'
  | 'SINGLE_NODE_READER_ONLY'
  | 'MULTI_NODE_READER_ONLY'
  | 'MULTI_NODE_SINGLE_WRITER'
  | 'MULTI_NODE_MULTI_WRITER'
  | 'SINGLE_NODE_SINGLE_WRITER'
  | 'SINGLE_NODE_MULTI_WRITER';

/** How a volume is to be used: as a block device or mounted, and by how many. */
export interface CsiVolumeCapability {
  block?: Record<string, never> | null;
  mount?: { fsType: string; mountFlags: string[]; volumeMountGroup: string } | null;
  accessMode: { mode: CsiAccessMode } | null;
}

/** 0 = not said. */
export interface CsiCapacityRange {
  requiredBytes: number;
  limitBytes: number;
}

export interface CsiTopology {
  segments: Record<string, string>;
}

export interface CsiContentSource {
  snapshot?: { snapshotId: string } | null;
  volume?: { volumeId: string } | null;
}

export interface CsiVolume {
  capacityBytes: number;
  volumeId: string;
  volumeContext: Record<string, string>;
  contentSource: CsiContentSource | null;
  accessibleTopology: CsiTopology[];
}

export interface CsiSnapshot {
  sizeBytes: number;
  snapshotId: string;
  sourceVolumeId: string;
  creationTime: { seconds: number; nanos: number } | null;
  readyToUse: boolean;
  groupSnapshotId: string;
}

export interface CsiVolumeCondition {
  abnormal: boolean;
  message: string;
}

export interface CsiVolumeStatus {
  publishedNodeIds: string[];
  volumeCondition: CsiVolumeCondition | null;
}

export interface CsiVolumeUsage {
  available: number;
  total: number;
  used: number;
  unit: 'UNKNOWN' | 'BYTES' | 'INODES';
}

export type CsiPluginCapability =
  | {
      service: {
        type: 'CONTROLLER_SERVICE' | 'VOLUME_ACCESSIBILITY_CONSTRAINTS' | 'GROUP_CONTROLLER_SERVICE' | string;
      };
    }
  | { volumeExpansion: { type: 'ONLINE' | 'OFFLINE' | string } };

type Empty = Record<string, never>;
type Secrets = Record<string, string>;
type Words = Record<string, string>;
type Rpc = { rpc: { type: string } | null };

/** Every method by its service and name, with what it takes and gives. */
export interface CsiMethods {
  'Identity.GetPluginInfo': [Empty, { name: string; vendorVersion: string; manifest: Words }];
  'Identity.GetPluginCapabilities': [Empty, { capabilities: CsiPluginCapability[] }];
  /** `ready` null counts as true. */
  'Identity.Probe': [Empty, { ready: { value: boolean } | null }];
  'Controller.CreateVolume': [
    {
      name: string;
      capacityRange: CsiCapacityRange | null;
      volumeCapabilities: CsiVolumeCapability[];
      parameters: Words;
      secrets: Secrets;
      volumeContentSource: CsiContentSource | null;
      accessibilityRequirements: { requisite: CsiTopology[]; preferred: CsiTopology[] } | null;
    },
    { volume: CsiVolume | null },
  ];
  'Controller.DeleteVolume': [{ volumeId: string; secrets: Secrets }, Empty];
  'Controller.ControllerPublishVolume': [
    {
      volumeId: string;
      nodeId: string;
      volumeCapability: CsiVolumeCapability | null;
      readonly: boolean;
      secrets: Secrets;
      volumeContext: Words;
    },
    { publishContext: Words },
  ];
  'Controller.ControllerUnpublishVolume': [{ volumeId: string; nodeId: string; secrets: Secrets }, Empty];
  'Controller.ValidateVolumeCapabilities': [
    {
      volumeId: string;
      volumeContext: Words;
      volumeCapabilities: CsiVolumeCapability[];
      parameters: Words;
      secrets: Secrets;
    },
    {
      confirmed: { volumeContext: Words; volumeCapabilities: CsiVolumeCapability[]; parameters: Words } | null;
      message: string;
    },
  ];
  'Controller.ListVolumes': [
    { maxEntries: number; startingToken: string },
    { entries: { volume: CsiVolume | null; status: CsiVolumeStatus | null }[]; nextToken: string },
  ];
  'Controller.GetCapacity': [
    { volumeCapabilities: CsiVolumeCapability[]; parameters: Words; accessibleTopology: CsiTopology | null },
    { availableCapacity: number; maximumVolumeSize: { value: number } | null },
  ];
  'Controller.ControllerGetCapabilities': [Empty, { capabilities: Rpc[] }];
  'Controller.CreateSnapshot': [
    { sourceVolumeId: string; name: string; secrets: Secrets; parameters: Words },
    { snapshot: CsiSnapshot | null },
  ];
  'Controller.DeleteSnapshot': [{ snapshotId: string; secrets: Secrets }, Empty];
  'Controller.ListSnapshots': [
    { maxEntries: number; startingToken: string; sourceVolumeId: string; snapshotId: string; secrets: Secrets },
    { entries: { snapshot: CsiSnapshot | null }[]; nextToken: string },
  ];
  'Controller.ControllerExpandVolume': [
    {
      volumeId: string;
      capacityRange: CsiCapacityRange | null;
      secrets: Secrets;
      volumeCapability: CsiVolumeCapability | null;
    },
    { capacityBytes: number; nodeExpansionRequired: boolean },
  ];
  'Controller.ControllerGetVolume': [
    { volumeId: string },
    { volume: CsiVolume | null; status: CsiVolumeStatus | null },
  ];
  'Node.NodeStageVolume': [
    {
      volumeId: string;
      publishContext: Words;
      stagingTargetPath: string;
      volumeCapability: CsiVolumeCapability | null;
      secrets: Secrets;
      volumeContext: Words;
    },
    Empty,
  ];
  'Node.NodeUnstageVolume': [{ volumeId: string; stagingTargetPath: string }, Empty];
  'Node.NodePublishVolume': [
    {
      volumeId: string;
      publishContext: Words;
      stagingTargetPath: string;
      targetPath: string;
      volumeCapability: CsiVolumeCapability | null;
      readonly: boolean;
      secrets: Secrets;
      volumeContext: Words;
    },
    Empty,
  ];
  'Node.NodeUnpublishVolume': [{ volumeId: string; targetPath: string }, Empty];
  'Node.NodeGetVolumeStats': [
    { volumeId: string; volumePath: string; stagingTargetPath: string },
    { usage: CsiVolumeUsage[]; volumeCondition: CsiVolumeCondition | null },
  ];
  'Node.NodeExpandVolume': [
    {
      volumeId: string;
      volumePath: string;
      capacityRange: CsiCapacityRange | null;
      stagingTargetPath: string;
      volumeCapability: CsiVolumeCapability | null;
      secrets: Secrets;
    },
    { capacityBytes: number },
  ];
  'Node.NodeGetCapabilities': [Empty, { capabilities: Rpc[] }];
  'Node.NodeGetInfo': [Empty, { nodeId: string; maxVolumesPerNode: number; accessibleTopology: CsiTopology | null }];
}

export type CsiMethod = keyof CsiMethods;

/** The names of gRPC's status codes that CSI gives a meaning. */
export type CsiStatus =
  | 'CANCELLED'
  | 'UNKNOWN'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'UNAUTHENTICATED';

/** An answer of a CSI plugin that is an error: thrown by a plugin's methods, and by a call of one. */
export class CsiError extends Error {
  readonly code: CsiStatus;

  constructor(code: CsiStatus, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'CsiError';
    this.code = code;
  }
}
