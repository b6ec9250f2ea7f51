import type { Allocation, AllocClientStatus } from '../../structs/allocation.js';
import type { Deployment, DeploymentStatusUpdate } from '../../structs/deployment.js';
import type { DesiredUpdates, Evaluation } from '../../structs/evaluation.js';
import type { TaskGroup } from '../../structs/job.js';

/** Why an allocation is stopped, in the words `alloc status` shows. */
export const STOP_REASON = {
  notNeeded: 'alloc not needed due to job update',
  jobStopped: 'alloc not needed as job is stopped',
  migrating: 'alloc is being migrated',
  updating: 'alloc is being updated due to job update',
  lost: 'alloc is lost since its node is down',
  rescheduled: 'alloc was rescheduled because it failed',
  reconnected: 'alloc not needed since another of its name runs on after a reconnect',
  nodeTainted: 'alloc not needed as node is tainted',
} as const;

/** An allocation to stop. */
export interface Stop {
  readonly alloc: Allocation;
  readonly description: string;
  /** Set when the client will not say so itself: its node is lost. */
  readonly clientStatus: AllocClientStatus | null;
  /** The evaluation that looks again once its client must have stopped it. */
  readonly followupEvalId?: string;
}

/** An allocation to make. */
export interface Placement {
  readonly name: string;
  readonly group: TaskGroup;
  /** The one it takes the place of, if any. */
  readonly previous: Allocation | null;
  readonly reschedule: boolean;
  readonly lost: boolean;
  readonly canary: boolean;
  /** Must run the job as it was before the update that canaries are trying out. */
  readonly downgrade: boolean;
  /** Stopped in the same plan once a node is found, and left running if none is. */
  readonly replaces: Stop | null;
}

/** What a job needs to become what it should be. Nothing of it has been done. */
export interface Reconciliation {
  readonly place: Placement[];
  readonly stop: Stop[];
  /** Allocations that take the new job without a restart: old → job. */
  readonly inPlace: Allocation[];
  /** Allocations whose bookkeeping alone changes. */
  readonly attributeUpdates: Allocation[];
  /** A new roll-out. */
  readonly deployment: Deployment | null;
  /** The roll-out that new allocations belong to: the new one, or an active one. */
  readonly deploymentId: string;
  readonly deploymentUpdates: DeploymentStatusUpdate[];
  readonly followups: Evaluation[];
  readonly desired: Record<string, DesiredUpdates>;
}

/** All zeros. */
export function noUpdates(): DesiredUpdates {
  return {
    Ignore: 0,
    Place: 0,
    Migrate: 0,
    Stop: 0,
    InPlaceUpdate: 0,
    DestructiveUpdate: 0,
    Canary: 0,
    Preemptions: 0,
    Disconnect: 0,
    Reconnect: 0,
    RescheduleNow: 0,
    RescheduleLater: 0,
  };
}
