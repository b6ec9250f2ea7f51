import { MeshError } from '../structs/errors.js';
import { err, ok } from '../util/result.js';
import { applyAllocsClientUpdate, applyAllocsDesiredTransition } from './apply/allocs.js';
import { applyAutopilotConfig } from './apply/autopilot-config.js';
import {
  applyCsiClaim,
  applyCsiClaimSteps,
  applyCsiPastClaimsCollect,
  applyCsiVolumeDeregister,
  applyCsiVolumeRekey,
  applyCsiVolumeUpsert,
} from './apply/csi-volumes.js';
import {
  applyDeploymentAllocHealth,
  applyDeploymentDelete,
  applyDeploymentPromote,
  applyDeploymentStatus,
} from './apply/deployments.js';
import { applyEvalsDelete, applyEvalsUpsert } from './apply/evals.js';
import { applyHostVolumeClaimDelete, applyHostVolumeDelete, applyHostVolumeUpsert } from './apply/host-volumes.js';
import {
  applyJobBatchDeregister,
  applyJobDeregister,
  applyJobRegister,
  applyJobStability,
  applyJobVersionTag,
} from './apply/jobs.js';
import { applyMesh } from './apply/mesh.js';
import { applyNodePoolDelete, applyNodePoolUpsert } from './apply/node-pools.js';
import {
  applyNodeDeregister,
  applyNodeDrain,
  applyNodeEligibility,
  applyNodeRegister,
  applyNodeStatus,
} from './apply/nodes.js';
import { applyPlanResults } from './apply/plan.js';
import { applyRestoreAbort, applyRestoreStage } from './apply/restore.js';
import { applyScalingEvent } from './apply/scaling.js';
import { applySchedulerConfig } from './apply/scheduler-config.js';
import { applyServiceDelete } from './apply/services.js';
import { applySummariesCorrect, applySummariesReconcile } from './apply/summaries.js';
import { applyRootKeyDelete, applyRootKeyPut, applyVariableDelete, applyVariablePut } from './apply/variables.js';
import { applyVolumeArchiveDelete, applyVolumeArchivePut, applyVolumeArchiveRekey } from './apply/volume-archives.js';
import type { Command, CommandResult } from './commands.js';
import { settleJobs } from './job-status.js';
import type { Store } from './store.js';
import type { Transaction } from './transaction.js';

/** Applies one command and brings everything derived from it up to date. */
export function applyCommand(txn: Transaction, command: Command): CommandResult {
  if (command.type === 'batch') {
    return ok({ results: command.commands.map((one) => applyCommand(txn, one)) });
  }
  const result = applyOne(txn, command);
  // Deployments before jobs and summaries last: each may still write to what comes after it.
  txn.flushDeployments();
  settleJobs(txn);
  txn.flushSummaries();
  txn.caused(command.type);
  return result;
}

