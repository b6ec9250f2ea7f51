// A persistent B+ tree from strings to values: the shape of every table and index of the state.
//
// Nodes carry the epoch in which they were made. A write in the same epoch changes a node in place, a write in a later
// one copies it first; so taking a snapshot is remembering the roots and beginning a new epoch, and a run of writes
// between two snapshots copies each node at most once. The arrays in a node are never changed, only replaced: they have
// no slack (half the memory of grown arrays), and a leaf's values can be handed to readers as they are.

const NODE_MAX = 32;
const NODE_MIN = 10;
/** Items of a node that is made for many at once: some more fit in later. */
const NODE_FULL = 24;

class Leaf<V> {
  readonly epoch: number;
  keys: readonly string[];
  values: readonly V[];

  constructor(epoch: number, keys: readonly string[], values: readonly V[]) {
    this.epoch = epoch;
    this.keys = keys;
    this.values = values;
  }
}

class Branch<V> {
  readonly epoch: number;
  /** keys[i] is not above any key of kids[i] and above every key of kids[i − 1]; keys[0] means nothing. */
  keys: readonly string[];
  kids: readonly TreeNode<V>[];
  /** All values below, once somebody asked for them as an array. */
  flat: readonly V[] | undefined;

  constructor(epoch: number, keys: readonly string[], kids: readonly TreeNode<V>[]) {
    this.epoch = epoch;
    this.keys = keys;
    this.kids = kids;
    this.flat = undefined;
  }
}

type TreeNode<V> = Leaf<V> | Branch<V>;

/** The root of a tree; undefined when it is empty. */
export type Tree<V> = TreeNode<V> | undefined;

export function treeGet<V>(tree: Tree<V>, key: string): V | undefined {
  let node = tree;
  while (node instanceof Branch) node = node.kids[childOf(node.keys, key)];
  if (node === undefined) return undefined;
  const i = lowerBound(node.keys, key);
  return node.keys[i] === key ? node.values[i] : undefined;
}

/** The tree with the key set. The old root stays as it was if it was made in an earlier epoch. */
export function treeSet<V>(tree: Tree<V>, key: string, value: V, epoch: number): Tree<V> {
  if (tree === undefined) return new Leaf(epoch, [key], [value]);
  let root = owned(tree, epoch);
  if (root.keys.length >= NODE_MAX) {
    const right = split(root, epoch);
    root = new Branch(epoch, ['', right.separator], [root, right.node]);
  }
  let node = root;
  while (node instanceof Branch) node = descend(node, key, epoch);
  const i = lowerBound(node.keys, key);
  if (node.keys[i] === key) {
    node.values = replaced(node.values, i, value);
  } else {
    node.keys = inserted(node.keys, i, key);
    node.values = inserted(node.values, i, value);
  }
  return root;
}

/**
 * The tree with many keys set, which ascend and differ. Every node on the way to them is made anew once, not once for each:
 * a plan of thousands of allocations goes into the lists of its job in one go. With a span, only those entries are set.
 */
export function treeSetAll<V>(tree: Tree<V>, entries: Entries<V>, epoch: number, span?: Span): Tree<V> {
  const { from, to } = span ?? { from: 0, to: entries.keys.length };
  if (from === to) return tree;
  let grown = merged(tree ?? new Leaf<V>(epoch, [], []), entries, { from, to }, epoch);
  while (isSplit(grown)) {
    const keys = grown.map(({ separator }) => separator);
    const kids = grown.map(({ node }) => node);
    grown = cut(keys, kids, (someKeys, someKids) => new Branch(epoch, someKeys, someKids));
  }
  return grown;
}

/** What is to be set. */
export interface Entries<V> {
  /** Ascending, and each different; as far as they are set. */
  readonly keys: readonly string[];
  /** The value for the key at a place, asked for once each in their order; `known` is what was there. */
  readonly value: (at: number, known: V | undefined) => V;
}

interface Part<V> {
  /** Not above any key of the node, above every key to its left. */
  readonly separator: string;
  readonly node: TreeNode<V>;
}

