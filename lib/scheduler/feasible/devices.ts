import type { Constraint } from '../../structs/constraint.js';
import type { Node, NodeDeviceResource } from '../../structs/node.js';
import type { AllocatedDevice, RequestedDevice } from '../../structs/resources.js';
import { constraintText, testOperands } from './constraint.js';
import {
  attributeText,
  compareAttributes,
  type DeviceAttribute,
  parseDeviceAttribute,
  reportedAttribute,
} from './device-attribute.js';
import { type DeviceUse, memoryOf, partOf } from './device-use.js';

// A device ask names a type, and gets whole instances, or a part of the memory of some, all of one group (vendor, type and
// model) of one node.

/** What the tasks of a group get on a node. */
export interface DeviceOffer {
  readonly byTask: Readonly<Record<string, AllocatedDevice[]>>;
  /** Σ weights of the affinities that match / Σ |weights|; 0 without affinities. */
  readonly score: number;
}

/** One ask of one task, compiled. */
export interface DeviceAsk {
  readonly task: string;
  /** As the job file names it. */
  readonly name: string;
  readonly count: number;
  matches(device: NodeDeviceResource): boolean;
  /** Why a device of that name will not do; null for one of another name. */
  lack(device: NodeDeviceResource): string | null;
  /** MiB of each instance; null: the whole of it. */
  part(device: NodeDeviceResource): number | null;
  /** What is to be recorded beside the instances. */
  noted(device: NodeDeviceResource): Pick<AllocatedDevice, 'MemoryMB' | 'Share'>;
  /** Sum of the weights that a device earns. */
  weigh(device: NodeDeviceResource): number;
}

/** What NUMA nodes have to do with it. */
export interface DevicePins {
  /** Whether an ask may have this instance. */
  allows(ask: DeviceAsk, device: NodeDeviceResource, id: string): boolean;
  /** Whether an ask may have those of one NUMA node only. */
  isPinned(ask: DeviceAsk): boolean;
}

const NO_PINS: DevicePins = { allows: () => true, isPinned: () => false };

/** All device asks of a group, compiled. */
export class DeviceProgram {
  readonly asks: readonly DeviceAsk[];
  /** Σ |weights| of all affinities; 0: devices have no say in the score. */
  readonly weights: number;
  readonly escapes: boolean;

  constructor(tasks: readonly { Name: string; Resources: { Devices: RequestedDevice[] | null } }[]) {
    const requests = tasks.flatMap(({ Name, Resources }) => (Resources.Devices ?? []).map((ask) => ({ Name, ask })));
    this.asks = requests.map(({ Name, ask }) => compileAsk(Name, ask));
    const affinities = requests.flatMap(({ ask }) => ask.Affinities ?? []);
    this.weights = affinities.reduce((sum, { Weight }) => sum + Math.abs(Weight), 0);
    this.escapes = requests.some(({ ask }) =>
      (ask.Constraints ?? []).some(({ LTarget, RTarget }) => `${LTarget}${RTarget}`.includes('${device.ids}')),
    );
  }

  /** Whether the node has a kind of device for every ask, never mind how many are free. */
  isKnown(node: Node): boolean {
    return this.unknownTo(node).length === 0;
  }

  /** What the node lacks for asks for which it has no kind of device, in words. */
  unknownTo(node: Node): string[] {
    const devices = node.NodeResources.Devices ?? [];
    return this.asks
      .filter((ask) => !devices.some((device) => ask.matches(device)))
      .map((ask) => {
        const lacks = new Set(devices.flatMap((device) => ask.lack(device) ?? []));
        return lacks.size === 0 ? `no "${ask.name}"` : [...lacks].join(', ');
      });
  }

  /** Gives every ask its instances; null when some ask gets none. The first of the groups that score best is taken. */
  offer(node: Node, use: DeviceUse, pins: DevicePins = NO_PINS): DeviceOffer | null {
    const { allows, isPinned } = pins;
    const byTask: Record<string, AllocatedDevice[]> = {};
    // Later asks of the group see what earlier ones got.
    const held = this.asks.length > 1 ? use.copy() : use;
    let earned = 0;
    // Who may have few of them chooses first: another would do as well with any.
    const inOrder = pins === NO_PINS ? this.asks : [...this.asks].sort((a, b) => +isPinned(b) - +isPinned(a));
    for (const ask of inOrder) {
      let best: { device: NodeDeviceResource; free: string[]; weight: number } | null = null;
      for (const device of node.NodeResources.Devices ?? []) {
        if (!ask.matches(device)) continue;
        const free = freeInstances(device, held, ask.part(device)).filter((id) => allows(ask, device, id));
        if (free.length < ask.count) continue;
        const weight = ask.weigh(device);
        if (!best || weight > best.weight) best = { device, free, weight };
      }
      if (!best) return null;
      const { Vendor, Type, Name } = best.device;
      const DeviceIDs = best.free.slice(0, ask.count);
      if (this.asks.length > 1) for (const id of DeviceIDs) held.hold(best.device, id, ask.part(best.device));
      const noted = ask.noted(best.device);
      byTask[ask.task] = [...(byTask[ask.task] ?? []), { Vendor, Type, Name, DeviceIDs, ...noted }];
      earned += best.weight;
    }
    return { byTask, score: this.weights === 0 ? 0 : earned / this.weights };
  }
}

/**
 * Healthy instances that nothing holds; for a part (MiB), those with so much left, the fullest first: what nobody shares yet
 * stays whole for whoever asks for that.
 */
