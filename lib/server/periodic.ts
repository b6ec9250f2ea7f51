import type { StateSnapshot } from '../state/store.js';
import { jobKey } from '../state/watch.js';
import type { Job } from '../structs/job.js';
import { isPeriodicActive, nextPeriodicLaunch } from '../structs/job-kind.js';
import type { Millis } from '../util/clock.js';
import { Heap } from '../util/heap.js';
import { hasLiveChild, launchedJob } from './child-jobs.js';
import type { LeaderPart } from './leader.js';
import { newEval } from './new-eval.js';
import { propose } from './propose.js';
import { createAlarm } from './timers.js';
import type { ServerWorld } from './world.js';

const RETRY_MS = 1_000;

/** The leader's clock: launches periodic jobs when they are due. */
export interface Periodic extends LeaderPart {
  /** Launches a job now, whatever its schedule and its running launches. Resolves once the launch is stored. */
  force(job: Job): Promise<{ evalId: string; index: number }>;
}

interface Due {
  namespace: string;
  id: string;
  at: Millis;
}

export function createPeriodic(world: ServerWorld): Periodic {
  const { store, now, timers, random } = world;
  const log = world.log.child('periodic');
  const tracked = new Map<string, Due>();
  const byTime = new Heap<Due>((a, b) => a.at < b.at);
  const alarm = createAlarm({ timers, now, ring: () => look() });
  const retries = new Set<() => void>();
  let leads = false;

  const track = (job: Job, after: Millis): void => {
    const key = jobKey(job.Namespace, job.ID);
    const at = job.Periodic && isPeriodicActive(job) ? nextPeriodicLaunch(job.Periodic, after) : undefined;
    if (at === undefined) {
      tracked.delete(key);
    } else {
      const due = { namespace: job.Namespace, id: job.ID, at };
      tracked.set(key, due);
      byTime.push(due);
    }
  };

  /** The earliest entry that still counts. */
  const earliest = (): Due | undefined => {
    for (;;) {
      const due = byTime.peek();
      if (!due || tracked.get(jobKey(due.namespace, due.id)) === due) return due;
      byTime.pop();
    }
  };

  const look = (): void => {
    if (!leads) return;
    for (let due = earliest(); due && due.at <= now(); due = earliest()) {
      byTime.pop();
      const job = store.snapshot().jobById(due.namespace, due.id);
      if (!job || !isPeriodicActive(job)) {
        tracked.delete(jobKey(due.namespace, due.id));
        continue;
      }
      // After a pause only the latest is made up for: what follows counts from now.
      track(job, now());
      void launchDue(job, due.at);
    }
    alarm.set(earliest()?.at);
  };

  const launchDue = async (job: Job, at: Millis): Promise<void> => {
    const state = store.snapshot();
    const current = state.jobById(job.Namespace, job.ID);
    if (!leads || !current || !isPeriodicActive(current)) return;
    if (current.Periodic?.ProhibitOverlap && hasLiveChild(current, state)) {
      log.debug('not launched: the launch before still runs', { job: job.ID });
      return;
    }
    try {
      await launch(current, at);
    } catch (error) {
      log.warn('could not launch a periodic job', { job: job.ID, reason: String(error) });
      const cancel = timers.setTimeout(RETRY_MS, () => {
        retries.delete(cancel);
        void launchDue(job, at);
      });
      retries.add(cancel);
    }
  };

  const launch = async (parent: Job, at: Millis): Promise<{ evalId: string; index: number }> => {
    const job = launchedJob(parent, at, now(), store.snapshot());
    const { Namespace, ID: JobID, Priority, Type } = job;
    const evaluation = newEval(
      { Namespace, JobID, Priority, Type, TriggeredBy: 'periodic-job' },
      { random, now: now() },
    );
    const { index } = await propose(world.consensus, {
      type: 'job-register',
      job,
      eval: evaluation,
      submission: null,
      // Later than `at` when it was made up for: what else was missed stays missed, also for the next leader.
      launchedAt: now(),
    });
    log.info('launched', { job: job.ID });
    return { evalId: evaluation.ID, index };
  };

  /** A launch that fell into the time without a leader is made up for, once. */
  const takeUp = (job: Job, state: StateSnapshot): void => {
    const last = Math.max(state.periodicLaunch(job.Namespace, job.ID) ?? 0, job.SubmitTime / 1e6);
    const missed = job.Periodic ? nextPeriodicLaunch(job.Periodic, last) : undefined;
    track(job, now());
    if (missed !== undefined && missed <= now()) void launchDue(job, missed);
  };

  return {
    name: 'periodic',
    begin(state) {
      leads = true;
      for (const job of state.jobs()) if (isPeriodicActive(job)) takeUp(job, state);
      alarm.set(earliest()?.at);
    },
    end() {
      leads = false;
      for (const cancel of retries) cancel();
      retries.clear();
      tracked.clear();
      byTime.clear();
      alarm.set(undefined);
    },
    saw({ changes }) {
      for (const change of changes) {
        if (change.table !== 'jobs') continue;
        const { before, after } = change;
        if (after && after.JobModifyIndex !== before?.JobModifyIndex) track(after, now());
        else if (!after && before) tracked.delete(jobKey(before.Namespace, before.ID));
      }
      alarm.set(earliest()?.at);
    },
    force: (job) => launch(job, now()),
  };
}
