import type { Nanos } from '../util/clock.js';
import type { Constraint } from './constraint.js';
import type { AllocListStub } from './rpc.js';
import type { VolumeCapability } from './volume.js';
import type { BackupBlock } from './volume-data.js';

/** `pending`: its node has not reported it yet. `unavailable`: the node is gone or no longer reports it. */
export type HostVolumeState = 'pending' | 'ready' | 'unavailable';

/** A directory of one node that was made through the API (a "dynamic host volume"), as the servers keep it. */
export interface HostVolume {
  Namespace: string;
  ID: string;
  Name: string;
  /** Who makes it; '' for one that was only registered. */
  PluginID: string;
  NodePool: string;
  NodeID: string;
  /** How its node was chosen, when it was not named. */
  Constraints: Constraint[] | null;
  RequestedCapacityMinBytes: number;
  RequestedCapacityMaxBytes: number;
  CapacityBytes: number;
  RequestedCapabilities: VolumeCapability[];
  Parameters: Record<string, string> | null;
  HostPath: string;
  State: HostVolumeState;
  CreateIndex: number;
  ModifyIndex: number;
  CreateTime: Nanos;
  ModifyTime: Nanos;
}

/** As somebody asks for one. */
export type HostVolumeSpec = Partial<HostVolume> & { Backup?: BackupBlock | null };

/** As the API shows one. */
export interface HostVolumeView extends HostVolume {
  /** Who uses it: counted, not stored. */
  Allocations: AllocListStub[];
}

export type HostVolumeListStub = Pick<
  HostVolume,
  | 'Namespace'
  | 'ID'
  | 'Name'
  | 'PluginID'
  | 'NodePool'
  | 'NodeID'
  | 'CapacityBytes'
  | 'State'
  | 'CreateIndex'
  | 'ModifyIndex'
  | 'CreateTime'
  | 'ModifyTime'
>;

/** Holds one allocation of a group (by its name) to the volume it had: `sticky`. Outlives the allocation. */
export interface TaskGroupHostVolumeClaim {
  ID: string;
  Namespace: string;
  JobID: string;
  TaskGroupName: string;
  /** The latest that used it. */
  AllocID: string;
  /** Its name, which its successor will have: `job.group[0]`. */
  AllocName: string;
  VolumeID: string;
  VolumeName: string;
  CreateIndex: number;
  ModifyIndex: number;
}
