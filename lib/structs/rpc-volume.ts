import type { Millis } from '../util/clock.js';
import type {
  CsiAccessMode,
  CsiAttachmentMode,
  CsiCapacity,
  CsiClaim,
  CsiExternalVolume,
  CsiMountOptions,
  CsiPlugin,
  CsiPluginListStub,
  CsiSecrets,
  CsiSnapshot,
  CsiTopology,
  CsiTopologyRequest,
  CsiVolume,
  CsiVolumeAtStorage,
  CsiVolumeListStub,
  CsiVolumeRequest,
  CsiVolumeSpec,
  CsiVolumeStats,
  CsiVolumeUse,
} from './csi.js';
import type {
  HostVolume,
  HostVolumeListStub,
  HostVolumeSpec,
  HostVolumeView,
  TaskGroupHostVolumeClaim,
} from './host-volume.js';
import type { Query, Write, WriteOptions } from './rpc-options.js';
import type { VolumeCapability } from './volume.js';

/** A volume as an allocation has it: what finds it among those that are mounted on a node. */
export interface ClaimOnNode {
  NodeID: string;
  PluginID: string;
  Namespace: string;
  VolumeID: string;
  ExternalID: string;
  AllocID: string;
  AccessMode: CsiAccessMode;
  AttachmentMode: CsiAttachmentMode;
  ReadOnly: boolean;
}

/** What a node that claims a volume for an allocation says. */
export interface CsiClaimArgs extends WriteOptions {
  NodeID: string;
  SecretID: string;
  VolumeID: string;
  AllocationID: string;
  Mode: CsiClaim['Mode'];
  AccessMode: CsiAccessMode;
  AttachmentMode: CsiAttachmentMode;
  /** How long the answer may take while somebody else holds the volume; 20 s at most, absent = not at all. */
  WaitMs?: Millis;
}

/** What it needs to stage and publish the volume. */
export interface CsiClaimReply {
  Index: number;
  /** With its secrets and mount flags in clear. */
  Volume: CsiVolumeSpec;
  /** What ControllerPublishVolume answered; empty without a controller. */
  PublishContext: Record<string, string>;
  /** To be told with the claim's end. */
  Fence: number;
}

/** Methods about volumes and plugins, answered by servers. */
export interface VolumeRpcMethods extends ClientVolumeRpcMethods {
  'CSIVolume.List': Query<{ PluginID?: string; NodeID?: string }, { Volumes: CsiVolumeListStub[] }>;
  'CSIVolume.Get': Query<{ ID: string }, { Volume: CsiVolume | null }>;
  /** Makes volumes known that exist already, or changes what may be changed of known ones. */
  'CSIVolume.Register': Write<{ Volumes: CsiVolumeRequest[] }, { Warnings: string }>;
  /** Has the plugin create them (or take over those it has by that name), then registers them; grows known ones. */
  'CSIVolume.Create': Write<{ Volumes: CsiVolumeRequest[] }, { Volumes: CsiVolume[]; Warnings: string }>;
  /** Forgets volumes, not their data. Refused while claimed, unless forced, and then only with a reason. */
  'CSIVolume.Deregister': Write<{ VolumeIDs: string[]; Force?: boolean; Reason?: string }, object>;
  /** Has the plugin delete them, with their data. Refused while claimed. */
  'CSIVolume.Delete': Write<{ VolumeIDs: string[]; Secrets?: CsiSecrets | null }, object>;
  /**
   * Releases what the allocations of a node hold. Forced: what still writes is ended, and neither plugin nor controller has to
   * consent; a node that cannot be asked is waited for until its lease is over.
   */
  'CSIVolume.Detach': Write<{ VolumeID: string; NodeID: string; Force?: boolean; Reason?: string }, object>;
  'CSIVolume.Expand': Write<
    { VolumeID: string; CapacityMin: number; CapacityMax: number; Secrets?: CsiSecrets | null },
    { CapacityBytes: number }
  >;
  'CSIVolume.CreateSnapshot': Write<{ Snapshots: Partial<CsiSnapshot>[] }, { Snapshots: CsiSnapshot[] }>;
  'CSIVolume.DeleteSnapshot': Write<{ Snapshots: Partial<CsiSnapshot>[] }, object>;
  'CSIVolume.ListSnapshots': Query<
    { PluginID: string; Secrets?: CsiSecrets | null },
    { Snapshots: CsiSnapshot[]; NextToken: string }
  >;
  /** How full it is and whether it is well, asked now of each node that uses it. */
  'CSIVolume.Stats': Query<{ ID: string }, { Uses: CsiVolumeUse[] }>;
  /** What its plugin's controller knows of it at this moment; waits a few seconds at most. */
  'CSIVolume.AtStorage': Query<{ ID: string }, { AtStorage: CsiVolumeAtStorage }>;
  'CSIVolume.ListExternal': Query<{ PluginID: string }, { Volumes: CsiExternalVolume[]; NextToken: string }>;

