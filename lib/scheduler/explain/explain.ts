import type { Allocation } from '../../structs/allocation.js';
import type { Deployment } from '../../structs/deployment.js';
import type { Evaluation } from '../../structs/evaluation.js';
import { groupOf } from '../../structs/group-of.js';
import type { Job, TaskGroup } from '../../structs/job.js';
import { isParent } from '../../structs/job-kind.js';
import type { Node } from '../../structs/node.js';
import type { Why, WhyGroup } from '../../structs/why.js';
import type { StateReader } from '../ports.js';
import { algorithmOf } from '../rank/algorithm.js';
import { hasRunToSuccess, isOlder } from '../reconcile/filters.js';
import { nextReschedule } from '../reconcile/reschedule.js';
import { filterInTurns, inTurns, type Rest } from '../turns.js';
import { isClientTerminal, isTerminal } from '../usage.js';
import { parentSentence } from './parent.js';
import { preemptedSentence } from './preempted.js';
import { askOf, createJudge, type Refusal } from './refusal.js';
import { rollOutSentence } from './roll-out.js';
import { refusalSentences } from './sentences.js';
import { allocStory, inOrder, jobStory, preemptorText } from './story.js';

/** Nodes of one rule that are named; of more only the number is told. */
const NODES_NAMED_MAX = 10;

/** Nodes judged between two rests: what each has is counted anew, perhaps a hundred allocations. */
const NODES_PER_TURN = 10;

/** What an explanation is made from: the world as a scheduler sees it, and what is remembered of the job. */
export interface ExplainInput {
  readonly state: StateReader;
  readonly evals: readonly Evaluation[];
  readonly deployments: readonly Deployment[];
}

/** Why a job is as it is: for each group how much of it is placed, and what refuses the rest now. With rests. */
export function* explainJob(job: Job, all: ExplainInput): Generator<Rest, Why, void> {
  const { state } = all;
  // One of the same id that was purged is another job's story.
  const isOfThis = ({ CreateIndex }: { CreateIndex: number }): boolean => CreateIndex >= job.CreateIndex;
  const input = { state, evals: all.evals.filter(isOfThis), deployments: all.deployments.filter(isOfThis) };
  const allocs = state.allocsByJob(job.Namespace, job.ID);
  const groups: WhyGroup[] = [];
  const byGroup = yield* partsOf(allocs);
  for (const group of isParent(job) ? [] : job.TaskGroups) {
    groups.push(yield* explainGroup(job, group, byGroup.get(group.Name) ?? [], input));
  }
  const short = groups.filter(({ Wanted, Placed }) => Placed < Wanted);
  return {
    Kind: 'job',
    ID: job.ID,
    Namespace: job.Namespace,
    JobID: job.ID,
    Summary: isParent(job)
      ? parentSentence(job)
      : jobSummary(job, groups, short, rollOutSentence(job, input.deployments)),
    Groups: groups,
    Choice: [],
    Story: yield* jobStory(job, allocs, input),
  };
}

/** Why an allocation is where it is, or is no more. */
export function* explainAlloc(alloc: Allocation, input: ExplainInput): Generator<Rest, Why, void> {
  const { state } = input;
  const job = state.jobById(alloc.Namespace, alloc.JobID) ?? alloc.Job;
  const group = groupOf(job, alloc.TaskGroup);
  const groups: WhyGroup[] = [];
  if (job && group && isTerminal(alloc)) {
    const siblings = state.allocsByJob(alloc.Namespace, alloc.JobID);
    const own = yield* filterInTurns(siblings, ({ TaskGroup }) => TaskGroup === group.Name);
    groups.push(yield* explainGroup(job, group, own, input));
  }
  return {
    Kind: 'allocation',
    ID: alloc.ID,
    Namespace: alloc.Namespace,
    JobID: alloc.JobID,
    Summary: allocSummary(alloc, input),
    Groups: groups,
    Choice: choiceOf(alloc, state),
    Story: inOrder(allocStory(alloc, state)),
  };
}

/** A job's allocations by their groups. */
function* partsOf(allocs: readonly Allocation[]): Generator<Rest, ReadonlyMap<string, Allocation[]>, void> {
  const parts = new Map<string, Allocation[]>();
  yield* inTurns(allocs, (alloc) => {
    const part = parts.get(alloc.TaskGroup);
    if (part) part.push(alloc);
    else parts.set(alloc.TaskGroup, [alloc]);
  });
  return parts;
}

/** What the allocations of a group come to. */
interface OwnCounts {
  readonly live: Allocation[];
  running: number;
  canaries: number;
  /** Of a job that ends: those that need not run again. */
  readonly done: Allocation[];
  isStarting: boolean;
  /** Have failed on their nodes, which are to start them again. */
  restarting: number;
  /** Failed, and not tried again. */
  given: number;
  /** Evaluations that those wait for who have no successor. */
  readonly waited: Set<string>;
}

