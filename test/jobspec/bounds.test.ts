import t from 'tap';
import { diagnosticLine } from '../../lib/hcl/index.js';
import { parseJob } from '../../lib/jobspec/parse.js';
import { jsonValues } from '../../lib/jobspec/variables-json.js';

/** What is said of a file, and the processor time it took. */
function told(source: string): { text: string; ms: number } {
  const before = process.cpuUsage();
  const parsed = parseJob({ source, filename: 'b.hcl' });
  const { user, system } = process.cpuUsage(before);
  return { text: parsed.ok ? 'ok' : parsed.error.map(diagnosticLine).join('\n'), ms: (user + system) / 1000 };
}

const lines = (count: number, line: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => line(i)).join('\n');
const LONG = 'locals {\n s = join("", [for x in range(1000) : "abababababab"])\n}\n';
const meta = (values: string): string => `job "b" {\n meta {\n${values}\n }\n}\n`;

const BOMBS: [what: string, source: string, told: RegExp][] = [
  [
    'patterns in each of many lines',
    LONG + meta(lines(3000, (i) => `  k${i} = regex_replace(local.s, "(a|b)*c${i}", "")`)),
    /All expressions of this file together take too many steps/,
  ],
  [
    'digests without end',
    `${LONG}${meta('  k = jsonencode([for i in range(1000) : sha512("${local.s}${i}")])')}`,
    /given up/,
  ],
  [
    'loops hidden in can()',
    meta('  k = jsonencode([for a in range(1000) : can([for b in range(1000) : [for c in range(400) : c]])])'),
    /take too many steps|given up/,
  ],
  [
    'dynamic blocks in each other',
    'job "b" {\n dynamic "group" {\n for_each = range(1000)\n labels = ["g${group.value}"]\n content {\n dynamic "task" {\n for_each = range(1000)\n labels = ["t${task.value}"]\n content {\n driver = "x"\n}\n}\n}\n}\n}\n',
    /Too many dynamic blocks/,
  ],
  [
    'a ring of locals',
    `locals {\n${lines(2000, (i) => ` l${i} = local.l${(i + 1) % 2000}`)}\n}\n${meta('')}`,
    /Circular.*local\.l7 → … → local\.l0/,
  ],
  [
    'locals that lean on each other',
    `locals {\n${lines(3000, (i) => ` l${i} = local.l${i + 1}`)}\n l3000 = 1\n}\n${meta('')}`,
    /^ok$/,
  ],
];

t.test('what is too long is not read: a job or variables in JSON no more than HCL', async (t) => {
  const long = `{"Job": {"ID": "b", "Meta": {"a": "${'x'.repeat(8_000_000)}"}}}`;
  t.match(told(long).text, /A file may have up to 8000000 characters/);
  const values = jsonValues(long, 'vars.json');
  t.match(values, { ok: false, error: { summary: 'File too large' } });
});

for (const [what, source, wanted] of BOMBS) {
  t.test(`${what}: answered in bounded time`, async (t) => {
    const { text, ms } = told(source);
    t.match(text, wanted);
    t.ok(ms < 60_000, `${ms} ms`);
    t.equal(
      text.split('\n').filter((line) => /too many steps|Too many dynamic/.test(line)).length <= 1,
      true,
      'told once',
    );
  });
}
