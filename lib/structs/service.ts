import type { Nanos } from '../util/clock.js';

export interface Service {
  Name: string;
  PortLabel: string;
  Provider: 'nomad' | 'consul';
  /** Of the registry: the job's for nomad, "default" for consul. */
  Namespace: string;
  TaskName: string;
  AddressMode: string;
  Address: string;
  Tags: string[] | null;
  CanaryTags: string[] | null;
  EnableTagOverride: boolean;
  Checks: ServiceCheck[] | null;
  CheckRestart: CheckRestart | null;
  Connect: unknown;
  Meta: Record<string, string> | null;
  CanaryMeta: Record<string, string> | null;
  TaggedAddresses: Record<string, string> | null;
  OnUpdate: string;
  Cluster: string;
  Weights: { Passing: number; Warning: number } | null;
  Identity: unknown;
  Kind: string;
}

export interface ServiceCheck {
  Name: string;
  Type: string;
  Command: string;
  Args: string[] | null;
  Path: string;
  Protocol: string;
  PortLabel: string;
  Expose: boolean;
  AddressMode: string;
  Interval: Nanos;
  Timeout: Nanos;
  InitialStatus: string;
  Notes: string;
  TLSServerName: string;
  TLSSkipVerify: boolean;
  Header: Record<string, string[]> | null;
  Method: string;
  CheckRestart: CheckRestart | null;
  GRPCService: string;
  GRPCUseTLS: boolean;
  TaskName: string;
  SuccessBeforePassing: number;
  FailuresBeforeCritical: number;
  FailuresBeforeWarning: number;
  Body: string;
  OnUpdate: string;
}

/** 'pending': it has checks, and not all of them have an answer yet. Without checks a service that runs is passing. */
export type ServiceHealth = 'passing' | 'failing' | 'pending';

/** What a client says of one service of an allocation. */
export interface ServiceReport {
  /** `_nomad-task-ALLOC-TASK-SERVICE-PORT`, `group-GROUP` in place of the task for those of the group. */
  ID: string;
  ServiceName: string;
  Tags: string[] | null;
  Address: string;
  Port: number;
  Health: ServiceHealth;
}

/** One instance of a service, as the catalogue lists it. */
export interface ServiceRegistration extends ServiceReport {
  Namespace: string;
  NodeID: string;
  Datacenter: string;
  JobID: string;
  AllocID: string;
  CreateIndex: number;
  ModifyIndex: number;
}

/** The services of one namespace, by name. */
export interface ServiceListStub {
  Namespace: string;
  /** Tags of all instances, each once. */
  Services: { ServiceName: string; Tags: string[] }[];
}

/** The newest answer of one check, as `alloc checks` shows it. */
export interface CheckStatus {
  ID: string;
  Check: string;
  Group: string;
  /** '' for a service of the group. */
  Task: string;
  Service: string;
  Mode: 'healthiness' | 'readiness';
  Status: 'success' | 'failure' | 'pending';
  /** HTTP status; 0 for other kinds. */
  StatusCode: number;
  Output: string;
  /** Unix seconds. */
  Timestamp: number;
}

export interface CheckRestart {
  Limit: number;
  Grace: Nanos;
  IgnoreWarnings: boolean;
}
