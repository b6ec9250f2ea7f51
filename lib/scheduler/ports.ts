import type { Allocation } from '../structs/allocation.js';
import type { StoredCsiVolume } from '../structs/csi.js';
import type { Deployment } from '../structs/deployment.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { HostVolume, TaskGroupHostVolumeClaim } from '../structs/host-volume.js';
import type { Job } from '../structs/job.js';
import type { Node } from '../structs/node.js';
import type { NodePool } from '../structs/node-pool.js';
import type { Plan, PlanResult } from '../structs/plan.js';
import type { SchedulerConfiguration } from '../structs/rpc.js';

/** The whole world a scheduler sees: an immutable snapshot of the state. Nothing it returns may be changed. */
export interface StateReader {
  /** Raft index of the snapshot. */
  readonly index: number;
  /**
   * Any object that is the same one as long as no node has changed (the nodes' table itself, say): what is derived from all
   * nodes is then kept from one evaluation to the next. Without it, it is derived anew.
   */
  readonly nodesVersion?: object | undefined;
  nodes(): Iterable<Node>;
  nodeById(id: string): Node | undefined;
  jobById(namespace: string, id: string): Job | undefined;
  jobByVersion(namespace: string, id: string, version: number): Job | undefined;
  allocById(id: string): Allocation | undefined;
  allocsByJob(namespace: string, jobId: string): readonly Allocation[];
  /** Those of allocsByJob, one by one, for there may be very many. Without it, they come as one array. */
  eachAllocOfJob?(namespace: string, jobId: string): Iterable<Allocation>;
  allocsByNode(nodeId: string): readonly Allocation[];
  /**
   * MHz, MiB of memory and MiB of disk in use on a node, of all allocations whose end its client has not reported; and how
   * many of these hold cores or devices. Without it, they are added up from allocsByNode.
   */
  usageByNode?(nodeId: string): readonly number[];
  /**
   * Numbers of the ports that the same allocations hold and do not share, ascending, whatever the address: one that is not
   * among them is free on all. Without it, allocsByNode is looked through.
   */
  portsByNode?(nodeId: string): Uint16Array;
  latestDeploymentByJob(namespace: string, jobId: string): Deployment | undefined;
  schedulerConfig(): SchedulerConfiguration;
  /** A pool may schedule differently; without it, none does. */
  nodePoolByName?(name: string): NodePool | undefined;
  // Volumes; without these there are none.
  csiVolumeById?(namespace: string, id: string): StoredCsiVolume | undefined;
  /** Those that somebody holds. */
  claimedCsiVolumes?(): readonly StoredCsiVolume[];
  /** Allocations of a namespace that are to run and ask for CSI volumes. */
  allocsWithCsi?(namespace: string): readonly Allocation[];
  hostVolumeById?(id: string): HostVolume | undefined;
  /** What the allocations of a group are held to. */
  hostVolumeClaimsByGroup?(namespace: string, jobId: string, group: string): readonly TaskGroupHostVolumeClaim[];
}

/** What a scheduler may ask for. */
export interface Planner {
  /** Hands in a plan; `state` is a fresher snapshot when part of it was refused. */
  submitPlan(plan: Plan): Promise<{ result: PlanResult; state: StateReader | null }>;
  /** Records the outcome of the evaluation at hand. */
  updateEval(evaluation: Evaluation): Promise<void>;
  /** Adds a follow-up: a blocked evaluation, or one with WaitUntil. */
  createEval(evaluation: Evaluation): Promise<void>;
  /** Puts the evaluation at hand, already blocked, back among the blocked ones with its new eligibility. */
  reblockEval(evaluation: Evaluation): Promise<void>;
}
