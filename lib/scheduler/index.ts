// scheduler: comes from server/worker, which hands it an evaluation and a snapshot; goes to server/plan-queue with a plan.
// Order of reading: schedule → service, batch, system → attempts → draft → reconcile/ → stack → feasible/, rank/.

export type { ScheduleOptions } from './attempts.js';
export { addressesOf } from './feasible/addresses.js';
export { allocsFit, type Fit } from './fit.js';
export type { Planner, StateReader } from './ports.js';
export { SCHEDULER_TYPES, schedule } from './schedule.js';
export { isClientTerminal, isServerTerminal, isTerminal } from './usage.js';
