import type { Millis, Nanos } from '../util/clock.js';
import type { SealedCsiVolumeSpec } from './csi-sealed.js';
import type { AllocListStub } from './rpc.js';
import type { VolumeCapability } from './volume.js';
import type { BackupBlock } from './volume-data.js';

// What the API says of CSI: volumes, plugins, snapshots. Key for key Nomad's; what Nomad does not have says so.

export const CSI_ACCESS_MODES = [
  'single-node-reader-only',
  'single-node-writer',
  'multi-node-reader-only',
  'multi-node-single-writer',
  'multi-node-multi-writer',
] as const;
export type CsiAccessMode = (typeof CSI_ACCESS_MODES)[number];
export const CSI_ATTACHMENT_MODES = ['file-system', 'block-device'] as const;
export type CsiAttachmentMode = (typeof CSI_ATTACHMENT_MODES)[number];

/** Where a volume can be reached from, or where a node is, in the words of its plugin. */
export interface CsiTopology {
  Segments: Record<string, string>;
}

export interface CsiTopologyRequest {
  Required: CsiTopology[] | null;
  Preferred: CsiTopology[] | null;
}

export interface CsiMountOptions {
  FSType: string;
  /** May hold credentials: shown as REDACTED. */
  MountFlags: string[] | null;
}

/** Passed to the plugin and to nobody else: every face shows the keys, and REDACTED for the values. */
export type CsiSecrets = Record<string, string>;

/** What stands in the place of whatever may not be shown. */
export const REDACTED = '[REDACTED]';

/** A volume as it is declared. What is derived (health, allocations) is not in here. */
export interface CsiVolumeSpec {
  ID: string;
  Name: string;
  Namespace: string;
  /** What the plugin calls it; '' until it is created. */
  ExternalID: string;
  PluginID: string;
  RequestedTopologies: CsiTopologyRequest | null;
  /** Where it can be reached from; null or empty = from everywhere. */
  Topologies: CsiTopology[] | null;
  /** '' while nobody holds it: taken over from the first claim. */
  AccessMode: CsiAccessMode | '';
  AttachmentMode: CsiAttachmentMode | '';
  MountOptions: CsiMountOptions | null;
  Secrets: CsiSecrets | null;
  Parameters: Record<string, string> | null;
  /** What the plugin wants to be told with each call. */
  Context: Record<string, string> | null;
  /** Bytes; 0 = not known. */
  Capacity: number;
  RequestedCapacityMin: number;
  RequestedCapacityMax: number;
  RequestedCapabilities: VolumeCapability[];
  CloneID: string;
  SnapshotID: string;
  CreateIndex: number;
  ModifyIndex: number;
  CreateTime: Nanos;
  ModifyTime: Nanos;
}

/** As somebody asks for one. */
export type CsiVolumeRequest = Partial<CsiVolumeSpec> & { Backup?: BackupBlock | null };

/**
 * How far the release of a claim has come. `taken`: held. `unpublishing`: to be unmounted on its node. `node-detached`: the
 * node no longer writes; the controller has still to detach it. After that the claim is no more.
 */
export type CsiClaimState = 'taken' | 'unpublishing' | 'node-detached';

/** Why it is certain that a node no longer writes (an extension). */
export type CsiDetachProof =
  /** It has unmounted the volume, and said so. */
  | 'node'
  /** It has not renewed its lease: it stops what it cannot renew, before the lease ends. */
  | 'lease'
  /** A person answered for it: in logs of older versions, which asked for no more. */
  | 'forced';

