// Comes from lib/agent, when its server leads; goes to the plugins of the autoscaler, and through them back to the servers.
export { type Autoscaler, type ScalingReport, startAutoscaler } from './autoscaler.js';
export { followLease, holdLease, LEASE_TTL_MAX_MS, LEASE_TTL_MS } from './lease.js';
export type { FilePolicies } from './policies.js';
