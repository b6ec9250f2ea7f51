import t from 'tap';
import { diffAllocs } from '../../lib/client/alloc-diff.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';

const known = (entries: Record<string, number>) =>
  new Map(Object.entries(entries).map(([id, allocModifyIndex]) => [id, { allocModifyIndex }]));

t.test('what an answer asks for', async (t) => {
  const cases = [
    { name: 'a new one is pulled', known: {}, answer: { a: 5 }, at: 5, last: 0, pull: ['a'], remove: [] },
    { name: 'a changed one is pulled', known: { a: 5 }, answer: { a: 6 }, at: 6, last: 5, pull: ['a'], remove: [] },
    { name: 'an unchanged one is left alone', known: { a: 5 }, answer: { a: 5 }, at: 9, last: 5, pull: [], remove: [] },
    {
      name: 'an older view of one is ignored',
      known: { a: 6 },
      answer: { a: 5 },
      at: 9,
      last: 5,
      pull: [],
      remove: [],
    },
    { name: 'an absent one is removed', known: { a: 5 }, answer: {}, at: 7, last: 5, pull: [], remove: ['a'] },
    { name: 'but not before its own index', known: { a: 9 }, answer: {}, at: 7, last: 5, pull: [], remove: [] },
  ];
  for (const { name, answer, at, last, pull, remove, ...rest } of cases) {
    const diff = diffAllocs({ known: known(rest.known), answer, answerIndex: at, lastIndex: last });
    t.same(diff, { kind: 'act', pull, remove }, name);
  }
});

t.test('an answer older than the last one acted on is nothing', async (t) => {
  const diff = diffAllocs({ known: known({ a: 5 }), answer: { b: 3 }, answerIndex: 4, lastIndex: 5 });
  t.same(diff, { kind: 'stale' });
});

t.test('property: a server that replays its log from nothing never removes what the whole log has', async (t) => {
  for (let seed = 0; seed < 300; seed++) {
    const random = seededRandom(seed);
    const log: { id: string; gone: boolean }[] = [];
    for (let i = 0; i < 30; i++) log.push({ id: `a${randomInt(random, 6)}`, gone: random.next() < 0.3 });
    const view = (index: number): Record<string, number> => {
      const allocs: Record<string, number> = {};
      log.slice(0, index).forEach(({ id, gone }, i) => {
        if (gone) delete allocs[id];
        else allocs[id] = i + 1;
      });
      return allocs;
    };
    const final = view(log.length);
    const have = known(final);
    for (let index = 0; index <= log.length; index++) {
      const diff = diffAllocs({ known: have, answer: view(index), answerIndex: index, lastIndex: log.length });
      if (index < log.length) t.same(diff, { kind: 'stale' }, `seed ${seed}`);
      else t.same(diff, { kind: 'act', pull: [], remove: [] }, `seed ${seed}`);
    }
  }
});
