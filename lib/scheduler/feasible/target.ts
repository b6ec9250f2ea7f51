import type { Node } from '../../structs/node.js';

/** Looks a target up on a node; undefined when the node does not have it. */
export type Target = (node: Node) => string | undefined;

/**
 * Compiles the left or right side of a constraint. `${attr.x}`, `${meta.x}`, `${node.class}`, `${node.datacenter}`,
 * `${node.pool}`, `${node.unique.id}` and `${node.unique.name}` are looked up; anything else stands for itself.
 */
export function compileTarget(text: string): Target {
  if (!text.startsWith('${')) return () => text;
  const path = text.slice(2, text.endsWith('}') ? -1 : undefined).trim();
  switch (path) {
    case 'node.unique.id':
      return (node) => node.ID;
    case 'node.unique.name':
      return (node) => node.Name;
    case 'node.datacenter':
      return (node) => node.Datacenter;
    case 'node.class':
      return (node) => node.NodeClass;
    case 'node.pool':
      return (node) => node.NodePool;
  }
  if (path.startsWith('attr.')) {
    const key = path.slice('attr.'.length);
    return (node) => own(node.Attributes, key);
  }
  if (path.startsWith('meta.')) {
    const key = path.slice('meta.'.length);
    return (node) => own(node.Meta, key);
  }
  return () => undefined;
}

/** Whether two nodes of one computed class may differ in it, so that the class says nothing about it. */
export function escapesClass(text: string): boolean {
  return /^\$\{(node|attr|meta)\.unique\./.test(text);
}

// A key such as "constructor" must not be found on the prototype.
function own(values: Record<string, string> | null, key: string): string | undefined {
  return values !== null && Object.hasOwn(values, key) ? values[key] : undefined;
}
