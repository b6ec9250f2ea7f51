import type { Allocation, AllocMetric } from '../structs/allocation.js';
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
 * The allocation as the state keeps it: what was wished for, and its progress. Written out, so that all allocations have one shape in memory; with the strings
 * of the rows it refers to, so that an id is kept once and not once per allocation; and with the parts that equal those
 * of `sibling`, another allocation of its group (its resources, the counts of its metrics), kept once as well.
 */
export function internAlloc(
  tables: Tables,
  alloc: Omit<Allocation, keyof AllocProgress>,
  progress: AllocProgress,
  sibling: Allocation | undefined,
): Allocation {
  const node = tables.nodes.get(alloc.NodeID);
  const { Job: job } = progress;
  return {
    ID: progress.ID,
    Namespace: job?.Namespace ?? alloc.Namespace,
    EvalID: known(tables.evals, alloc.EvalID),
    Name: alloc.Name,
    NodeID: node?.ID ?? alloc.NodeID,
    NodeName: node?.Name === alloc.NodeName ? node.Name : alloc.NodeName,
    JobID: job?.ID ?? alloc.JobID,
    Job: job,
    TaskGroup: job?.TaskGroups.find(({ Name }) => Name === alloc.TaskGroup)?.Name ?? alloc.TaskGroup,
    AllocatedResources: shareEqual(sibling?.AllocatedResources, alloc.AllocatedResources),
    Metrics: internMetrics(tables, shareEqual(sibling?.Metrics, alloc.Metrics)),
    DesiredStatus: alloc.DesiredStatus,
    DesiredDescription: shareEqual(sibling?.DesiredDescription, alloc.DesiredDescription),
    DesiredTransition: shareEqual(sibling?.DesiredTransition, alloc.DesiredTransition),
    ClientStatus: progress.ClientStatus,
    ClientDescription: shareEqual(sibling?.ClientDescription, progress.ClientDescription),
    TaskStates: shareEqual(sibling?.TaskStates, progress.TaskStates),
    AllocStates: alloc.AllocStates,
    NetworkStatus: progress.NetworkStatus,
    DeploymentID: known(tables.deployments, alloc.DeploymentID),
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

/** The best nodes of each placement are remembered: their ids would otherwise be most of what an allocation weighs. */
function internMetrics(tables: Tables, metrics: AllocMetric | null): AllocMetric | null {
  const scores = metrics?.ScoreMetaData;
  if (metrics === null || scores === null || scores === undefined) return metrics;
  const interned = scores.map(({ NodeID, NormScore, Scores }) => ({
    NodeID: known(tables.nodes, NodeID),
    NormScore,
    Scores,
  }));
  return { ...metrics, ScoreMetaData: interned };
}