  // What a client says; carries the node's SecretID.
  /**
   * Answers once the claim is granted and the controller has attached the volume. The same again is as good as once. E_CONFLICT:
   * somebody else holds it, or the controller cannot attach it yet; ask again. E_BAD_REQUEST, E_NOT_FOUND: never. The answer may be
   * used only while the node's lease has stood since the question was sent (lib/client/volume-lease.ts).
   */
  'CSIVolume.Claim': { args: CsiClaimArgs; reply: CsiClaimReply };
  /** The node has unmounted what the allocation claimed, and no task of it runs. Unknown claims are passed over. */
  'CSIVolume.Unpublish': {
    args: WriteOptions & { NodeID: string; SecretID: string; VolumeID: string; AllocationID: string };
    reply: { Index: number };
  };

  'CSIPlugin.List': Query<object, { Plugins: CsiPluginListStub[] }>;
  'CSIPlugin.Get': Query<{ ID: string }, { Plugin: CsiPlugin | null }>;
  /** How much room it has left, asked now, for each place that it tells apart. Empty: it does not say. Waits a few seconds at most. */
  'CSIPlugin.Capacity': Query<{ ID: string }, { Places: CsiCapacity[] }>;
  /** Refused while instances of it run or volumes need it. */
  'CSIPlugin.Delete': Write<{ ID: string }, object>;

  'HostVolume.List': Query<{ NodeID?: string; NodePool?: string }, { Volumes: HostVolumeListStub[] }>;
  'HostVolume.Get': Query<{ ID: string }, { Volume: HostVolumeView | null }>;
  /** On a node that fits, made by the plugin. Of a known one what is asked for anew is changed on its node. */
  'HostVolume.Create': Write<{ Volume: HostVolumeSpec }, { Volume: HostVolumeView; Warnings: string }>;
  /** Makes one known that lies on a node already. */
  'HostVolume.Register': Write<{ Volume: HostVolumeSpec }, { Volume: HostVolumeView; Warnings: string }>;
  /** With its data, unless it was only registered. Refused while in use. */
  'HostVolume.Delete': Write<{ VolumeID: string; Force?: boolean; Reason?: string }, object>;
  'HostVolume.ClaimList': Query<
    { JobID?: string; TaskGroup?: string; VolumeName?: string },
    { Claims: TaskGroupHostVolumeClaim[] }
  >;
  'HostVolume.ClaimDelete': Write<{ ClaimID: string }, object>;
}

/** A question to the controller that runs on a node. */
interface ToController {
  NodeID: string;
  PluginID: string;
  Forwarded?: boolean;
}

/**
 * Methods a server asks of a node, over its link, and nobody else may. All are idempotent, as the CSI calls behind them are.
 * E_NOT_FOUND: the plugin (or volume) is not there. E_CONFLICT: not now, ask again. E_TOO_LARGE: the storage is full.
 */
