import type { DeviceGroupStats, StatObject, StatValue } from '../structs/device-stats.js';
import type { NodeDeviceResource } from '../structs/node.js';
import type { AllocatedDevice } from '../structs/resources.js';
import { formatPairs } from './format.js';

/** One line for each device: its most telling figure ("512 / 24576 MiB"). */
export function deviceSummary(groups: readonly DeviceGroupStats[]): string {
  const rows = eachInstance(groups).map(({ name, stats }) => [name, statText(stats.Summary)] as const);
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `${name.padEnd(width)}  ${text}`).join('\n');
}

/** All figures of all devices, a block for each. */
export function deviceDetails(groups: readonly DeviceGroupStats[]): string {
  return eachInstance(groups)
    .map(({ name, stats }) => formatPairs([['Device', name], ...statPairs(stats.Stats, '')]))
    .join('\n\n');
}

/** The devices that a task has, with its part of them, and with their figures as far as there are any; `whole`: all of them. */
export function taskDevices(
  devices: readonly AllocatedDevice[],
  figures: readonly DeviceGroupStats[],
  whole: boolean,
): string {
  const parts = devices.flatMap(({ Vendor, Type, Name, DeviceIDs, MemoryMB }) =>
    MemoryMB === undefined ? [] : DeviceIDs.map((id) => `${Vendor}/${Type}/${Name}[${id}]: ${MemoryMB} MiB of it`),
  );
  const all = devices.flatMap(({ Vendor, Type, Name, DeviceIDs }) =>
    DeviceIDs.map((id) => `${Vendor}/${Type}/${Name}[${id}]`),
  );
  const shown = figures.length === 0 ? all.join('\n') : whole ? deviceDetails(figures) : deviceSummary(figures);
  return parts.length === 0 ? shown : `${shown}\n\nShared Devices:\n${parts.join('\n')}`;
}

/** What is known of each kind of device, and which of its instances cannot be used. */
export function deviceAttributes(groups: readonly NodeDeviceResource[]): string {
  return groups
    .map(({ Vendor, Type, Name, Instances, Attributes }) => {
      const attributes = Object.entries(Attributes ?? {})
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, { Bool, Int, Float, String: text, Unit }]): [string, string] => {
          const value = String(Bool ?? Int ?? Float ?? text ?? '');
          return [key, Unit ? `${value} ${Unit}` : value];
        });
      const ill = Instances.filter(({ Healthy }) => !Healthy).map(({ ID, HealthDescription }): [string, string] => [
        ID,
        `unhealthy: ${HealthDescription}`,
      ]);
      return formatPairs([['Device Group', `${Vendor}/${Type}/${Name}`], ...attributes, ...ill]);
    })
    .join('\n\n');
}

function eachInstance(groups: readonly DeviceGroupStats[]) {
  return groups
    .flatMap(({ Vendor, Type, Name, InstanceStats }) =>
      Object.entries(InstanceStats).map(([id, stats]) => ({ name: `${Vendor}/${Type}/${Name}[${id}]`, stats })),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function statPairs({ Attributes, Nested }: StatObject, prefix: string): [string, string][] {
  const own = Object.entries(Attributes).map(([key, value]): [string, string] => [`${prefix}${key}`, statText(value)]);
  const inner = Object.entries(Nested ?? {}).flatMap(([key, object]) => statPairs(object, `${prefix}${key}.`));
  return [...own.sort(([a], [b]) => (a < b ? -1 : 1)), ...inner];
}

function statText(value: StatValue): string {
  const { IntNumeratorVal: int, FloatNumeratorVal: float, StringVal: text, BoolVal: bool, Unit } = value;
  const number = int ?? float;
  if (number === undefined) return text ?? (bool === undefined ? '' : String(bool));
  const of = value.IntDenominatorVal ?? value.FloatDenominatorVal;
  return `${number}${of === undefined ? '' : ` / ${of}`}${Unit ? ` ${Unit}` : ''}`;
}
