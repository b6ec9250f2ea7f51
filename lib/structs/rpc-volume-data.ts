import type { CsiAccessMode, CsiSecrets } from './csi.js';
import type { Query, Write } from './rpc-options.js';
import type {
  BackupPlan,
  SnapshotPlace,
  VolumeArchiveStub,
  VolumeArchiveView,
  VolumeOperation,
  VolumeProgress,
  VolumeSnapshot,
  WrittenSnapshot,
} from './volume-data.js';

/** Which volume is meant: one that was made through the API by its id (or the beginning of it), any by its name. */
export interface VolumeName {
  Volume: string;
  /** Where there are several of one name. '' or absent: any. */
  OnNode?: string;
  /** Where a CSI volume and a host volume have one name. '' or absent: any. */
  Type?: '' | 'csi' | 'host';
}

/** A node that has blocks, and the right to copy them. */
export interface BlockHolder {
  NodeID: string;
  Token: string;
}

/** Blocks of a core: from each first number up to but not including the second. */
export type BlockRanges = [start: number, end: number][];

/** What servers want of a node. The same ID again is the same order. */
export type VolumeOrder = { ID: string; ArchiveID: string } & (
  | {
      Kind: 'backup';
      /** 32 bytes in base64. */
      Key: string;
      /** The host volume of the node. */
      Name: string;
      /** Mounted for this, and let go afterwards; absent: the host volume. */
      Csi?: CsiDataMount;
      Previous: SnapshotPlace | null;
    }
  | {
      Kind: 'restore';
      Key: string;
      Snapshot: SnapshotPlace;
      Holders: BlockHolder[];
      Volume: RestoredVolume;
      /** Into this one, whatever is in it; absent: the host volume. */
      Csi?: CsiDataMount;
    }
  /** Has nothing mounted any more of what an order had mounted, which is given up. */
  | { Kind: 'unmount'; Mount: CsiDataPlace }
  /** Forgets a volume that is elsewhere now; its data goes too, or with `Keep` is put aside. */
  | { Kind: 'retire'; VolumeID: string; HostPath: string; Keep: boolean }
  /** Answers which blocks of a core are here. E_NOT_FOUND when it does not go so far here: something was lost. */
  | { Kind: 'list'; Core: string; Length: number }
  /** Has these blocks of a core copied here, and lets go all others. */
  | { Kind: 'hold'; Core: string; Ranges: BlockRanges; Holders: BlockHolder[] }
  /**
   * Lets go what none of these snapshots of a core that the node writes needs; answers what is left. Refused with E_CONFLICT when a
   * later snapshot ends beyond the length: it is not among these, and needs some of it.
   */
  | { Kind: 'prune'; Key: string; Core: string; Length: number; Snapshots: SnapshotPlace[] }
  /** Forgets a core. Refused as a prune is. */
  | { Kind: 'drop'; Core: string; Length: number }
);

/** A CSI volume that is mounted for the sake of its data, and for nobody else. */
export interface CsiDataPlace {
  /** In the place of an allocation's. */
  ID: string;
  PluginID: string;
  ExternalID: string;
  AccessMode: CsiAccessMode;
}

export interface CsiDataMount extends CsiDataPlace {
  FSType: string;
  MountFlags: string[] | null;
  PublishContext: Record<string, string>;
  VolumeContext: Record<string, string> | null;
  Secrets: CsiSecrets | null;
}

/** The volume that comes of a restore. */
export interface RestoredVolume {
  /** '' for one of the node's configuration. */
  ID: string;
  Name: string;
  Namespace: string;
  PluginID: string;
  NodePool: string;
  Parameters: Record<string, string> | null;
  CapacityMinBytes: number;
  CapacityMaxBytes: number;
  /** Whether one is there already, which it takes the place of. */
  Replaces: boolean;
}

/** How an order stands. */
export type VolumeWork =
  | { State: 'running'; Progress: VolumeProgress }
  | {
      State: 'done';
      Snapshot?: WrittenSnapshot;
      HostPath?: string;
      /** What the plugin says of a volume that was made. */
      CapacityBytes?: number;
      Ranges?: BlockRanges;
    }
  /** `Code`: of the error. */
  | { State: 'failed'; Code: string; Message: string };

export interface VolumeDataRpcMethods {
  'VolumeData.List': Query<object, { Archives: VolumeArchiveStub[] }>;
  /** E_NOT_FOUND for a volume that is not known. Archive null: it has none. */
  'VolumeData.Get': Query<VolumeName, { Archive: VolumeArchiveView | null }>;
  /** Begins a backup; the answer is the operation, to be followed by VolumeData.Get. E_CONFLICT: another one is under way. */
  'VolumeData.Backup': Write<VolumeName, { ArchiveID: string; Operation: VolumeOperation }>;
  /** What is to be done without being asked. */
  'VolumeData.SetPlan': Write<VolumeName & { Plan: Partial<BackupPlan> }, { ArchiveID: string }>;
  /**
   * Begins to make the volume again of a snapshot ('' = the newest) on a node ('' = where it is, or one that fits). With `As`
   * beside it, under a new name; else in its place, which needs `Force`: what was written since is lost.
   */
  'VolumeData.Restore': Write<
    VolumeName & { SnapshotID: string; TargetNodeID: string; As: string; Force: boolean },
    { ArchiveID: string; Operation: VolumeOperation; Snapshot: VolumeSnapshot }
  >;
  'VolumeData.Move': Write<
    VolumeName & { TargetNodeID: string; Keep: boolean },
    { ArchiveID: string; Operation: VolumeOperation }
  >;
  /** Forgets snapshots, by the beginning of their ids; or the whole archive with all copies. */
  'VolumeData.Forget': Write<VolumeName & { SnapshotIDs: string[]; All: boolean }, object>;

  /** Asked by servers of a node: begins, or says how far it is. */
  'ClientVolumeData.Work': { args: { NodeID: string; Order: VolumeOrder; Forwarded?: boolean }; reply: VolumeWork };
}

export interface VolumeDataRpcStreams {
  /** A replication of hypercores, as bytes. `Asker`: the node that copies, for which the token was made. */
  'VolumeData.Replicate': {
    args: { NodeID: string; Asker: string; Core: string; Token: string; Forwarded?: boolean };
    input: { Data: Uint8Array };
    output: { Data: Uint8Array };
  };
}