export function freeInstances(device: NodeDeviceResource, use: DeviceUse, partMb: number | null): string[] {
  const healthy = device.Instances.filter(({ Healthy }) => Healthy).map(({ ID }) => ID);
  if (partMb === null) return healthy.filter((id) => !use.isHeld(device, id));
  const totalMb = memoryOf(device) ?? 0;
  return healthy
    .map((id) => ({ id, leftMb: use.leftMb(device, id, totalMb) }))
    .filter(({ leftMb }) => leftMb >= partMb)
    .sort((a, b) => a.leftMb - b.leftMb)
    .map(({ id }) => id);
}

function compileAsk(task: string, request: RequestedDevice): DeviceAsk {
  const { Name, Count, Constraints, Affinities, Share } = request;
  const isPart = request.Share !== undefined || request.MemoryMB !== undefined;
  const part = (device: NodeDeviceResource): number | null => partOf(request, memoryOf(device) ?? 0);
  const wanted = parseDeviceName(Name);
  const isNamed = ({ Type, Vendor, Name: model }: NodeDeviceResource): boolean =>
    (wanted.type === '' || wanted.type === Type) &&
    (wanted.vendor === '' || wanted.vendor === Vendor) &&
    (wanted.model === '' || wanted.model === model);
  const isLargeEnough = (device: NodeDeviceResource): boolean =>
    !isPart || (part(device) as number) <= (memoryOf(device) ?? 0);
  const constraints = (Constraints ?? []).map((constraint) => ({ constraint, test: compileDeviceTest(constraint) }));
  const affinities = (Affinities ?? []).map((affinity) => ({
    test: compileDeviceTest(affinity),
    weight: affinity.Weight,
  }));
  return {
    task,
    name: Name,
    count: Count,
    matches: (device) => isNamed(device) && isLargeEnough(device) && constraints.every(({ test }) => test(device)),
    lack: (device) => {
      if (!isNamed(device)) return null;
      const name = `"${device.Vendor}/${device.Type}/${device.Name}"`;
      const memory = memoryOf(device);
      if (isPart && memory === null) return `the memory of ${name} is not known: it is given out whole only`;
      if (!isLargeEnough(device)) return `${name} has ${memory} MiB of memory, ${part(device)} are asked for`;
      const failed = constraints.find(({ test }) => !test(device))?.constraint;
      return failed ? `${name} does not meet ${constraintText(failed)}${hasInstead(failed, device)}` : null;
    },
    part,
    noted: (device) => {
      const MemoryMB = part(device);
      if (MemoryMB === null) return {};
      return Share === undefined ? { MemoryMB } : { MemoryMB, Share };
    },
    weigh: (device) => affinities.reduce((sum, { test, weight }) => (test(device) ? sum + weight : sum), 0),
  };
}

/** What a device has where something else is asked for. */
function hasInstead({ LTarget }: Constraint, device: NodeDeviceResource): string {
  const found = compileDeviceTarget(LTarget)(device);
  return found ? ` (it has ${attributeText(found)})` : ' (it does not say)';
}

/** `type`, `vendor/type` or `vendor/type/model`; a model may contain slashes. */
function parseDeviceName(name: string): { vendor: string; type: string; model: string } {
  const parts = name.split('/');
  if (parts.length === 1) return { vendor: '', type: name, model: '' };
  const [vendor = '', type = '', ...model] = parts;
  return { vendor, type, model: model.join('/') };
}

function compileDeviceTest({ LTarget, Operand, RTarget }: Constraint): (device: NodeDeviceResource) => boolean {
  const left = compileDeviceTarget(LTarget);
  const right = compileDeviceTarget(RTarget);
  const ordered = orderOf(Operand);
  if (ordered) return (device) => ordered(left(device), right(device));
  const test = testOperands(Operand);
  const text = (found: DeviceAttribute | undefined): string | undefined => found && attributeText(found);
  return (device) => test(text(left(device)), text(right(device)));
}

type Comparison = (left: DeviceAttribute | undefined, right: DeviceAttribute | undefined) => boolean;

/** Operators that compare values rather than text: "11264 MiB" is "11 GiB". */
function orderOf(operand: string): Comparison | null {
  const comparing =
    (holds: (order: number) => boolean): Comparison =>
    (left, right) => {
      const order = left && right && compareAttributes(left, right);
      return order !== undefined && holds(order);
    };
  switch (operand) {
    case '=':
    case '==':
    case 'is':
      return comparing((order) => order === 0);
    case '!=':
    case 'not':
      return (left, right) => {
        if (!left || !right) return left !== right;
        // What cannot be compared is neither equal nor different.
        const order = compareAttributes(left, right);
        return order !== undefined && order !== 0;
      };
    case '<':
      return comparing((order) => order < 0);
    case '<=':
      return comparing((order) => order <= 0);
    case '>':
      return comparing((order) => order > 0);
    case '>=':
      return comparing((order) => order >= 0);
    default:
      return null;
  }
}

function compileDeviceTarget(text: string): (device: NodeDeviceResource) => DeviceAttribute | undefined {
  if (!text.startsWith('${')) {
    const literal = parseDeviceAttribute(text);
    return () => literal;
  }
  const path = text.slice(2, text.endsWith('}') ? -1 : undefined).trim();
  switch (path) {
    case 'device.model':
      return ({ Name }) => ({ kind: 'text', text: Name });
    case 'device.vendor':
      return ({ Vendor }) => ({ kind: 'text', text: Vendor });
    case 'device.type':
      return ({ Type }) => ({ kind: 'text', text: Type });
    case 'device.ids':
      return ({ Instances }) => ({ kind: 'text', text: Instances.map(({ ID }) => ID).join(',') });
  }
  if (!path.startsWith('device.attr.')) return () => undefined;
  const key = path.slice('device.attr.'.length);
  return ({ Attributes }) => {
    const found = Attributes && Object.hasOwn(Attributes, key) ? Attributes[key] : undefined;
    return found && reportedAttribute(found);
  };
}
