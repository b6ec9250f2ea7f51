import type { DeviceInstanceStats, DeviceStat } from '../plugin/sdk/device.js';
import type { DeviceGroupStats, StatValue } from '../structs/device-stats.js';
import type { NodeDeviceResource } from '../structs/node.js';
import type { AllocatedDevice } from '../structs/resources.js';

/** Figures by instance id, in Nomad's shape: groups as the node has them. Groups without a figure are left out. Pure. */
export function deviceStats(
  groups: readonly NodeDeviceResource[],
  figures: Readonly<Record<string, DeviceInstanceStats>>,
): DeviceGroupStats[] {
  return groups.flatMap(({ Vendor, Type, Name, Instances }) => {
    const known = Instances.filter(({ ID }) => Object.hasOwn(figures, ID));
    if (known.length === 0) return [];
    const InstanceStats = Object.fromEntries(
      known.map(({ ID }) => {
        const { summary, stats, timestamp } = figures[ID] as DeviceInstanceStats;
        const Attributes = Object.fromEntries(Object.entries(stats).map(([name, stat]) => [name, statValue(stat)]));
        return [ID, { Summary: statValue(summary), Stats: { Nested: null, Attributes }, Timestamp: timestamp }];
      }),
    );
    return { Vendor, Type, Name, InstanceStats };
  });
}

/** Of all figures those of the instances that a task has. Pure. */
export function statsOfTask(all: readonly DeviceGroupStats[], devices: readonly AllocatedDevice[]): DeviceGroupStats[] {
  return devices.flatMap((device) => {
    const group = all.find(
      ({ Vendor, Type, Name }) => Vendor === device.Vendor && Type === device.Type && Name === device.Name,
    );
    const own = Object.entries(group?.InstanceStats ?? {}).filter(([id]) => device.DeviceIDs.includes(id));
    return group && own.length > 0 ? { ...group, InstanceStats: Object.fromEntries(own) } : [];
  });
}

function statValue({ value, unit, description }: DeviceStat): StatValue {
  const about = { ...(unit === '' ? {} : { Unit: unit }), ...(description === '' ? {} : { Desc: description }) };
  if ('text' in value) return { StringVal: value.text, ...about };
  if ('bool' in value) return { BoolVal: value.bool, ...about };
  if ('int' in value) {
    return { IntNumeratorVal: value.int, ...(value.of === undefined ? {} : { IntDenominatorVal: value.of }), ...about };
  }
  const of = value.of === undefined ? {} : { FloatDenominatorVal: value.of };
  return { FloatNumeratorVal: value.float, ...of, ...about };
}