function* countOwn(job: Job, own: readonly Allocation[]): Generator<Rest, OwnCounts, void> {
  const counts: OwnCounts = {
    live: [],
    running: 0,
    canaries: 0,
    done: [],
    isStarting: false,
    restarting: 0,
    given: 0,
    waited: new Set(),
  };
  const ends = job.Type === 'batch' || job.Type === 'sysbatch';
  yield* inTurns(own, (alloc) => {
    if (!isTerminal(alloc)) {
      counts.live.push(alloc);
      if (alloc.ClientStatus === 'running') counts.running++;
      if (alloc.ClientStatus === 'pending') counts.isStarting = true;
      if (alloc.ClientStatus === 'pending' && hasRestarted(alloc)) counts.restarting++;
      if (alloc.DeploymentStatus?.Canary) counts.canaries++;
    }
    if (ends && hasRunToSuccess(alloc) && !isOlder(alloc, job)) counts.done.push(alloc);
    if (isGivenUp(alloc)) counts.given++;
    if (alloc.NextAllocation === '' && alloc.FollowupEvalID !== '') counts.waited.add(alloc.FollowupEvalID);
  });
  return counts;
}

/** `own`: the allocations of the group. */
function* explainGroup(
  job: Job,
  group: TaskGroup,
  own: readonly Allocation[],
  input: ExplainInput,
): Generator<Rest, WhyGroup, void> {
  const { state } = input;
  const judge = yield* createJudge(state, job, group);
  const byRule = new Map<string, Refusal[]>();
  const names = new Map<string, string[]>();
  let nodes = 0;
  let withRoom = 0;
  let eligible = 0;
  const isPerNode = job.Type === 'system' || job.Type === 'sysbatch';
  const { live, running, done, waited, ...of } = yield* countOwn(job, own);
  const served = new Set(isPerNode ? [...live, ...done].map(({ NodeID }) => NodeID) : []);
  const finished = new Set(isPerNode ? done.map(({ NodeID }) => NodeID) : []);
  const look = (node: Node): void => {
    nodes++;
    if (finished.has(node.ID)) return;
    const refusal = judge(node);
    if (!refusal || !['status', 'place', 'rule', 'volume'].includes(refusal.kind)) eligible++;
    // Nobody wants a second one there: room on it would change nothing.
    if (served.has(node.ID)) return;
    if (!refusal) {
      withRoom++;
      return;
    }
    const same = byRule.get(refusal.rule);
    if (same) same.push(refusal);
    else byRule.set(refusal.rule, [refusal]);
    names.set(refusal.rule, [...(names.get(refusal.rule) ?? []), node.Name].slice(0, NODES_NAMED_MAX));
  };
  yield* inTurns(state.nodes(), look, NODES_PER_TURN);
  const ask = askOf(group);
  const refusals = [...byRule.values()]
    .sort((a, b) => b.length - a.length)
    .map((same) => ({ ...refusalSentences(same, nodes, ask), NodeNames: names.get(same[0]?.rule ?? '') ?? [] }));
  const wanted = job.Stop ? 0 : isPerNode ? eligible : Math.max(0, group.Count - done.length);
  const isNowhere = isPerNode && !job.Stop && wanted === 0 && live.length === 0 && done.length === 0;
  const counts = {
    Group: group.Name,
    Wanted: wanted,
    Placed: live.length,
    Running: running,
    Unplaced: job.Stop ? 0 : isNowhere ? 1 : unplacedOf(group, input),
    Nodes: nodes,
    NodesWithRoom: withRoom,
    Refusals: refusals,
  };
  const summary = isNowhere
    ? `Group "${group.Name}" runs on no node: ${nodes === 0 ? 'there is none' : `none of ${nodes} ${nodes === 1 ? 'node' : 'nodes'} is what it asks for`}.`
    : groupSummary(job, counts, { ...of, next: nextTry(waited, input), done: done.length });
  const preempted = counts.Placed < wanted ? preemptedSentence(job, own, state) : '';
  return { ...counts, Summary: summary + preempted + (yield* awaySentence(group, live, input)) };
}

/** What the blocked evaluation waits to place. */
function unplacedOf({ Name }: TaskGroup, { evals }: ExplainInput): number {
  const [newest] = evals.filter(({ Status }) => Status === 'blocked').sort((a, b) => b.CreateIndex - a.CreateIndex);
  const metric = newest?.FailedTGAllocs?.[Name];
  return metric ? metric.CoalescedFailures + 1 : 0;
}

/** Whether its node has started a task of it once already. */
function hasRestarted({ TaskStates }: Allocation): boolean {
  return Object.values(TaskStates ?? {}).some(({ State, Restarts }) => State === 'pending' && Restarts > 0);
}