/** What a node has become with more in it: one, which is the rule, or several. */
type Grown<V> = TreeNode<V> | readonly Part<V>[];

function isSplit<V>(grown: Grown<V>): grown is readonly Part<V>[] {
  return Array.isArray(grown);
}

/** Some of the entries: `to` is the first that is not meant. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** A node with some of the entries, as one node or as several. */
function merged<V>(tree: TreeNode<V>, entries: Entries<V>, { from, to }: Span, epoch: number): Grown<V> {
  if (tree instanceof Leaf) return mergedLeaf(tree, entries, { from, to }, epoch);
  const kids = tree.kids.slice();
  let split: (readonly Part<V>[] | undefined)[] | null = null;
  for (let at = from; at < to; ) {
    const i = childOf(tree.keys, entries.keys[at] as string);
    const next = tree.keys[i + 1];
    const end = next === undefined ? to : firstNotBelow(entries.keys, next, at + 1, to);
    const grown = merged(kids[i] as TreeNode<V>, entries, { from: at, to: end }, epoch);
    if (isSplit(grown)) {
      split ??= new Array<readonly Part<V>[] | undefined>(kids.length).fill(undefined);
      split[i] = grown;
    } else kids[i] = grown;
    at = end;
  }
  // Where no kid has become several, which is nearly always, the keys are those there were.
  return split === null ? new Branch(epoch, tree.keys, kids) : withSplit(tree.keys, kids, split, epoch);
}

/** A branch some of whose kids have become several. */
function withSplit<V>(
  oldKeys: readonly string[],
  oldKids: readonly TreeNode<V>[],
  split: readonly (readonly Part<V>[] | undefined)[],
  epoch: number,
): Grown<V> {
  const keys: string[] = [];
  const kids: TreeNode<V>[] = [];
  for (let i = 0; i < oldKids.length; i++) {
    keys.push(oldKeys[i] as string);
    const parts = split[i];
    kids.push(parts?.[0]?.node ?? (oldKids[i] as TreeNode<V>));
    for (let p = 1; parts && p < parts.length; p++) {
      const part = parts[p] as Part<V>;
      keys.push(part.separator);
      kids.push(part.node);
    }
  }
  return cut(keys, kids, (someKeys, someKids) => new Branch(epoch, someKeys, someKids));
}

function mergedLeaf<V>(leaf: Leaf<V>, entries: Entries<V>, span: Span, epoch: number): Grown<V> {
  const make = (keys: readonly string[], values: readonly V[]): TreeNode<V> => new Leaf(epoch, keys, values);
  // In a large tree, entries of one plan lie far apart.
  if (span.to - span.from === 1) return mergedOne(leaf, entries, span.from, make);
  const fresh = countFresh(leaf.keys, entries.keys, span);
  const values = new Array<V>(leaf.keys.length + fresh);
  // Where all were known, the keys are those there were.
  const keys = fresh === 0 ? null : new Array<string>(leaf.keys.length + fresh);
  let old = 0;
  let count = 0;
  for (let at = span.from; at <= span.to; at++) {
    const key = at < span.to ? (entries.keys[at] as string) : null;
    const end = key === null ? leaf.keys.length : firstNotBelow(leaf.keys, key, old, leaf.keys.length);
    for (; old < end; old++, count++) {
      if (keys !== null) keys[count] = leaf.keys[old] as string;
      values[count] = leaf.values[old] as V;
    }
    if (key === null) break;
    const isKnown = leaf.keys[old] === key;
    if (keys !== null) keys[count] = isKnown ? (leaf.keys[old] as string) : key;
    values[count++] = entries.value(at, isKnown ? leaf.values[old++] : undefined);
  }
  return cut(keys ?? leaf.keys, values, make);
}

function mergedOne<V>(leaf: Leaf<V>, entries: Entries<V>, at: number, make: Make<V>): Grown<V> {
  const key = entries.keys[at] as string;
  const i = lowerBound(leaf.keys, key);
  if (leaf.keys[i] === key) {
    return cut(leaf.keys, replaced(leaf.values, i, entries.value(at, leaf.values[i])), make);
  }
  return cut(inserted(leaf.keys, i, key), inserted(leaf.values, i, entries.value(at, undefined)), make);
}

