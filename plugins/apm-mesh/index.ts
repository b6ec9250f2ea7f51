import {
  type Apm,
  type ApmPlugin,
  refuseConfig,
  type ScalerCall,
  type ScalerRpc,
} from '../../lib/plugin/sdk/autoscaler.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Metric, TimeRange } from '../../lib/structs/autoscaling.js';
import type { AllocListStub, NodeListStub } from '../../lib/structs/rpc.js';
import { combine, type GroupMetric, type MeshQuery, type NodeFilter, readQuery } from './query.js';

/** Figures are asked for at each evaluation, and kept as long as a window may reach back. */
const KEPT_MS = 60 * 60_000;
/** A window that ended less than this ago ends now. */
const OPEN_MS = 10_000;
const KEPT_MAX = 4_000;
const MIB = 1024 * 1024;

/** What the mesh knows of itself: how much the allocations of a group use, and how much of the nodes is taken. */
class MeshApm implements Apm {
  readonly name = 'nomad-apm';
  private readonly rpc: ScalerRpc;
  private readonly kept = new Map<string, Metric[]>();

  constructor(rpc: ScalerRpc) {
    this.rpc = rpc;
  }

  async query(text: string, range: TimeRange, call: ScalerCall): Promise<Metric[]> {
    const value = await this.measure(readQuery(text), call);
    const now = Date.now();
    const known = (this.kept.get(text) ?? []).filter(
      ({ timestampMs }) => timestampMs > now - KEPT_MS && timestampMs <= now,
    );
    if (value !== undefined) known.push({ timestampMs: now, value });
    this.kept.set(text, known.slice(-KEPT_MAX));
    // What was measured just now belongs to a window that ends now, although that was said a moment ago.
    const isOpen = now - range.toMs < OPEN_MS;
    return known.filter(({ timestampMs }) => timestampMs >= range.fromMs && (isOpen || timestampMs <= range.toMs));
  }

  async queryMultiple(text: string, range: TimeRange, call: ScalerCall): Promise<Metric[][]> {
    return [await this.query(text, range, call)];
  }

  async close(): Promise<void> {
    this.kept.clear();
  }

  private measure(query: MeshQuery, call: ScalerCall): Promise<number | undefined> {
    switch (query.kind) {
      case 'group':
        return this.measureGroup(query, call);
      case 'nodes':
        return this.measureNodes(query, call);
      default:
        return this.measureWanted(query, call);
    }
  }

  private async measureGroup(query: MeshQuery & { kind: 'group' }, call: ScalerCall): Promise<number | undefined> {
    const { Allocations } = await this.rpc.call(
      'Job.Allocations',
      { Namespace: query.namespace, JobID: query.job },
      call,
    );
    const running = Allocations.filter(
      ({ TaskGroup, ClientStatus }) => TaskGroup === query.group && ClientStatus === 'running',
    );
    const values = await Promise.all(running.map((alloc) => this.measureAlloc(alloc, query.metric, call)));
    return combine(
      query.operation,
      values.filter((value) => value !== undefined),
    );
  }

  /** Undefined when its machine does not answer: one that is lost must not stop the others from being scaled. */
  private async measureAlloc(stub: AllocListStub, metric: GroupMetric, call: ScalerCall): Promise<number | undefined> {
    const usage = await this.rpc.call('Allocations.Stats', { AllocID: stub.ID }, call).catch(() => undefined);
    if (!usage) return undefined;
    const { CpuStats: cpu, MemoryStats: memory } = usage.ResourceUsage;
    const bytes = memory.Usage > 0 ? memory.Usage : memory.RSS;
    if (metric === 'cpu') return cpu.Percent;
    if (metric === 'memory') return bytes;
    const { Alloc: alloc } = await this.rpc.call('Alloc.GetAlloc', { AllocID: stub.ID }, call);
    const tasks = Object.values(alloc?.AllocatedResources.Tasks ?? {});
    const mhz = tasks.reduce((sum, { Cpu }) => sum + Cpu.CpuShares, 0);
    const mib = tasks.reduce((sum, { Memory }) => sum + Memory.MemoryMB, 0);
    if (metric === 'cpu-allocated') return mhz > 0 ? (100 * cpu.TotalTicks) / mhz : undefined;
    return mib > 0 ? (100 * bytes) / (mib * MIB) : undefined;
  }

  /** Those which take work; one that a person or a target has set aside is no part of the pool for now. */
  private async workingNodes(filter: NodeFilter, call: ScalerCall): Promise<NodeListStub[]> {
    const { Nodes } = await this.rpc.call('Node.List', { Resources: true }, call);
    return Nodes.filter(
      (node) =>
        node.Status === 'ready' &&
        node.SchedulingEligibility === 'eligible' &&
        (filter.class === null || node.NodeClass === filter.class) &&
        (filter.datacenter === null || node.Datacenter === filter.datacenter) &&
        (filter.pool === null || node.NodePool === filter.pool),
    );
  }

  /** Work of system jobs wants no machine: it runs on whichever there are. */
  private async measureWanted(query: NodeFilter, call: ScalerCall): Promise<number> {
    let busy = 0;
    for (const { ID } of await this.workingNodes(query, call)) {
      const { Allocs } = await this.rpc.call('Node.GetAllocs', { NodeID: ID }, call);
      const isWork = ({ Job: job }: Allocation): boolean => job?.Type === 'service' || job?.Type === 'batch';
      if (Allocs.some((alloc) => isLive(alloc) && isWork(alloc))) busy++;
    }
    return busy + ((await this.someWaits(query, call)) ? 1 : 0);
  }

  /** Whether a job that may run on these nodes has work that found no place. */
  private async someWaits({ pool }: NodeFilter, call: ScalerCall): Promise<boolean> {
    const { Evaluations } = await this.rpc.call('Eval.List', { Namespace: '*', FilterEvalStatus: 'blocked' }, call);
    for (const { Namespace, JobID } of Evaluations) {
      const { Job: job } = await this.rpc.call('Job.GetJob', { Namespace, JobID }, call);
      if (job && (pool === null || job.NodePool === pool || job.NodePool === 'all')) return true;
    }
    return false;
  }

  private async measureNodes(query: MeshQuery & { kind: 'nodes' }, call: ScalerCall): Promise<number | undefined> {
    const chosen = await this.workingNodes(query, call);
    let [total, used] = [0, 0];
    for (const node of chosen) {
      const own = node.NodeResources;
      const reserved = node.ReservedResources;
      if (!own || !reserved) continue;
      const isCpu = query.metric === 'cpu';
      total += isCpu ? own.Cpu.CpuShares - reserved.Cpu.CpuShares : own.Memory.MemoryMB - reserved.Memory.MemoryMB;
      const { Allocs } = await this.rpc.call('Node.GetAllocs', { NodeID: node.ID }, call);
      for (const alloc of Allocs) {
        if (!isLive(alloc)) continue;
        for (const { Cpu, Memory } of Object.values(alloc.AllocatedResources.Tasks))
          used += isCpu ? Cpu.CpuShares : Memory.MemoryMB;
      }
    }
    return total > 0 ? (100 * used) / total : undefined;
  }
}

const isLive = ({ DesiredStatus, ClientStatus }: Allocation): boolean =>
  DesiredStatus === 'run' && ['running', 'pending'].includes(ClientStatus);

const plugin: ApmPlugin = {
  kind: 'apm',
  name: 'nomad-apm',
  configProblems: refuseConfig,
  create: ({ rpc }) => new MeshApm(rpc),
};
export default plugin;
