import type { Change, StateSnapshot } from '../state/store.js';
import type { Deployment, DeploymentState } from '../structs/deployment.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { Job } from '../structs/job.js';
import { toNanos } from '../util/clock.js';
import { Heap } from '../util/heap.js';
import { goingBack, judgeDeployment } from './deployment-rules.js';
import type { LeaderPart } from './leader.js';
import { newEval } from './new-eval.js';
import { portions, propose } from './propose.js';
import { createAlarm } from './timers.js';
import type { ServerWorld } from './world.js';

// Follows running deployments: each report of health lets the roll-out go on (an evaluation), healthy canaries are
// promoted when the job says so, and what makes no progress in time fails, going back to the last stable version if asked.

/** A decision that could not be written is taken again after this. */
const RETRY_MS = 1_000;
/** How long nodes have, after a change of the leader, to tell the new one of health that they could not report before. */
const HEARD_MS = 15_000;

export function createDeploymentWatcher(world: ServerWorld): LeaderPart {
  const { store, now, timers } = world;
  const log = world.log.child('deployments');
  /** Running deployments and when each must be looked at again. */
  const dues = new Map<string, number | undefined>();
  /** The same by time; an entry that is not what `dues` says is stale. */
  const byDue = new Heap<{ id: string; due: number }>((a, b) => a.due < b.due);
  /** Deployments whose roll-out may go on, since a report of health. */
  const progressed = new Set<string>();
  const changed = new Set<string>();
  const busy = new Set<string>();
  const alarm = createAlarm({ timers, now, ring: () => ring() });
  let leads = false;
  let heardMs = 0;
  let lookIsDue = false;

  const ring = (): void => {
    for (let next = nextDue(); next && next.due <= now(); next = nextDue()) {
      byDue.pop();
      dues.set(next.id, undefined);
      changed.add(next.id);
    }
    look();
  };

  const nextDue = (): { id: string; due: number } | undefined => {
    for (let next = byDue.peek(); next; next = byDue.peek()) {
      if (dues.get(next.id) === next.due) return next;
      byDue.pop();
    }
    return undefined;
  };

  const setDue = (id: string, due: number | undefined): void => {
    if (due !== undefined && dues.get(id) !== due) byDue.push({ id, due });
    dues.set(id, due);
    alarm.set(leads ? nextDue()?.due : undefined);
  };

  const lookSoon = (): void => {
    if (lookIsDue) return;
    lookIsDue = true;
    timers.soon(() => {
      lookIsDue = false;
      look();
    });
  };

  const look = (): void => {
    if (!leads) return;
    for (const id of [...changed]) {
      if (busy.has(id)) continue;
      changed.delete(id);
      void follow(id);
    }
    alarm.set(nextDue()?.due);
  };

  const follow = async (id: string): Promise<void> => {
    busy.add(id);
    try {
      await step(id);
    } catch (error) {
      log.warn('could not act on a deployment', { deployment: id, reason: String(error) });
      setDue(id, now() + RETRY_MS);
    } finally {
      busy.delete(id);
      if (changed.has(id)) lookSoon();
    }
  };

  const step = async (id: string): Promise<void> => {
    const state = store.snapshot();
    const deployment = state.deploymentById(id);
    if (deployment?.Status !== 'running') {
      dues.delete(id);
      progressed.delete(id);
      return;
    }
    const job = state.jobById(deployment.Namespace, deployment.JobID);
    const verdict = judgeDeployment(deployment, job, state.allocsInQuestion(deployment), { now: now(), heardMs });
    if (verdict.kind === 'fail') {
      await fail(state, deployment, verdict.reason, verdict.revert);
      return;
    }
    if (verdict.kind === 'promote') {
      log.info('promoting healthy canaries', { deployment: id, job: deployment.JobID });
      await propose(world.consensus, {
        type: 'deployment-promote',
        deploymentId: id,
        groups: null,
        eval: deploymentEval(deployment, job, world),
        time: toNanos(now()),
      });
      progressed.delete(id);
      return;
    }
    setDue(id, verdict.dueMs);
    const goesOn = progressed.delete(id);
    if (verdict.retry.length > 0) {
      for (const some of portions(verdict.retry)) {
        await propose(world.consensus, {
          type: 'allocs-desired-transition',
          transitions: Object.fromEntries(some.map((allocId) => [allocId, { Reschedule: true }])),
          evals: [deploymentEval(deployment, job, world)],
          time: toNanos(now()),
        });
      }
    } else if (goesOn) {
      await propose(world.consensus, { type: 'evals-upsert', evals: [deploymentEval(deployment, job, world)] });
    }
  };

  const fail = async (state: StateSnapshot, deployment: Deployment, reason: string, revert: boolean): Promise<void> => {
    const command = failCommand(world, state, deployment, reason, revert);
    log.info('deployment failed', { deployment: deployment.ID, job: deployment.JobID, reason });
    await propose(world.consensus, command);
  };

  const saw = (change: Change): void => {
    if (change.table === 'deployments') {
      const { before, after } = change;
      if (after?.Status === 'running') {
        if (!before || isNews(before, after)) changed.add(after.ID);
        if (!dues.has(after.ID)) dues.set(after.ID, undefined);
      } else if (before) {
        dues.delete(before.ID);
        progressed.delete(before.ID);
      }
      return;
    }
    if (change.table !== 'allocs' || !change.after) return;
    const { before, after } = change;
    if (after.DeploymentID === '' || !dues.has(after.DeploymentID)) return;
    // One that has just been placed tells nothing yet.
    if (!before && after.ClientStatus === 'pending') return;
    if (
      before?.DeploymentStatus?.Healthy === after.DeploymentStatus?.Healthy &&
      before?.ClientStatus === after.ClientStatus
    )
      return;
    changed.add(after.DeploymentID);
    if (before?.DeploymentStatus?.Healthy !== after.DeploymentStatus?.Healthy) progressed.add(after.DeploymentID);
  };

  return {
    name: 'deployment watcher',
    begin(state) {
      leads = true;
      heardMs = now() + HEARD_MS;
      for (const deployment of state.deployments()) {
        if (deployment.Status !== 'running') continue;
        changed.add(deployment.ID);
        dues.set(deployment.ID, undefined);
        // Health reported to the leader before may not have led to an evaluation yet.
        progressed.add(deployment.ID);
      }
      lookSoon();
    },
    end() {
      leads = false;
      for (const held of [dues, byDue, progressed, changed]) held.clear();
      alarm.set(undefined);
    },
    saw({ changes }) {
      for (const change of changes) saw(change);
      if (changed.size > 0) lookSoon();
    },
  };
}

