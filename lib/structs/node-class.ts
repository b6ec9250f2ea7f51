import type { Node } from './node.js';

/** Keys with this prefix tell a node from its like; they are no part of its class. */
const UNIQUE_PREFIX = 'unique.';

/** Whether an attribute or meta key differs from node to node, so that what was found for one says nothing of another. */
export function isUniqueKey(key: string): boolean {
  return key.startsWith(UNIQUE_PREFIX) || key.includes(`.${UNIQUE_PREFIX}`);
}

/** `v1:` and 16 hex digits: equal for nodes that every cacheable constraint judges alike. */
export function computedClass(node: Node): string {
  return `v1:${fnv1a64(canonical(node))}`;
}

/** Everything that checks whose outcome is kept for a class look at. How many devices there are, and how they do, is asked of each node. */
function canonical(node: Node): string {
  const drivers = Object.entries(node.Drivers).map(([name, { Detected, Healthy }]) => [name, Detected && Healthy]);
  const devices = (node.NodeResources.Devices ?? []).map(({ Vendor, Type, Name, Attributes }) => [
    Vendor,
    Type,
    Name,
    sorted(Attributes),
  ]);
  const modes = [...(node.NodeResources.Networks ?? []), ...(node.NodeResources.NodeNetworks ?? [])];
  const aliases = (node.NodeResources.NodeNetworks ?? []).flatMap(({ Addresses }) => Addresses);
  return JSON.stringify([
    node.Datacenter,
    node.NodePool,
    node.NodeClass,
    sorted(shared(node.Attributes)),
    sorted(shared(node.Meta)),
    texts(drivers),
    texts(devices),
    texts(modes.map(({ Mode }) => Mode)),
    texts(aliases.map(({ Alias }) => Alias)),
  ]);
}

/** As a set: in one order, each once. */
function texts(values: readonly unknown[]): string[] {
  return [...new Set(values.map((value) => JSON.stringify(value)))].sort();
}

function shared(values: Record<string, string> | null): [string, string][] {
  return Object.entries(values ?? {}).filter(([key]) => !isUniqueKey(key));
}

function sorted(values: [string, unknown][] | Record<string, unknown> | null): [string, unknown][] {
  const entries = Array.isArray(values) ? values : Object.entries(values ?? {});
  return entries.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** FNV-1a over UTF-16 code units, 64 bits, in two halves so that no BigInt is made (Fowler, Noll, Vo). */
function fnv1a64(text: string): string {
  let high = 0xcbf29ce4;
  let low = 0x84222325;
  for (let i = 0; i < text.length; i++) {
    low = (low ^ text.charCodeAt(i)) >>> 0;
    // The prime is 2^40 + 0x1b3: low × 0x1b3 needs 41 bits, which a double holds exactly.
    const product = low * 0x1b3;
    const carry = Math.floor(product / 0x1_0000_0000);
    high = (Math.imul(high, 0x1b3) + carry + (low << 8)) >>> 0;
    low = product >>> 0;
  }
  const hex = (word: number): string => word.toString(16).padStart(8, '0');
  return hex(high) + hex(low);
}
