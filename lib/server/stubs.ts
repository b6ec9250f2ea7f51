import type { StateSnapshot } from '../state/store.js';
import type { Allocation } from '../structs/allocation.js';
import type { Job } from '../structs/job.js';
import { isParameterized } from '../structs/job-kind.js';
import type { Node } from '../structs/node.js';
import type { AllocListStub, JobListStub, JobSummary, NodeListStub } from '../structs/rpc.js';
import type { VariableMetadata } from '../structs/variable.js';
import type { Turns } from '../util/turns.js';

// The short forms that lists show. A stub of an unchanged object is the same object each time, so that whoever prints
// lists may keep its text.

const jobStubs = new WeakMap<Job, { summary: JobSummary | undefined; stub: JobListStub }>();

export function jobStub(job: Job, state: StateSnapshot): JobListStub {
  const summary = state.jobSummary(job.Namespace, job.ID);
  const known = jobStubs.get(job);
  if (known && known.summary === summary) return known.stub;
  const stub: JobListStub = {
    ID: job.ID,
    ParentID: job.ParentID,
    Name: job.Name,
    Namespace: job.Namespace,
    Datacenters: job.Datacenters,
    NodePool: job.NodePool,
    Multiregion: job.Multiregion,
    Type: job.Type,
    Priority: job.Priority,
    Periodic: job.Periodic !== null,
    ParameterizedJob: isParameterized(job),
    Stop: job.Stop,
    Status: job.Status,
    StatusDescription: job.StatusDescription,
    JobSummary: summary ?? null,
    CreateIndex: job.CreateIndex,
    ModifyIndex: job.ModifyIndex,
    JobModifyIndex: job.JobModifyIndex,
    SubmitTime: job.SubmitTime,
    Version: job.Version,
  };
  jobStubs.set(job, { summary, stub });
  return stub;
}

/** The short forms of those allocations for which `isWanted` holds, gone through in turns. */
export async function allocStubsOf(
  turns: Turns,
  allocs: Iterable<Allocation>,
  isWanted: (alloc: Allocation) => boolean,
): Promise<AllocListStub[]> {
  const stubs: AllocListStub[] = [];
  const show = allocStubs();
  await turns.through(allocs, (alloc) => {
    if (isWanted(alloc)) stubs.push(show(alloc));
    return true;
  });
  return stubs;
}

/** Of longer lists the rest is made anew each time: a collector that looks after more holds the thread for longer than making them. */
const STUBS_KEPT_MAX = 20_000;
const keptAllocStubs = new WeakMap<Allocation, AllocListStub>();

/** What makes the short forms of one list. */
export function allocStubs(
  options: { resources?: boolean; taskStates?: boolean } = {},
): (alloc: Allocation) => AllocListStub {
  let left = STUBS_KEPT_MAX;
  return (alloc) => {
    const stub = allocStub(alloc, left-- > 0);
    if (!options.resources && options.taskStates !== false) return stub;
    return {
      ...stub,
      ...(options.resources ? { AllocatedResources: alloc.AllocatedResources } : {}),
      ...(options.taskStates === false ? { TaskStates: null } : {}),
    };
  };
}

export function allocStub(alloc: Allocation, isKept = true): AllocListStub {
  const known = keptAllocStubs.get(alloc);
  if (known) return known;
  const stub = newAllocStub(alloc);
  if (isKept) keptAllocStubs.set(alloc, stub);
  return stub;
}

/** Written out: a copy without some of its keys takes ten times as long, and there are many. */
function newAllocStub(alloc: Allocation): AllocListStub {
  return {
    ID: alloc.ID,
    Namespace: alloc.Namespace,
    EvalID: alloc.EvalID,
    Name: alloc.Name,
    NodeID: alloc.NodeID,
    NodeName: alloc.NodeName,
    JobID: alloc.JobID,
    TaskGroup: alloc.TaskGroup,
    DesiredStatus: alloc.DesiredStatus,
    DesiredDescription: alloc.DesiredDescription,
    DesiredTransition: alloc.DesiredTransition,
    ClientStatus: alloc.ClientStatus,
    ClientDescription: alloc.ClientDescription,
    TaskStates: alloc.TaskStates,
    DeploymentID: alloc.DeploymentID,
    DeploymentStatus: alloc.DeploymentStatus,
    PreviousAllocation: alloc.PreviousAllocation,
    NextAllocation: alloc.NextAllocation,
    RescheduleTracker: alloc.RescheduleTracker,
    FollowupEvalID: alloc.FollowupEvalID,
    PreemptedAllocations: alloc.PreemptedAllocations,
    PreemptedByAllocation: alloc.PreemptedByAllocation,
    CreateIndex: alloc.CreateIndex,
    ModifyIndex: alloc.ModifyIndex,
    AllocModifyIndex: alloc.AllocModifyIndex,
    CreateTime: alloc.CreateTime,
    ModifyTime: alloc.ModifyTime,
    JobType: alloc.Job?.Type ?? '',
    JobVersion: alloc.Job?.Version ?? 0,
  };
}

const nodeStubs = new WeakMap<Node, NodeListStub>();

export function nodeStub(node: Node, options: { resources?: boolean; os?: boolean } = {}): NodeListStub {
  let stub = nodeStubs.get(node);
  if (!stub) {
    stub = {
      ID: node.ID,
      Name: node.Name,
      // Lists show where the node is, not the port of its API.
      Address: node.HTTPAddr.replace(/:\d+$/, ''),
      Datacenter: node.Datacenter,
      NodeClass: node.NodeClass,
      NodePool: node.NodePool,
      Version: node.Attributes['nomad.version'] ?? '',
      Drain: node.DrainStrategy !== null,
      SchedulingEligibility: node.SchedulingEligibility,
      Status: node.Status,
      StatusDescription: node.StatusDescription,
      Drivers: node.Drivers,
      HostVolumes: node.HostVolumes,
      LastDrain: node.LastDrain,
      CreateIndex: node.CreateIndex,
      ModifyIndex: node.ModifyIndex,
    };
    nodeStubs.set(node, stub);
  }
  if (!options.resources && !options.os) return stub;
  const os = node.Attributes['os.name'];
  return {
    ...stub,
    ...(options.resources ? { NodeResources: node.NodeResources, ReservedResources: node.ReservedResources } : {}),
    ...(options.os && os !== undefined ? { Attributes: { 'os.name': os } } : {}),
  };
}

const publicNodes = new WeakMap<Node, Node>();

/** A node without what proves its identity. */
export function publicNode(node: Node): Node {
  let shown = publicNodes.get(node);
  if (!shown) {
    shown = { ...node, SecretID: '' };
    publicNodes.set(node, shown);
  }
  return shown;
}

/** A variable without its items. */
export function variableMetadata({
  Namespace,
  Path,
  CreateIndex,
  ModifyIndex,
  CreateTime,
  ModifyTime,
}: VariableMetadata): VariableMetadata {
  return { Namespace, Path, CreateIndex, ModifyIndex, CreateTime, ModifyTime };
}
