import type { Allocation } from '../structs/allocation.js';
import type { Deployment, DeploymentState } from '../structs/deployment.js';
import { NANOS_PER_MS, type Nanos } from '../util/clock.js';
import { ownPart } from './drafts.js';
import type { Transaction } from './transaction.js';

/** Whether a deployment can still change. */
export function isActive(deployment: Deployment): boolean {
  switch (deployment.Status) {
    case 'failed':
    case 'successful':
    case 'cancelled':
      return false;
    default:
      return true;
  }
}

/** Nanoseconds since the epoch as RFC 3339 with milliseconds. */
export function rfc3339(ns: Nanos): string {
  return new Date(Math.floor(ns / NANOS_PER_MS)).toISOString();
}

/** Whether the client or a person has said if the allocation is healthy. */
function health(alloc: Allocation | undefined): boolean | null {
  return alloc?.DeploymentStatus?.Healthy ?? null;
}

/** Keeps the counters and the progress deadline of the allocation's deployment, as Nomad does. */
export function countInDeployment(txn: Transaction, before: Allocation | undefined, after: Allocation): void {
  if (after.DeploymentID === '') return;
  const placed = before === undefined || before.DeploymentID !== after.DeploymentID;
  const was = placed ? null : health(before);
  const is = health(after);
  const isCanary = after.DeploymentStatus?.Canary === true;
  const canaries = txn.deployments.peek(after.DeploymentID)?.TaskGroups[after.TaskGroup]?.PlacedCanaries;
  const newCanary = isCanary && !(canaries ?? []).includes(after.ID);
  if (!placed && was === is && !newCanary) return;
  const groups = txn.deployments.edit(after.DeploymentID)?.TaskGroups;
  const group = groups && ownPart(groups, after.TaskGroup);
  if (group === undefined) return;
  if (placed) group.PlacedAllocs++;
  if (newCanary) group.PlacedCanaries = [...(group.PlacedCanaries ?? []), after.ID];
  if (was !== is) {
    group.HealthyAllocs += Number(is === true) - Number(was === true);
    group.UnhealthyAllocs += Number(is === false) - Number(was === false);
  }
  extendDeadline(group, { placed, becameHealthy: is === true && was !== true, alloc: after });
}

function extendDeadline(
  group: DeploymentState,
  event: { placed: boolean; becameHealthy: boolean; alloc: Allocation },
): void {
  if (group.ProgressDeadline === 0) return;
  const deadlineMs = Date.parse(group.RequireProgressBy);
  // Years before 1 are the zero time: no deadline yet. The first placement starts it, by ModifyTime, since an update in
  // place makes an old allocation part of a new deployment.
  if (event.placed && deadlineMs < 0) {
    group.RequireProgressBy = rfc3339(event.alloc.ModifyTime + group.ProgressDeadline);
  } else if (event.becameHealthy && event.alloc.DeploymentStatus !== null) {
    const nextMs = Date.parse(event.alloc.DeploymentStatus.Timestamp) + group.ProgressDeadline / NANOS_PER_MS;
    if (nextMs > deadlineMs) group.RequireProgressBy = rfc3339(nextMs * NANOS_PER_MS);
  }
}
