import type { Node, NodeDeviceResource } from '../../structs/node.js';
import type { NodeTopology } from '../../structs/topology.js';
import { type CoreAsk, type CoreOffer, chooseCores, NO_PINS, type Pins } from './cores.js';
import type { DeviceUse } from './device-use.js';
import type { DeviceAsk, DeviceOffer, DeviceProgram } from './devices.js';

/** What the tasks of a group get on a node beside ports: whole cores and devices, near each other where that is asked for. */
export interface Assignment {
  readonly cores: CoreOffer;
  /** Null when none are asked for. */
  readonly devices: DeviceOffer | null;
}

/** Ways to put tasks on NUMA nodes that are tried on one machine before their preferences are given up. */
const TRIES_MAX = 64;

/** Assigns cores and devices on a node; null when they do not suffice, or not where a task requires them. Pure. */
export function assign(
  asks: { readonly cores: readonly CoreAsk[]; readonly devices: DeviceProgram | null },
  node: Node,
  left: { readonly use: DeviceUse | null; readonly cores: readonly number[] },
): Assignment | null {
  const topology = node.NodeResources.Processors?.Topology ?? null;
  const near = asks.cores.filter(({ affinity, devices }) => affinity !== 'none' && devices.length > 0);
  for (const hard of waysToPin(near, topology)) {
    const pinOf = (ask: DeviceAsk): number | undefined => (isNear(near, ask) ? hard.get(ask.task) : undefined);
    const allows = (ask: DeviceAsk, device: NodeDeviceResource, id: string): boolean => {
      const pin = pinOf(ask);
      return pin === undefined || numaNodeOf(device, id, topology) === pin;
    };
    const pins = { allows, isPinned: (ask: DeviceAsk) => pinOf(ask) !== undefined };
    const devices = asks.devices && left.use ? asks.devices.offer(node, left.use, pins) : null;
    if (asks.devices && !devices) continue;
    const soft = devices ? whereTheyAre(near, devices, node) : NO_PINS.soft;
    const cores = chooseCores(asks.cores, left.cores, topology, { hard, soft });
    if (cores) return { cores, devices };
  }
  return null;
}

/** First all tasks with devices on one NUMA node each, then only those which require it. */
function* waysToPin(near: readonly CoreAsk[], topology: NodeTopology | null): Generator<Pins['hard']> {
  const nodes = topology?.Nodes ?? [];
  if (near.length === 0 || nodes.length < 2) {
    yield NO_PINS.hard;
    return;
  }
  yield* combinations(near, nodes);
  const required = near.filter(({ affinity }) => affinity === 'require');
  if (required.length === near.length) return;
  yield* combinations(required, nodes);
}

function* combinations(asks: readonly CoreAsk[], nodes: readonly number[]): Generator<Pins['hard']> {
  const total = Math.min(TRIES_MAX, nodes.length ** asks.length);
  for (let way = 0; way < total; way++) {
    const pins = new Map<string, number>();
    let rest = way;
    for (const { task } of asks) {
      pins.set(task, nodes[rest % nodes.length] as number);
      rest = Math.floor(rest / nodes.length);
    }
    yield pins;
  }
}

function isNear(near: readonly CoreAsk[], ask: DeviceAsk): boolean {
  return near.some(({ task, devices }) => task === ask.task && devices.includes(ask.name));
}

/** The NUMA node of the first device that each task got. */
function whereTheyAre(near: readonly CoreAsk[], offer: DeviceOffer, node: Node): Map<string, number> {
  const topology = node.NodeResources.Processors?.Topology ?? null;
  const found = new Map<string, number>();
  for (const { task } of near) {
    for (const given of offer.byTask[task] ?? []) {
      const device = (node.NodeResources.Devices ?? []).find(
        ({ Vendor, Type, Name }) => Vendor === given.Vendor && Type === given.Type && Name === given.Name,
      );
      const where = device && numaNodeOf(device, given.DeviceIDs[0] ?? '', topology);
      if (where !== undefined && !found.has(task)) found.set(task, where);
    }
  }
  return found;
}

/** Undefined when nobody knows. Plugins write the PCI address with a domain of four or eight digits. */
function numaNodeOf(device: NodeDeviceResource, id: string, topology: NodeTopology | null): number | undefined {
  const bus = device.Instances.find(({ ID }) => ID === id)?.Locality?.PciBusID;
  if (!bus) return undefined;
  const address = bus.toLowerCase().replace(/^[0-9a-f]{4}(?=[0-9a-f]{4}:)/, '');
  const known = topology?.BusAssociativity;
  return known && Object.hasOwn(known, address) ? known[address] : undefined;
}
