import type { Allocation } from '../structs/allocation.js';
import type { Node } from '../structs/node.js';
import { addressesOf, isReservedPort } from './feasible/addresses.js';
import { DeviceUse } from './feasible/device-use.js';
import { PortUse } from './feasible/port-use.js';
import { addResources, capacityOf, emptyUsage, isClientTerminal, type Usage } from './usage.js';

/** The dimension of a node whose agent says that it takes no more allocations, however small. */
export const TOO_MANY = 'allocations';

/** Whether allocations can share a node; when not, `dimension` names what is short. */
export interface Fit {
  readonly fits: boolean;
  /** '' when it fits, else `allocations`, `cpu`, `cores`, `memory`, `disk`, a port collision or `device oversubscribed`. */
  readonly dimension: string;
  readonly used: Usage;
}

/**
 * Whether a node can hold all these allocations at once. Those whose end the client has reported take nothing; one that is
 * to stop still holds its ports and memory until then, so the caller leaves out those that the same plan stops. Memory
 * counts as asked for (`memory`), never as `memory_max`. Used by plan apply on the newest state, and by tests as the truth.
 */
export function allocsFit(node: Node, allocs: Iterable<Allocation>): Fit {
  const used = emptyUsage();
  const addresses = addressesOf(node);
  const ports = new PortUse(addresses);
  const devices = new DeviceUse();
  let collision = '';
  let count = 0;
  for (const alloc of allocs) {
    if (isClientTerminal(alloc)) continue;
    count++;
    addResources(used, alloc.AllocatedResources);
    devices.add(alloc.AllocatedResources);
    const held = alloc.AllocatedResources.Shared.Ports;
    if (!held || held.length === 0) continue;
    const reserved = held.find(
      ({ HostIP, Value, IgnoreCollision }) =>
        !IgnoreCollision && isReservedPort(addresses, addresses.ips.indexOf(HostIP), Value),
    );
    if (reserved) collision ||= `reserved node port collision: ${reserved.Label}=${reserved.Value}`;
    if (!ports.add(held)) collision ||= `reserved alloc port collision for alloc ${alloc.ID}`;
  }
  const oversubscribed = devices.isOversubscribed(node) ? 'device oversubscribed' : '';
  const crowd = node.NodeMaxAllocs && count > node.NodeMaxAllocs ? TOO_MANY : '';
  const dimension = crowd || lacking(node, used) || collision || oversubscribed;
  return { fits: dimension === '', dimension, used };
}

/** The first dimension of which more is used than the node has, or ''. */
function lacking(node: Node, used: Usage): string {
  const capacity = capacityOf(node);
  if (used.cpuMhz > capacity.cpuMhz) return 'cpu';
  const reservable = node.NodeResources.Cpu.ReservableCpuCores ?? [];
  const cores = new Set(used.cores);
  if (cores.size < used.cores.length) return 'cores';
  for (const core of cores) if (!reservable.includes(core)) return 'cores';
  if (used.memoryMb > capacity.memoryMb) return 'memory';
  if (used.diskMb > capacity.diskMb) return 'disk';
  return '';
}