/** An allocation's right to use a volume on one node. */
export interface CsiClaim {
  AllocationID: string;
  NodeID: string;
  /** What the plugin calls the node. */
  ExternalNodeID: string;
  Mode: 'read' | 'write';
  AccessMode: CsiAccessMode;
  AttachmentMode: CsiAttachmentMode;
  State: CsiClaimState;
  /**
   * Rises with every claim of every volume: index of the log entry that granted it. A node that is asked to let go refuses what has a
   * lower one than it knows of that claim. Orders to attach and detach have fences of the same kind, each the index at which the
   * leader was sure of it, and whoever is asked refuses one below the highest it has seen for that volume and node: one of a leader
   * that was, or a message that comes late.
   */
  Fence: number;
  /** The controller attaches and detaches the volume: it must do so before the claim ends. */
  ControllerRequired: boolean;
  TakenAt: Millis;
  /** 0 while it is held. */
  ReleasedAt: Millis;
  Proof: CsiDetachProof | '';
  /** What its release waits for, since when, and the latest failure; '' and 0 while it waits for nothing. */
  WaitsFor: string;
  WaitsSince: Millis;
  /** Given with `volume detach -force`; '' = nobody forced it. */
  ForcedReason: string;
}

/** A claim that ended: kept for a while, so that `volume status` can tell who had the volume before. */
export interface CsiPastClaim
  extends Pick<CsiClaim, 'AllocationID' | 'NodeID' | 'Mode' | 'Fence' | 'TakenAt' | 'ReleasedAt' | 'ForcedReason'> {
  Proof: CsiDetachProof;
  FreedAt: Millis;
}

/** What the servers keep of a volume. */
export interface StoredCsiVolume extends SealedCsiVolumeSpec {
  /** By allocation. */
  Claims: Record<string, CsiClaim>;
  PastClaims: CsiPastClaim[];
}

/** Health of a plugin, counted from the nodes that are alive whenever it is asked for; never stored. */
export interface CsiPluginHealth {
  Provider: string;
  ControllerRequired: boolean;
  ControllersHealthy: number;
  ControllersExpected: number;
  NodesHealthy: number;
  NodesExpected: number;
}

/** A volume as the API shows it. */
export interface CsiVolume extends CsiVolumeSpec, CsiPluginHealth {
  ReadAllocs: Record<string, AllocListStub | null>;
  WriteAllocs: Record<string, AllocListStub | null>;
  Allocations: AllocListStub[];
  /** A group that asks for it can be placed, as far as the plugin goes. */
  Schedulable: boolean;
  ProviderVersion: string;
  /** RFC 3339; always the zero time. */
  ResourceExhausted: string;
  /** Who holds it, since when, and what each release waits for: an extension. */
  Claims: CsiClaim[];
  PastClaims: CsiPastClaim[];
  /** Why Schedulable is false, '' otherwise: an extension. */
  SchedulableReason: string;
}

export interface CsiVolumeListStub
  extends Pick<
      CsiVolume,
      | 'ID'
      | 'Namespace'
      | 'Name'
      | 'ExternalID'
      | 'Topologies'
      | 'AccessMode'
      | 'AttachmentMode'
      | 'Schedulable'
      | 'PluginID'
      | 'ResourceExhausted'
      | 'CreateIndex'
      | 'ModifyIndex'
      | 'CreateTime'
      | 'ModifyTime'
    >,
    CsiPluginHealth {
  CurrentReaders: number;
  CurrentWriters: number;
}

/** A volume that the storage provider has, whether the servers know it or not. */
export interface CsiExternalVolume {
  ExternalID: string;
  CapacityBytes: number;
  VolumeContext: Record<string, string> | null;
  CloneID: string;
  SnapshotID: string;
  PublishedExternalNodeIDs: string[] | null;
  IsAbnormal: boolean;
  Status: string;
}

export interface CsiSnapshot {
  ID: string;
  ExternalSourceVolumeID: string;
  SizeBytes: number;
  /** Seconds since the epoch, as Nomad tells it. */
  CreateTime: number;
  IsReady: boolean;
  SourceVolumeID: string;
  PluginID: string;
  Name: string;
  Secrets: CsiSecrets | null;
  Parameters: Record<string, string> | null;
}

