import type { Allocation } from '../../structs/allocation.js';
import type { Deployment, DeploymentState, DeploymentStatusUpdate } from '../../structs/deployment.js';
import { MeshError } from '../../structs/errors.js';
import type { Evaluation } from '../../structs/evaluation.js';
import type { Job } from '../../structs/job.js';
import type { Nanos } from '../../util/clock.js';
import { err, ok, type Result } from '../../util/result.js';
import type {
  CommandResult,
  DeploymentAllocHealthCommand,
  DeploymentDeleteCommand,
  DeploymentPromoteCommand,
  DeploymentStatusCommand,
} from '../commands.js';
import { isActive, rfc3339 } from '../deployment-progress.js';
import { ownPart } from '../drafts.js';
import type { Transaction } from '../transaction.js';
import { jobKey } from '../watch.js';
import { storeAlloc } from './allocs.js';
import { storeEvals } from './evals.js';
import { markStable, registerJob } from './jobs.js';

export function applyDeploymentStatus(
  txn: Transaction,
  command: DeploymentStatusCommand,
): CommandResult<'deployment-status'> {
  const deployment = activeDeployment(txn, command.update.DeploymentID);
  if (!deployment.ok) return deployment;
  setDeploymentStatus(txn, command.update, command.time);
  follow(txn, command);
  return ok(null);
}

/** Sets the status of a deployment that is known to exist; success makes its job version one to go back to. */
export function setDeploymentStatus(txn: Transaction, update: DeploymentStatusUpdate, time: Nanos): void {
  const deployment = txn.deployments.edit(update.DeploymentID);
  if (deployment === undefined) return;
  if (deployment.Status === 'paused' && update.Status === 'running') {
    // Nothing could make progress meanwhile.
    for (const name of Object.keys(deployment.TaskGroups)) startDeadline(ownPart(deployment.TaskGroups, name), time);
  }
  deployment.Status = update.Status;
  deployment.StatusDescription = update.StatusDescription;
  deployment.ModifyTime = time;
  if (update.Status === 'successful') {
    markStable(txn, deployment.Namespace, deployment.JobID, deployment.JobVersion);
  }
}

export function applyDeploymentPromote(
  txn: Transaction,
  command: DeploymentPromoteCommand,
): CommandResult<'deployment-promote'> {
  const found = activeDeployment(txn, command.deploymentId);
  if (!found.ok) return found;
  const deployment = found.value;
  const wanted = Object.entries(deployment.TaskGroups).filter(
    ([name, group]) => group.DesiredCanaries > 0 && (command.groups === null || command.groups.includes(name)),
  );
  const canaries = txn.tables.allocs
    .under('job', jobKey(deployment.Namespace, deployment.JobID))
    .filter(({ ID, TaskGroup }) => deployment.TaskGroups[TaskGroup]?.PlacedCanaries?.includes(ID));
  const refusal = promotionRefusal(deployment, wanted, canaries);
  if (refusal !== null) return err(refusal);
  const draft = txn.deployments.edit(deployment.ID);
  if (draft === undefined) return err(deploymentNotFound(command.deploymentId));
  draft.StatusDescription = 'Deployment is running';
  draft.ModifyTime = command.time;
  for (const [name] of wanted) {
    const group = ownPart(draft.TaskGroups, name);
    if (group === undefined) continue;
    group.Promoted = true;
    // The rest of the roll-out begins now, so does the time it may take.
    startDeadline(group, command.time);
  }
  const promoted = wanted.map(([name]) => name);
  for (const canary of canaries.filter(({ TaskGroup }) => promoted.includes(TaskGroup))) {
    graduate(txn, canary, command.time);
  }
  if (command.eval !== null) storeEvals(txn, [command.eval]);
  return ok(null);
}

function startDeadline(group: DeploymentState | undefined, time: Nanos): void {
  if (group && group.ProgressDeadline !== 0) group.RequireProgressBy = rfc3339(time + group.ProgressDeadline);
}

