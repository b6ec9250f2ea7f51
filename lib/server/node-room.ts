import { addressesOf, isReservedPort } from '../scheduler/feasible/addresses.js';
import { PortUse } from '../scheduler/feasible/port-use.js';
import { hostVolumesWrittenAlone } from '../scheduler/feasible/volumes.js';
import { allocsFit } from '../scheduler/fit.js';
import type { StateReader } from '../scheduler/ports.js';
import { addResources, capacityOf, emptyUsage, holdsThings, isClientTerminal, portsHeld } from '../scheduler/usage.js';
import type { Allocation } from '../structs/allocation.js';
import type { Node } from '../structs/node.js';
import type { Plan } from '../structs/plan.js';
import type { AllocatedPort } from '../structs/resources.js';

/** What looking for room needs of the state. */
export type RoomState = Pick<StateReader, 'allocById' | 'allocsByNode' | 'usageByNode' | 'portsByNode'>;

/** What plans do to one node. */
interface NodeChange {
  /** Those that would be there anew, or changed. */
  readonly placed: readonly Allocation[];
  /** Ids of all that the plans place, stop or evict, but for those that are new and so in no state. */
  readonly changed: ReadonlySet<string>;
}

/** What is done to nodes, by a plan or by what was accepted of one. */
export type NodePlan = Pick<Plan, 'NodeUpdate' | 'NodeAllocation' | 'NodePreemptions' | 'StoppedBefore'>;

const NONE: readonly Allocation[] = [];
const NO_PORTS: readonly AllocatedPort[] = [];
const NOTHING: ReadonlySet<string> = new Set();

/**
 * Whether a node can hold what would run there once these plans are applied, in order. What the state has added up is taken
 * for granted: a node with a thousand allocations costs no more than an empty one.
 */
export function hasRoom(node: Node, plans: readonly NodePlan[], state: RoomState): boolean {
  const change = changeOf(node.ID, plans);
  if (writersClash(node.ID, change, state)) return false;
  const used = state.usageByNode?.(node.ID);
  // Cores and devices are told apart one by one, and what is limited in number is counted.
  if (!used || node.NodeMaxAllocs || change.placed.some(holdsThingsThere)) return fitsWhole(node, change, state);
  const sum = emptyUsage();
  for (const alloc of change.placed) if (!isClientTerminal(alloc)) addResources(sum, alloc.AllocatedResources);
  for (const id of change.changed) {
    const known = state.allocById(id);
    if (known && known.NodeID === node.ID && !isClientTerminal(known)) addResources(sum, known.AllocatedResources, -1);
  }
  const capacity = capacityOf(node);
  if ((used[0] ?? 0) + sum.cpuMhz > capacity.cpuMhz) return false;
  if ((used[1] ?? 0) + sum.memoryMb > capacity.memoryMb) return false;
  if ((used[2] ?? 0) + sum.diskMb > capacity.diskMb) return false;
  return portsFit(node, change, state);
}

const holdsThingsThere = (alloc: Allocation): boolean =>
  !isClientTerminal(alloc) && holdsThings(alloc.AllocatedResources);

const holdsPortsThere = (alloc: Allocation): boolean =>
  !isClientTerminal(alloc) && portsHeld(alloc.AllocatedResources).length > 0;

/** Whether two would be there that both want to be the only one to write to a host volume. */
function writersClash(nodeId: string, { placed, changed }: NodeChange, state: RoomState): boolean {
  if (!placed.some(asksForVolumes)) return false;
  const taken = new Set<string>();
  const clashes = (alloc: Allocation): boolean => {
    if (isClientTerminal(alloc)) return false;
    return hostVolumesWrittenAlone(alloc).some((name) => {
      if (taken.has(name)) return true;
      taken.add(name);
      return false;
    });
  };
  if (placed.some(clashes)) return true;
  if (taken.size === 0) return false;
  return state.allocsByNode(nodeId).some((alloc) => !changed.has(alloc.ID) && clashes(alloc));
}

