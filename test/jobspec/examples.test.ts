import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { diagnosticLine } from '../../lib/hcl/index.js';
import { canonicalizeJob } from '../../lib/jobspec/canonicalize.js';
import { INIT_FILENAME, INIT_JOB, INIT_JOB_SHORT } from '../../lib/jobspec/init.js';
import { parseJob } from '../../lib/jobspec/parse.js';
import { readJobJson } from '../../lib/jobspec/read-json.js';
import { validateJob } from '../../lib/structs/validate/job.js';

const EXAMPLES = fileURLToPath(new URL('../../../examples/', import.meta.url));

function findings(source: string, filename: string): { errors: string[]; warnings: string[] } {
  const parsed = parseJob({ source, filename });
  if (!parsed.ok) return { errors: parsed.error.map(diagnosticLine), warnings: [] };
  return validateJob(canonicalizeJob(parsed.value.job));
}

t.test('every example is a valid job without a warning, but for what is not there yet', async (t) => {
  const names = readdirSync(EXAMPLES).filter((name) => name.endsWith('.nomad.hcl'));
  t.ok(names.length >= 13);
  for (const name of names) {
    const { errors, warnings } = findings(readFileSync(join(EXAMPLES, name), 'utf8'), name);
    const wrong = errors.filter((error) => !/^`.+` is not supported yet \(at /.test(error));
    t.strictSame({ wrong, warnings }, { wrong: [], warnings: [] }, name);
  }
});

t.test('every example comes out of its canonical JSON as it went in', async (t) => {
  for (const name of readdirSync(EXAMPLES).filter((name) => name.endsWith('.nomad.hcl'))) {
    const parsed = parseJob({ source: readFileSync(join(EXAMPLES, name), 'utf8'), filename: name });
    if (!parsed.ok) throw new Error(parsed.error.map(diagnosticLine).join(' | '));
    const canonical = canonicalizeJob(parsed.value.job);
    const again = readJobJson(JSON.parse(JSON.stringify(canonical)));
    t.ok(again.ok, name);
    if (again.ok) t.strictSame(canonicalizeJob(again.value), canonical, name);
  }
});

t.test('what job init writes is a valid job, short and long', async (t) => {
  for (const source of [INIT_JOB, INIT_JOB_SHORT]) {
    t.strictSame(findings(source, INIT_FILENAME), { errors: [], warnings: [] });
  }
});

t.test(
  'the batch example takes its words from a variable, and the system example leaves the machine’s name to the machine',
  async (t) => {
    const batch = parseJob({
      source: readFileSync(join(EXAMPLES, 'batch.nomad.hcl'), 'utf8'),
      filename: 'batch.nomad.hcl',
      variables: { flags: ['words=a b'] },
    });
    t.match(batch, { ok: true, value: { job: { TaskGroups: [{ Tasks: [{ Env: { WORDS: 'a b' } }] }] } } });
    const system = parseJob({ source: readFileSync(join(EXAMPLES, 'system.nomad.hcl'), 'utf8'), filename: 's' });
    t.match(system, {
      ok: true,
      value: { job: { TaskGroups: [{ Tasks: [{ Env: { MACHINE: '${node.unique.name}' } }] }] } },
    });
  },
);
