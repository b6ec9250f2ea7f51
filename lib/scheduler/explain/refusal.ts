import type { Allocation } from '../../structs/allocation.js';
import type { Job, TaskGroup } from '../../structs/job.js';
import type { Node } from '../../structs/node.js';
import type { NetworkResource } from '../../structs/resources.js';
import type { Random } from '../../util/random.js';
import { addressesOf } from '../feasible/addresses.js';
import { groupChecks, jobChecks } from '../feasible/checks.js';
import { type CoreAsk, coreAsks } from '../feasible/cores.js';
import { DeviceUse } from '../feasible/device-use.js';
import { DeviceProgram } from '../feasible/devices.js';
import { assign } from '../feasible/numa.js';
import { networkOf, offerPorts, PortUse } from '../feasible/port-use.js';
import { TOO_MANY } from '../fit.js';
import { isInReach } from '../fleet.js';
import { coreMhz } from '../group-program.js';
import type { StateReader } from '../ports.js';
import type { Rest } from '../turns.js';
import { addResources, capacityOf, emptyUsage, isClientTerminal, isTerminal, type Usage } from '../usage.js';
import { createDistinctJudge } from './distinct.js';

/** The first rule by which a node refuses one more allocation of a group. `short`: by how much, where that can be said. */
export interface Refusal {
  readonly kind:
    | 'status'
    | 'place'
    | 'rule'
    | 'volume'
    | 'distinct'
    | 'property'
    | 'allocations'
    | 'cpu'
    | 'memory'
    | 'disk'
    | 'port'
    | 'address'
    | 'dynamic-ports'
    | 'cores'
    | 'devices'
    | 'numa';
  readonly rule: string;
  readonly short: number;
  /** The node has less than is asked for also when nothing runs there. */
  readonly isTooSmall?: boolean;
  /** Who has what is asked for, or what is there instead, where that can be said. */
  readonly by?: string;
}

/** What one allocation of a group asks for. */
export interface GroupAsk {
  readonly cpuMhz: number;
  readonly memoryMb: number;
  readonly diskMb: number;
  readonly network: NetworkResource | null;
}

export function askOf(group: TaskGroup): GroupAsk {
  const usage = emptyUsage();
  const tasks = group.Tasks.map(({ Name, Resources: { CPU, MemoryMB } }) => [
    Name,
    {
      Cpu: { CpuShares: CPU, ReservedCores: null },
      Memory: { MemoryMB, MemoryMaxMB: 0 },
      Networks: null,
      Devices: null,
    },
  ]);
  addResources(usage, {
    Tasks: Object.fromEntries(tasks),
    TaskLifecycles: Object.fromEntries(group.Tasks.map((task) => [task.Name, task.Lifecycle])),
    Shared: { DiskMB: group.EphemeralDisk.SizeMB, Networks: null, Ports: null },
  });
  return { cpuMhz: usage.cpuMhz, memoryMb: usage.memoryMb, diskMb: usage.diskMb, network: group.Networks?.[0] ?? null };
}

/** Judges nodes one by one, slowly and plainly: for a person who asks, not for the scheduler. */
export function* createJudge(
  state: StateReader,
  job: Job,
  group: TaskGroup,
): Generator<Rest, (node: Node) => Refusal | null, void> {
  const onJob = jobChecks(job);
  const hasDevices = group.Tasks.some(({ Resources }) => (Resources.Devices ?? []).length > 0);
  const devices = hasDevices ? new DeviceProgram(group.Tasks) : null;
  const cores = coreAsks(group);
  const { group: onGroup, availability } = groupChecks(group, devices, {
    job,
    state,
    isStopped: () => false,
    others: (name) => liveOf(state, job, name).length,
    othersOn: (name, nodeId) => liveOf(state, job, name).filter(({ NodeID }) => NodeID === nodeId).length,
  });
  const distinct = yield* createDistinctJudge(state, job, group);
  const ask = askOf(group);
  const name = `${job.ID}.${group.Name}[0]`;
  return (node) => {
    const status = statusRefusal(node);
    if (status !== '') return { kind: 'status', rule: status, short: 0 };
    if (!isInReach(node, ['*'], job.NodePool)) return place(`node pool "${job.NodePool}"`, `"${node.NodePool}"`);
    if (!isInReach(node, job.Datacenters, job.NodePool))
      return place(`datacenters ${job.Datacenters.join(', ')}`, node.Datacenter);
    for (const check of [...onJob, ...onGroup]) {
      if (!check.holds(node)) return { kind: 'rule', rule: check.reason, short: 0, by: check.told?.(node) ?? '' };
    }
    for (const check of availability) {
      const rule = check.refusal(node, name, false);
      if (rule !== '') return { kind: 'volume', rule, short: 0, by: check.told?.(node, name) ?? '' };
    }
    const refusal = distinct(node);
    if (refusal) return refusal;
    const held = state.allocsByNode(node.ID);
    return shortage(node, held, ask, cores) ?? thingsShortage(node, held, { cores, devices });
  };
}

function liveOf(state: StateReader, job: Job, group: string): Allocation[] {
  return state.allocsByJob(job.Namespace, job.ID).filter((alloc) => alloc.TaskGroup === group && !isTerminal(alloc));
}

