import type { Allocation } from './allocation.js';
import type { Deployment, DeploymentStatusUpdate } from './deployment.js';
import type { PlanAnnotations } from './evaluation.js';
import type { Job } from './job.js';

/** What a scheduler proposes for one evaluation. The leader re-checks each node against the newest state. */
export interface Plan {
  EvalID: string;
  EvalToken: string;
  Priority: number;
  AllAtOnce: boolean;
  Job: Job | null;
  /** Stops and evictions, by node: allocations with their new desired status and description. */
  NodeUpdate: Record<string, Allocation[]>;
  /** Placements and in-place updates, by node. */
  NodeAllocation: Record<string, Allocation[]>;
  NodePreemptions: Record<string, Allocation[]>;
  /**
   * Of a part of a plan: what parts before it have stopped on a node with which it goes on. The state counts that until its client says that it
   * ended; who comes in its place waits for it in parts as little as together.
   */
  StoppedBefore?: Record<string, readonly Allocation[]>;
  Deployment: Deployment | null;
  DeploymentUpdates: DeploymentStatusUpdate[];
  Annotations: PlanAnnotations | null;
  /** Raft index of the snapshot the scheduler saw. */
  SnapshotIndex: number;
}

/** What the leader accepted of a plan. */
export interface PlanResult {
  NodeUpdate: Record<string, Allocation[]>;
  NodeAllocation: Record<string, Allocation[]>;
  NodePreemptions: Record<string, Allocation[]>;
  Deployment: Deployment | null;
  DeploymentUpdates: DeploymentStatusUpdate[];
  RejectedNodes: string[];
  /** Not 0: part was refused; the scheduler must look again at a state of at least this index. */
  RefreshIndex: number;
  AllocIndex: number;
}
