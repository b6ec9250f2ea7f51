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

export interface CheckRestart {
  Limit: number;
  Grace: Nanos;
  IgnoreWarnings: boolean;
}
