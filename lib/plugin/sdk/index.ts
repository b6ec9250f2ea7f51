// All that a plugin written for this program imports, as `meshnomad/sdk`; docs/plugins.md tells how to write one.
export type {
  Metric,
  ScaleDirection,
  ScalingAction,
  ScalingCheck,
  TargetStatus,
  TimeRange,
} from '../../structs/autoscaling.js';
export type { NodeDeviceResource } from '../../structs/node.js';
export type { AllocatedDevice, AllocatedPort } from '../../structs/resources.js';
export type { ExecInput, ExecOutput, ResourceUsage, TaskResourceUsage } from '../../structs/rpc.js';
export type * from './autoscaler.js';
export { ScalingNoOp } from './autoscaler.js';
export * from './config-schema.js';
export type * from './device.js';
export type * from './driver.js';
export { DriverError } from './driver.js';
export { type ExecHandlers, type ExecSession, openExecSession } from './exec-session.js';
export { type LogPosition, LogRotator, type LogRotatorOptions } from './log-rotator.js';
export { signalName, signalNumber } from './signals.js';
