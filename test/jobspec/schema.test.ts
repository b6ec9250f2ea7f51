import t from 'tap';
import { diagnosticLine } from '../../lib/hcl/index.js';
import { canonicalizeJob } from '../../lib/jobspec/canonicalize.js';
import { parseJob } from '../../lib/jobspec/parse.js';
import { readJobJson } from '../../lib/jobspec/read-json.js';
import type { Field, Struct } from '../../lib/jobspec/schema/field.js';
import { job } from '../../lib/jobspec/schema/job.js';
import { findIssues } from '../../lib/structs/validate/job.js';

function structs(struct: Struct): Struct[] {
  return [struct, ...struct.fields.flatMap((field) => (field.form === 'block' ? structs(field.struct) : []))];
}

const VALUES: Record<string, string> = {
  string: '"text"',
  int: '7',
  bool: 'true',
  duration: '"7s"',
  strings: '["a", "b"]',
  ints: '[1, 2]',
  'string-map': '{ k = "v" }',
};

// What only one of several fields may say, or what has few right values.
const LEFT_OUT = ['distinct_hosts', 'distinct_property', 'is_set', 'is_not_set', 'version', 'semver', 'regexp'];
const CHOSEN: Record<string, string> = { 'scaling.type': '"horizontal"' };

/** A block with every field that the schema has for it. */
function write(struct: Struct, name: string, indent: string, inTask = false): string {
  const hasLabel = struct.fields.some((field) => field.form === 'label');
  const label = !hasLabel ? '' : name === 'scaling' ? ' "cpu"' : ' "label"';
  const deeper = `${indent}  `;
  const lines = struct.fields.flatMap((field) => writeField(struct, field, deeper, inTask || struct.name === 'task'));
  return `${indent}${name}${label} {\n${lines.join('\n')}\n${indent}}`;
}

function writeField(struct: Struct, field: Field, indent: string, inTask: boolean): string[] {
  if (field.form === 'label' || field.hcl === null) return [];
  if (LEFT_OUT.includes(field.hcl) || field.hcl.startsWith('set_contains')) return [];
  if (field.form === 'block') return [write(field.struct, field.hcl, indent, inTask)];
  if (field.form === 'free')
    return [`${indent}${field.hcl} {\n${indent}  k = ${field.of === 'strings' ? '["v"]' : '"v"'}\n${indent}}`];
  if (struct.name === 'scaling' && field.hcl === 'type' && inTask) return [];
  return [`${indent}${field.hcl} = ${CHOSEN[`${struct.name}.${field.hcl}`] ?? VALUES[field.type]}`];
}

t.test('no block has two fields of one name, in the file or in the API', async (t) => {
  for (const struct of structs(job)) {
    const inFile = struct.fields.flatMap((field) => (field.form === 'label' ? [] : (field.hcl ?? [])));
    const inApi = struct.fields.map((field) => field.json.toLowerCase());
    t.equal(new Set(inFile).size, inFile.length, struct.name);
    t.equal(new Set(inApi).size, inApi.length, struct.name);
  }
});

t.test('a file with everything is understood, and nothing of it is lost', async (t) => {
  const parsed = parseJob({ source: write(job, 'job', ''), filename: 'all.hcl' });
  if (!parsed.ok) throw new Error(parsed.error.map(diagnosticLine).join('\n'));
  const lost: string[] = [];
  const look = (struct: Struct, value: unknown, path: string): void => {
    for (const field of struct.fields) {
      // Two fields become another one: ports with a number are reserved, the job's own tasks are groups.
      const moved = field.json.startsWith('~') || ['DynamicPorts', 'Identity', 'SpecType'].includes(field.json);
      if (moved || (field.form !== 'label' && field.hcl === null)) continue;
      const key =
        field.hcl && LEFT_OUT.includes(field.hcl) ? undefined : (value as Record<string, unknown>)[field.json];
      if (field.hcl && LEFT_OUT.includes(field.hcl)) continue;
      if (key === null || key === undefined || key === '' || key === 0 || key === false)
        lost.push(`${path}.${field.json}`);
      else if (field.form === 'block')
        look(field.struct, field.arity === 'one' ? key : Object.values(key)[0], `${path}.${field.json}`);
    }
  };
  const { job: made } = parsed.value;
  const groups = made.TaskGroups ?? [];
  t.equal(groups.length, 2, 'the task without a group has become one');
  look(job, { ...made, TaskGroups: groups.slice(1) }, 'Job');
  t.strictSame(lost, []);
});