/** Whether more has changed than the number of those placed: a roll-out of thousands is not looked through for each. */
function isNews(before: Deployment, after: Deployment): boolean {
  const counts = ({
    HealthyAllocs,
    UnhealthyAllocs,
    DesiredTotal,
    DesiredCanaries,
    Promoted,
    RequireProgressBy,
  }: DeploymentState) =>
    `${[HealthyAllocs, UnhealthyAllocs, DesiredTotal, DesiredCanaries, Promoted, RequireProgressBy]}`;
  if (before.Status !== after.Status) return true;
  return Object.entries(after.TaskGroups).some(([name, group]) => {
    const known = before.TaskGroups[name];
    return known !== group && (!known || counts(known) !== counts(group));
  });
}

/** A reason to look at the deployment's job again. */
export function deploymentEval(
  deployment: Deployment,
  job: Job | undefined,
  world: Pick<ServerWorld, 'random' | 'now'>,
): Evaluation {
  return newEval(
    {
      Namespace: deployment.Namespace,
      JobID: deployment.JobID,
      Priority: deployment.EvalPriority || job?.Priority || 50,
      Type: job?.Type ?? 'service',
      TriggeredBy: 'deployment-watcher',
      DeploymentID: deployment.ID,
      JobModifyIndex: job?.JobModifyIndex ?? 0,
    },
    { random: world.random, now: world.now() },
  );
}

/** Ends a deployment as failed, with the job to go back to when `revert` is asked and a stable version exists. */
export function failCommand(
  world: Pick<ServerWorld, 'random' | 'now'>,
  state: StateSnapshot,
  deployment: Deployment,
  reason: string,
  revert: boolean,
) {
  const job = state.jobById(deployment.Namespace, deployment.JobID);
  const versions = state.jobVersions(deployment.Namespace, deployment.JobID);
  const { to, description } = goingBack(reason, revert, { job, versions, deployment });
  return {
    type: 'deployment-status',
    update: { DeploymentID: deployment.ID, Status: 'failed', StatusDescription: description },
    job: to ? { ...to, SubmitTime: toNanos(world.now()), VersionTag: null } : null,
    eval: deploymentEval(deployment, to ?? job, world),
    time: toNanos(world.now()),
  } as const;
}
