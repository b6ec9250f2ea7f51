import type { ScalingAction } from './autoscaling.js';
import type { ScalingPolicy } from './job.js';
import type { Query, QueryOptions, WriteOptions } from './rpc-options.js';

/** A scaling policy in a list. */
export type ScalingPolicyStub = Pick<ScalingPolicy, 'ID' | 'Enabled' | 'Type' | 'CreateIndex' | 'ModifyIndex'> & {
  Target: Record<string, string>;
};

/** A line for people who wait. */
export interface ScalingNote {
  /** Higher than that of any note before, as long as the same server leads. */
  Seq: number;
  AtMs: number;
  Text: string;
}

/** How one policy fares with the autoscaler of the leader. */
export interface ScalingStanding {
  ID: string;
  /** 'file': no policy, but a file of policies that could not be read again; its path is the ID. */
  Type: string;
  /** The plugin and what it scales. */
  Target: { Name: string; Config: Record<string, string> };
  Min: number;
  Max: number;
  State: 'idle' | 'evaluating' | 'scaling' | 'disabled' | 'off-schedule' | 'invalid';
  /** Milliseconds since 1970; 0 = none. */
  CooldownUntilMs: number;
  /** What is wrong with the policy as it is now; the last good one is then in force, if there was one. */
  Problems: string[];
  /** What its target said that it does, oldest first; only the latest of this leader. */
  Notes: ScalingNote[];
  /** Null before the first evaluation. */
  Last: {
    AtMs: number;
    Count: number | null;
    Action: ScalingAction | null;
    Reason: string;
    /** What the target said of itself. */
    Meta: Record<string, string>;
    Result: string;
    Checks: { Name: string; Result: string }[];
  } | null;
}

export interface ScalingRpcMethods {
  'Scaling.ListPolicies': Query<{ Job?: string; Type?: string }, { Policies: ScalingPolicyStub[] }>;
  'Scaling.GetPolicy': Query<{ ID: string }, { Policy: (ScalingPolicy & { Namespace: string }) | null }>;
  /** Answered by the leader, where the autoscaler runs, or is told of one that runs elsewhere. */
  'Scaling.Standing': { args: QueryOptions; reply: ScalingStandings };
  /** An autoscaler of its own process says how its policies fare; null: it ends. Forgotten unless it is said again. */
  'Scaling.Report': { args: WriteOptions & { Holder: string; Policies: ScalingStanding[] | null }; reply: object };
}

/** How all policies fare. */
export interface ScalingStandings {
  /** Whether any autoscaler runs. */
  Enabled: boolean;
  /** The process that acts, when it is not the leader itself; '' = the leader. */
  Holder: string;
  Policies: ScalingStanding[];
}
