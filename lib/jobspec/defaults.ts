import type {
  EphemeralDisk,
  JobType,
  LogConfig,
  MigrateStrategy,
  ReschedulePolicy,
  RestartPolicy,
  UpdateStrategy,
} from '../structs/job.js';

// Nomad's defaults (its documentation of the job specification). Durations in nanoseconds.

const SECOND = 1e9;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

export const KILL_TIMEOUT_NS = 5 * SECOND;
export const PRIORITY = 50;
export const CPU_MHZ = 100;
export const MEMORY_MB = 300;
export const WEIGHT = 50;
export const TEMPLATE_SPLAY_NS = 5 * SECOND;
export const CHANGE_SCRIPT_TIMEOUT_NS = 5 * SECOND;
export const CSI_HEALTH_TIMEOUT_NS = 30 * SECOND;
export const CHECK_RESTART_GRACE_NS = SECOND;
/** Of a gateway of Consul to what lies behind it. */
export const CONNECT_TIMEOUT_NS = 5 * SECOND;

export const UPDATE: UpdateStrategy = {
  Stagger: 30 * SECOND,
  MaxParallel: 1,
  HealthCheck: 'checks',
  MinHealthyTime: 10 * SECOND,
  HealthyDeadline: 5 * MINUTE,
  ProgressDeadline: 10 * MINUTE,
  AutoRevert: false,
  AutoPromote: false,
  Canary: 0,
};

export const MIGRATE: MigrateStrategy = {
  MaxParallel: 1,
  HealthCheck: 'checks',
  MinHealthyTime: 10 * SECOND,
  HealthyDeadline: 5 * MINUTE,
};

export const EPHEMERAL_DISK: EphemeralDisk = { Sticky: false, SizeMB: 300, Migrate: false };

export const LOGS: LogConfig = { MaxFiles: 10, MaxFileSizeMB: 10, Enabled: null, Disabled: false };

/** How a failed task is restarted in place when the job does not say. */
export function restartFor(type: JobType): RestartPolicy {
  const often = type === 'service' || type === 'system';
  return {
    Attempts: often ? 2 : 3,
    Interval: often ? 30 * MINUTE : 24 * HOUR,
    Delay: 15 * SECOND,
    Mode: 'fail',
    RenderTemplates: false,
  };
}

/** How a failed allocation is replaced when the job does not say. System and sysbatch jobs do not reschedule. */
export function rescheduleFor(type: JobType): ReschedulePolicy {
  if (type === 'service') {
    return {
      Attempts: 0,
      Interval: 0,
      Delay: 30 * SECOND,
      DelayFunction: 'exponential',
      MaxDelay: HOUR,
      Unlimited: true,
    };
  }
  if (type === 'batch') {
    return {
      Attempts: 1,
      Interval: 24 * HOUR,
      Delay: 5 * SECOND,
      DelayFunction: 'constant',
      MaxDelay: 0,
      Unlimited: false,
    };
  }
  return { Attempts: 0, Interval: 0, Delay: 0, DelayFunction: '', MaxDelay: 0, Unlimited: false };
}
