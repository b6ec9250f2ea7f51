import type { Allocation, NodeScore } from '../../structs/allocation.js';
import type { Deployment } from '../../structs/deployment.js';
import { MeshError } from '../../structs/errors.js';
import type { Job } from '../../structs/job.js';
import type { Nanos } from '../../util/clock.js';
import { err, ok, type Result } from '../../util/result.js';
import type { CommandResult, Placement, PlanPreemption, PlanResultsCommand } from '../commands.js';
import { isActive } from '../deployment-progress.js';
import { type AllocProgress, internAlloc } from '../intern.js';
import { versionKey } from '../schema.js';
import type { Transaction } from '../transaction.js';
import { jobKey } from '../watch.js';
import { accountFor, storeAlloc } from './allocs.js';
import { setDeploymentStatus } from './deployments.js';
import { storeEvals } from './evals.js';
import { holdToVolumes } from './host-volumes.js';

export function applyPlanResults(txn: Transaction, command: PlanResultsCommand): CommandResult<'plan-results'> {
  const arrivals = arrivalsOf(txn, command);
  if (!arrivals.ok) return arrivals;
  if (command.deployment !== null) storeDeployment(txn, command.deployment);
  for (const update of command.deploymentUpdates) {
    const deployment = txn.deployments.peek(update.DeploymentID);
    if (deployment !== undefined && isActive(deployment)) setDeploymentStatus(txn, update, command.time);
  }
  stopAll(txn, command, arrivals.value);
  for (const preemption of command.preemptions) applyPreemption(txn, preemption, command);
  placeAll(txn, command, arrivals.value);
  touchEval(txn, command.evalId);
  storeEvals(txn, command.preemptionEvals);
  return ok(null);
}

/** A placement, the job that it runs, and what is known of it already. */
interface Arrival {
  readonly placement: Placement;
  readonly job: Job;
  readonly before: Allocation | undefined;
}

/** Each placement with its job; looked up before anything is written, so that a refusal changes nothing. */
function arrivalsOf(txn: Transaction, command: PlanResultsCommand): Result<readonly Arrival[], MeshError> {
  const arrivals = new Map<string, Arrival>();
  const versions = new Map<number, Job | undefined>();
  for (const placement of command.placements) {
    const { ID, JobID, Namespace, JobVersion } = placement;
    // What is placed anew is in no table, and to know so by the list of its job costs least.
    const before = txn.tables.allocs.getUnder('job', jobKey(Namespace, JobID), ID);
    const job = ownJob(command, placement, before) ?? jobOfVersion(txn, command, JobVersion, versions);
    if (job === undefined) {
      const what = `version ${JobVersion} of job "${JobID}" in namespace "${Namespace}"`;
      return err(new MeshError('E_NOT_FOUND', `allocation ${ID} cannot be placed: ${what} is gone`));
    }
    arrivals.set(ID, { placement, job, before });
  }
  return ok([...arrivals.values()]);
}

/** An old allocation may run a version that is no longer kept: it brings its job along. */
function ownJob(
  { job }: PlanResultsCommand,
  { JobVersion }: Placement,
  before: Allocation | undefined,
): Job | undefined {
  const own = before?.Job;
  return own && own.CreateIndex === job?.createIndex && own.Version === JobVersion ? own : undefined;
}

function jobOfVersion(
  txn: Transaction,
  { job }: PlanResultsCommand,
  version: number,
  known: Map<number, Job | undefined>,
): Job | undefined {
  if (job === null) return undefined;
  if (!known.has(version)) {
    const found = txn.tables.job_versions.get(versionKey(job.namespace, job.id, version));
    known.set(version, found?.CreateIndex === job.createIndex ? found : undefined);
  }
  return known.get(version);
}

/** Takes over a new deployment; of one that is known, the counters and canaries stay what the state has counted. */
function storeDeployment(txn: Transaction, deployment: Deployment): void {
  const existing = txn.deployments.peek(deployment.ID);
  if (existing === undefined) {
    txn.deployments.set(deployment.ID, { ...deployment, CreateIndex: txn.index, ModifyIndex: txn.index });
    return;
  }
  const groups = Object.entries(deployment.TaskGroups).map(([name, group]) => {
    const known = existing.TaskGroups[name];
    if (known === undefined) return [name, group];
    const { PlacedAllocs, HealthyAllocs, UnhealthyAllocs, PlacedCanaries, RequireProgressBy, Promoted } = known;
    const counted = { PlacedAllocs, HealthyAllocs, UnhealthyAllocs, PlacedCanaries, RequireProgressBy, Promoted };
    return [name, { ...group, ...counted }];
  });
  txn.deployments.set(deployment.ID, {
    ...deployment,
    TaskGroups: Object.fromEntries(groups),
    CreateIndex: existing.CreateIndex,
    CreateTime: existing.CreateTime,
    ModifyIndex: txn.index,
  });
}