/** Failed, and its reschedule block allows no further attempt. */
function isGivenUp(alloc: Allocation): boolean {
  return (
    alloc.ClientStatus === 'failed' &&
    alloc.DesiredStatus === 'run' &&
    alloc.NextAllocation === '' &&
    !nextReschedule(alloc).eligible
  );
}

/** What is out of reach with its node: where, what becomes of it, and when it is given up. */
function* awaySentence(
  group: TaskGroup,
  live: readonly Allocation[],
  { evals }: ExplainInput,
): Generator<Rest, string, void> {
  const away = yield* filterInTurns(live, ({ ClientStatus }) => ClientStatus === 'unknown');
  if (away.length === 0) return '';
  const nodes = [...new Set(away.map(({ NodeName }) => NodeName))].sort();
  const held = group.Disconnect?.Replace === false ? '; "replace = false" lets nothing take their place' : '';
  const due = evals
    .flatMap(({ TriggeredBy, Status, WaitUntil }) =>
      TriggeredBy === 'max-disconnect-timeout' && Status === 'pending' && WaitUntil ? [WaitUntil] : [],
    )
    .sort()[0];
  const end = due ? `; what is not back is given up from ${due} on (disconnect.lost_after)` : '';
  return ` Out of reach, where they may still run: ${away.length} on ${nodes.join(', ')}${held}${end}.`;
}

function groupSummary(
  job: Job,
  { Group, Wanted, Placed, Running, Unplaced, Nodes, NodesWithRoom }: Omit<WhyGroup, 'Summary'>,
  {
    next,
    done,
    isStarting,
    restarting,
    canaries,
    given,
  }: Pick<OwnCounts, 'isStarting' | 'restarting' | 'canaries' | 'given'> & { next: string; done: number },
): string {
  const ended = done > 0 ? `, ${done} done` : '';
  const trials = canaries > 0 ? `, ${canaries} of them ${canaries === 1 ? 'a canary' : 'canaries'}` : '';
  const where = `Group "${Group}": ${Running} of ${Wanted} running${trials}${ended}`;
  if (Placed >= Wanted) {
    if (Wanted === 0 && done > 0) return `Group "${Group}": all done, ${done} of ${done}.`;
    if (Unplaced > 0) {
      const now =
        NodesWithRoom === 0
          ? `none of ${Nodes} nodes takes one`
          : `${NodesWithRoom} of ${Nodes} nodes would take one now`;
      return `${where}, ${Unplaced} of them in an older version until there is a place for version ${job.Version}: ${now}.`;
    }
    if (Running >= Wanted || !isStarting) return `${where}.`;
    return restarting > 0
      ? `${where}; all are placed, and ${restarting} ${restarting === 1 ? 'has' : 'have'} ended or failed there and ${restarting === 1 ? 'waits' : 'wait'} to be started again (restart block).`
      : `${where}; all are placed, and their nodes are yet to start them.`;
  }
  const missing = Wanted - Placed;
  if (Nodes === 0) return `${where}; ${missing} not placed, for there is no node: start an agent with a client.`;
  if (NodesWithRoom === 0)
    return `${where}; ${missing} not placed, for ${Nodes === 1 ? 'the only node will not take one' : `none of ${Nodes} nodes will take one`}.`;
  if (given > 0)
    return `${where}; ${given} failed and ${given === 1 ? 'is' : 'are'} not tried again: ${job.Type === 'sysbatch' ? 'a sysbatch job runs once on each node' : 'the reschedule block allows no more'}. A new version of the job, or "meshnomad job eval -force-reschedule ${job.ID}", tries again; ${NodesWithRoom} of ${Nodes} nodes would take one.`;
  if (next !== '')
    return `${where}; ${missing} not placed yet: the delay of its reschedule block after a failure ends at ${next}, and ${NodesWithRoom} of ${Nodes} nodes would take one.`;
  return `${where}; ${missing} not placed yet, though ${NodesWithRoom} of ${Nodes} nodes would take one: an evaluation or a roll-out is under way (see the story).`;
}

/** When the delay of a failed allocation ends after which it is placed again; '' = nothing waits. */
function nextTry(waited: ReadonlySet<string>, { evals }: ExplainInput): string {
  const times = evals.flatMap(({ ID, Status, WaitUntil }) =>
    waited.has(ID) && Status === 'pending' && WaitUntil ? [WaitUntil] : [],
  );
  return times.sort()[0] ?? '';
}

