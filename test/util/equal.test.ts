import t from 'tap';
import { isEqual } from '../../lib/util/equal.js';

t.test('values are compared key by key', async (t) => {
  const cases: [unknown, unknown, boolean][] = [
    [1, 1, true],
    [1, '1', false],
    [null, undefined, false],
    [{ a: 1 }, { a: 1 }, true],
    [{ a: 1 }, { a: 1, b: 2 }, false],
    [{ a: 1, b: 2 }, { a: 1 }, false],
    [{ a: undefined }, {}, true],
    [[1, [2]], [1, [2]], true],
    [[1, 2], [2, 1], false],
    [[], {}, false],
    [{ a: null }, {}, false],
  ];
  for (const [a, b, expected] of cases) t.equal(isEqual(a, b), expected, JSON.stringify([a, b]));
});
