import type { Allocation, AllocMetric } from '../structs/allocation.js';
import type { Tables } from './schema.js';
import { shareEqual } from './share.js';

/**
 * The allocation as the state keeps it. Written out, so that all allocations have one shape in memory; with the strings
 * of the rows it refers to, so that an id is kept once and not once per allocation; and with the parts that equal those
 * of `sibling`, another allocation of its group (its resources, the counts of its metrics), kept once as well.
 */
export function internAlloc(tables: Tables, alloc: Allocation, sibling: Allocation | undefined): Allocation {
  const node = tables.nodes.get(alloc.NodeID);
  const { Job: job } = alloc;
  return {
    ID: alloc.ID,
    Namespace: job?.Namespace ?? alloc.Namespace,
    EvalID: tables.evals.get(alloc.EvalID)?.ID ?? alloc.EvalID,
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
    ClientStatus: alloc.ClientStatus,
    ClientDescription: shareEqual(sibling?.ClientDescription, alloc.ClientDescription),
    TaskStates: shareEqual(sibling?.TaskStates, alloc.TaskStates),
    AllocStates: alloc.AllocStates,
    NetworkStatus: alloc.NetworkStatus,
    DeploymentID: tables.deployments.get(alloc.DeploymentID)?.ID ?? alloc.DeploymentID,
    DeploymentStatus: alloc.DeploymentStatus,
    PreviousAllocation: tables.allocs.get(alloc.PreviousAllocation)?.ID ?? alloc.PreviousAllocation,
    NextAllocation: alloc.NextAllocation,
    RescheduleTracker: alloc.RescheduleTracker,
    FollowupEvalID: tables.evals.get(alloc.FollowupEvalID)?.ID ?? alloc.FollowupEvalID,
    PreemptedAllocations: alloc.PreemptedAllocations,
    PreemptedByAllocation: alloc.PreemptedByAllocation,
    CreateIndex: alloc.CreateIndex,
    ModifyIndex: alloc.ModifyIndex,
    AllocModifyIndex: alloc.AllocModifyIndex,
    CreateTime: alloc.CreateTime,
    ModifyTime: alloc.ModifyTime,
  };
}

/** The best nodes of each placement are remembered: their ids would otherwise be most of what an allocation weighs. */
function internMetrics(tables: Tables, metrics: AllocMetric | null): AllocMetric | null {
  const scores = metrics?.ScoreMetaData;
  if (metrics === null || scores === null || scores === undefined) return metrics;
  const interned = scores.map((score) => ({
    ...score,
    NodeID: tables.nodes.get(score.NodeID)?.ID ?? score.NodeID,
  }));
  return { ...metrics, ScoreMetaData: interned };
}
