import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { diagnosticLine } from '../../lib/hcl/index.js';
import { parseJob } from '../../lib/jobspec/parse.js';

// Expressions made at random, each with the value (as JSON) that Nomad's parser gives it, or with "! line,column title"
// of its first complaint: [expression, answer] a line. Recorded from two versions of the parser that agree.

const FILE = fileURLToPath(new URL('../../../test/hcl/data/nomad-expressions.jsonl', import.meta.url));
const rows = readFileSync(FILE, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as [expression: string, answer: string]);

function answer(expression: string): string {
  const source = `locals {\n  v = ${expression}\n}\njob "e" {\n  meta {\n    v = jsonencode(local.v)\n  }\n}\n`;
  const parsed = parseJob({ source, filename: 'e.hcl' });
  if (parsed.ok) return parsed.value.job.Meta?.['v'] ?? '';
  const [, place, title] = /^e\.hcl:(\d+,\d+)\S* ([^;]+)/.exec(parsed.error.map(diagnosticLine)[0] ?? '') ?? [];
  return `! ${place} ${title}`;
}

t.test('expressions have the values and the complaints of Nomad’s parser', async (t) => {
  t.ok(rows.length > 300);
  for (const [expression, wanted] of rows) t.equal(answer(expression), wanted, expression);
});
