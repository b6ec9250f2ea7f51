import { formatRange } from '../../hcl/index.js';
import type { RawNode, RawObject } from './raw.js';

/** Where things stand in the files, such as "agent.hcl:12,5-9": by plugin, then by path in its config ("gc.image_delay"); '' = its block. */
export type PluginPlaces = Record<string, Record<string, string>>;

/** Finds the `plugin "NAME" { config { } }` blocks of a file; what an earlier file said of the same key is replaced. */
export function collectPluginPlaces(root: RawObject, places: PluginPlaces): void {
  for (const { node } of root.entries.filter(({ key }) => key === 'plugin')) {
    for (const { key: name, keyRange, node: block } of objects(node)) {
      places[name] = { ...places[name], '': formatRange(keyRange) };
      for (const { key, node: config } of objects(block)) if (key === 'config') collectBelow(config, '', places[name]);
    }
  }
}

function collect(node: RawNode, path: string, into: Record<string, string>): void {
  if (node.kind === 'list') for (const [i, item] of node.items.entries()) collect(item, `${path}[${i}]`, into);
  if (node.kind !== 'object') into[path] ??= formatRange(node.range);
  collectBelow(node, path, into);
}

function collectBelow(node: RawNode, path: string, into: Record<string, string>): void {
  for (const { key, keyRange, node: value } of objects(node)) {
    const below = path === '' ? key : `${path}.${key}`;
    into[below] = formatRange(keyRange);
    collect(value, below, into);
  }
}

/** The entries of an object, or of those in a list: JSON has blocks in lists. */
function objects(node: RawNode): RawObject['entries'] {
  if (node.kind === 'object') return node.entries;
  return node.kind === 'list' ? node.items.flatMap((item) => objects(item)) : [];
}