/** One instance of a plugin on one node, as the node reports it. */
export interface CsiInfo {
  PluginID: string;
  /** The allocation that runs it; '' for one that runs outside. */
  AllocID: string;
  Healthy: boolean;
  HealthDescription: string;
  /** RFC 3339. */
  UpdateTime: string;
  /** GetPluginInfo's name and version. */
  Provider: string;
  ProviderVersion: string;
  RequiresControllerPlugin: boolean;
  RequiresTopologies: boolean;
  ControllerInfo: CsiControllerInfo | null;
  NodeInfo: CsiNodeInfo | null;
}

export interface CsiControllerInfo {
  SupportsCreateDelete: boolean;
  SupportsAttachDetach: boolean;
  SupportsListVolumes: boolean;
  SupportsGetCapacity: boolean;
  SupportsCreateDeleteSnapshot: boolean;
  SupportsListSnapshots: boolean;
  SupportsClone: boolean;
  SupportsReadOnlyAttach: boolean;
  SupportsExpand: boolean;
  SupportsListVolumesAttachedNodes: boolean;
  SupportsCondition: boolean;
  SupportsGet: boolean;
}

export interface CsiNodeInfo {
  /** What the plugin calls this node. */
  ID: string;
  /** 0 = as many as one likes. */
  MaxVolumes: number;
  AccessibleTopology: CsiTopology | null;
  RequiresNodeStageVolume: boolean;
  SupportsStats: boolean;
  SupportsExpand: boolean;
  SupportsCondition: boolean;
}

/** How full a volume is and whether it is well, as the plugin of a node that uses it says. */
export interface CsiVolumeStats {
  /** Empty where the plugin does not tell. Units are BYTES and INODES. */
  Usage: { Unit: string; Total: number; Used: number; Available: number }[];
  /** Null where the plugin does not tell. */
  Condition: { Abnormal: boolean; Message: string } | null;
}

/** The same of one allocation that uses it. */
export interface CsiVolumeUse extends CsiVolumeStats {
  AllocationID: string;
  NodeID: string;
  /** Why nothing is known; '' = it is. */
  Error: string;
}

/** How much more a plugin says that it can hold: an extension. */
export interface CsiCapacity {
  /** Where that is; null = wherever the plugin is. */
  Topology: CsiTopology | null;
  /** Bytes for volumes that are yet to be made. */
  Available: number;
  /** Bytes of the largest one volume; 0 = it does not say. */
  MaximumVolume: number;
  /** Why nothing is known; '' = it is. */
  Error: string;
}

/** What the storage itself says of a volume, whoever uses it: an extension. */
export interface CsiVolumeAtStorage {
  /** `lost`: it was there, and its plugin knows it no more. `unknown`: nothing is known, see Reason. */
  State: 'known' | 'lost' | 'unknown';
  Reason: string;
  /** Bytes; 0 = it does not say. */
  CapacityBytes: number;
  /** Null where the plugin does not tell. */
  Condition: { Abnormal: boolean; Message: string } | null;
  /** The nodes that it is attached to, as the plugin calls them; null where it does not tell. */
  Published: CsiPublication[] | null;
}

export interface CsiPublication {
  ExternalNodeID: string;
  /** '' = no node of this mesh. */
  NodeID: string;
  /** Whether some claim accounts for it. */
  IsClaimed: boolean;
}

/** A plugin: all its instances together. */
export interface CsiPlugin extends CsiPluginHealth {
  ID: string;
  Version: string;
  /** By node. */
  Controllers: Record<string, CsiInfo>;
  Nodes: Record<string, CsiInfo>;
  Allocations: AllocListStub[];
  CreateIndex: number;
  ModifyIndex: number;
  CreateTime: Nanos;
  ModifyTime: Nanos;
}

export interface CsiPluginListStub extends CsiPluginHealth {
  ID: string;
  /** Names of the drivers that run under the id, where there are several, which is a mistake: an extension. */
  Providers?: string[];
  CreateIndex: number;
  ModifyIndex: number;
  CreateTime: Nanos;
  ModifyTime: Nanos;
}
