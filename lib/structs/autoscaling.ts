// What the autoscaler, its pure core and its plugins speak of. Nomad's autoscaler has the same words (policy checks, actions).

/** A figure and when it was taken. */
export interface Metric {
  /** Since 1970. */
  timestampMs: number;
  value: number;
}

/** From and to are both included. */
export interface TimeRange {
  fromMs: number;
  toMs: number;
}

export type ScaleDirection = 'down' | 'none' | 'up';

/** What a strategy wants of a target. */
export interface ScalingAction {
  /** How many there should be; −1 in a dry run, when a target must change nothing. */
  count: number;
  direction: ScaleDirection;
  /** Why, for a person. */
  reason: string;
  /** `reason` tells of something that went wrong. */
  error: boolean;
  /** Further facts for the target and for the job's scaling events; JSON values. */
  meta: Record<string, unknown>;
}

/** One check of a policy, as its plugins are told of it. */
export interface ScalingCheck {
  name: string;
  /** The APM to ask. */
  source: string;
  query: string;
  queryWindowMs: number;
  strategy: { name: string; config: Record<string, string> };
}

/** What a target says of itself. */
export interface TargetStatus {
  /** False while it must not be scaled: an earlier change is under way. */
  ready: boolean;
  count: number;
  /** `nomad_autoscaler.last_event`: when it was last scaled, nanoseconds since 1970. */
  meta: Record<string, string>;
}

/** The variable by which autoscalers of processes of their own agree on who acts; Nomad's has its lock there too. */
export const AUTOSCALER_LOCK = { Namespace: 'default', Path: 'nomad-autoscaler/lock' } as const;
