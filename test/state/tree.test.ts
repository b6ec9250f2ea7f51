import t from 'tap';
import { type Tree, treeArray, treeDelete, treeGet, treeSet, treeSetAll, treeValues } from '../../lib/state/tree.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';

t.test('a tree agrees with a sorted map through random writes, and its older roots never change', async (t) => {
  for (const seed of [1, 2, 3, 4]) {
    const random = seededRandom(seed);
    const model = new Map<string, number>();
    const kept: { tree: Tree<number>; values: number[] }[] = [];
    let tree: Tree<number>;
    let epoch = 1;
    const sorted = (prefix = ''): number[] =>
      [...model]
        .filter(([key]) => key.startsWith(prefix))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([, value]) => value);
    // Grows, then shrinks to nothing: splits and merges both happen.
    for (let step = 0; step < 6000; step++) {
      const key = randomInt(random, 1500).toString(7).padStart(4, '0');
      const grows = random.next() < (step < 3000 ? 0.7 : 0.2);
      if (grows) {
        tree = treeSet(tree, key, step, epoch);
        model.set(key, step);
      } else {
        tree = treeDelete(tree, key, epoch);
        model.delete(key);
      }
      if (treeGet(tree, key) !== model.get(key)) t.fail(`seed ${seed}, step ${step}: ${key}`);
      if (step % 500 === 0) {
        kept.push({ tree, values: sorted() });
        epoch++;
        const prefix = key.slice(0, randomInt(random, 4));
        t.same([...treeValues(tree, prefix)], sorted(prefix), `values with prefix "${prefix}"`);
      }
    }
    for (const { tree, values } of kept) {
      t.same(treeArray(tree), values);
      t.same([...treeValues(tree)], values);
    }
    for (const key of [...model.keys()]) tree = treeDelete(tree, key, epoch);
    t.equal(tree, undefined, 'nothing is left');
  }
});

t.test('many keys set at once are there as if set one by one, and older roots never change', async (t) => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seededRandom(seed);
    const model = new Map<string, number>();
    const kept: { tree: Tree<number>; values: number[] }[] = [];
    const sorted = (): number[] => [...model].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
    let tree: Tree<number>;
    for (let epoch = 1; epoch <= 12; epoch++) {
      const some = new Map<string, number>();
      for (let i = randomInt(random, 1 + 3 ** randomInt(random, 7)); i > 0; i--) {
        some.set(randomInt(random, 3000).toString(7).padStart(5, '0'), epoch * 1000 + i);
      }
      const keys = [...some.keys()].sort();
      const before = keys.map((key) => treeGet(tree, key));
      const found: (number | undefined)[] = [];
      const value = (at: number, known: number | undefined): number => {
        found.push(known);
        return some.get(keys[at] as string) as number;
      };
      tree = treeSetAll(tree, { keys, value }, epoch);
      if (`${found}` !== `${before}`) t.fail(`seed ${seed}: what was there is told otherwise`);
      for (const [key, value] of some) model.set(key, value);
      for (const key of [...model.keys()].filter(() => random.next() < 0.2)) {
        tree = treeDelete(tree, key, epoch);
        model.delete(key);
      }
      const key = randomInt(random, 3000).toString(7).padStart(5, '0');
      tree = treeSet(tree, key, epoch, epoch);
      model.set(key, epoch);
      for (const [one, value] of model) if (treeGet(tree, one) !== value) t.fail(`seed ${seed}: ${one}`);
      kept.push({ tree, values: sorted() });
    }
    for (const { tree, values } of kept) t.same([...treeValues(tree)], values, `seed ${seed}`);
  }
});

t.test('an array that was asked for is not what later writes show', async (t) => {
  let tree: Tree<number>;
  for (let i = 0; i < 100; i++) tree = treeSet(tree, String(i).padStart(3, '0'), i, 1);
  t.equal(treeArray(tree).length, 100);
  tree = treeSet(tree, '050', -1, 1);
  t.equal(treeArray(tree)[50], -1, 'written in the same epoch');
  const before = treeArray(tree);
  const next = treeSet(tree, '050', -2, 2);
  t.equal(treeArray(next)[50], -2, 'written in the next epoch');
  t.equal(treeArray(tree), before);
});
