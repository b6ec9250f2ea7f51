// What holds of allocations and nodes, said slowly and plainly: every allocation there is is looked through for every question,
// and nothing is remembered, added up beforehand or shared with the scheduler but the structs.
import type { StateSnapshot } from '../../lib/state/store.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Constraint } from '../../lib/structs/constraint.js';
import type { Job, TaskGroup } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import type { Port } from '../../lib/structs/resources.js';
import type { VolumeRequest } from '../../lib/structs/volume.js';

const OVER = ['complete', 'failed', 'lost'];

/** Holds what it was given until its client says that it has ended. */
export const holds = ({ ClientStatus }: Allocation): boolean => !OVER.includes(ClientStatus);
/** Is to run, and has not ended. */
export const runs = (alloc: Allocation): boolean => holds(alloc) && alloc.DesiredStatus === 'run';

const groupOf = ({ Job: job, TaskGroup: name }: Allocation): TaskGroup =>
  job?.TaskGroups.find(({ Name }) => Name === name) as TaskGroup;
const coreMhz = ({ NodeResources: { Cpu } }: Node): number => Math.floor(Cpu.CpuShares / Cpu.TotalCpuCores);

/** Name of a host network → its addresses on a node, in order. */
function addressesOn(node: Node, network: string): string[] {
  const own = (node.NodeResources.NodeNetworks ?? []).flatMap(({ Addresses }) => Addresses);
  return own.filter(({ Alias }) => Alias === (network === '' ? 'default' : network)).map(({ Address }) => Address);
}

function isReserved(node: Node, ip: string, port: number): boolean {
  const own = (node.NodeResources.NodeNetworks ?? []).flatMap(({ Addresses }) => Addresses);
  const texts = own.filter(({ Address }) => Address === ip).map(({ ReservedPorts }) => ReservedPorts);
  return [...texts, node.ReservedResources.Networks.ReservedHostPorts]
    .flatMap((text) => text.split(','))
    .filter((text) => text !== '')
    .some((text) => {
      const [from = '', to = from] = text.split('-');
      return port >= Number(from) && port <= Number(to);
    });
}

function isTaken(node: Node, others: readonly Allocation[], ip: string, port: number): boolean {
  return (
    others.some(({ AllocatedResources: { Shared } }) =>
      (Shared.Ports ?? []).some((held) => held.HostIP === ip && held.Value === port && !held.IgnoreCollision),
    ) || isReserved(node, ip, port)
  );
}

function portsShort(node: Node, group: TaskGroup, others: readonly Allocation[]): string {
  const [network] = group.Networks ?? [];
  const given: string[] = [];
  for (const { Value, HostNetwork, IgnoreCollision } of network?.ReservedPorts ?? []) {
    const [ip] = addressesOn(node, HostNetwork);
    if (ip === undefined) return `no address for ${HostNetwork}`;
    const key = `${ip}:${Value}`;
    if (!IgnoreCollision && (isTaken(node, others, ip, Value) || given.includes(key))) return `port ${key} taken`;
    if (!IgnoreCollision) given.push(key);
  }
  for (const { HostNetwork } of network?.DynamicPorts ?? []) {
    const free = addressesOn(node, HostNetwork).flatMap((ip) => {
      const { MinDynamicPort: min, MaxDynamicPort: max } = node.NodeResources;
      const range = Array.from({ length: max - min + 1 }, (_, i) => min + i);
      return range.filter((port) => !isTaken(node, others, ip, port)).map((port) => `${ip}:${port}`);
    });
    const next = free.find((key) => !given.includes(key));
    if (next === undefined) return 'no dynamic port left';
    given.push(next);
  }
  return '';
}

function devicesShort(node: Node, group: TaskGroup, others: readonly Allocation[]): string {
  const taken = others.flatMap(({ AllocatedResources: { Tasks } }) =>
    Object.values(Tasks).flatMap(({ Devices }) => (Devices ?? []).flatMap(({ DeviceIDs }) => DeviceIDs)),
  );
  for (const { Name, Count } of group.Tasks.flatMap(({ Resources }) => Resources.Devices ?? [])) {
    const fits = (node.NodeResources.Devices ?? []).some((device) => {
      const names = [device.Type, `${device.Vendor}/${device.Type}`, `${device.Vendor}/${device.Type}/${device.Name}`];
      const free = device.Instances.filter(({ ID, Healthy }) => Healthy && !taken.includes(ID));
      return names.includes(Name) && free.length >= Count;
    });
    if (!fits) return `devices ${Name}`;
  }
  return '';
}

