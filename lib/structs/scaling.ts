import type { Nanos } from '../util/clock.js';

/** One change of a group's count, or the note that there was a reason for none. */
export interface ScalingEvent {
  Time: Nanos;
  /** The count asked for; null = a note only. */
  Count: number | null;
  PreviousCount: number;
  Message: string;
  Error: boolean;
  Meta: Record<string, unknown> | null;
  EvalID: string | null;
  CreateIndex: number;
}

/** The latest scaling events of a job, newest first, by group. */
export interface JobScalingEvents {
  Namespace: string;
  JobID: string;
  ScalingEvents: Record<string, ScalingEvent[]>;
  ModifyIndex: number;
}

/** What scalers ask about a group. */
export interface GroupScaleStatus {
  Desired: number;
  Placed: number;
  Running: number;
  Healthy: number;
  Unhealthy: number;
  Events: ScalingEvent[] | null;
}

export interface JobScaleStatus {
  JobID: string;
  Namespace: string;
  JobCreateIndex: number;
  JobModifyIndex: number;
  JobStopped: boolean;
  TaskGroups: Record<string, GroupScaleStatus>;
}
