import type { Allocation } from '../structs/allocation.js';
import type { TaskGroup } from '../structs/job.js';
import type { HealthStrategy } from './health.js';
import { ownServices } from './services/registrations.js';

/** What health means for this allocation: for its deployment, else, for a service, for the drains and moves of its group. */
export function healthStrategy(alloc: Allocation, group: TaskGroup): HealthStrategy | null {
  if (alloc.DeploymentID === '') return alloc.Job?.Type === 'service' ? (group.Migrate ?? MIGRATE_DEFAULT) : null;
  if (group.Update?.HealthCheck === 'manual') return null;
  return group.Update ?? MIGRATE_DEFAULT;
}

/** Whether the deployment waits for the checks of the group's services, too: its health_check says so. */
export function mindsChecks(group: TaskGroup): boolean {
  return ownServices(group).length > 0 && (group.Update?.HealthCheck ?? 'checks') === 'checks';
}

const MIGRATE_DEFAULT: HealthStrategy = { MinHealthyTime: 10e9, HealthyDeadline: 300e9 };
