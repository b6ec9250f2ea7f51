import fc from 'fast-check';
import t from 'tap';
import {
  bigFloatToString,
  type Expression,
  evaluate,
  formatDiagnostic,
  hasErrors,
  jsonEncode,
  parseExpression,
  parseHcl,
  parseJson,
  printBody,
  printExpression,
  STANDARD_FUNCTIONS,
  TRUE,
  UNKNOWN,
} from '../../lib/hcl/index.js';
import { parseBigFloat } from '../../lib/hcl/number.js';

const pieces = [
  ...[
    'a',
    'for',
    'in',
    'if',
    'x',
    'true',
    'null',
    ' = ',
    '\n',
    ' ',
    '"',
    '${',
    '%{',
    '}',
    '~}',
    '{',
    '[',
    ']',
    '(',
    ')',
  ],
  ...[
    ',',
    '.',
    '*',
    '...',
    '=>',
    '?',
    ':',
    '==',
    '&&',
    '!',
    '-',
    '+',
    '1',
    '2.5',
    '1e3',
    '#',
    '//',
    '/*',
    '*/',
    '<<EOT\n',
  ],
  ...[
    'EOT\n',
    '\\',
    '\\n',
    '$${',
    'é',
    '👩‍👩‍👧‍👦',
    '\u0000',
    '\r\n',
    '\ufeff',
    '%{ if a }',
    '%{ endif }',
    'f(',
    "'",
    '`',
    ';',
    '::',
  ],
];
const soup = fc.array(fc.constantFrom(...pieces), { maxLength: 60 }).map((parts) => parts.join(''));
const context = {
  variables: new Map([
    ['a', TRUE],
    ['x', UNKNOWN],
  ]),
  functions: STANDARD_FUNCTIONS,
};

t.test('no text makes the parser or the evaluator throw, and every error lies within the text', async (t) => {
  fc.assert(
    fc.property(fc.oneof(soup, fc.string({ unit: 'binary' })), (source) => {
      const { body, diagnostics } = parseHcl(source, 'e');
      for (const diagnostic of diagnostics) {
        formatDiagnostic(diagnostic, source);
        const { start, end } = diagnostic.subject;
        if (start.index > end.index || end.index > source.length) throw new Error(JSON.stringify(diagnostic));
      }
      for (const item of body.items)
        if (item.kind === 'attribute') jsonEncode(evaluate(item.expression, context).value);
      parseJson(source, 'e');
    }),
    { numRuns: 700 },
  );
  t.pass();
});

const leaf = fc.constantFrom(
  '1',
  '2.5',
  'true',
  'null',
  'a',
  'a.b',
  'a["k"].c',
  '"s"',
  '"x${a}y"',
  '"${a}"',
  '"$${a}"',
);
const { expression: sources } = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc
      .tuple(tie('expression'), fc.constantFrom('+', '-', '*', '==', '<', '&&', '||'), tie('expression'))
      .map((x) => x.join(' ')),
    fc.tuple(tie('expression'), tie('expression'), tie('expression')).map(([a, b, c]) => `(${a}) ? ${b} : ${c}`),
    tie('expression').map((a) => `(${a})`),
    tie('expression').map((a) => `!(${a})`),
    fc.array(tie('expression'), { maxLength: 3 }).map((items) => `[${items.join(', ')}]`),
    fc.array(tie('expression'), { maxLength: 3 }).map((items) => `{${items.map((v, i) => `k${i} = ${v}`).join(', ')}}`),
    fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `[for k, v in ${a} : ${b} if v]`),
    fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `{for v in ${a} : v => ${b}...}`),
    tie('expression').map((a) => `f(${a}, a...)`),
    tie('expression').map((a) => `a[*].b[${a}].*.c`),
    tie('expression').map((a) => `"%{ if ${a} }x${'${a}'}-%{ else }y%{ endif }%{ for v in a }${'${v}'},%{ endfor }"`),
  ),
}));

/** The tree without its ranges. */
function shape(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(shape);
  if (typeof node !== 'object' || node === null || node instanceof Map) return node;
  return Object.fromEntries(
    Object.entries(node).flatMap(([key, value]) => (/[rR]ange$/.test(key) ? [] : [[key, shape(value)]])),
  );
}

t.test('what is printed reads as the same tree', async (t) => {
  fc.assert(
    fc.property(sources, (source) => {
      const parse = (text: string): Expression => {
        const { expression, diagnostics } = parseExpression(text, 'e');
        if (hasErrors(diagnostics)) throw new Error(`${text}: ${diagnostics[0]?.summary}`);
        return expression;
      };
      const tree = parse(source);
      const again = parse(printExpression(tree));
      if (!isSame(shape(tree), shape(again))) throw new Error(`${source} became ${printExpression(tree)}`);
    }),
    { numRuns: 300 },
  );
  const file = 'a = 1\nlong = "x"\n\nb "l" {\n  c = [1, 2]\n\n  d {\n  }\n}\n';
  t.equal(printBody(parseHcl(file, 'e').body), 'a    = 1\nlong = "x"\n\nb "l" {\n  c = [1, 2]\n\n  d {\n  }\n}\n');
});

function isSame(a: unknown, b: unknown): boolean {
  const text = (x: unknown): string => JSON.stringify(x, (_, v) => (typeof v === 'bigint' ? `${v}n` : v));
  return text(a) === text(b);
}

t.test('a double keeps its value, and its shortest digits are those of JavaScript', async (t) => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true, min: 1e-6, max: 1e20 }), (x) => {
      const exact = parseBigFloat(String(x));
      if (!exact || Number(bigFloatToString(exact)) !== x) throw new Error(`${x}: ${exact && bigFloatToString(exact)}`);
    }),
  );
  t.equal(bigFloatToString(parseBigFloat('1e30') ?? { mantissa: 0n, exponent: 0, precision: 1 }), `1${'0'.repeat(30)}`);
  t.equal(parseBigFloat('1e999999'), null);
});

t.test('a file of 10 MB and one nested 10,000 deep are refused before they are read', async (t) => {
  const long = parseHcl(`# ${'x'.repeat(10_000_000)}\na = 1\n`, 'e');
  t.same(
    long.diagnostics.map(({ summary }) => summary),
    ['File too large'],
  );
  t.same(long.body.items, [], 'nothing of it was read');
  for (const open of ['a = [', 'a {\n', 'a = (', 'a = {b=', 'a = "${', 'a = f(', 'a = !', 'a = x ? ']) {
    const { diagnostics } = parseHcl(open + open.replace(/^a = /, '').repeat(9_999), 'e');
    t.ok(hasErrors(diagnostics), open);
    t.ok(diagnostics.length < 200, `${open}: ${diagnostics.length} messages`);
  }
});
