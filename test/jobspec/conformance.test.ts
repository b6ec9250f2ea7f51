import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { diagnosticLine } from '../../lib/hcl/index.js';
import { canonicalizeJob } from '../../lib/jobspec/canonicalize.js';
import { type ParsedJob, parseJob } from '../../lib/jobspec/parse.js';
import { readJobJson } from '../../lib/jobspec/read-json.js';
import { findIssues } from '../../lib/structs/validate/job.js';

const DATA = fileURLToPath(new URL('../../../../shared/data/', import.meta.url));
const skip = existsSync(DATA) ? false : 'no conformance data beside the repository';

type Json = Record<string, unknown>;

function isEmpty(value: unknown): boolean {
  return (
    value === null ||
    value === undefined ||
    (typeof value === 'object' && Object.values(value as object).every((item) => item === undefined))
  );
}

/** The first difference by the rules of the data: absent, null, [] and {} are equal, zeros under new keys do not count. */
function difference(ours: unknown, expected: unknown, path: string): string | undefined {
  if (isEmpty(ours) && isEmpty(expected)) return undefined;
  if (typeof ours !== 'object' || typeof expected !== 'object' || !ours || !expected) {
    return Object.is(ours, expected)
      ? undefined
      : `${path}: ${JSON.stringify(ours)} is not ${JSON.stringify(expected)}`;
  }
  if (Array.isArray(ours) !== Array.isArray(expected)) return `${path}: one is a list`;
  for (const key of new Set([...Object.keys(ours), ...Object.keys(expected)])) {
    const own = (ours as Json)[key];
    if (!(key in expected) && (own === 0 || own === '' || own === false)) continue;
    const found = difference(own, (expected as Json)[key], `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function optional(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** `-var a=b -var-file f` of a case, and its environment, one NAME=value a line. */
function variablesOf(base: string) {
  const flags: string[] = [];
  const files: { filename: string; source: string }[] = [];
  const words = optional(`${base}.args`).split(/\s+/).filter(Boolean);
  for (let i = 0; i < words.length; i++) {
    const [name = '', ...rest] = (words[i] ?? '').replace(/^--?/, '').split('=');
    const value = rest.length > 0 ? rest.join('=') : (words[++i] ?? '');
    if (name === 'var') flags.push(value.replace(/^(['"])(.*)\1$/, '$2'));
    if (name === 'var-file') files.push({ filename: value, source: optional(join(base, '..', value)) });
  }
  const lines = optional(`${base}.env`)
    .split('\n')
    .filter((line) => line.includes('='));
  const env = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  return { flags, files, env };
}

t.test('job files come out as Nomad prints them', { skip }, async (t) => {
  const names = readdirSync(join(DATA, 'nomad-jobs/cases')).filter((name) => name.endsWith('.hcl'));
  t.ok(names.length > 100);
  for (const name of names) {
    const base = join(DATA, 'nomad-jobs/cases', name.replace(/\.hcl$/, ''));
    const source = readFileSync(`${base}.hcl`, 'utf8');
    const expected = JSON.parse(
      readFileSync(join(DATA, 'nomad-jobs/expected', name.replace(/\.hcl$/, '.json')), 'utf8'),
    );
    const parsed = parseJob({ source, filename: name, variables: variablesOf(base) });
    if (!parsed.ok) t.fail(`${name}: ${parsed.error.map(diagnosticLine).join(' | ')}`);
    else {
      t.equal(difference(parsed.value.job, expected.Job, ''), undefined, name);
      t.ok(readJobJson(expected.Job).ok, `${name} is read from Nomad's JSON`);
      const canonical = canonicalizeJob(parsed.value.job);
      t.strictSame(canonicalizeJob(canonical), canonical);
      t.doesNotThrow(() => findIssues(canonical));
    }
  }
});

t.test('expressions have the values and errors of HashiCorp’s evaluator', { skip }, async (t) => {
  const lines = readFileSync(join(DATA, 'hcl-expressions.jsonl'), 'utf8').trim().split('\n');
  for (const line of lines) {
    const { id, job, expected, error } = JSON.parse(line) as {
      id: number;
      job: string;
      expected?: string;
      error?: string;
    };
    const parsed = parseJob({ source: job, filename: 'e.hcl' });
    if (error === undefined) {
      const why = parsed.ok ? '' : parsed.error.map(diagnosticLine).join(' | ');
      const value = parsed.ok ? (parsed.value as ParsedJob).job.Meta?.['v'] : why;
      t.equal(value, expected, `${id}: ${job.split('\n')[1]}`);
    } else if (parsed.ok) t.fail(`${id}: ${job.split('\n')[1]} is accepted`);
    else {
      const place = /e\.hcl:\S+ [^;]+/.exec(error)?.[0] ?? '';
      const told = parsed.error.map(diagnosticLine).join(' | ');
      t.ok(told.startsWith(place), `${id}: ${told} begins with ${place}`);
    }
  }
});
