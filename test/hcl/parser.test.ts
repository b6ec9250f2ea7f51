import t from 'tap';
import {
  attributesOf,
  blocksOf,
  diagnosticLine,
  formatDiagnostic,
  formatRange,
  parseExpression,
  parseHcl,
} from '../../lib/hcl/index.js';

const lines = (source: string): string[] => parseHcl(source, 'e').diagnostics.map(diagnosticLine);
/** Place and summary: the details are HashiCorp's long sentences. */
const places = (source: string): string[] => lines(source).map((line) => line.slice(0, line.indexOf(';')));

t.test('attributes and blocks keep the order of the source, with labels and ranges', async (t) => {
  const { body, diagnostics } = parseHcl('b "x" y {\n  a = 1\n}\na = 2\nb {}\n', 'e');
  t.same(diagnostics, []);
  t.same(
    body.items.map((item) => (item.kind === 'block' ? item.type : item.name)),
    ['b', 'a', 'b'],
  );
  const [first] = blocksOf(body);
  t.same(
    first?.labels.map(({ value }) => value),
    ['x', 'y'],
  );
  t.same(
    first?.labels.map(({ range }) => formatRange(range)),
    ['e:1,3-6', 'e:1,7-8'],
  );
  t.equal(first && formatRange(first.headerRange), 'e:1,1-8');
  t.equal(first && formatRange(first.range), 'e:1,1-3,2');
  t.equal(
    attributesOf(body)
      .map(({ nameRange }) => formatRange(nameRange))
      .join(),
    'e:4,1-2',
  );
});

t.test('columns count what a reader sees, bytes are those of UTF-8', async (t) => {
  const { body } = parseHcl('x = ["👩‍👩‍👧‍👦é", y]\n', 'e');
  const tuple = attributesOf(body)[0]?.expression;
  const last = tuple?.kind === 'tuple' ? tuple.items[1] : undefined;
  t.equal(last && formatRange(last.range), 'e:1,12-13');
  t.equal(last?.range.start.byte, 5 + 1 + 25 + 2 + 1 + 2);
});

const ERRORS: [source: string, ...expected: string[]][] = [
  ['a = ]\nb = ]\n', 'e:1,5-6: Invalid expression', 'e:2,5-6: Invalid expression'],
  ['a = <<EOT\nfoo\nEOT', 'e:3,4-4: Unterminated template string'],
  ['a = "x\\q"\n', 'e:1,7-9: Invalid escape sequence'],
  ['a = "\\u12"', 'e:1,6-10: Invalid escape sequence'],
  ['a = "x\ny"\nb = ]\n', 'e:1,7-2,1: Invalid multi-line string', 'e:3,5-6: Invalid expression'],
  ['a = "x\nb = "y"\nc = ]', 'e:1,7-2,1: Invalid multi-line string', 'e:3,5-6: Invalid expression'],
  ['x {\n', 'e:1,3-4: Unclosed configuration block'],
  ['a = 1 b = 2\n', 'e:1,7-8: Missing newline after argument'],
  ['a = 1, b = 2\n', 'e:1,6-7: Unexpected comma after argument'],
  ['a = 1.2.3\n', 'e:1,5-10: Invalid number literal'],
  ['a = foo(1', 'e:1,5-9: Unterminated function call'],
  ['a = [1', 'e:1,5-6: Unterminated tuple constructor expression'],
  ['a = [1 2]', 'e:1,8-9: Missing item separator'],
  ['a = {', 'e:1,6-6: Missing expression'],
  ['a = {b}', 'e:1,7-8: Missing key/value separator'],
  ['a = "${x"', 'e:1,6-8: Unclosed template interpolation sequence'],
  ['a = "${x:-y}"', 'e:1,9-10: Extra characters after interpolation expression'],
  ["a = 'x'", 'e:1,5-6: Invalid character', 'e:1,5-6: Invalid expression'],
  ['a = 1; b = 2', 'e:1,6-7: Invalid character', 'e:1,6-7: Missing newline after argument'],
  ['a = b & c', 'e:1,7-8: Unsupported operator', 'e:1,7-8: Missing newline after argument'],
  ['a = f::', 'e:1,8-8: Missing function name'],
  ['x "${y}" {}', 'e:1,4-6: Invalid string literal'],
  ['a = b.', 'e:1,7-7: Invalid attribute name'],
  ['a { b = 1, c = 2 }', 'e:1,10-11: Invalid single-argument block definition'],
  ['a { b = 1\n}', 'e:1,10-2,1: Invalid single-argument block definition'],
  ['a { b {} }', 'e:1,5-8: Argument definition required'],
  ['"a" = 1', 'e:1,1-2: Invalid argument name'],
  ['a\n', 'e:1,1-2: Argument or block definition required'],
  ['a b\n{}', 'e:1,4-2,1: Invalid block definition'],
  ['a = x.*.*', 'e:1,9-10: Nested splat expression not allowed'],
  ['a = (1\n', 'e:2,1-1: Unbalanced parentheses'],
  ['a = x ? y\n', 'e:1,10-2,1: Missing false expression in conditional'],
  ['x {\n a=1\n a=2\n}', 'e:3,2-3: Attribute redefined'],
  ['a = "%{ fi x }%{ endif }"', 'e:1,9-11: Invalid template control keyword', 'e:1,15-25: Unexpected endif directive'],
  ['a = "%{ if x }y"', 'e:1,16-17: Unexpected end of template'],
];

t.test('errors lie where HashiCorp puts them, several in a file', async (t) => {
  for (const [source, ...expected] of ERRORS) t.same(places(source), expected, source);
});

t.test('a diagnostic shows the place, the source and what is meant', async (t) => {
  const source = 'job "x" {\n\ttype = ]\n}\n';
  const [problem] = parseHcl(source, 'job.hcl').diagnostics;
  t.equal(
    problem && formatDiagnostic(problem, source),
    [
      'Error: Invalid expression',
      '',
      '  on job.hcl:2,9-10:',
      '  2: \ttype = ]',
      '     \t       ^',
      '',
      'Expected the start of an expression, but found an invalid expression token.',
      '',
    ].join('\n'),
  );
});

t.test('an expression alone may span lines, and nothing may follow it', async (t) => {
  t.same(parseExpression('[\n1,\n2\n]\n', 'e').diagnostics, []);
  t.same(parseExpression('1 2', 'e').diagnostics.map(diagnosticLine), [
    'e:1,3-4: Extra characters after expression; An expression was successfully parsed, but extra characters were found after it.',
  ]);
});

t.test('what is nested ten thousand deep is refused with a place', async (t) => {
  const n = 10_000;
  const deep = [
    `a = ${'('.repeat(n)}1${')'.repeat(n)}`,
    `a = ${'['.repeat(n)}`,
    `a = ${'{a='.repeat(n)}`,
    `a = ${'"${'.repeat(n)}`,
    `a = ${'f('.repeat(n)}`,
    `a = ${'b?c:'.repeat(n)}d`,
    `a = ${'!'.repeat(n)}b`,
    `a = b${'[c]'.repeat(n)}`,
    `a = b${'[*]'.repeat(n)}`,
    `a = "${'%{if x}'.repeat(n)}"`,
    'x {\n'.repeat(n),
  ];
  for (const source of deep) t.match(places(source)[0], /^e:\d+,\d+-[\d,]+: Nesting too deep$/, source.slice(0, 12));
  t.same(lines(`a = 1${' + 1'.repeat(300)}`), [], 'a sum of some hundred terms is not deep');
});