function promotionRefusal(
  deployment: Deployment,
  wanted: [string, Deployment['TaskGroups'][string]][],
  canaries: readonly Allocation[],
): MeshError | null {
  if (wanted.length === 0) return new MeshError('E_BAD_REQUEST', 'no canaries to promote');
  const unhealthy = wanted.flatMap(([name, group]) => {
    const healthy = canaries.filter(
      (alloc) => alloc.TaskGroup === name && alloc.DesiredStatus === 'run' && alloc.DeploymentStatus?.Healthy === true,
    );
    if (healthy.length >= group.DesiredCanaries) return [];
    return [`group "${name}" has ${healthy.length}/${group.DesiredCanaries} healthy canaries`];
  });
  if (unhealthy.length === 0) return null;
  return new MeshError('E_BAD_REQUEST', `deployment ${deployment.ID} cannot be promoted: ${unhealthy.join('; ')}`);
}

/** A canary that took over is one like the others. */
function graduate(txn: Transaction, canary: Allocation, time: Nanos): void {
  if (canary.DeploymentStatus === null) return;
  storeAlloc(txn, canary, {
    ...canary,
    DeploymentStatus: { ...canary.DeploymentStatus, Canary: false, ModifyIndex: txn.index },
    ModifyIndex: txn.index,
    AllocModifyIndex: txn.index,
    ModifyTime: time,
  });
}

export function applyDeploymentAllocHealth(
  txn: Transaction,
  command: DeploymentAllocHealthCommand,
): CommandResult<'deployment-alloc-health'> {
  const found = activeDeployment(txn, command.deploymentId);
  if (!found.ok) return found;
  for (const id of [...command.healthy, ...command.unhealthy]) {
    if (txn.tables.allocs.get(id)?.DeploymentID === command.deploymentId) continue;
    return err(new MeshError('E_BAD_REQUEST', `allocation ${id} is not part of deployment ${command.deploymentId}`));
  }
  for (const id of command.healthy) setHealth(txn, id, true, command);
  for (const id of command.unhealthy) setHealth(txn, id, false, command);
  if (command.update !== null) setDeploymentStatus(txn, command.update, command.time);
  follow(txn, command);
  return ok(null);
}

function setHealth(txn: Transaction, id: string, healthy: boolean, command: DeploymentAllocHealthCommand): void {
  const alloc = txn.tables.allocs.get(id);
  if (alloc === undefined) return;
  storeAlloc(txn, alloc, {
    ...alloc,
    DeploymentStatus: {
      Healthy: healthy,
      Timestamp: command.timestamp,
      Canary: alloc.DeploymentStatus?.Canary ?? false,
      ModifyIndex: txn.index,
    },
    ModifyIndex: txn.index,
    ModifyTime: command.time,
  });
}

export function applyDeploymentDelete(
  txn: Transaction,
  command: DeploymentDeleteCommand,
): CommandResult<'deployment-delete'> {
  for (const id of command.ids) {
    const deployment = txn.tables.deployments.get(id);
    if (deployment !== undefined) txn.deleteDeployment(deployment);
  }
  return ok(null);
}

/** What may come with the end of a deployment: the job version to go back to, and the evaluation that does it. */
function follow(txn: Transaction, command: { job: Job | null; eval: Evaluation | null }): void {
  if (command.job !== null) registerJob(txn, command.job, command.eval);
  else if (command.eval !== null) storeEvals(txn, [command.eval]);
}

function activeDeployment(txn: Transaction, id: string): Result<Deployment, MeshError> {
  const deployment = txn.deployments.peek(id);
  if (deployment === undefined) return err(deploymentNotFound(id));
  if (isActive(deployment)) return ok(deployment);
  return err(new MeshError('E_CONFLICT', `deployment ${id} has ended already: it is ${deployment.Status}`));
}

function deploymentNotFound(id: string): MeshError {
  return new MeshError('E_NOT_FOUND', `deployment "${id}" not found`);
}