export interface ClientVolumeRpcMethods {
  'ClientCSI.ControllerValidate': {
    args: ToController & {
      ExternalID: string;
      Capabilities: VolumeCapability[];
      MountOptions: CsiMountOptions | null;
      Secrets: CsiSecrets | null;
      Parameters: Record<string, string> | null;
      Context: Record<string, string> | null;
    };
    /** '' = confirmed. */
    reply: { Message: string };
  };
  'ClientCSI.ControllerAttach': {
    args: ToController & {
      ExternalID: string;
      ExternalNodeID: string;
      AccessMode: CsiAccessMode;
      AttachmentMode: CsiAttachmentMode;
      MountOptions: CsiMountOptions | null;
      ReadOnly: boolean;
      Secrets: CsiSecrets | null;
      VolumeContext: Record<string, string> | null;
      Fence: number;
    };
    reply: { PublishContext: Record<string, string> };
  };
  'ClientCSI.ControllerDetach': {
    args: ToController & { ExternalID: string; ExternalNodeID: string; Secrets: CsiSecrets | null; Fence: number };
    reply: object;
  };
  'ClientCSI.ControllerCreate': {
    args: ToController & {
      Name: string;
      Capabilities: VolumeCapability[];
      MountOptions: CsiMountOptions | null;
      Parameters: Record<string, string> | null;
      Secrets: CsiSecrets | null;
      CapacityMin: number;
      CapacityMax: number;
      SnapshotID: string;
      CloneID: string;
      RequestedTopologies: CsiTopologyRequest | null;
    };
    reply: {
      ExternalID: string;
      CapacityBytes: number;
      VolumeContext: Record<string, string> | null;
      SnapshotID: string;
      CloneID: string;
      Topologies: CsiTopology[] | null;
    };
  };
  'ClientCSI.ControllerDelete': {
    args: ToController & { ExternalID: string; Secrets: CsiSecrets | null };
    reply: object;
  };
  'ClientCSI.ControllerExpand': {
    args: ToController & {
      ExternalID: string;
      CapacityMin: number;
      CapacityMax: number;
      Secrets: CsiSecrets | null;
      Capability: VolumeCapability | null;
    };
    reply: { CapacityBytes: number; NodeExpansionRequired: boolean };
  };
  'ClientCSI.ControllerListVolumes': {
    args: ToController & { MaxEntries: number; StartingToken: string };
    reply: { Entries: CsiExternalVolume[]; NextToken: string };
  };
  /** Somebody waits for the answer. */
  'ClientCSI.ControllerGetCapacity': {
    args: ToController & {
      /** Of which kind the volume would be; empty = any. */
      Capabilities: VolumeCapability[];
      MountOptions: CsiMountOptions | null;
      Parameters: Record<string, string> | null;
      /** Where; null = wherever the plugin is. */
      Topology: CsiTopology | null;
    };
    reply: Pick<CsiCapacity, 'Available' | 'MaximumVolume'>;
  };
  /** Somebody waits for the answer. Volume null: the plugin has none by that id. */
  'ClientCSI.ControllerGetVolume': {
    args: ToController & { ExternalID: string };
    reply: { Volume: CsiExternalVolume | null };
  };
  'ClientCSI.ControllerCreateSnapshot': {
    args: ToController & {
      ExternalSourceVolumeID: string;
      Name: string;
      Secrets: CsiSecrets | null;
      Parameters: Record<string, string> | null;
    };
    reply: {
      ExternalSourceVolumeID: string;
      ID: string;
      SizeBytes: number;
      /** Seconds since the epoch, here alone: so Nomad tells it. */
      CreateTime: number;
      IsReady: boolean;
    };
  };
  'ClientCSI.ControllerDeleteSnapshot': {
    args: ToController & { ID: string; Secrets: CsiSecrets | null };
    reply: object;
  };
  'ClientCSI.ControllerListSnapshots': {
    args: ToController & { MaxEntries: number; StartingToken: string; Secrets: CsiSecrets | null };
    reply: { Entries: CsiSnapshot[]; NextToken: string };
  };
  /**
   * Unpublishes the volume for the allocation, and unstages it when no other allocation here uses it. E_CONFLICT while a task of
   * the allocation runs (it is being ended, if it was not). A node that knows nothing of it answers as if it had just done it, and
   * from then on uses no claim of this allocation with this fence or a lower one, should the answer to one still come.
   * With a `ForcedReason` it ends the allocation, whose events tell the reason, and unmounts even what the plugin does not.
   */
  'ClientCSI.NodeDetach': {
    args: ClaimOnNode & { Fence: number; ForcedReason?: string; Forwarded?: boolean };
    reply: object;
  };
  /** What the plugin says of a volume that is mounted here. E_NOT_SUPPORTED: it says nothing. */
  'ClientCSI.NodeStats': {
    args: ClaimOnNode & { Forwarded?: boolean };
    reply: CsiVolumeStats;
  };
  'ClientCSI.NodeExpand': {
    args: ClaimOnNode & { CapacityMin: number; CapacityMax: number; Forwarded?: boolean };
    reply: { CapacityBytes: number };
  };

  /** Makes the volume with its plugin, keeps it, and shows it from now on among the node's HostVolumes, with its ID. */
  'ClientHostVolume.Create': {
    args: Pick<
      HostVolume,
      | 'ID'
      | 'Name'
      | 'Namespace'
      | 'PluginID'
      | 'NodeID'
      | 'NodePool'
      | 'RequestedCapacityMinBytes'
      | 'RequestedCapacityMaxBytes'
      | 'Parameters'
    > & { Forwarded?: boolean };
    reply: { HostPath: string; CapacityBytes: number };
  };
  /** Shows a directory that is there among the node's HostVolumes. E_NOT_FOUND when it is not there. */
  'ClientHostVolume.Register': {
    args: Pick<HostVolume, 'ID' | 'Name' | 'Namespace' | 'NodeID' | 'HostPath' | 'CapacityBytes' | 'Parameters'> & {
      Forwarded?: boolean;
    };
    reply: object;
  };
  /** Has the plugin remove it (one that was only registered is merely forgotten). Unknown ones are passed over. */
  'ClientHostVolume.Delete': {
    args: Pick<
      HostVolume,
      'ID' | 'Name' | 'Namespace' | 'PluginID' | 'NodeID' | 'NodePool' | 'HostPath' | 'Parameters'
    > & {
      /** The node forgets it, and leaves what its plugin has made. */
      Force?: boolean;
      Forwarded?: boolean;
    };
    reply: object;
  };
}

/**
 * Leases of claims on volumes. A node renews all of its own with every heartbeat that is answered: from the moment in which it
 * sent that one on. After `stopAfterMs` without renewal it ends every allocation that holds a write claim, which takes at most
 * its kill_timeout (never above 30 s, unless the client's configuration says so); after `passOnAfterMs`, reckoned by a leader
 * from the last heartbeat it heard, or from the beginning of its own rule, the servers may pass the claim on. What lies between
 * is for killing, unmounting and clocks that run at different speeds.
 */
export const VOLUME_LEASE: { readonly stopAfterMs: Millis; readonly passOnAfterMs: Millis } = {
  stopAfterMs: 45_000,
  passOnAfterMs: 90_000,
};
