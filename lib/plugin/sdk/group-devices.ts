import type { NodeDeviceResource } from '../../structs/node.js';

/** One device, and what is known of all of its kind. */
export interface DescribedDevice {
  vendor: string;
  type: string;
  model: string;
  attributes: NonNullable<NodeDeviceResource['Attributes']>;
  instance: NodeDeviceResource['Instances'][number];
}

/** Groups devices by vendor, type and model, as the scheduler wants them; the first of a group tells its attributes. */
export function groupDevices(devices: readonly DescribedDevice[]): NodeDeviceResource[] {
  const groups = new Map<string, NodeDeviceResource>();
  for (const { vendor, type, model, attributes, instance } of devices) {
    const key = `${vendor}/${type}/${model}`;
    const known = groups.get(key);
    if (known) known.Instances.push(instance);
    else groups.set(key, { Vendor: vendor, Type: type, Name: model, Instances: [instance], Attributes: attributes });
  }
  return [...groups.values()];
}
