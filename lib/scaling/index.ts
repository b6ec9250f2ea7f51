// Comes from lib/autoscaler, which asks the plugins; goes back there as what is to be scaled.
export { type CheckOutcome, type Decision, decide } from './decide.js';
export { MACHINE_LIMITS, type PolicyView, type ScalingEffect, ScalingMachine } from './machine.js';
export {
  type PluginProblem,
  type Policy,
  type PolicyCheck,
  type PolicyProblem,
  pluginProblems,
  readPolicy,
} from './policy.js';