/** How many of the entries are not among the keys: arrays made too long would be garbage at once. */
function countFresh(keys: readonly string[], entries: readonly string[], { from, to }: Span): number {
  let fresh = 0;
  let old = 0;
  for (let at = from; at < to; at++) {
    old = firstNotBelow(keys, entries[at] as string, old, keys.length);
    if (keys[old] !== entries[at]) fresh++;
  }
  return fresh;
}

type Make<V, T = V> = (keys: readonly string[], items: readonly T[]) => TreeNode<V>;

/** Nodes of like size for so many items: one, if they fit, with these very arrays. */
function cut<V, T>(keys: readonly string[], items: readonly T[], make: Make<V, T>): Grown<V> {
  if (keys.length <= NODE_MAX) return make(keys, items);
  const count = Math.ceil(keys.length / NODE_FULL);
  const parts: Part<V>[] = [];
  for (let i = 0; i < count; i++) {
    const from = Math.floor((i * keys.length) / count);
    const to = Math.floor(((i + 1) * keys.length) / count);
    parts.push({ separator: keys[from] as string, node: make(keys.slice(from, to), items.slice(from, to)) });
  }
  return parts;
}

/** The tree without the key. */
export function treeDelete<V>(tree: Tree<V>, key: string, epoch: number): Tree<V> {
  if (treeGet(tree, key) === undefined || tree === undefined) return tree;
  let root: Tree<V> = without(tree, key, epoch);
  while (root instanceof Branch && root.kids.length === 1) root = root.kids[0];
  return root;
}

/** Values in the order of their keys, from the first key that has the prefix to the last. */
export function* treeValues<V>(tree: Tree<V>, prefix = ''): Generator<V, void, undefined> {
  const branches: { node: Branch<V>; next: number }[] = [];
  let node = tree;
  while (node !== undefined) {
    while (node instanceof Branch) {
      const i: number = prefix === '' ? 0 : childOf(node.keys, prefix);
      branches.push({ node, next: i + 1 });
      node = node.kids[i];
    }
    while (node instanceof Leaf) {
      for (let i = prefix === '' ? 0 : lowerBound(node.keys, prefix); i < node.keys.length; i++) {
        if (!(node.keys[i] as string).startsWith(prefix)) return;
        yield node.values[i] as V;
      }
      node = following(branches);
    }
  }
}

/** All values in the order of their keys: for a small tree its own array, for a larger one an array made once. */
export function treeArray<V>(tree: Tree<V>): readonly V[] {
  if (tree === undefined) return [];
  if (tree instanceof Leaf) return tree.values;
  if (tree.flat !== undefined) return tree.flat;
  const all = gathered(tree);
  tree.flat = all;
  return all;
}

/** By copies of whole nodes: one value after the other would take milliseconds for 100,000. */
function gathered<V>(node: TreeNode<V>): readonly V[] {
  return node instanceof Leaf ? node.values : ([] as V[]).concat(...node.kids.map(gathered));
}

/** The next leaf to the right of the path, or undefined at the end. */
function following<V>(branches: { node: Branch<V>; next: number }[]): Leaf<V> | undefined {
  for (let top = branches.at(-1); top !== undefined; top = branches.at(-1)) {
    const kid: TreeNode<V> | undefined = top.node.kids[top.next++];
    if (kid === undefined) branches.pop();
    else if (kid instanceof Leaf) return kid;
    else branches.push({ node: kid, next: 0 });
  }
  return undefined;
}

/** The kid for the key, made writable, and split beforehand if it could not take one more. */
function descend<V>(node: Branch<V>, key: string, epoch: number): TreeNode<V> {
  const i = childOf(node.keys, key);
  const kid = node.kids[i] as TreeNode<V>;
  const own = owned(kid, epoch);
  if (own !== kid) node.kids = replaced(node.kids, i, own);
  if (own.keys.length < NODE_MAX) return own;
  const right = split(own, epoch);
  node.keys = inserted(node.keys, i + 1, right.separator);
  node.kids = inserted(node.kids, i + 1, right.node);
  return key < right.separator ? own : right.node;
}

