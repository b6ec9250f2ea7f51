import type { Allocation, AllocMetric, NodeScore } from '../structs/allocation.js';
import { groupOf } from '../structs/group-of.js';
import type { Tables } from './schema.js';
import { shareEqual } from './share.js';

/** What the state machine adds to a placement, or keeps of what the allocation was before. */
export type AllocProgress = Pick<
  Allocation,
  | 'ID'
  | 'Job'
  | 'ClientStatus'
  | 'ClientDescription'
  | 'TaskStates'
  | 'NetworkStatus'
  | 'DeploymentStatus'
  | 'NextAllocation'
  | 'CreateIndex'
  | 'ModifyIndex'
  | 'AllocModifyIndex'
  | 'CreateTime'
  | 'ModifyTime'
>;

/**
 * The allocation as the state keeps it: what was wished for, and its progress. Written out, so that all have one shape; with the strings
 * of the rows it refers to, so that an id is kept once and not once per allocation; and with the parts that equal those
 * of `sibling`, another allocation of its group (its resources, the counts of its metrics), kept once as well.
 */
export function internAlloc(
  tables: Tables,
  alloc: Omit<Allocation, keyof AllocProgress>,
  progress: AllocProgress,
  relatives: Relatives,
): Allocation {
  const { sibling } = relatives;
  const node = tables.nodes.get(alloc.NodeID);
  const { Job: job } = progress;
  return {
    ID: progress.ID,
    Namespace: job?.Namespace ?? alloc.Namespace,
    EvalID: sibling?.EvalID === alloc.EvalID ? sibling.EvalID : known(tables.evals, alloc.EvalID),
    Name: shareEqual(sibling?.Name, alloc.Name),
    NodeID: node?.ID ?? alloc.NodeID,
    NodeName: node?.Name === alloc.NodeName ? node.Name : alloc.NodeName,
    JobID: job?.ID ?? alloc.JobID,
    Job: job,
    TaskGroup: groupOf(job, alloc.TaskGroup)?.Name ?? alloc.TaskGroup,
    AllocatedResources: shareEqual(sibling?.AllocatedResources, alloc.AllocatedResources),
    Metrics: internMetrics(tables, alloc.Metrics, relatives),
    DesiredStatus: alloc.DesiredStatus,
    DesiredDescription: shareEqual(sibling?.DesiredDescription, alloc.DesiredDescription),
    DesiredTransition: shareEqual(sibling?.DesiredTransition, alloc.DesiredTransition),
    ClientStatus: progress.ClientStatus,
    ClientDescription: shareEqual(sibling?.ClientDescription, progress.ClientDescription),
    TaskStates: shareEqual(sibling?.TaskStates, progress.TaskStates),
    AllocStates: alloc.AllocStates,
    NetworkStatus: progress.NetworkStatus,
    DeploymentID:
      sibling?.DeploymentID === alloc.DeploymentID
        ? sibling.DeploymentID
        : known(tables.deployments, alloc.DeploymentID),
    DeploymentStatus: progress.DeploymentStatus,
    PreviousAllocation: known(tables.allocs, alloc.PreviousAllocation),
    NextAllocation: progress.NextAllocation,
    RescheduleTracker: alloc.RescheduleTracker,
    FollowupEvalID: known(tables.evals, alloc.FollowupEvalID),
    PreemptedAllocations: alloc.PreemptedAllocations,
    PreemptedByAllocation: alloc.PreemptedByAllocation,
    CreateIndex: progress.CreateIndex,
    ModifyIndex: progress.ModifyIndex,
    AllocModifyIndex: progress.AllocModifyIndex,
    CreateTime: progress.CreateTime,
    ModifyTime: progress.ModifyTime,
  };
}

/** The id as the row that has it spells it: the same string, not an equal one. */
function known(table: { get(key: string): { readonly ID: string } | undefined }, id: string): string {
  return id === '' ? id : (table.get(id)?.ID ?? id);
}

/** What allocations of one plan share. */
export interface Relatives {
  /** Another of the group. */
  readonly sibling: Allocation | undefined;
  /** By node, what it was worth to the last: most nodes are worth the same to the next. */
  readonly told: Map<string, NodeScore>;
  /** By its first part, what some node was worth to the last that looked: nodes are often alike. */
  readonly scores: Map<number, NodeScore['Scores']>;
}

/** So many are remembered, whosever they are. */
const SCORES_MAX = 4096;

/** The best nodes of each placement are remembered: they would otherwise be most of what an allocation weighs. */
function internMetrics(tables: Tables, metrics: AllocMetric | null, relatives: Relatives): AllocMetric | null {
  if (metrics === null) return null;
  const sibling = relatives.sibling?.Metrics;
  return {
    NodesEvaluated: metrics.NodesEvaluated,
    NodesFiltered: metrics.NodesFiltered,
    NodesInPool: metrics.NodesInPool,
    NodePool: shareEqual(sibling?.NodePool, metrics.NodePool),
    NodesAvailable: shareEqual(sibling?.NodesAvailable, metrics.NodesAvailable),
    ClassFiltered: shareEqual(sibling?.ClassFiltered, metrics.ClassFiltered),
    ConstraintFiltered: shareEqual(sibling?.ConstraintFiltered, metrics.ConstraintFiltered),
    NodesExhausted: metrics.NodesExhausted,
    ClassExhausted: shareEqual(sibling?.ClassExhausted, metrics.ClassExhausted),
    DimensionExhausted: shareEqual(sibling?.DimensionExhausted, metrics.DimensionExhausted),
    QuotaExhausted: metrics.QuotaExhausted,
    ResourcesExhausted: metrics.ResourcesExhausted,
    Scores: metrics.Scores,
    ScoreMetaData: internScores(tables, metrics.ScoreMetaData, relatives),
    AllocationTime: metrics.AllocationTime,
    CoalescedFailures: metrics.CoalescedFailures,
  };
}

function internScores(tables: Tables, scores: AllocMetric['ScoreMetaData'], relatives: Relatives): NodeScore[] | null {
  if (scores === null) return null;
  // Of its very length: these are kept with each allocation.
  const interned = new Array<NodeScore>(scores.length);
  for (let i = 0; i < scores.length; i++) interned[i] = internScore(tables, scores[i] as NodeScore, relatives);
  return interned;
}

function internScore(tables: Tables, score: NodeScore, { told, scores }: Relatives): NodeScore {
  const last = told.get(score.NodeID);
  if (last !== undefined && last.NormScore === score.NormScore && isSame(last.Scores, score.Scores)) return last;
  const NodeID = last?.NodeID ?? known(tables.nodes, score.NodeID);
  const own = { NodeID, NormScore: score.NormScore, Scores: internParts(score.Scores, scores) };
  told.set(NodeID, own);
  return own;
}

function internParts(parts: NodeScore['Scores'], scores: Relatives['scores']): NodeScore['Scores'] {
  const first = parts['binpack'];
  if (first === undefined) return parts;
  const known = scores.get(first);
  if (known !== undefined && isSame(known, parts)) return known;
  if (scores.size >= SCORES_MAX) scores.clear();
  scores.set(first, parts);
  return parts;
}

function isSame(a: NodeScore['Scores'], b: NodeScore['Scores']): boolean {
  if (a === b) return true;
  for (const part in a) if (a[part] !== b[part]) return false;
  for (const part in b) if (a[part] === undefined) return false;
  return true;
}