/** What an allocation of the group would take of a node beside these others; '' = there is enough. */
export function roomShort(node: Node, group: TaskGroup, others: readonly Allocation[]): string {
  const { NodeResources: all, ReservedResources: kept } = node;
  const sum = (part: (task: Allocation['AllocatedResources']['Tasks'][string]) => number): number =>
    others
      .flatMap(({ AllocatedResources: { Tasks } }) => Object.values(Tasks))
      .reduce((total, task) => total + part(task), 0);
  const asks = (part: (resources: TaskGroup['Tasks'][number]['Resources']) => number): number =>
    group.Tasks.reduce((total, { Resources }) => total + part(Resources), 0);
  const cores = others.flatMap(({ AllocatedResources: { Tasks } }) =>
    Object.values(Tasks).flatMap(({ Cpu }) => Cpu.ReservedCores ?? []),
  );
  const left = (all.Cpu.ReservableCpuCores ?? []).filter((core) => !cores.includes(core));
  if (left.length < asks(({ Cores }) => Cores)) return 'cores';
  const cpu = asks(({ Cores, CPU }) => (Cores > 0 ? Cores * coreMhz(node) : CPU));
  if (sum(({ Cpu }) => Cpu.CpuShares) + cpu > all.Cpu.CpuShares - kept.Cpu.CpuShares) return 'cpu';
  const memory = asks(({ MemoryMB }) => MemoryMB);
  if (sum(({ Memory }) => Memory.MemoryMB) + memory > all.Memory.MemoryMB - kept.Memory.MemoryMB) return 'memory';
  const disk = others.reduce((total, { AllocatedResources: { Shared } }) => total + Shared.DiskMB, 0);
  if (disk + group.EphemeralDisk.SizeMB > all.Disk.DiskMB - kept.Disk.DiskMB) return 'disk';
  return portsShort(node, group, others) || devicesShort(node, group, others);
}

function valueAt(node: Node, target: string): string | undefined {
  if (target === '${node.datacenter}') return node.Datacenter;
  return node.Attributes[target.slice('${attr.'.length, -1)];
}

function isMet(node: Node, { LTarget, Operand, RTarget }: Constraint): boolean {
  const value = valueAt(node, LTarget);
  if (Operand === '!=') return value !== RTarget;
  if (Operand === '=') return value === RTarget;
  if (Operand === 'is_set') return value !== undefined;
  if (Operand === 'set_contains') return RTarget.split(',').every((word) => (value ?? '').split(',').includes(word));
  if (Operand === 'version') return value !== undefined && Number(value.split('.')[0]) >= Number(RTarget.slice(3));
  throw new Error(`the slow truth knows nothing of ${Operand}`);
}

/** What one more of the group would do to distinct_hosts and distinct_property, with these of the job running. */
function distinctClash(node: Node, job: Job, group: TaskGroup, state: StateSnapshot): string {
  const nodes = new Map([...state.nodes()].map((one) => [one.ID, one]));
  const own = state.allocsByJob(job.Namespace, job.ID).filter(runs);
  for (const [constraints, among] of [
    [job.Constraints ?? [], own],
    [group.Constraints ?? [], own.filter(({ TaskGroup: name }) => name === group.Name)],
  ] as const) {
    for (const { Operand, LTarget, RTarget } of constraints) {
      if (Operand === 'distinct_hosts' && among.some(({ NodeID }) => NodeID === node.ID)) return 'distinct_hosts';
      if (Operand !== 'distinct_property') continue;
      const value = valueAt(node, LTarget);
      if (value === undefined) return 'property missing';
      const alike = among.filter(({ NodeID }) => valueAt(nodes.get(NodeID) as Node, LTarget) === value);
      if (alike.length >= (RTarget === '' ? 1 : Number(RTarget))) return `distinct_property ${value}`;
    }
  }
  return '';
}

