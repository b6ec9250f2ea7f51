// What other packages may import: the contract of a task driver, and the words (Nomad's API JSON) it speaks in.
export type * from './plugin/sdk/driver.js';
export { DriverError } from './plugin/sdk/driver.js';
export type * from './structs/allocation.js';
export type * from './structs/job.js';
export type * from './structs/node.js';
export type * from './structs/resources.js';
