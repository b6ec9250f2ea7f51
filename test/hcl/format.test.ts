import { existsSync, readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { formatHcl, hasErrors, parseHcl } from '../../lib/hcl/index.js';

const CASES: Record<string, string> = {
  'a=1\nlonger   =  2 # x\nb=3#y\n\nc=[1,\n2]\n': 'a      = 1\nlonger = 2 # x\nb      = 3 #y\n\nc = [1,\n2]\n',
  'x = -1+ 2*-3\ny=!a&&b\n': 'x = -1 + 2 * -3\ny = !a && b\n',
  'b "l"{a=1}\nc{}\n': 'b "l" { a = 1 }\nc {}\n',
  'f = "${ a }-${b}%{ if x }y%{ endif }"\n': 'f = "${a}-${b}%{if x}y%{endif}"\n',
  'a = <<EOT\n  x ${ y }\n EOT\nEOT\n': 'a = <<EOT\n  x ${y}\n EOT\nEOT\n',
  'o={a=1,b={c=2}}\n': 'o = { a = 1, b = { c = 2 } }\n',
  'a=f(1,2 ,x...) [0] . b\n': 'a = f(1, 2, x...)[0].b\n',
  '# c\n  # d\na{\n# e\n   b{\nc=[{\nd=1\n}]\n}\n}\n':
    '# c\n# d\na {\n  # e\n  b {\n    c = [{\n      d = 1\n    }]\n  }\n}\n',
  'é=1\nbb=2 # ü\nccc="日本" # x\n': 'é   = 1\nbb  = 2    # ü\nccc = "日本" # x\n',
  'a=[for x in[1]:x]\n': 'a = [for x in [1] : x]\n',
  'a = 1': 'a = 1',
  '': '',
};

t.test('spaces are set as hclwrite sets them', async (t) => {
  for (const [source, expected] of Object.entries(CASES)) t.equal(formatHcl(source), expected, source);
});

/** The tree without places; a comment is no part of it. */
function shape(source: string): string {
  const { body, diagnostics } = parseHcl(source, 'e');
  if (hasErrors(diagnostics)) return 'invalid';
  return JSON.stringify(body, (key, value) =>
    /[rR]ange$/.test(key) ? undefined : typeof value === 'bigint' ? `${value}n` : value,
  );
}

const withoutSpaces = (source: string): string => source.replace(/[ \t]+/g, '');

function check(source: string): void {
  const once = formatHcl(source);
  if (formatHcl(once) !== once) throw new Error(`not idempotent: ${JSON.stringify(source)}`);
  if (shape(once) !== shape(source)) throw new Error(`another meaning: ${JSON.stringify(source)}`);
  if (withoutSpaces(once) !== withoutSpaces(source)) throw new Error(`more than spaces: ${JSON.stringify(source)}`);
}

const DATA = '../shared/data/nomad-jobs/cases';

t.test('real job files keep their meaning', { skip: !existsSync(DATA) && `${DATA} is not there` }, async (t) => {
  const names = readdirSync(DATA).filter((name) => name.endsWith('.hcl'));
  t.ok(names.length > 50);
  for (const name of names) {
    const source = readFileSync(`${DATA}/${name}`, 'utf8');
    t.doesNotThrow(() => check(source), name);
    const crushed = source.replace(/^[ \t]+/gm, '');
    if (!source.includes('<<')) t.doesNotThrow(() => check(crushed), `${name} without indents`);
  }
});

const expression = fc.letrec<{ node: string }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom('1', '-2', '"s"', '"x${ a }y"', 'a.b', 'a[0]', 'null', '<<E\n  t ${ x }\nE\n'),
    fc.array(tie('node'), { maxLength: 3 }).map((items) => `[${items.filter(inline).join(' ,')}]`),
    fc.array(tie('node'), { maxLength: 3 }).map((items) => `[\n${items.filter(inline).join(',\n   ')}\n]`),
    fc.array(tie('node'), { maxLength: 3 }).map(
      (items) =>
        `{${items
          .filter(inline)
          .map((v, i) => `k${i}=${v}`)
          .join(' , ')}}`,
    ),
    tie('node').map((v) => (inline(v) ? `f( ${v},1 )` : v)),
  ),
})).node;
const inline = (text: string): boolean => !text.includes('<<');
const attribute = fc
  .tuple(fc.constantFrom('a', 'bb', 'ccc'), expression, fc.constantFrom('', ' # c', '// d'))
  .map(([name, value, comment]) => `  ${name}   =${value}${inline(value) ? `${comment}\n` : ''}`);
const block = fc
  .tuple(
    fc.constantFrom('x', 'y "l"'),
    fc.uniqueArray(attribute, { maxLength: 3, selector: (text) => text.slice(0, 5) }),
  )
  .map(([head, inside]) => `${head}{\n${inside.join('')}}\n`);

t.test('generated files keep their meaning, and twice is as good as once', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.oneof(block, fc.constantFrom('\n', '# a comment\n', '/* b */\n'))), (parts) =>
      check(parts.join('')),
    ),
    { numRuns: 400 },
  );
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void formatHcl(text)));
  t.pass();
});