/** A CSI volume is one per namespace: its users are looked for among all allocations. */
function volumeClash(node: Node, job: Job, request: VolumeRequest, state: StateSnapshot): string {
  const { Source, AccessMode } = request;
  if (request.Type !== 'csi') {
    const volume = node.HostVolumes?.[Source];
    if (!volume || (volume.ReadOnly && !request.ReadOnly)) return `host volume ${Source}`;
    if (AccessMode !== 'single-node-single-writer' || request.ReadOnly) return '';
    const alone = state
      .allocsByNode(node.ID)
      .some((alloc) => holds(alloc) && uses(alloc, Source, (one) => one.AccessMode === AccessMode && !one.ReadOnly));
    return alone ? `host volume ${Source} is written` : '';
  }
  const volume = state.csiVolumeById(job.Namespace, Source);
  if (!volume) return `no volume ${Source}`;
  const plugin = node.CSINodePlugins?.[volume.PluginID];
  if (!plugin?.Healthy) return 'no plugin';
  const zone = plugin.NodeInfo?.AccessibleTopology?.Segments?.['zone'];
  const zones = (volume.Topologies ?? []).map(({ Segments }) => Segments?.['zone']);
  if (zones.length > 0 && !zones.includes(zone)) return 'topology';
  const users = [...state.allocs()].filter((alloc) => runs(alloc) && uses(alloc, Source, ({ Type }) => Type === 'csi'));
  if (AccessMode === 'single-node-writer' && users.length > 0) return 'volume in use';
  if (users.some((alloc) => !uses(alloc, Source, (one) => one.AccessMode === AccessMode))) return 'used otherwise';
  return '';
}

function uses(alloc: Allocation, source: string, how: (request: VolumeRequest) => boolean): boolean {
  return Object.values(groupOf(alloc).Volumes ?? {}).some((request) => request.Source === source && how(request));
}

/** Why a node will not do for one more of a group, room aside; '' = it will. */
export function nodeRefuses(node: Node, job: Job, group: TaskGroup, state: StateSnapshot): string {
  if (node.Status !== 'ready' || node.SchedulingEligibility !== 'eligible' || node.DrainStrategy) return 'not ready';
  if (job.NodePool !== 'all' && job.NodePool !== node.NodePool) return 'pool';
  const inside = job.Datacenters.some((glob) => new RegExp(`^${glob.replaceAll('*', '.*')}$`).test(node.Datacenter));
  if (!inside) return 'datacenter';
  if (!group.Tasks.every(({ Driver }) => node.Drivers[Driver]?.Healthy)) return 'driver';
  const plain = [...(job.Constraints ?? []), ...(group.Constraints ?? [])];
  const unmet = plain.find((one) => !one.Operand.startsWith('distinct') && !isMet(node, one));
  if (unmet) return `${unmet.LTarget} ${unmet.Operand} ${unmet.RTarget}`;
  const ports: Port[] = (group.Networks ?? []).flatMap((one) => [
    ...(one.ReservedPorts ?? []),
    ...(one.DynamicPorts ?? []),
  ]);
  if (ports.some(({ HostNetwork }) => addressesOn(node, HostNetwork).length === 0)) return 'host network';
  for (const request of Object.values(group.Volumes ?? {})) {
    const clash = volumeClash(node, job, request, state);
    if (clash !== '') return clash;
  }
  return distinctClash(node, job, group, state);
}

/** Everything that is wrong with who is where. */
export function wrongs(state: StateSnapshot): string[] {
  const found: string[] = [];
  for (const node of state.nodes()) {
    const there = state.allocsByNode(node.ID).filter(holds);
    const seen: Allocation[] = [];
    for (const alloc of there) {
      const short = givenWrong(node, alloc, seen);
      if (short !== '') found.push(`${alloc.Name} on ${node.Name}: ${short}`);
      seen.push(alloc);
    }
    const { Cpu, Memory, Disk } = node.NodeResources;
    const kept = node.ReservedResources;
    const tasks = there.flatMap(({ AllocatedResources: { Tasks } }) => Object.values(Tasks));
    const cpu = tasks.reduce((sum, task) => sum + task.Cpu.CpuShares, 0);
    const memory = tasks.reduce((sum, task) => sum + task.Memory.MemoryMB, 0);
    const disk = there.reduce((sum, { AllocatedResources: { Shared } }) => sum + Shared.DiskMB, 0);
    if (cpu > Cpu.CpuShares - kept.Cpu.CpuShares) found.push(`${node.Name}: cpu ${cpu}`);
    if (memory > Memory.MemoryMB - kept.Memory.MemoryMB) found.push(`${node.Name}: memory ${memory}`);
    if (disk > Disk.DiskMB - kept.Disk.DiskMB) found.push(`${node.Name}: disk ${disk}`);
  }
  return found;
}

