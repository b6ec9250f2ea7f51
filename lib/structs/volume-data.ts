import type { Nanos } from '../util/clock.js';
import type { CsiAccessMode, CsiTopology, CsiVolumeSpec } from './csi.js';
import type { SealedText } from './csi-sealed.js';
import type { HostVolume } from './host-volume.js';

// What the servers know of the copies of a volume's data. The data itself lies in hypercores on nodes: one that is written where
// the volume is, and copies of it elsewhere, which only whoever gets the archive's key from the servers can read.

/** How many snapshots are kept for which reason; all 0 = every one. */
export interface BackupKeep {
  Last: number;
  Hourly: number;
  Daily: number;
  Weekly: number;
  Monthly: number;
  Yearly: number;
}

/** The `backup` block of a volume. */
export interface BackupPlan {
  /** A cron expression; '' = only when asked for. */
  Cron: string;
  TimeZone: string;
  /** So many other nodes have a copy. */
  Replicas: number;
  Keep: BackupKeep;
}

/** The same as a volume's specification has it; what is absent is as for volumes that say nothing. */
export interface BackupBlock {
  Cron?: string;
  TimeZone?: string;
  Replicas?: number;
  KeepLast?: number;
  KeepHourly?: number;
  KeepDaily?: number;
  KeepWeekly?: number;
  KeepMonthly?: number;
  KeepYearly?: number;
}

export const KEEP_EVERYTHING: BackupKeep = { Last: 0, Hourly: 0, Daily: 0, Weekly: 0, Monthly: 0, Yearly: 0 };

/** For volumes that say nothing. */
export const DEFAULT_BACKUP_PLAN: BackupPlan = { Cron: '', TimeZone: 'UTC', Replicas: 2, Keep: KEEP_EVERYTHING };

/** What a node says of a snapshot that it has made. */
export interface WrittenSnapshot {
  /** The core that it lies in, in hexadecimal. */
  Core: string;
  /** The block that it hangs from. */
  Block: number;
  /** Blocks of the core with it. */
  Length: number;
  /** SHA-256 of that block in clear. */
  Digest: string;
  /** Files and links; directories are not counted. */
  Files: number;
  Bytes: number;
  /** Bytes of content that no earlier snapshot of the core had. */
  NewBytes: number;
  /** Bytes that were appended. */
  StoredBytes: number;
  /** Names that were left out. */
  Skipped: number;
  /** Files that changed while they were read. */
  Changed: number;
  /** What was left out or changed, the first ones. */
  Notes: string[];
}

/** The core of a snapshot, and the snapshot in it. */
export type SnapshotPlace = Pick<WrittenSnapshot, 'Core' | 'Block' | 'Length' | 'Digest'>;

export interface VolumeSnapshot extends WrittenSnapshot {
  ID: string;
  /** Where it was made. */
  NodeID: string;
  Reason: 'manual' | 'schedule' | 'move';
  /** Allocations used the volume meanwhile: it has what a power cut would have left, and less where files changed. */
  InUse: boolean;
  CreateTime: Nanos;
}

/** A node that has blocks of a core. */
export interface ArchiveHolder {
  NodeID: string;
  /** It has what is needed of the core up to here; 0: it was chosen, and has not said that yet. */
  Length: number;
  ModifyTime: Nanos;
}

export interface ArchiveCore {
  Key: string;
  /** Who writes it. */
  NodeID: string;
  Length: number;
  /** Snapshots of it were let go, and their blocks not yet. */
  HasGarbage: boolean;
  Holders: ArchiveHolder[];
}

export type VolumeOperationKind = 'backup' | 'restore' | 'move';

/**
 * How far an operation is:
 *   backup:  backup → done
 *   restore: restore → done
 *   move:    backup → restore → done
 */
export type VolumeOperationStep = 'backup' | 'restore' | 'done' | 'failed';

/** Something that is being done with the data of a volume; one at a time. */
export interface VolumeOperation {
  ID: string;
  Kind: VolumeOperationKind;
  Step: VolumeOperationStep;
  Reason: 'manual' | 'schedule';
  /** Where the volume is, or was. */
  NodeID: string;
  /** Where it will be; '' for a backup. */
  TargetNodeID: string;
  /** The snapshot that was made, or is restored. */
  SnapshotID: string;
  /** The volume that comes of it: the same, or a new one beside it. */
  TargetVolumeID: string;
  TargetName: string;
  /** Of a move: what is left of the volume on its old node stays there. */
  Keep: boolean;
  /** What it waits for, or why it failed. */
  Message: string;
  /** The index of the state when it began. */
  StartIndex: number;
  StartTime: Nanos;
  EndTime: Nanos;
}

