import type { Allocation } from './allocation.js';
import type { CsiVolume } from './csi.js';
import type { Deployment } from './deployment.js';
import type { Evaluation } from './evaluation.js';
import type { HostVolume } from './host-volume.js';
import type { Job } from './job.js';
import type { Node } from './node.js';
import type { NodePool } from './node-pool.js';
import type { ServiceRegistration } from './service.js';
import type { VariableMetadata } from './variable.js';

/** What events are about. Those after Variable are Nomad's too; nothing here is ever said of them. */
export const EVENT_TOPICS = [
  'Deployment',
  'Evaluation',
  'Allocation',
  'Job',
  'Node',
  'NodePool',
  'Service',
  'HostVolume',
  'CSIVolume',
  'Variable',
  'CSIPlugin',
  'Operator',
  'ACLPolicy',
  'ACLToken',
  'ACLRole',
  'ACLAuthMethod',
  'ACLBindingRule',
] as const;

export type EventTopic = (typeof EVENT_TOPICS)[number];

/** The thing as it is after the change, or as it was before it was deleted. */
export type EventPayload =
  | { Job: Job; Deleted?: true }
  | { Evaluation: Evaluation }
  | { Allocation: Allocation }
  | { Deployment: Deployment }
  | { Node: Node }
  | { NodePool: NodePool }
  | { Service: ServiceRegistration }
  | { Volume: HostVolume | CsiVolume }
  | { Metadata: VariableMetadata; Deleted: boolean };

/** One change of the state, as `/v1/event/stream` tells it. */
export interface StreamEvent {
  Topic: EventTopic;
  /** What made it, as Nomad calls it: JobRegistered, PlanResult, NodeDrain … */
  Type: string;
  /** Id of the thing; a name for node pools, a path for variables. */
  Key: string;
  /** Empty for what is in none. */
  Namespace: string;
  /** Other names by which it may be asked for. */
  FilterKeys: string[] | null;
  Index: number;
  Payload: EventPayload;
}
