import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { compareReadings, readAgain } from '../../lib/cli/second-reading.js';
import { seededRandom } from '../../lib/util/random.js';

const DATA = fileURLToPath(new URL('../../../../shared/data/', import.meta.url));
const skip = existsSync(DATA) ? false : 'no conformance data beside the repository';

t.test('what the other parser cannot express is no disagreement', async (t) => {
  const sources = [
    'a = "$${x} and %%{y}"',
    'a = "$$${y}"',
    'z = 1\na = 2\nb "x" {}\nc {}\nb "y" {}',
    'a = 12345678901234567890123',
    'a = 1e400',
    'a = -1\nb = !true\nc = (1)\nd = "${"lit"}"\ne = "%{ if a ~} x %{ endif }"',
    'a = { (k) = 1, "l" = 2, "m${n}" = 3 }',
    'a = <<-EOT\n    one\n      two ${x}\n  EOT\n',
    'a = [1, 2.50, "é\\u00e9", null, true, {}, []]',
    'a = 1\r\nb = <<EOT\r\nx\r\nEOT\r\n',
    '\uFEFFa = 1\n',
    '',
  ];
  for (const source of sources) t.equal(await readAgain(source, 'x.hcl'), null, source);
});

t.test('a disagreement is told with both readings', async (t) => {
  const reading = (value: unknown) => ({ parseToObject: (): [unknown, unknown] => [value, null] });
  const refusing = { parseToObject: (): [unknown, unknown] => [null, {}] };
  const source = 'a = 1\nb "x" {\n  c = ["d"]\n}\n';
  const told = (value: unknown): string | null => compareReadings(source, 'x.hcl', reading(value));
  t.equal(told({ a: 1, b: { x: [{ c: ['d'] }] } }), null);
  t.match(told({ a: 2, b: { x: [{ c: ['d'] }] } }), /meshnomad: +a is 1\n +hcl2-parser: a is 2/);
  t.match(told({ a: 1, b: { x: [{ c: ['e'] }] } }), /b\.x\[0\]\.c\[0\] is "d"\n.* is "e"/);
  t.match(told({ a: 1 }), /b is \{.*\n.*b is absent/);
  t.match(compareReadings(source, 'x.hcl', refusing), /meshnomad: +it is valid\n.*it is not valid/);
  t.match(compareReadings('a =', 'x.hcl', reading({})), /it is not valid: x\.hcl:1,\d.*\n.*it is valid/);
});

t.test('what both refuse is no disagreement', async (t) => {
  for (const source of ['a =', 'a {', 'a = "x', 'a = 1 b = 2', '}', 'a = 1\na = 2', 'a "b {}']) {
    t.equal(await readAgain(source, 'x.hcl'), null, source);
  }
});

t.test('the examples and the data are read alike', { skip }, async (t) => {
  const folder = join(DATA, 'nomad-jobs/cases');
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.hcl'))) {
    t.equal(await readAgain(readFileSync(join(folder, name), 'utf8'), name), null, name);
  }
});

t.test('generated files are read alike, whole and with a character changed', async (t) => {
  const random = seededRandom(11);
  const int = (below: number): number => Math.floor(random.next() * below);
  const pick = <T>(list: readonly T[]): T => list[int(list.length)] as T;
  const expression = (depth: number): string => {
    switch (int(depth > 3 ? 6 : 9)) {
      case 0:
        return String(int(1000));
      case 1:
        return `"${pick(['a', 'b c', '\\n', '\\u00e9', '$${x}', 'é', ''])}"`;
      case 2:
        return pick(['true', 'false', 'null', '1.5', '1e3', '-2']);
      case 3:
        return pick(['a.b', 'var.x[0]', 'f(1, 2)', 'a ? b : c', '"x${y}z"', 'a + 1', '[for x in y : x]', 'a.*.b']);
      case 4:
        return `<<EOT\n${pick(['x', ' y ${z}', ''])}\nEOT\n`;
      case 5:
        return '"x"';
      case 6:
        return `[${Array.from({ length: int(3) }, () => expression(depth + 1).replace(/<<EOT[\s\S]*EOT\n/, '1')).join(', ')}]`;
      default:
        return `{ ${Array.from({ length: int(3) }, (_, i) => `k${i} = ${expression(depth + 1).replace(/<<EOT[\s\S]*EOT\n/, '1')}`).join(', ')} }`;
    }
  };
  const body = (depth: number): string =>
    Array.from({ length: int(4) }, (_, i) =>
      int(3) === 0 && depth < 3
        ? `block${pick(['', ' "l"', ' "m"', ' "l" "m"'])} {\n${body(depth + 1)}}\n`
        : `a${i} = ${expression(0)}\n`,
    ).join('');
  for (let i = 0; i < 150; i++) {
    const source = body(0);
    t.equal(await readAgain(source, 'x.hcl'), null, source);
    if (source === '') continue;
    const at = int(source.length);
    const broken =
      source.slice(0, at) + pick(['"', '{', '}', '[', '=', '\n', '$', ',', '', '<<']) + source.slice(at + 1);
    t.equal(await readAgain(broken, 'x.hcl'), null, broken);
  }
});