/** What lies where a volume was before it was taken to another node, or was to be and is not. */
export interface VolumeLeftover {
  NodeID: string;
  VolumeID: string;
  HostPath: string;
  /** The directory is put aside, not removed. */
  Keep: boolean;
  /** Why that could not be done when it was last tried; absent: it was not tried yet, or its node did not say. */
  Message?: string;
}

/** How a volume was made: it can be made again after it, or its node, is gone. */
export type ArchivedVolume = Pick<
  HostVolume,
  | 'PluginID'
  | 'NodePool'
  | 'Parameters'
  | 'RequestedCapacityMinBytes'
  | 'RequestedCapacityMaxBytes'
  | 'RequestedCapabilities'
  | 'Constraints'
>;

/** The same of a CSI volume. Its secrets and mount flags stay with the volume, and go with it. */
export type ArchivedCsiVolume = Pick<
  CsiVolumeSpec,
  | 'PluginID'
  | 'Parameters'
  | 'RequestedCapabilities'
  | 'RequestedCapacityMin'
  | 'RequestedCapacityMax'
  | 'RequestedTopologies'
  | 'Capacity'
> & { FSType: string };

/**
 * What an operation has had a CSI plugin make: a snapshot, and a volume of it that nobody else knows and that one node mounts. It
 * goes when the operation has ended, unless the volume has become one that is known.
 */
export interface VolumeScratch {
  /** The operation's with its step, or with `old`: what stood where a restore has put another one. */
  ID: string;
  PluginID: string;
  /** '' while there is none. */
  SnapshotID: string;
  /** Of the volume at its plugin; '' while there is none. */
  ExternalID: string;
  Context: Record<string, string> | null;
  Topologies: CsiTopology[] | null;
  Capacity: number;
  /** Who was told to mount it; '' = nobody. */
  NodeID: string;
  ExternalNodeID: string;
  AccessMode: CsiAccessMode;
  /** The controller was asked to attach it to that node. */
  Attached: boolean;
  /** For orders to attach and detach it. */
  Fence: number;
}

/** Everything that is known of the copies of one volume. */
export interface VolumeArchive {
  ID: string;
  Namespace: string;
  /** Of a dynamic volume; '' for one of a node's configuration. */
  VolumeID: string;
  Name: string;
  /** Where the volume is; of a CSI volume where its last backup was made, '' before. */
  NodeID: string;
  /** Of a CSI volume, as it was at the last backup; absent: it is a host volume. */
  Csi?: ArchivedCsiVolume;
  /** Of a CSI volume; absent: none. */
  Scratch?: VolumeScratch[];
  /** As it was at the last backup; null for one of a node's configuration. */
  Volume: ArchivedVolume | null;
  Plan: BackupPlan;
  /** 32 bytes in base64, under a root key. */
  Key: SealedText;
  Cores: ArchiveCore[];
  /** The oldest first. */
  Snapshots: VolumeSnapshot[];
  Leftovers: VolumeLeftover[];
  Operation: VolumeOperation | null;
  /** The one before, as it ended. */
  LastOperation: VolumeOperation | null;
  /** The last few before that one, the newest first: who asked for one hears how it ended, though another has followed. Absent: none. */
  EarlierOperations?: VolumeOperation[];
  /** Until here the schedule was followed. */
  ScheduledTime: Nanos;
  CreateIndex: number;
  ModifyIndex: number;
  CreateTime: Nanos;
  ModifyTime: Nanos;
}

/** As the API shows one: its key stays with the servers. */
export type VolumeArchiveView = Omit<VolumeArchive, 'Key'> & {
  /** Of the operation that is under way; null: none is, or its node says nothing. */
  Progress: VolumeProgress | null;
  /** By the id of each snapshot: nodes that are there and have all of it, the one that wrote it among them. */
  Copies: Record<string, string[]>;
  /** What is amiss with the copies; '' when nothing is. */
  Health: string;
  /** When the schedule is due next; 0 = never. */
  NextTime: Nanos;
};

export type VolumeArchiveStub = Omit<
  VolumeArchiveView,
  'Snapshots' | 'Cores' | 'Progress' | 'Leftovers' | 'EarlierOperations'
> & {
  SnapshotCount: number;
  Newest: VolumeSnapshot | null;
};

/** How far a node is with what it was asked to do. */
export interface VolumeProgress {
  /** In words. */
  Phase: string;
  Files: number;
  Bytes: number;
  /** 0: not known. */
  BytesTotal: number;
  NewBytes: number;
  Skipped: number;
  Notes: string[];
}

export const noProgress = (): VolumeProgress => ({
  Phase: 'begins',
  Files: 0,
  Bytes: 0,
  BytesTotal: 0,
  NewBytes: 0,
  Skipped: 0,
  Notes: [],
});