const place = (rule: string, by: string): Refusal => ({ kind: 'place', rule, short: 0, by });

function statusRefusal(node: Node): string {
  if (node.Status !== 'ready') return node.Status;
  if (node.DrainStrategy !== null) return 'draining';
  return node.SchedulingEligibility === 'eligible' ? '' : 'ineligible';
}

const freeCores = (node: Node, used: Usage): number[] =>
  (node.NodeResources.Cpu.ReservableCpuCores ?? []).filter((core) => !used.cores.includes(core));

/** Whether others hold the devices that are asked for, or what is free lies on several NUMA nodes. */
function thingsShortage(
  node: Node,
  held: readonly Allocation[],
  asks: { cores: readonly CoreAsk[]; devices: DeviceProgram | null },
): Refusal | null {
  if (asks.cores.length === 0 && !asks.devices) return null;
  const use = new DeviceUse();
  const used = emptyUsage();
  for (const alloc of held) {
    if (isClientTerminal(alloc)) continue;
    use.add(alloc.AllocatedResources);
    addResources(used, alloc.AllocatedResources);
  }
  const cores = freeCores(node, used);
  const refuse = (kind: 'devices' | 'numa'): Refusal => ({ kind, rule: kind, short: 0 });
  if (asks.devices && !asks.devices.offer(node, use)) return refuse('devices');
  return assign(asks, node, { use, cores }) ? null : refuse('numa');
}

function shortage(node: Node, held: readonly Allocation[], ask: GroupAsk, cores: readonly CoreAsk[]): Refusal | null {
  const used = emptyUsage();
  for (const alloc of held) if (!isClientTerminal(alloc)) addResources(used, alloc.AllocatedResources);
  const count = held.filter((alloc) => !isClientTerminal(alloc)).length;
  if (node.NodeMaxAllocs && count >= node.NodeMaxAllocs)
    return { kind: TOO_MANY, rule: `${node.NodeMaxAllocs}`, short: 1 };
  const capacity = capacityOf(node);
  const over = (kind: 'cpu' | 'memory' | 'disk', used: number, ask: number, has: number): Refusal | null => {
    if (used + ask <= has) return null;
    // What is free there or not makes no difference to an ask that is larger than the node.
    return ask > has
      ? { kind, rule: `${kind} in all`, short: ask - has, isTooSmall: true }
      : { kind, rule: kind, short: used + ask - has };
  };
  const wanted = cores.reduce((sum, { count }) => sum + count, 0);
  return (
    portShortage(node, held, ask) ??
    coreShortage(node, used, wanted) ??
    over('cpu', used.cpuMhz, ask.cpuMhz + wanted * coreMhz(node), capacity.cpuMhz) ??
    over('memory', used.memoryMb, ask.memoryMb, capacity.memoryMb) ??
    over('disk', used.diskMb, ask.diskMb, capacity.diskMb)
  );
}

function coreShortage(node: Node, used: Usage, wanted: number): Refusal | null {
  if (wanted === 0) return null;
  const tooMany = wanted - freeCores(node, emptyUsage()).length;
  if (tooMany > 0) return { kind: 'cores', rule: 'cores in all', short: tooMany, isTooSmall: true };
  const lacking = wanted - freeCores(node, used).length;
  return lacking > 0 ? { kind: 'cores', rule: 'cores', short: lacking } : null;
}

/** Always the first: for a question, any free port is as good. */
const FIRST: Random = { next: () => 0 };

/** Whether a static port is taken, or no dynamic one is left. */
function portShortage(node: Node, held: readonly Allocation[], { network }: GroupAsk): Refusal | null {
  if (!network) return null;
  const { addresses } = addressesOf(node);
  const homeless = [...(network.ReservedPorts ?? []), ...(network.DynamicPorts ?? [])].find(
    (port) => !addresses.some((address) => address.network === networkOf(port)),
  );
  if (homeless) {
    const by = node.Attributes['unique.network.reason'];
    return { kind: 'address', rule: networkOf(homeless), short: 0, ...(addresses.length === 0 && by ? { by } : {}) };
  }
  const use = new PortUse(addressesOf(node));
  const alive = held.filter((alloc) => !isClientTerminal(alloc));
  for (const { AllocatedResources } of alive) use.add(AllocatedResources.Shared.Ports);
  for (const port of network.ReservedPorts ?? []) {
    if (offerPorts({ ...network, ReservedPorts: [port], DynamicPorts: null }, use, FIRST).ok) continue;
    const holder = alive.find(({ AllocatedResources: { Shared } }) =>
      Shared.Ports?.some(({ Value, IgnoreCollision }) => Value === port.Value && !IgnoreCollision),
    );
    const by = holder ? `job ${holder.JobID}` : 'the machine itself (reserved_ports)';
    return { kind: 'port', rule: `port ${port.Value}`, short: 0, by };
  }
  if (offerPorts(network, use, FIRST).ok) return null;
  const { dynamicMin, dynamicMax } = addressesOf(node);
  return { kind: 'dynamic-ports', rule: 'dynamic ports', short: 0, by: `${dynamicMin} to ${dynamicMax}` };
}