/** What is wrong with the things that one allocation was given, beside those that were given before. */
function givenWrong(node: Node, alloc: Allocation, before: readonly Allocation[]): string {
  const group = groupOf(alloc);
  const job = alloc.Job as Job;
  const { Tasks, Shared } = alloc.AllocatedResources;
  for (const { Name, Resources } of group.Tasks) {
    const { Cpu, Devices } = Tasks[Name] as (typeof Tasks)[string];
    const cores = Cpu.ReservedCores ?? [];
    if (cores.length !== Resources.Cores) return `${cores.length} cores of ${Resources.Cores}`;
    if (!cores.every((core) => node.NodeResources.Cpu.ReservableCpuCores?.includes(core))) return 'a core that is none';
    const held = before.flatMap(({ AllocatedResources: one }) =>
      Object.values(one.Tasks).flatMap((task) => task.Cpu.ReservedCores ?? []),
    );
    if (cores.some((core) => held.includes(core))) return 'a core twice';
    const wanted = (Resources.Devices ?? []).reduce((sum, { Count }) => sum + Count, 0);
    const ids = (Devices ?? []).flatMap(({ DeviceIDs }) => DeviceIDs);
    const known = (node.NodeResources.Devices ?? []).flatMap(({ Instances }) =>
      Instances.filter(({ Healthy }) => Healthy).map(({ ID }) => ID),
    );
    const taken = before.flatMap(({ AllocatedResources: one }) =>
      Object.values(one.Tasks).flatMap((task) => (task.Devices ?? []).flatMap(({ DeviceIDs }) => DeviceIDs)),
    );
    if (ids.length !== wanted || ids.some((id) => !known.includes(id) || taken.includes(id)))
      return `devices ${ids.join()}`;
  }
  const [network] = group.Networks ?? [];
  const asked = [...(network?.ReservedPorts ?? []), ...(network?.DynamicPorts ?? [])];
  if (asked.length !== (Shared.Ports ?? []).length) return 'not as many ports as asked for';
  for (const { Label, Value, HostIP, IgnoreCollision } of Shared.Ports ?? []) {
    const ask = asked.find((port) => port.Label === Label) as Port;
    if (!addressesOn(node, ask.HostNetwork).includes(HostIP)) return `port ${Label} on ${HostIP}`;
    const isFixed = network?.ReservedPorts?.includes(ask) ?? false;
    const { MinDynamicPort: min, MaxDynamicPort: max } = node.NodeResources;
    if (isFixed ? Value !== ask.Value : Value < min || Value > max) return `port ${Label} is ${Value}`;
    if (!IgnoreCollision && isTaken(node, before, HostIP, Value)) return `port ${Value} twice`;
  }
  if (job.NodePool !== 'all' && job.NodePool !== node.NodePool) return 'pool';
  const constraints = [...(job.Constraints ?? []), ...(group.Constraints ?? [])];
  const unmet = constraints.find((one) => !one.Operand.startsWith('distinct') && !isMet(node, one));
  return unmet ? `constraint ${unmet.LTarget} ${unmet.Operand} ${unmet.RTarget}` : '';
}

/** What of the whole cluster is wrong: too many of one volume, one host or one value. */
export function jobWrongs(job: Job, state: StateSnapshot): string[] {
  const found: string[] = [];
  const nodes = new Map([...state.nodes()].map((node) => [node.ID, node]));
  const own = state.allocsByJob(job.Namespace, job.ID).filter(runs);
  const check = (constraints: readonly Constraint[], among: readonly Allocation[]): void => {
    for (const { Operand, LTarget, RTarget } of constraints) {
      if (!Operand.startsWith('distinct')) continue;
      const most = Operand === 'distinct_hosts' || RTarget === '' ? 1 : Number(RTarget);
      const counts = new Map<string, number>();
      for (const { NodeID } of among) {
        const node = nodes.get(NodeID) as Node;
        const key = Operand === 'distinct_hosts' ? NodeID : String(valueAt(node, LTarget));
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
      for (const [key, count] of counts) if (count > most) found.push(`${job.ID}: ${count} on ${key}`);
    }
  };
  check(job.Constraints ?? [], own);
  for (const group of job.TaskGroups) {
    const mine = own.filter(({ TaskGroup: name }) => name === group.Name);
    check(group.Constraints ?? [], mine);
    if (job.Type !== 'system' && mine.length > group.Count) found.push(`${job.ID}: ${mine.length} of ${group.Count}`);
    const names = mine.map(({ Name, NodeID }) => (job.Type === 'system' ? NodeID : Name));
    if (new Set(names).size < names.length) found.push(`${job.ID}: a name twice`);
    for (const request of Object.values(group.Volumes ?? {})) {
      if (request.Type !== 'csi' || request.AccessMode !== 'single-node-writer') continue;
      const users = [...state.allocs()].filter((alloc) => runs(alloc) && uses(alloc, request.Source, () => true));
      if (users.length > 1) found.push(`${request.Source} has ${users.map(({ Name }) => Name).join(' and ')}`);
    }
  }
  return found;
}