/** Cuts the right half off a node of this epoch. */
function split<V>(node: TreeNode<V>, epoch: number): { separator: string; node: TreeNode<V> } {
  const middle = node.keys.length >> 1;
  const keys = node.keys.slice(middle);
  const separator = keys[0] as string;
  node.keys = node.keys.slice(0, middle);
  if (node instanceof Leaf) {
    const right = new Leaf(epoch, keys, node.values.slice(middle));
    node.values = node.values.slice(0, middle);
    return { separator, node: right };
  }
  const right = new Branch(epoch, keys, node.kids.slice(middle));
  node.kids = node.kids.slice(0, middle);
  return { separator, node: right };
}

function without<V>(tree: TreeNode<V>, key: string, epoch: number): Tree<V> {
  const node = owned(tree, epoch);
  if (node instanceof Leaf) {
    if (node.keys.length === 1) return undefined;
    const i = lowerBound(node.keys, key);
    node.keys = removed(node.keys, i);
    node.values = removed(node.values, i);
    return node;
  }
  const i = childOf(node.keys, key);
  const kid = without(node.kids[i] as TreeNode<V>, key, epoch);
  if (kid === undefined) {
    if (node.kids.length === 1) return undefined;
    node.keys = removed(node.keys, i);
    node.kids = removed(node.kids, i);
    return node;
  }
  if (kid !== node.kids[i]) node.kids = replaced(node.kids, i, kid);
  if (kid.keys.length < NODE_MIN) mergeAt(node, i > 0 ? i - 1 : i, epoch);
  return node;
}

/** Joins kid i and i + 1 if they fit into one node. */
function mergeAt<V>(node: Branch<V>, i: number, epoch: number): void {
  const left = node.kids[i];
  const right = node.kids[i + 1];
  if (left === undefined || right === undefined || left.keys.length + right.keys.length > NODE_MAX) return;
  let merged: TreeNode<V> | undefined;
  if (left instanceof Leaf && right instanceof Leaf) {
    merged = new Leaf(epoch, [...left.keys, ...right.keys], [...left.values, ...right.values]);
  } else if (left instanceof Branch && right instanceof Branch) {
    // The right branch's first key means nothing there, but becomes a separator here: take the one that held so far.
    const keys = [...left.keys, node.keys[i + 1] as string, ...right.keys.slice(1)];
    merged = new Branch(epoch, keys, [...left.kids, ...right.kids]);
  }
  if (merged === undefined) return;
  node.keys = removed(node.keys, i + 1);
  node.kids = replaced(removed(node.kids, i + 1), i, merged);
}

function owned<V>(node: TreeNode<V>, epoch: number): TreeNode<V> {
  if (node.epoch !== epoch) {
    return node instanceof Leaf ? new Leaf(epoch, node.keys, node.values) : new Branch(epoch, node.keys, node.kids);
  }
  if (node instanceof Branch) node.flat = undefined;
  return node;
}

/** Index of the first key that is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  return firstNotBelow(keys, key, 0, keys.length);
}

/** The same among some of the keys; `to` when all of them are below. */
function firstNotBelow(keys: readonly string[], key: string, from: number, to: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the kid whose range the key falls into. */
function childOf(keys: readonly string[], key: string): number {
  let low = 1;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as string) <= key) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function inserted<T>(items: readonly T[], at: number, item: T): readonly T[] {
  const result = new Array<T>(items.length + 1);
  for (let i = 0; i < at; i++) result[i] = items[i] as T;
  result[at] = item;
  for (let i = at; i < items.length; i++) result[i + 1] = items[i] as T;
  return result;
}

function replaced<T>(items: readonly T[], at: number, item: T): readonly T[] {
  const result = items.slice();
  result[at] = item;
  return result;
}

function removed<T>(items: readonly T[], at: number): readonly T[] {
  const result = new Array<T>(items.length - 1);
  for (let i = 0; i < at; i++) result[i] = items[i] as T;
  for (let i = at + 1; i < items.length; i++) result[i - 1] = items[i] as T;
  return result;
}
