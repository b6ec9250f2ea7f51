import type { StateSnapshot } from '../../../lib/state/store.js';
import type { Allocation } from '../../../lib/structs/allocation.js';
import type { Job } from '../../../lib/structs/job.js';

// What must hold whatever happens. Added up here anew, in the simplest way, not with the scheduler's own arithmetic.

/** Says in a sentence each what does not hold; empty when all does. `settled`: nothing is under way any more. */
export function brokenInvariants(state: StateSnapshot, options: { settled: boolean }): string[] {
  const broken: string[] = [];
  for (const node of state.nodes()) {
    const problem = nodeProblem(state, node.ID);
    if (problem) broken.push(`node ${node.Name}: ${problem}`);
  }
  for (const job of state.jobs()) {
    const problem = jobProblem(job, state, options.settled);
    if (problem) broken.push(`job ${job.ID}: ${problem}`);
  }
  return broken;
}

const isOver = ({ ClientStatus }: Allocation): boolean =>
  ClientStatus === 'complete' || ClientStatus === 'failed' || ClientStatus === 'lost';

function nodeProblem(state: StateSnapshot, nodeId: string): string {
  const node = state.nodeById(nodeId);
  if (!node) return 'is gone';
  const { Cpu, Memory, Disk } = node.NodeResources;
  const used = { cpu: 0, memory: 0, disk: 0 };
  const leaving = { cpu: 0, memory: 0, disk: 0 };
  const ports = new Set<string>();
  for (const alloc of state.allocsByNode(nodeId)) {
    // Only the client's word frees what an allocation holds…
    if (isOver(alloc)) continue;
    // …but who evicts another waits, on the node, until that has ended.
    const evicted = alloc.DesiredStatus === 'evict' ? leaving : used;
    for (const task of Object.values(alloc.AllocatedResources.Tasks)) {
      evicted.cpu += task.Cpu.CpuShares;
      evicted.memory += task.Memory.MemoryMB;
    }
    if (evicted === leaving) {
      leaving.disk += alloc.AllocatedResources.Shared.DiskMB;
      continue;
    }
    used.disk += alloc.AllocatedResources.Shared.DiskMB;
    for (const { HostIP, Value } of alloc.AllocatedResources.Shared.Ports ?? []) {
      const port = `${HostIP}:${Value}`;
      if (ports.has(port)) return `port ${port} is given twice`;
      ports.add(port);
    }
  }
  const known = state.usageByNode?.(nodeId);
  const all = [used.cpu + leaving.cpu, used.memory + leaving.memory, used.disk + leaving.disk, 0];
  if (known && `${known}` !== `${all}`) return `its usage is ${all}, not ${known}`;
  if (used.cpu > Cpu.CpuShares) return `${used.cpu} of ${Cpu.CpuShares} MHz are given away`;
  if (used.memory > Memory.MemoryMB) return `${used.memory} of ${Memory.MemoryMB} MiB of memory are given away`;
  if (used.disk > Disk.DiskMB) return `${used.disk} of ${Disk.DiskMB} MiB of disk are given away`;
  return '';
}

function jobProblem(job: Job, state: StateSnapshot, settled: boolean): string {
  const names = new Set<string>();
  const nodes = new Set<string>();
  const counts = new Map<string, number>();
  for (const alloc of state.allocsByJob(job.Namespace, job.ID)) {
    if (alloc.DesiredStatus !== 'run' || isOver(alloc)) continue;
    // The allocations of a system job are all of one name, and one on a node.
    const own = job.Type === 'system' ? `${alloc.Name} on ${alloc.NodeID}` : alloc.Name;
    if (names.has(own)) return `two allocations named ${own} are wanted and running`;
    names.add(own);
    nodes.add(alloc.NodeID);
    counts.set(alloc.TaskGroup, (counts.get(alloc.TaskGroup) ?? 0) + 1);
    const rack = state.nodeById(alloc.NodeID)?.Attributes['rack'];
    if (job.Constraints?.some(({ RTarget }) => RTarget === rack)) return `${alloc.Name} is in the refused rack ${rack}`;
  }
  for (const group of job.TaskGroups) {
    const wanted = job.Stop ? 0 : wantedCount(job, group.Count, state);
    const count = counts.get(group.Name) ?? 0;
    // Batch allocations that gave up for good count as done.
    const done = job.Type === 'batch' ? spent(job, group.Name, state, names) : 0;
    if (count > wanted) return `${count} allocations of ${group.Name}, and ${wanted} are wanted`;
    if (settled && count + done < wanted) return `${count} allocations of ${group.Name} instead of ${wanted}`;
  }
  return '';
}

function wantedCount(job: Job, count: number, state: StateSnapshot): number {
  if (job.Type !== 'system') return count;
  let ready = 0;
  for (const node of state.nodes()) {
    if (node.Status === 'ready' && node.SchedulingEligibility === 'eligible') ready++;
  }
  return ready;
}

function spent(job: Job, group: string, state: StateSnapshot, running: ReadonlySet<string>): number {
  const over = new Set<string>();
  for (const alloc of state.allocsByJob(job.Namespace, job.ID)) {
    if (alloc.TaskGroup === group && isOver(alloc) && alloc.ClientStatus !== 'lost') over.add(alloc.Name);
  }
  let count = 0;
  for (const name of over) if (!running.has(name)) count++;
  return count;
}
