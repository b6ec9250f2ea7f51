import type { Allocation } from '../../structs/allocation.js';
import type { Deployment } from '../../structs/deployment.js';
import type { Evaluation } from '../../structs/evaluation.js';
import type { Job } from '../../structs/job.js';
import type { WhyEvent } from '../../structs/why.js';
import { toNanos } from '../../util/clock.js';
import type { StateReader } from '../ports.js';
import { inTurns, type Rest } from '../turns.js';
import { preemptorOf } from './preempted.js';

/** The story of a job with many allocations is told up to so many events, the newest. */
const EVENTS_MAX = 100;
/** Allocations whose own story is part of the job's: those that went wrong last. */
const TROUBLED_MAX = 5;

/** The oldest first; what is told twice is told once. */
export function inOrder(events: readonly WhyEvent[]): WhyEvent[] {
  const sorted = [...events].filter(({ Time }) => Time > 0).sort((a, b) => a.Time - b.Time);
  return sorted
    .filter(({ Time, Text }, i) => sorted[i - 1]?.Time !== Time || sorted[i - 1]?.Text !== Text)
    .slice(-EVENTS_MAX);
}

/** What happened to a job: evaluations, roll-outs, and what went wrong. */
export function* jobStory(
  job: Job,
  allocs: readonly Allocation[],
  from: { state: StateReader; evals: readonly Evaluation[]; deployments: readonly Deployment[] },
): Generator<Rest, WhyEvent[], void> {
  const placed = new Map<string, number>();
  const wrong: Allocation[] = [];
  yield* inTurns(allocs, (alloc) => {
    placed.set(alloc.EvalID, (placed.get(alloc.EvalID) ?? 0) + 1);
    const isWrong = ['failed', 'lost', 'unknown'].includes(alloc.ClientStatus) || alloc.PreemptedByAllocation !== '';
    if (isWrong) wrong.push(alloc);
  });
  const events: WhyEvent[] = [
    { Time: job.SubmitTime, Text: job.Stop ? 'the job was stopped' : `version ${job.Version} was registered` },
    ...from.evals.flatMap((evaluation) => evalEvents(evaluation, placed.get(evaluation.ID) ?? 0)),
    ...from.deployments.flatMap(deploymentEvents),
  ];
  const troubled = wrong.sort((a, b) => b.ModifyIndex - a.ModifyIndex).slice(0, TROUBLED_MAX);
  for (const alloc of troubled) {
    for (const { Time, Text } of allocStory(alloc, from.state)) events.push({ Time, Text: `${alloc.Name}: ${Text}` });
  }
  return inOrder(events);
}

/** What happened to one allocation: placed, started, restarted, rescheduled, stopped. */
export function allocStory(alloc: Allocation, state: StateReader): WhyEvent[] {
  const before = alloc.PreviousAllocation === '' ? undefined : state.allocById(alloc.PreviousAllocation);
  const instead = before ? ` in place of ${before.ID} on ${before.NodeName}, which ${endOf(before)}` : '';
  const events: WhyEvent[] = [{ Time: alloc.CreateTime, Text: `placed on ${alloc.NodeName}${instead}` }];
  for (const [task, { Events }] of Object.entries(alloc.TaskStates ?? {})) {
    for (const { Time, Type, DisplayMessage } of Events ?? []) {
      events.push({ Time, Text: `task ${task}: ${Type}${DisplayMessage === '' ? '' : `: ${DisplayMessage}`}` });
    }
  }
  for (const { Value, Time } of alloc.AllocStates ?? []) {
    events.push({ Time: toNanos(Date.parse(Time)), Text: `was ${Value} to the servers` });
  }
  const health = alloc.DeploymentStatus;
  if (typeof health?.Healthy === 'boolean') {
    const Text = health.Healthy ? 'healthy, so that the roll-out goes on' : 'unhealthy in the eyes of the roll-out';
    events.push({ Time: toNanos(Date.parse(health.Timestamp)), Text });
  }
  for (const { RescheduleTime, PrevNodeID } of alloc.RescheduleTracker?.Events ?? []) {
    const from = state.nodeById(PrevNodeID)?.Name ?? PrevNodeID;
    const Text = PrevNodeID === alloc.NodeID ? `tried again on ${from}` : `rescheduled away from ${from}`;
    events.push({ Time: RescheduleTime, Text });
  }
  if (alloc.DesiredStatus !== 'run') {
    const Text = `told to ${alloc.DesiredStatus}: ${alloc.DesiredDescription}${preemptorText(alloc, state)}`;
    events.push({ Time: alloc.ModifyTime, Text });
  }
  return events;
}

/** Whose more important work took the place. */
export function preemptorText(alloc: Allocation, state: StateReader): string {
  const by = preemptorOf(alloc, state);
  return by ? ` (job "${by.JobID}", priority ${by.Job?.Priority ?? 'unknown'})` : '';
}

function endOf({ ClientStatus, DesiredDescription }: Allocation): string {
  return `was ${ClientStatus}${DesiredDescription === '' ? '' : ` (${DesiredDescription})`}`;
}

function evalEvents(evaluation: Evaluation, placed: number): WhyEvent[] {
  const outcome = placed > 0 ? `placed ${placed}` : evaluation.Status;
  const failed = Object.entries(evaluation.FailedTGAllocs ?? {}).map(
    ([group, metric]) => `${metric.CoalescedFailures + 1} of ${group} found no node`,
  );
  const after = evaluation.WaitUntil ? [`not before ${evaluation.WaitUntil}`] : [];
  const why = evaluation.StatusDescription === '' ? [] : [evaluation.StatusDescription];
  const Text = [`looked at for ${evaluation.TriggeredBy}: ${outcome}`, ...failed, ...after, ...why].join('; ');
  return [{ Time: evaluation.CreateTime, Text }];
}

function deploymentEvents(deployment: Deployment): WhyEvent[] {
  const groups = Object.entries(deployment.TaskGroups).map(
    ([name, { HealthyAllocs, UnhealthyAllocs, DesiredTotal }]) =>
      `${name} ${HealthyAllocs} of ${DesiredTotal} healthy${UnhealthyAllocs > 0 ? `, ${UnhealthyAllocs} unhealthy` : ''}`,
  );
  const ended = deployment.Status !== 'running' && deployment.ModifyTime !== deployment.CreateTime;
  return [
    { Time: deployment.CreateTime, Text: `roll-out of version ${deployment.JobVersion} began` },
    {
      Time: ended ? deployment.ModifyTime : 0,
      Text: `roll-out of version ${deployment.JobVersion} ${deployment.Status}: ${groups.join('; ')}; ${deployment.StatusDescription}`,
    },
  ];
}