/** Stops what is to stop, all in one go. It learns its successor at once, if that comes with it: who is replaced is written but once. */
function stopAll(txn: Transaction, command: PlanResultsCommand, arrivals: readonly Arrival[]): void {
  if (command.stops.length === 0) return;
  const successors = new Map<string, string>();
  for (const { placement, before } of arrivals) {
    if (before === undefined) successors.set(placement.PreviousAllocation, placement.ID);
  }
  const stopped = new Map<string, Allocation>();
  for (const stop of command.stops) {
    const existing = stopped.get(stop.ID) ?? txn.tables.allocs.get(stop.ID);
    if (existing === undefined) continue;
    stopped.set(stop.ID, {
      ...existing,
      DesiredStatus: stop.DesiredStatus,
      DesiredDescription: stop.DesiredDescription === '' ? existing.DesiredDescription : stop.DesiredDescription,
      ClientStatus: stop.ClientStatus === '' ? existing.ClientStatus : stop.ClientStatus,
      NextAllocation: successors.get(stop.ID) ?? existing.NextAllocation,
      FollowupEvalID: stop.FollowupEvalID === '' ? existing.FollowupEvalID : stop.FollowupEvalID,
      RescheduleTracker: stop.RescheduleTracker ?? existing.RescheduleTracker,
      ModifyIndex: txn.index,
      AllocModifyIndex: txn.index,
      ModifyTime: command.time,
    });
  }
  const after = [...stopped.values()];
  const known = txn.putAllocs(after);
  after.forEach((alloc, i) => {
    accountFor(txn, known[i], alloc);
  });
}

function applyPreemption(txn: Transaction, preemption: PlanPreemption, { time }: PlanResultsCommand): void {
  const existing = txn.tables.allocs.get(preemption.ID);
  if (existing === undefined) return;
  storeAlloc(txn, existing, {
    ...existing,
    DesiredStatus: 'evict',
    DesiredDescription: `Preempted by alloc ID ${preemption.PreemptedByAllocation}`,
    PreemptedByAllocation: preemption.PreemptedByAllocation,
    ModifyIndex: txn.index,
    AllocModifyIndex: txn.index,
    ModifyTime: time,
  });
}

function placeAll(txn: Transaction, command: PlanResultsCommand, arrivals: readonly Arrival[]): void {
  const siblings = new Map<string, Allocation>();
  const told = new Map<string, NodeScore>();
  const stored: Allocation[] = [];
  const isAsFound = command.stops.length + command.preemptions.length === 0;
  for (const { placement, job, before: found } of arrivals) {
    const before = isAsFound ? found : txn.tables.allocs.get(placement.ID);
    const progress = placed(txn, { placement, job, existing: before, time: command.time });
    const sibling = siblings.get(placement.TaskGroup) ?? before;
    const after = internAlloc(txn.tables, placement, progress, { sibling, told, scores: txn.recent.scores });
    siblings.set(placement.TaskGroup, after);
    stored.push(after);
  }
  const known = txn.putAllocs(stored);
  stored.forEach((after, i) => {
    const before = known[i];
    accountFor(txn, before, after);
    linkPrevious(txn, before, after);
    if (before === undefined) holdToVolumes(txn, after);
  });
}

/** What is not the scheduler's to say of a placement: above all what the client has reported so far. */
function placed(
  txn: Transaction,
  from: { placement: Placement; job: Job; existing: Allocation | undefined; time: Nanos },
): AllocProgress {
  const { placement, job, existing, time } = from;
  // Only of what is lost or out of reach does the server speak on the client's behalf.
  const speaks = placement.ClientStatus === 'lost' || placement.ClientStatus === 'unknown';
  const report = existing === undefined || speaks ? placement : existing;
  return {
    ID: existing?.ID ?? placement.ID,
    Job: job,
    ClientStatus: report.ClientStatus,
    ClientDescription: report.ClientDescription,
    TaskStates: existing?.TaskStates ?? null,
    NetworkStatus: existing?.NetworkStatus ?? null,
    DeploymentStatus: stampedHealth(txn, existing, placement),
    NextAllocation: existing?.NextAllocation ?? '',
    CreateIndex: existing?.CreateIndex ?? txn.index,
    ModifyIndex: txn.index,
    AllocModifyIndex: txn.index,
    CreateTime: existing?.CreateTime ?? time,
    ModifyTime: time,
  };
}

/** The scheduler may have seen less than the client has said since: within one deployment, known health stays. */
function stampedHealth(
  txn: Transaction,
  existing: Allocation | undefined,
  placement: Placement,
): Allocation['DeploymentStatus'] {
  const known = existing?.DeploymentID === placement.DeploymentID ? existing.DeploymentStatus : null;
  if (known !== null) return known;
  return placement.DeploymentStatus === null ? null : { ...placement.DeploymentStatus, ModifyIndex: txn.index };
}

function linkPrevious(txn: Transaction, existing: Allocation | undefined, alloc: Allocation): void {
  if (existing !== undefined || alloc.PreviousAllocation === '') return;
  const previous = txn.tables.allocs.get(alloc.PreviousAllocation);
  // A stop in the same plan has told it already.
  if (previous === undefined || previous.NextAllocation === alloc.ID) return;
  txn.putAlloc({ ...previous, NextAllocation: alloc.ID, ModifyIndex: txn.index });
}

/** The evaluation's ModifyIndex tells a worker that continues it which state it must have seen. */
function touchEval(txn: Transaction, id: string): void {
  const evaluation = txn.tables.evals.get(id);
  if (evaluation !== undefined) txn.putEval({ ...evaluation, ModifyIndex: txn.index });
}
