/** How large a job may be, which each server may set for itself: `server { job_max_priority … }`. */
export interface JobLimits {
  readonly priorityMax: number;
  /** Allocations of all groups of a job together. */
  readonly countMax: number;
  /** Of the text of a job file, with its variables. */
  readonly sourceBytesMax: number;
}

/** Nomad's, which are in force unless the configuration of a server says otherwise. */
export const JOB_LIMITS: JobLimits = { priorityMax: 100, countMax: 50_000, sourceBytesMax: 1024 * 1024 };

/** No server may allow a higher priority, as Nomad's. */
export const PRIORITY_LIMIT = 32_766;

/** The widest that a server may allow: for those who check a job before a server does. */
export const WIDEST_LIMITS: JobLimits = {
  priorityMax: PRIORITY_LIMIT,
  countMax: Number.MAX_SAFE_INTEGER,
  sourceBytesMax: Number.MAX_SAFE_INTEGER,
};
