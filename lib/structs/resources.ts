import type { Affinity, Constraint } from './constraint.js';

/** What a task asks for. */
export interface Resources {
  /** MHz. */
  CPU: number;
  Cores: number;
  MemoryMB: number;
  /** 0 = same as MemoryMB, −1 = unlimited. */
  MemoryMaxMB: number;
  DiskMB: number;
  IOPS: number;
  SecretsMB: number;
  /** Legacy, task level; groups carry networks today. */
  Networks: NetworkResource[] | null;
  Devices: RequestedDevice[] | null;
  NUMA: { Affinity: string; Devices: string[] | null } | null;
}

export interface RequestedDevice {
  /** type, vendor/type or vendor/type/model. */
  Name: string;
  Count: number;
  Constraints: Constraint[] | null;
  Affinities: Affinity[] | null;
  /** An extension: percent of each instance (by its memory) instead of the whole; left out when not given. */
  Share?: number;
  /** An extension: MiB of each instance's memory instead of the whole; left out when not given. */
  MemoryMB?: number;
}

export interface Port {
  Label: string;
  /** Host port: asked for (static) or given by the scheduler. */
  Value: number;
  /** Port inside the network namespace or container; −1 = same as the host port, 0 = not mapped. */
  To: number;
  HostNetwork: string;
  IgnoreCollision: boolean;
}

export interface NetworkResource {
  Mode: string;
  Device: string;
  CIDR: string;
  IP: string;
  Hostname: string;
  MBits: number | null;
  DNS: { Servers: string[] | null; Searches: string[] | null; Options: string[] | null } | null;
  ReservedPorts: Port[] | null;
  DynamicPorts: Port[] | null;
  CNI: { Args: Record<string, string> } | null;
}

/** A port as mapped for an allocation: what NOMAD_PORT_x and the like are made from. */
export interface AllocatedPort {
  Label: string;
  Value: number;
  To: number;
  HostIP: string;
  IgnoreCollision: boolean;
}

export interface AllocatedDevice {
  Vendor: string;
  Type: string;
  Name: string;
  DeviceIDs: string[];
  /** MiB of each of them that is the task's; absent: they are its alone. */
  MemoryMB?: number;
  /** Percent of each, where that was asked for. */
  Share?: number;
}

export interface AllocatedTaskResources {
  Cpu: { CpuShares: number; ReservedCores: number[] | null };
  Memory: { MemoryMB: number; MemoryMaxMB: number };
  Networks: NetworkResource[] | null;
  Devices: AllocatedDevice[] | null;
}

export interface AllocatedResources {
  Tasks: Record<string, AllocatedTaskResources>;
  TaskLifecycles: Record<string, { Hook: string; Sidecar: boolean } | null> | null;
  Shared: {
    DiskMB: number;
    Networks: NetworkResource[] | null;
    Ports: AllocatedPort[] | null;
  };
}