function applyOne(txn: Transaction, command: Exclude<Command, { type: 'batch' }>): CommandResult {
  switch (command.type) {
    case 'noop':
      return ok(null);
    case 'job-register':
      return applyJobRegister(txn, command);
    case 'job-deregister':
      return applyJobDeregister(txn, command);
    case 'job-batch-deregister':
      return applyJobBatchDeregister(txn, command);
    case 'job-stability':
      return applyJobStability(txn, command);
    case 'job-version-tag':
      return applyJobVersionTag(txn, command);
    case 'evals-upsert':
      return applyEvalsUpsert(txn, command);
    case 'evals-delete':
      return applyEvalsDelete(txn, command);
    case 'node-register':
      return applyNodeRegister(txn, command);
    case 'node-deregister':
      return applyNodeDeregister(txn, command);
    case 'node-status':
      return applyNodeStatus(txn, command);
    case 'node-eligibility':
      return applyNodeEligibility(txn, command);
    case 'node-drain':
      return applyNodeDrain(txn, command);
    case 'allocs-client-update':
      return applyAllocsClientUpdate(txn, command);
    case 'allocs-desired-transition':
      return applyAllocsDesiredTransition(txn, command);
    case 'plan-results':
      return applyPlanResults(txn, command);
    case 'deployment-status':
      return applyDeploymentStatus(txn, command);
    case 'deployment-promote':
      return applyDeploymentPromote(txn, command);
    case 'deployment-alloc-health':
      return applyDeploymentAllocHealth(txn, command);
    case 'deployment-delete':
      return applyDeploymentDelete(txn, command);
    case 'service-delete':
      return applyServiceDelete(txn, command);
    case 'variable-put':
      return applyVariablePut(txn, command);
    case 'variable-delete':
      return applyVariableDelete(txn, command);
    case 'root-key-put':
      return applyRootKeyPut(txn, command);
    case 'root-key-delete':
      return applyRootKeyDelete(txn, command);
    case 'scheduler-config':
      return applySchedulerConfig(txn, command);
    case 'autopilot-config':
      return applyAutopilotConfig(txn, command);
    case 'restore-stage':
      return applyRestoreStage(txn, command);
    case 'restore-abort':
      return applyRestoreAbort(txn, command);
    case 'restore-commit':
      // The store itself is replaced: it does that before it comes here, and never as part of a batch.
      return err(new MeshError('E_BAD_REQUEST', 'a restore is no part of a batch'));
    case 'scaling-event':
      return applyScalingEvent(txn, command);
    case 'node-pool-upsert':
      return applyNodePoolUpsert(txn, command);
    case 'node-pool-delete':
      return applyNodePoolDelete(txn, command);
    case 'summaries-reconcile':
      return applySummariesReconcile(txn);
    case 'summaries-correct':
      return applySummariesCorrect(txn, command);
    case 'csi-volume-upsert':
      return applyCsiVolumeUpsert(txn, command);
    case 'csi-volume-rekey':
      return applyCsiVolumeRekey(txn, command);
    case 'csi-volume-deregister':
      return applyCsiVolumeDeregister(txn, command);
    case 'csi-claim':
      return applyCsiClaim(txn, command);
    case 'csi-claim-steps':
      return applyCsiClaimSteps(txn, command);
    case 'csi-past-claims-collect':
      return applyCsiPastClaimsCollect(txn, command);
    case 'host-volume-upsert':
      return applyHostVolumeUpsert(txn, command);
    case 'host-volume-delete':
      return applyHostVolumeDelete(txn, command);
    case 'host-volume-claim-delete':
      return applyHostVolumeClaimDelete(txn, command);
    case 'volume-archive-put':
      return applyVolumeArchivePut(txn, command);
    case 'volume-archive-rekey':
      return applyVolumeArchiveRekey(txn, command);
    case 'volume-archive-delete':
      return applyVolumeArchiveDelete(txn, command);
    case 'mesh-found':
    case 'mesh-invite':
    case 'mesh-invite-revoke':
    case 'mesh-redeem':
    case 'mesh-approve':
    case 'mesh-renew':
    case 'mesh-bury':
    case 'mesh-leave':
    case 'mesh-rotate':
    case 'mesh-seal':
    case 'mesh-collect':
      return applyMesh(txn, command);
    default:
      return refuseUnknown(command);
  }
}

/** A newer version wrote this entry. Passing over it would make this server's state differ from the others' for good. */
function refuseUnknown(command: never): never {
  const { type } = command as { type: unknown };
  throw new MeshError(
    'E_NOT_SUPPORTED',
    `the log holds a command of type ${JSON.stringify(type)}, which this version does not know: run the version that wrote it, or a newer one`,
  );
}

/** The store as the consensus host drives it. */
export interface StateMachine {
  /** Applies a log entry and returns a CommandResult. */
  apply(index: number, command: Command): unknown;
  /** Holds the state as it is now; the returned function streams it, while later entries are applied. */
  snapshot(): () => AsyncIterable<Uint8Array>;
  /** Replaces the whole state. Rejects with E_STORAGE, leaving the state as it was, when the stream is broken. */
  restore(stream: AsyncIterable<Uint8Array>, index: number): Promise<void>;
}

export function createStateMachine(store: Store): StateMachine {
  return {
    apply: (index, command) => store.apply(index, command),
    snapshot: () => {
      const held = store.snapshot();
      return () => held.stream();
    },
    restore: (stream, index) => store.restore(stream, index),
  };
}