function jobSummary(job: Job, groups: readonly WhyGroup[], short: readonly WhyGroup[], rollOut: string): string {
  if (job.Stop) return `Job "${job.ID}" was stopped: nothing of it should run.`;
  if (short.length > 0) {
    const missing = short.reduce((sum, { Wanted, Placed }) => sum + Wanted - Placed, 0);
    const said = `Job "${job.ID}" is short of ${missing === 1 ? 'one allocation' : `${missing} allocations`}.`;
    // Where no node would take one, that is what is to be told.
    return rollOut === '' || short.every(({ NodesWithRoom }) => NodesWithRoom === 0) ? said : `${said} ${rollOut}`;
  }
  if (rollOut !== '') return `Job "${job.ID}" has as many allocations as it asks for. ${rollOut}`;
  const starting = groups.some(({ Running, Wanted }) => Running < Wanted);
  if (starting) return `Job "${job.ID}" is placed, and not all of it has started.`;
  const isDone = (job.Type === 'batch' || job.Type === 'sysbatch') && job.Status === 'dead';
  if (groups.every(({ Wanted, Unplaced }) => Wanted === 0 && Unplaced > 0)) return `Job "${job.ID}" runs on no node.`;
  return isDone ? `Job "${job.ID}" is done.` : `Job "${job.ID}" has all that it asks for.`;
}

function allocSummary(alloc: Allocation, input: ExplainInput): string {
  const name = `Allocation ${alloc.Name}`;
  const on = `on node ${alloc.NodeName}`;
  if (alloc.DesiredStatus !== 'run') {
    const why =
      alloc.DesiredDescription === '' ? '' : `: ${alloc.DesiredDescription}${preemptorText(alloc, input.state)}`;
    if (alloc.ClientStatus === 'lost') return lostSummary(alloc);
    if (alloc.ClientStatus === 'failed' && alloc.NextAllocation !== '')
      return `${name} failed ${on}${replacedBy(alloc)}.`;
    return isClientTerminal(alloc)
      ? `${name} ran ${on} and was stopped${why}.`
      : `${name} is to be stopped ${on}${why}; its node has not said yet that it is.`;
  }
  switch (alloc.ClientStatus) {
    case 'running':
      return `${name} runs ${on}.`;
    case 'pending':
      return `${name} was given to node ${alloc.NodeName}, which has not started it yet.`;
    case 'complete':
      return `${name} is done; it ran ${on}.`;
    case 'failed':
      return `${name} failed ${on}${failedNext(alloc, input)}.`;
    case 'lost':
      return lostSummary(alloc);
    case 'unknown':
      return `${name} is out of reach with node ${alloc.NodeName}; it may still run there.`;
  }
}

const lostSummary = (alloc: Allocation): string =>
  `Allocation ${alloc.Name} is lost: node ${alloc.NodeName} went away with it${replacedBy(alloc)}.`;

function failedNext(alloc: Allocation, { evals }: ExplainInput): string {
  if (alloc.NextAllocation !== '') return replacedBy(alloc);
  const followup = evals.find(({ ID }) => ID === alloc.FollowupEvalID);
  if (followup?.Status === 'pending' && followup.WaitUntil) return `; it will be placed again at ${followup.WaitUntil}`;
  if (alloc.FollowupEvalID !== '') return '; it will be placed again after a delay';
  return '; it is not placed again: its reschedule policy forbids it or is used up';
}

const replacedBy = ({ NextAllocation }: Allocation): string =>
  NextAllocation === '' ? '' : `; allocation ${NextAllocation} took its place`;

/** How the node was chosen, from what the scheduler wrote down when it chose. */
function choiceOf(alloc: Allocation, state: StateReader): string[] {
  const metrics = alloc.Metrics;
  if (!metrics) return [];
  const pool = state.nodePoolByName?.(alloc.Job?.NodePool ?? 'default')?.SchedulerConfiguration ?? null;
  const { name, because } = algorithmOf(state.schedulerConfig(), [...state.nodes()].length, pool);
  const nameOf = (id: string): string => state.nodeById(id)?.Name ?? id;
  const lines = [
    `${metrics.NodesEvaluated} of ${metrics.NodesInPool} nodes were looked at: ${metrics.NodesFiltered} refused by a rule, ${metrics.NodesExhausted} without room.`,
  ];
  for (const [rule, count] of Object.entries(metrics.ConstraintFiltered ?? {}))
    lines.push(`${count} refused by: ${rule}`);
  for (const [what, count] of Object.entries(metrics.DimensionExhausted ?? {}))
    lines.push(`${count} short of: ${what}`);
  lines.push(`Now nodes are compared by ${name}, for ${because}.`);
  for (const { NodeID, NormScore, Scores } of metrics.ScoreMetaData ?? []) {
    const parts = Object.entries(Scores)
      .filter(([, score]) => score !== 0)
      .map(([part, score]) => `${part} ${score.toFixed(3)}`);
    const chosen = NodeID === alloc.NodeID ? ' (chosen)' : '';
    lines.push(`${nameOf(NodeID)}${chosen}: score ${NormScore.toFixed(3)} from ${parts.join(', ') || 'nothing'}`);
  }
  return lines;
}