function asksForVolumes({ Job, TaskGroup }: Allocation): boolean {
  return Job?.TaskGroups.some(({ Name, Volumes }) => Name === TaskGroup && Volumes !== null) ?? true;
}

function changeOf(nodeId: string, plans: readonly NodePlan[]): NodeChange {
  let only: NodePlan | null = null;
  let touching = 0;
  for (const plan of plans) {
    if (!(nodeId in plan.NodeUpdate || nodeId in plan.NodeAllocation || nodeId in plan.NodePreemptions)) continue;
    only = plan;
    touching++;
  }
  // The rule while a cluster fills: one plan, and all of it new.
  if (only && touching === 1 && !givesUp(only, nodeId)) {
    const placed = only.NodeAllocation[nodeId] ?? NONE;
    if (placed.every(isNew)) return { placed, changed: NOTHING };
  }
  return changesOf(nodeId, plans);
}

/** Whether somebody is to leave a node. */
function givesUp({ NodeUpdate, NodePreemptions, StoppedBefore }: NodePlan, nodeId: string): boolean {
  return nodeId in NodeUpdate || nodeId in NodePreemptions || (StoppedBefore !== undefined && nodeId in StoppedBefore);
}

/** Only what is in no state has no index yet. */
const isNew = ({ CreateIndex }: Allocation): boolean => CreateIndex === 0;

function changesOf(nodeId: string, plans: readonly NodePlan[]): NodeChange {
  const placed: Allocation[] = [];
  let changed: Set<string> | null = null;
  const take = ({ ID }: Allocation): void => {
    changed ??= new Set();
    if (changed.has(ID)) remove(placed, ID);
    else changed.add(ID);
  };
  for (const plan of plans) {
    for (const alloc of plan.StoppedBefore?.[nodeId] ?? NONE) take(alloc);
    for (const alloc of plan.NodeUpdate[nodeId] ?? NONE) take(alloc);
    for (const alloc of plan.NodePreemptions[nodeId] ?? NONE) take(alloc);
    for (const alloc of plan.NodeAllocation[nodeId] ?? NONE) {
      if (!isNew(alloc)) take(alloc);
      placed.push(alloc);
    }
  }
  return { placed, changed: changed ?? NOTHING };
}

function remove(placed: Allocation[], id: string): void {
  const at = placed.findIndex(({ ID }) => ID === id);
  if (at >= 0) placed.splice(at, 1);
}

/** Looks at each allocation that would be there. */
function fitsWhole(node: Node, { placed, changed }: NodeChange, state: RoomState): boolean {
  const stays = state.allocsByNode(node.ID).filter(({ ID }) => !changed.has(ID));
  return allocsFit(node, [...stays, ...placed]).fits;
}

/** Of those that stay, only holders of a port that is asked for can be in the way; the state knows which ports they have. */
function portsFit(node: Node, { placed, changed }: NodeChange, state: RoomState): boolean {
  if (!placed.some(holdsPortsThere)) return true;
  const numbers = state.portsByNode?.(node.ID);
  const read = (ports: PortUse): void => {
    for (const alloc of state.allocsByNode(node.ID)) {
      if (!isClientTerminal(alloc) && !changed.has(alloc.ID)) ports.add(alloc.AllocatedResources.Shared.Ports);
    }
  };
  const addresses = addressesOf(node);
  const use = new PortUse(addresses, numbers ? { numbers, read } : null);
  if (!numbers) read(use);
  for (const alloc of placed) {
    if (isClientTerminal(alloc)) continue;
    const ports = alloc.AllocatedResources.Shared.Ports ?? NO_PORTS;
    if (!use.add(ports)) return false;
    for (const { HostIP, Value, IgnoreCollision } of ports) {
      if (!IgnoreCollision && isReservedPort(addresses, addresses.ips.indexOf(HostIP), Value)) return false;
    }
  }
  return true;
}
