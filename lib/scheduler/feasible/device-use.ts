import type { Node, NodeDeviceResource } from '../../structs/node.js';
import type { AllocatedResources } from '../../structs/resources.js';
import { reportedAttribute } from './device-attribute.js';

export type DeviceId = Pick<NodeDeviceResource, 'Vendor' | 'Type' | 'Name'>;

/** How an instance is held: whole, by so many; and in shares, which add up to so much of its memory. */
interface Holding {
  whole: number;
  sharedMb: number;
}

const NOBODY: Holding = { whole: 0, sharedMb: 0 };

/** Which instances of a node's devices are held. Who holds one whole holds it alone; shares of one have to fit its memory. */
export class DeviceUse {
  readonly #held = new Map<string, Holding>();

  add(resources: AllocatedResources): void {
    for (const name in resources.Tasks) {
      for (const device of resources.Tasks[name]?.Devices ?? []) {
        for (const id of device.DeviceIDs) this.hold(device, id, device.MemoryMB ?? null);
      }
    }
  }

  /** `memoryMb` null: whole. */
  hold(device: DeviceId, instance: string, memoryMb: number | null): void {
    const key = instanceKey(device, instance);
    const { whole, sharedMb } = this.#held.get(key) ?? NOBODY;
    this.#held.set(key, memoryMb === null ? { whole: whole + 1, sharedMb } : { whole, sharedMb: sharedMb + memoryMb });
  }

  /** A copy that can be held more of without changing this one. */
  copy(): DeviceUse {
    const copy = new DeviceUse();
    for (const [key, holding] of this.#held) copy.#held.set(key, holding);
    return copy;
  }

  /** Whether an instance of the node is held twice, or more is held of its memory than there is. */
  isOversubscribed(node: Node): boolean {
    for (const { whole, sharedMb } of this.#held.values()) {
      if (whole > 1 || (whole === 1 && sharedMb > 0)) return true;
    }
    for (const device of node.NodeResources.Devices ?? []) {
      const totalMb = memoryOf(device);
      if (totalMb === null) continue;
      for (const { ID } of device.Instances) if (this.#of(device, ID).sharedMb > totalMb) return true;
    }
    return false;
  }

  isHeld(device: DeviceId, instance: string): boolean {
    const { whole, sharedMb } = this.#of(device, instance);
    return whole > 0 || sharedMb > 0;
  }

  /** What is left of an instance for shares; 0 when somebody has it whole. */
  leftMb(device: DeviceId, instance: string, totalMb: number): number {
    const { whole, sharedMb } = this.#of(device, instance);
    return whole > 0 ? 0 : totalMb - sharedMb;
  }

  #of(device: DeviceId, instance: string): Holding {
    return this.#held.get(instanceKey(device, instance)) ?? NOBODY;
  }
}

/** The memory of each instance of a group, MiB; null when the node does not say, and nothing of it can be shared. */
export function memoryOf({ Attributes }: NodeDeviceResource): number | null {
  const reported = Attributes && Object.hasOwn(Attributes, 'memory') ? Attributes['memory'] : undefined;
  const found = reported && reportedAttribute(reported);
  if (found?.kind !== 'number' || found.dimension !== 'bytes') return null;
  const mb = Math.floor(found.value / 1024 / 1024);
  return mb > 0 ? mb : null;
}

/** What an ask for a part comes to on a device: the larger of its memory and its share; null when it asks for whole ones. */
export function partOf(ask: { MemoryMB?: number; Share?: number }, totalMb: number): number | null {
  if (ask.MemoryMB === undefined && ask.Share === undefined) return null;
  return Math.max(ask.MemoryMB ?? 0, Math.floor(((ask.Share ?? 0) * totalMb) / 100), 1);
}

function instanceKey({ Vendor, Type, Name }: DeviceId, id: string): string {
  return `${Vendor}/${Type}/${Name}/${id}`;
}
