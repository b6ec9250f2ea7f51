import type { CsiInfo } from './csi.js';
import type { NetworkResource } from './resources.js';
import type { NodeTopology } from './topology.js';

export type NodeStatus = 'initializing' | 'ready' | 'down' | 'disconnected';
export type NodeEligibility = 'eligible' | 'ineligible';

/** A machine that runs allocations. */
export interface Node {
  ID: string;
  /** Proves to the server that a later request comes from the same node; never leaves the server. */
  SecretID: string;
  Name: string;
  Datacenter: string;
  NodeClass: string;
  NodePool: string;
  /** Hash of what placement can see; nodes of one class are judged once. */
  ComputedClass: string;
  /** `host:port` of its HTTP API. */
  HTTPAddr: string;
  TLSEnabled: boolean;
  Attributes: Record<string, string>;
  Meta: Record<string, string> | null;
  Links: Record<string, string> | null;
  NodeResources: NodeResources;
  ReservedResources: NodeReservedResources;
  Drivers: Record<string, DriverInfo>;
  HostVolumes: Record<string, HostVolumeInfo> | null;
  HostNetworks: Record<string, HostNetworkInfo> | null;
  /** How many allocations may be there at once; absent = as many as there is room for. */
  NodeMaxAllocs?: number;
  /** The plugins that answer on this node, by id. */
  CSIControllerPlugins: Record<string, CsiInfo> | null;
  CSINodePlugins: Record<string, CsiInfo> | null;
  Status: NodeStatus;
  StatusDescription: string;
  StatusUpdatedAt: number;
  SchedulingEligibility: NodeEligibility;
  DrainStrategy: DrainStrategy | null;
  Drain: boolean;
  LastDrain: unknown;
  Events: NodeEvent[] | null;
  CreateIndex: number;
  ModifyIndex: number;
}

export interface NodeResources {
  Cpu: { CpuShares: number; TotalCpuCores: number; ReservableCpuCores: number[] | null };
  /** Absent where the client does not tell. */
  Processors?: { Topology: NodeTopology | null };
  Memory: { MemoryMB: number };
  Disk: { DiskMB: number };
  Networks: NetworkResource[] | null;
  NodeNetworks: NodeNetworkResource[] | null;
  Devices: NodeDeviceResource[] | null;
  MinDynamicPort: number;
  MaxDynamicPort: number;
}

export interface NodeNetworkResource {
  Mode: string;
  Device: string;
  MacAddress: string;
  Speed: number;
  Addresses: { Family: 'ipv4' | 'ipv6'; Alias: string; Address: string; Gateway: string; ReservedPorts: string }[];
}

export interface NodeDeviceResource {
  Vendor: string;
  Type: string;
  Name: string;
  Instances: { ID: string; Healthy: boolean; HealthDescription: string; Locality: { PciBusID: string } | null }[];
  Attributes: Record<string, { Bool?: boolean; Int?: number; Float?: number; String?: string; Unit?: string }> | null;
}

export interface NodeReservedResources {
  Cpu: { CpuShares: number; ReservedCpuCores?: number[] };
  Memory: { MemoryMB: number };
  Disk: { DiskMB: number };
  Networks: { ReservedHostPorts: string };
}

export interface DriverInfo {
  Detected: boolean;
  Healthy: boolean;
  HealthDescription: string;
  Attributes: Record<string, string> | null;
  /** RFC 3339. */
  UpdateTime: string;
}

/** A host volume as its node has it: one of its configuration, or one made through the API (dynamic). */
export interface HostVolumeInfo {
  Name: string;
  Path: string;
  ReadOnly: boolean;
  /** '' for one of the configuration. */
  ID: string;
}

export interface HostNetworkInfo {
  Name: string;
  CIDR: string;
  Interface: string;
  ReservedPorts: string;
}

export interface DrainStrategy {
  Deadline: number;
  IgnoreSystemJobs: boolean;
  ForceDeadline: string;
  StartedAt: string;
}

export interface NodeEvent {
  Message: string;
  Subsystem: string;
  Details: Record<string, string> | null;
  /** RFC 3339. */
  Timestamp: string;
  CreateIndex: number;
}