t.test('what is read from a file is what is read from its JSON', async (t) => {
  const parsed = parseJob({ source: write(job, 'job', ''), filename: 'all.hcl' });
  if (!parsed.ok) throw new Error(parsed.error.map(diagnosticLine).join('\n'));
  const read = readJobJson(JSON.parse(JSON.stringify(parsed.value.job)));
  if (!read.ok) throw new Error(read.error.join('\n'));
  // Null and absent are one.
  const given = (value: unknown): unknown => JSON.parse(JSON.stringify(value, (_, item) => item ?? undefined));
  t.strictSame(given(canonicalizeJob(read.value)), given(canonicalizeJob(parsed.value.job)));
  t.ok(findIssues(canonicalizeJob(read.value)).errors.length > 10);
});

t.test('constraints have short forms', async (t) => {
  const cases: [string, object][] = [
    ['distinct_hosts = true', { Operand: 'distinct_hosts', RTarget: '' }],
    ['distinct_hosts = false', { Operand: 'distinct_hosts', RTarget: 'false' }],
    [
      'distinct_property = "${meta.rack}"\nvalue = "2"',
      { Operand: 'distinct_property', LTarget: '${meta.rack}', RTarget: '2' },
    ],
    ['attribute = "a"\nversion = ">= 1"', { Operand: 'version', LTarget: 'a', RTarget: '>= 1' }],
    // Nomad knows the name and does nothing with it.
    ['attribute = "a"\nvalue = "b"\nset_contains_any = "x,y"', { Operand: '=', LTarget: 'a', RTarget: 'b' }],
    ['attribute = "a"\nvalue = "b"', { Operand: '=', LTarget: 'a', RTarget: 'b' }],
    ['attribute = "a"\noperator = "is_set"', { Operand: 'is_set', LTarget: 'a' }],
  ];
  for (const [text, wanted] of cases) {
    const parsed = parseJob({ source: `job "j" {\nconstraint {\n${text}\n}\n}`, filename: 'c' });
    t.match(parsed, { ok: true, value: { job: { Constraints: [wanted] } } }, text);
  }
});

t.test('blocks of a driver’s configuration become lists of objects, labels further levels', async (t) => {
  const config =
    'labels {\n a = 1\n}\nmount "x" "y" {\n r = true\n}\nmount "z" {}\nm = { k = { l = "v" } }\nn = [{ a = 1 }]';
  const source = `job "j" {\ngroup "g" {\ntask "t" {\nconfig {\n${config}\n}\n}\n}\n}`;
  const parsed = parseJob({ source, filename: 'c' });
  t.match(parsed, { ok: true });
  t.strictSame(parsed.ok && parsed.value.job.TaskGroups?.[0]?.Tasks[0]?.Config, {
    labels: [{ a: 1 }],
    mount: [{ x: [{ y: [{ r: true }] }] }, { z: [{}] }],
    m: [{ k: { l: 'v' } }],
    n: [{ a: 1 }],
  });
});

t.test('vault and secret blocks above the tasks belong to the tasks', async (t) => {
  const source = `job "j" {
  vault {
    role = "job"
  }
  group "g" {
    secret "s" {
      path = "p"
    }
    task "a" {}
    task "b" {
      vault {
        role = "own"
      }
    }
  }
}`;
  const parsed = parseJob({ source, filename: 'v' });
  t.match(parsed, {
    ok: true,
    value: {
      job: {
        TaskGroups: [
          {
            Tasks: [
              { Vault: { Role: 'job', Env: true, ChangeMode: 'restart' }, Secrets: [{ Name: 's' }] },
              { Vault: { Role: 'own' }, Secrets: [{ Name: 's' }] },
            ],
          },
        ],
      },
    },
  });
});
