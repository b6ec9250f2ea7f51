import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { NO_POLICIES, readPolicyDir } from '../../lib/agent/policy-dir.js';
import { readPolicyFile } from '../../lib/agent/policy-file.js';

const policy = (name: string, max = 1): string =>
  `scaling "${name}" {\n  min = 0\n  max = ${max}\n  policy {\n    cooldown = "1m"\n  }\n}\n`;

function folder(t: Test): { dir: string; write: (name: string, text: string) => void; remove: (name: string) => void } {
  const dir = mkdtempSync(join(tmpdir(), 'policies-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return {
    dir,
    write: (name, text) => writeFileSync(join(dir, name), text),
    remove: (name) => rmSync(join(dir, name)),
  };
}

t.test('a file that breaks keeps its policies; the others are taken over, and what is gone is gone', async (t) => {
  const { dir, write, remove } = folder(t);
  for (const name of ['a', 'b', 'c']) write(`${name}.hcl`, policy(name));
  write('notes.txt', 'no policy');
  const first = readPolicyDir(dir);
  t.same([first.policies.map(({ ID }) => ID), first.broken], [['a', 'b', 'c'], []]);
  write('a.hcl', policy('a', 7));
  write('b.hcl', 'scaling "b" {');
  remove('c.hcl');
  const second = readPolicyDir(dir, first);
  t.same(
    second.policies.map(({ ID, Max }) => [ID, Max]),
    [
      ['a', 7],
      ['b', 1],
    ],
  );
  t.match(second.broken, [{ file: join(dir, 'b.hcl'), why: /b\.hcl:1,13-14: / }]);
  write('b.hcl', '');
  t.same(
    readPolicyDir(dir, second).policies.map(({ ID }) => ID),
    ['a'],
    'an empty file has none',
  );
  rmSync(dir, { recursive: true });
  const gone = readPolicyDir(dir, second);
  t.equal(gone.policies, second.policies, 'a directory that cannot be read says nothing of its policies');
  t.match(gone.broken, [{ file: dir, why: /cannot read .*ENOENT/ }]);
  t.match(readPolicyDir(dir), { ...NO_POLICIES, broken: [{ file: dir }] });
});

t.test('a name that stands twice is that of the first file', async (t) => {
  const { dir, write } = folder(t);
  write('a.hcl', policy('one', 1));
  write('b.hcl', `${policy('one', 2)}${policy('two')}`);
  const { policies, broken } = readPolicyDir(dir);
  t.same(
    policies.map(({ ID, Max }) => [ID, Max]),
    [
      ['one', 1],
      ['two', 1],
    ],
  );
  t.match(broken, [{ file: join(dir, 'b.hcl'), why: /scaling "one" is in .*a\.hcl already; this one is not used/ }]);
});

t.test('a policy in JSON is the same as in HCL', async (t) => {
  const hcl = `scaling "gpu" {
  enabled = true
  min     = 0
  max     = 2
  policy {
    cooldown = "5m"
    check "a" {
      query = "wanted"
      strategy "pass-through" {
      }
    }
    check "b" {
      source = "prometheus"
      query  = "up"
      strategy "threshold" {
        lower_bound = 1.5
        delta       = 1
      }
    }
    target "power" {
      node_pool = "gpu"
    }
  }
}
`;
  const json = JSON.stringify({
    scaling: {
      gpu: {
        enabled: true,
        min: 0,
        max: 2,
        policy: {
          cooldown: '5m',
          check: [
            { a: { query: 'wanted', strategy: { 'pass-through': {} } } },
            { b: { source: 'prometheus', query: 'up', strategy: { threshold: { lower_bound: 1.5, delta: 1 } } } },
          ],
          target: { power: { node_pool: 'gpu' } },
        },
      },
    },
  });
  const read = readPolicyFile(hcl, 'a.hcl');
  if (!read.ok) throw new Error(read.error);
  t.match(read.value, [{ ID: 'gpu', Type: 'cluster', Min: 0, Max: 2, Enabled: true }]);
  t.same(readPolicyFile(json, 'a.json'), read);
});

t.test('what is no policy is told of with its place', async (t) => {
  for (const [source, message] of [
    ['scaling {\n  min = 1\n}\n', /a\.hcl:1,1.*a scaling block needs a name/],
    ['scaling "x" {\n  min = "many"\n}\n', /min of scaling "x" is no number/],
    ['scaling "x" {\n  maxx = 1\n}\n', /a\.hcl:2,3.*"maxx" is none of/],
    ['target "x" {\n}\n', /a policy file has scaling blocks, and nothing else/],
    ['{"scaling": {"x": [1]}}', /scaling "x" is a block, and stands once/],
    ['{"scaling": 7}', /a scaling block needs a name/],
    ['{"scaling": {"x": {}}', /a\.hcl:1/],
    ['scaling "x" {\n  min = nope()\n}\n', /a\.hcl:2,9/],
  ] as const) {
    const read = readPolicyFile(source, 'a.hcl');
    t.match(read.ok ? 'read' : read.error, message, source);
  }
});
