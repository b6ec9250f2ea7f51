import fc from 'fast-check';
import t from 'tap';
import { parseFilter } from '../../lib/server/filter.js';

const item = {
  ID: 'web',
  Priority: 50,
  Stop: false,
  Datacenters: ['dc1', 'dc2'],
  Meta: { env: 'prod', 'a b': 'c' },
  Empty: [],
  Nothing: null,
};

const cases: [string, boolean][] = [
  ['ID == "web"', true],
  ['ID == web', true],
  ['ID != "web"', false],
  ['Priority == 50', true],
  ['Priority == "50"', true],
  ['Stop == false', true],
  ['Stop == true', false],
  ['Datacenters contains "dc1"', true],
  ['Datacenters not contains dc1', false],
  ['"dc2" in Datacenters', true],
  ['dc3 not in Datacenters', true],
  ['ID contains "we"', true],
  ['Meta contains env', true],
  ['Meta.env == prod', true],
  ['Meta["a b"] == `c`', true],
  ['"/Meta/a b" == c', true],
  ['ID matches "^w.b$"', true],
  ['ID not matches "^x"', true],
  ['Empty is empty', true],
  ['Nothing is empty', true],
  ['Meta is not empty', true],
  ['Absent is empty', true],
  ['Absent is nil', true],
  ['Nothing is nil', true],
  ['Empty is nil', false],
  ['Meta is not nil', true],
  ['Absent == "x"', false],
  ['not ID == "web"', false],
  ['ID == "a" or ID == "web" and Priority == 50', true],
  ['(ID == "web" or ID == "a") and Priority == 1', false],
  ['not (ID == "a")', true],
  ['Datacenters.0 == dc1', true],
  ['ID == "w\\x65b"', false],
  ['Meta.constructor is empty', true],
];

t.test('expressions choose as go-bexpr does', async (t) => {
  for (const [source, expected] of cases) {
    const filter = parseFilter(source);
    t.ok(filter.ok, source);
    if (filter.ok) t.equal(filter.value(item), expected, source);
  }
});

t.test('an error says where and what was expected', async (t) => {
  for (const [source, message] of [
    ['ID ==', 'expected a value at position 6, found the end'],
    ['ID = "x"', 'unexpected "= \\"x\\"" at position 4'],
    ['(ID == x', 'expected ")" at position 9, found the end'],
    ['ID == x y', 'expected "and", "or" or the end at position 9, found "y"'],
    ['ID matches "("', '"(" at position 12 is not a regular expression'],
    ['', 'expected a field or a value at position 1, found the end'],
    ['ID is full', 'expected "empty" or "nil" at position 7, found "full"'],
  ] as const) {
    const filter = parseFilter(source);
    t.equal(filter.ok ? '' : filter.error, message, source);
  }
  t.notOk(parseFilter('('.repeat(100_000)).ok);
});

t.test('no text makes the parser throw', async (t) => {
  const piece = fc.constantFrom(
    'ID',
    '==',
    '!=',
    '"a"',
    '(',
    ')',
    'not',
    'and',
    'or',
    'in',
    'is',
    'empty',
    '[',
    '.',
    '\\',
    '`',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece).map((parts) => parts.join(' ')),
      ),
      (source) => {
        const filter = parseFilter(source);
        return filter.ok ? typeof filter.value(item) === 'boolean' : filter.error.length > 0;
      },
    ),
    { seed: 5, numRuns: 500 },
  );
  t.pass();
});
