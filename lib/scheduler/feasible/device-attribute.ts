import type { NodeDeviceResource } from '../../structs/node.js';

/** An attribute of a device: text, a truth value, or a number that may have a unit. */
export type DeviceAttribute =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'bool'; readonly value: boolean }
  /** In the base unit of its dimension; `dimension` '' for a plain number. */
  | { readonly kind: 'number'; readonly value: number; readonly dimension: string; readonly text: string };

/** Factor to the base unit by dimension, as Nomad's device plugins write them. */
const UNITS: ReadonlyMap<string, { dimension: string; factor: number }> = unitTable();

function unitTable(): Map<string, { dimension: string; factor: number }> {
  const table = new Map<string, { dimension: string; factor: number }>();
  ['k', 'M', 'G', 'T', 'P', 'E'].forEach((prefix, i) => {
    const binary = prefix === 'k' ? 'Ki' : `${prefix}i`;
    for (const [suffix, dimension] of [
      ['B', 'bytes'],
      ['B/s', 'bytes per second'],
    ] as const) {
      table.set(prefix + suffix, { dimension, factor: 1000 ** (i + 1) });
      table.set(binary + suffix, { dimension, factor: 1024 ** (i + 1) });
    }
  });
  table.set('MHz', { dimension: 'hertz', factor: 1e6 });
  table.set('GHz', { dimension: 'hertz', factor: 1e9 });
  table.set('mW', { dimension: 'watt', factor: 1e-3 });
  table.set('W', { dimension: 'watt', factor: 1 });
  table.set('kW', { dimension: 'watt', factor: 1e3 });
  table.set('MW', { dimension: 'watt', factor: 1e6 });
  table.set('GW', { dimension: 'watt', factor: 1e9 });
  return table;
}

/** Reads what a job file says: `true`, `12`, `11 GiB`, else text. */
export function parseDeviceAttribute(text: string): DeviceAttribute {
  if (text === 'true' || text === 'false') return { kind: 'bool', value: text === 'true' };
  const match = /^([+-]?\d+(?:\.\d+)?)\s*([A-Za-z/]*)$/.exec(text.trim());
  if (!match) return { kind: 'text', text };
  return number(Number(match[1]), match[2] as string, text) ?? { kind: 'text', text };
}

type Reported = NonNullable<NodeDeviceResource['Attributes']>[string];

/** What a node reports of a device. */
export function reportedAttribute(reported: Reported): DeviceAttribute {
  const unit = reported.Unit ?? '';
  if (reported.Bool !== undefined) return { kind: 'bool', value: reported.Bool };
  const value = reported.Int ?? reported.Float;
  if (value !== undefined) {
    const text = `${value}${unit}`;
    return number(value, unit, text) ?? { kind: 'text', text };
  }
  return { kind: 'text', text: reported.String ?? '' };
}

function number(value: number, unit: string, text: string): DeviceAttribute | undefined {
  if (unit === '') return { kind: 'number', value, dimension: '', text };
  const known = UNITS.get(unit);
  return known && { kind: 'number', value: value * known.factor, dimension: known.dimension, text };
}

/** Below, at or above 0 like a − b; undefined when the two cannot be compared. Of truth values only equality has a meaning. */
export function compareAttributes(a: DeviceAttribute, b: DeviceAttribute): number | undefined {
  if (a.kind === 'number' && b.kind === 'number') {
    return a.dimension === b.dimension ? a.value - b.value : undefined;
  }
  if (a.kind === 'bool' && b.kind === 'bool') return a.value === b.value ? 0 : Number.NaN;
  if (a.kind === 'text' && b.kind === 'text') return a.text < b.text ? -1 : a.text > b.text ? 1 : 0;
  return undefined;
}

/** An attribute as the operators that look at text see it. */
export function attributeText(attribute: DeviceAttribute): string {
  return attribute.kind === 'bool' ? String(attribute.value) : attribute.text;
}
