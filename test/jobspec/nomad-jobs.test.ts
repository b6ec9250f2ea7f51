import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { diagnosticLine } from '../../lib/hcl/index.js';
import { canonicalizeJob } from '../../lib/jobspec/canonicalize.js';
import { parseJob } from '../../lib/jobspec/parse.js';
import { readJobJson } from '../../lib/jobspec/read-json.js';
import type { Job } from '../../lib/structs/job.js';

// Job files, each with what Nomad's server keeps of it: "path = value" of whatever is neither empty nor what a job has
// that says nothing. Recorded from Nomad's own parser, defaults and admission (without what those add for Consul).

const FILE = fileURLToPath(new URL('../../../test/jobspec/data/nomad-jobs.txt', import.meta.url));
const cases = readFileSync(FILE, 'utf8')
  .split(/^### /m)
  .slice(1)
  .map((text) => {
    const [head = '', wanted = ''] = text.split('\n=>\n');
    const line = head.indexOf('\n');
    return { name: head.slice(0, line), source: head.slice(line + 1), wanted: wanted.trim().split('\n') };
  });

function canonical(source: string): Job {
  const parsed = parseJob({ source, filename: 'case.hcl' });
  if (!parsed.ok) throw new Error(parsed.error.map(diagnosticLine).join('\n'));
  return canonicalizeJob(parsed.value.job);
}

/** Every value that is not empty, as "path = JSON". */
function flat(value: unknown, path: string, lines: string[]): string[] {
  if (value === null || value === undefined || value === '' || value === 0 || value === false) return lines;
  if (typeof value !== 'object') lines.push(`${path} = ${JSON.stringify(value)}`);
  else for (const [key, item] of Object.entries(value)) flat(item, path === '' ? key : `${path}.${key}`, lines);
  return lines;
}

const anywhere = (line: string): string => line.replace(/\.\d+(?=\.| )/g, '.');

const PLAIN = new Map(
  ['service', 'batch', 'system', 'sysbatch'].map((type) => {
    const plain = canonical(`job "plain" {
      type = "${type}"
      group "g" {
        task "t" {
          driver = "exec"
        }
      }
    }`);
    return [type, new Set(flat(plain, '', []).map(anywhere))];
  }),
);

function told(job: Job): string[] {
  const { Status: _, ...rest } = job;
  return flat(rest, '', []).filter((line) => !PLAIN.get(job.Type)?.has(anywhere(line)));
}

t.ok(cases.length >= 170);
for (const { name, source, wanted } of cases) {
  t.test(`${name}: as Nomad keeps it, from the file, from its JSON and again`, async (t) => {
    const job = canonical(source);
    t.strictSame(new Set(told(job)), new Set(wanted));
    const read = readJobJson(JSON.parse(JSON.stringify(job)));
    t.ok(read.ok);
    if (read.ok) t.strictSame(canonicalizeJob(read.value), job);
  });
}
