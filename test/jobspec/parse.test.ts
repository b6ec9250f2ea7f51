import t from 'tap';
import { diagnosticLine, errorAt, formatRange } from '../../lib/hcl/index.js';
import { canonicalizeJob } from '../../lib/jobspec/canonicalize.js';
import { type JobSource, type ParsedJob, parseJob } from '../../lib/jobspec/parse.js';
import { findRange } from '../../lib/jobspec/places.js';
import { submissionOf } from '../../lib/jobspec/submission.js';
import { findIssues } from '../../lib/structs/validate/job.js';

type More = Omit<JobSource, 'source' | 'filename'>;

function parse(source: string, more: More = {}) {
  return parseJob({ source, filename: 'job.hcl', ...more });
}

function parsed(source: string, more: More = {}): ParsedJob {
  const result = parse(source, more);
  if (!result.ok) throw new Error(result.error.map(diagnosticLine).join('\n'));
  return result.value;
}

function errors(source: string, more: More = {}): string[] {
  const result = parse(source, more);
  return result.ok ? [] : result.error.map(diagnosticLine);
}

const inTask = (text: string): string => `job "j" {\n group "g" {\n  task "t" {\n   ${text}\n  }\n }\n}\n`;
const meta = (text: string, before = ''): string => `${before}\njob "j" {\n  meta = {\n    v = ${text}\n  }\n}\n`;

function metaOf(text: string, before = '', more: More = {}): unknown {
  return parsed(meta(text, before), more).job.Meta?.['v'];
}

t.test('what only the client knows stays as it is written', async (t) => {
  const cases: [string, string][] = [
    ['"${attr.kernel.name}"', '${attr.kernel.name}'],
    ['"${ attr.kernel.name }"', '${ attr.kernel.name }'],
    ['"a-${NOMAD_ALLOC_INDEX}-${env["HOME"]}"', 'a-${NOMAD_ALLOC_INDEX}-${env["HOME"]}'],
    ['node.class', '${node.class}'],
    ['join(",", [for x in ["a"] : "${x}:${NOMAD_IP_p}"])', 'a:${NOMAD_IP_p}'],
    ['upper("${env["a"]}")', '${ENV["A"]}'],
    ['convert("7", number) + 1', '8'],
    ['"${meta.a}/${device.attr.memory}"', '${meta.a}/${device.attr.memory}'],
    ['"$${literal}"', '${literal}'],
    ['[for x in ["a"] : "${x}:${NOMAD_IP_p}"][0]', 'a:${NOMAD_IP_p}'],
  ];
  for (const [text, wanted] of cases) t.equal(metaOf(text), wanted, text);
});

t.test('an unknown name is an error at its place, with what may have been meant', async (t) => {
  t.strictSame(errors('job "j" {\n  priorty = 3\n}\n'), [
    'job.hcl:2,3-10: Unsupported argument; An argument named "priorty" is not expected here. Did you mean "priority"?',
  ]);
  t.strictSame(errors('job "j" {\n  gruop "g" {}\n}\n'), [
    'job.hcl:2,3-8: Unsupported block type; Blocks of type "gruop" are not expected here. Did you mean "group"?',
  ]);
  t.match(errors(inTask('config = {}')), [
    /An argument named "config".*Did you mean to define a block of type "config"\?/,
  ]);
  t.match(errors(inTask('driver { }')), [/Blocks of type "driver".*Did you mean to define argument "driver"\?/]);
  t.match(errors('jb "x" {}'), [/Blocks of type "jb".*Did you mean "job"/, /Missing job block/]);
});

t.test('a value of the wrong type is an error at the value', async (t) => {
  const cases: [string, RegExp][] = [
    ['leader = "often"', /^job\.hcl:4,14-19: Unsuitable value type; Unsuitable value: a bool is required/],
    ['kill_timeout = "soon"', /^job\.hcl:4,20-24: Unsuitable value type; .*invalid duration "soon"/],
    ['resources {\n cpu = 1.5\n}', /whole number/],
    ['resources {\n cpu = "x"\n}', /a number is required; it is a number of MHz$/],
    ['resources {\n cpu = "1.5 GHz"\n}', /it is a number of MHz without its unit: write 1500$/],
    ['resources {\n memory = "1GB"\n}', /it is a number of MB without its unit: write 1024$/],
    ['resources {\n memory_max = "512 MiB"\n}', /without its unit: write 512$/],
    ['logs {\n max_file_size = "100k"\n}', /without its unit: write 1$/],
    ['config {\n a = 9007199254740993\n}', /9007199254740993 has more digits than a number in JSON keeps; write "9007/],
    ['resources {\n cpu = 9223372036854775807\n}', /value must be a whole number up to 9007199254740991$/],
    ['config {\n a = [{ b = -9007199254740993 }]\n}', /-9007199254740993 has more digits/],
    ['service {\n tags = "a"\n}', /list of string required/],
    ['env {\n A = ["x"]\n}', /string required/],
    ['lifecycle {}', /Missing required argument; The argument "hook" is required/],
  ];
  for (const [text, wanted] of cases) t.match(errors(inTask(text)), [wanted], text);
});

t.test('labels and blocks are there as often as they may', async (t) => {
  t.match(errors('job {}'), [/Missing name for job/]);
  t.match(errors('job "a" "b" {}'), [/Extraneous label for job/]);
  t.match(errors('job "a" {}\njob "b" {}'), [/Duplicate job block/]);
  t.match(errors(inTask('logs {}\nlogs {}')), [/Duplicate logs block; Only one logs block is allowed/]);
  t.match(errors(inTask('config {}\nconfig {}')), [/Duplicate config block/]);
  t.match(errors('locals {}'), [/Missing job block/]);
});

t.test('numbers and texts stand for each other where HCL says so', async (t) => {
  const { job } = parsed(inTask('env {\n A = 1\n B = true\n}\nresources {\n cpu = "200"\n}\nleader = "true"'));
  t.match(job.TaskGroups?.[0]?.Tasks[0], { Env: { A: '1', B: 'true' }, Resources: { CPU: 200 }, Leader: true });
});

t.test('env and meta are understood as block and as attribute', async (t) => {
  const asBlock = parsed(inTask('env {\n A = "b"\n}')).job.TaskGroups?.[0]?.Tasks[0]?.Env;
  const asAttribute = parsed(inTask('env = { A = "b", "x.y" = 3 }')).job.TaskGroups?.[0]?.Tasks[0]?.Env;
  t.strictSame(asBlock, { A: 'b' });
  t.strictSame(asAttribute, { A: 'b', 'x.y': '3' });
  t.match(errors(inTask('env = { A = "b" }\nenv {}')), [/Duplicate env block/]);
});

t.test('a dynamic block makes a block for each element', async (t) => {
  const source = `job "j" {
  group "g" {
    network {
      dynamic "port" {
        for_each = { http = 80, admin = 81 }
        labels   = [port.key]
        content {
          to = port.value
        }
      }
    }
    dynamic "task" {
      for_each = ["a", "b"]
      iterator = it
      labels   = ["t-\${it.value}"]
      content {
        driver = "docker"
        dynamic "constraint" {
          for_each = it.key == 0 ? [] : ["x"]
          content {
            attribute = "\${attr.a}"
            value     = "\${it.value}\${constraint.value}"
          }
        }
      }
    }
  }
}`;
  t.match(parsed(source).job.TaskGroups?.[0], {
    Networks: [
      {
        DynamicPorts: [
          { Label: 'admin', To: 81 },
          { Label: 'http', To: 80 },
        ],
      },
    ],
    Tasks: [
      { Name: 't-a', Constraints: null },
      { Name: 't-b', Constraints: [{ LTarget: '${attr.a}', RTarget: 'bx' }] },
    ],
  });
  t.match(errors('job "j" {\n dynamic "group" {\n  for_each = 3\n  content {}\n }\n}'), [
    /for_each takes .*, not a number value/,
  ]);
});

t.test('locals may be written in any order, and a circle is told', async (t) => {
  t.equal(metaOf('local.b', 'locals {\n b = "${local.a}!"\n a = "x"\n}'), 'x!');
  t.match(errors(meta('local.a', 'locals {\n a = local.b\n b = local.a\n}')), [
    /Circular reference in locals; These locals need each other: local\.a → local\.b → local\.a/,
  ]);
  t.match(errors(meta('1', 'locals {\n a = 1\n}\nlocals {\n a = 2\n}')), [/Duplicate local/]);
});

t.test('a variable takes the last of default, environment, files and flags', async (t) => {
  const before = 'variable "x" {\n default = "default"\n}';
  const env = { NOMAD_VAR_x: 'nomad', HOME: '/' };
  const files = [
    { filename: 'a.hcl', source: 'x = "file"\n' },
    { filename: 'b.json', source: '{"x": "json"}' },
  ];
  t.equal(metaOf('var.x', before), 'default');
  t.equal(metaOf('var.x', before, { variables: { env } }), 'nomad');
  t.equal(metaOf('var.x', before, { variables: { env: { ...env, MESHNOMAD_VAR_x: 'mesh' } } }), 'mesh');
  t.equal(metaOf('var.x', before, { variables: { env, files: files.slice(0, 1) } }), 'file');
  t.equal(metaOf('var.x', before, { variables: { env, files } }), 'json');
  t.equal(metaOf('var.x', before, { variables: { env, files, flags: ['x=a=b'] } }), 'a=b');
});

t.test('values of variables are converted to their types, and refused when they cannot be', async (t) => {
  const before = 'variable "x" {\n type = list(object({ n = number, on = bool }))\n}';
  const flags = ['x=[{ n = "3", on = true }]'];
  t.equal(metaOf('"${var.x[0].n + 1}"', before, { variables: { flags } }), '4');
  t.match(errors(meta('1', before), { variables: { flags: ['x=[{ n = "a", on = true }]'] } }), [
    /<value for var\.x from arguments>:1,1.*Invalid value of -var/,
  ]);
  t.match(errors(meta('1', before), { variables: { flags: ['x=['] } }), [/<value for var\.x from arguments>/]);
  t.match(errors(meta('1', 'variable "x" {\n type = lisst(string)\n}')), [/Invalid type specification/]);
  t.match(errors(meta('1', 'variable "x" {\n type = number\n default = "a"\n}')), [/Invalid default value/]);
});

t.test('an unset variable, an undeclared one and a broken rule are errors', async (t) => {
  t.match(errors(meta('1', 'variable "x" {}')), [/^job\.hcl:1,1-13: Unset variable "x"/]);
  t.match(errors(meta('1'), { variables: { flags: ['y=1'] } }), [/Undefined -var variable; "y" is given by -var/]);
  t.match(parsed(meta('1'), { variables: { flags: ['y=1'] }, strict: false }).warnings, [{ severity: 'warning' }]);
  t.match(errors(meta('1'), { variables: { flags: ['y'] } }), [/there is no = in "y"/]);
  const rule =
    'variable "x" {\n type = number\n validation {\n condition = var.x > 2\n error_message = "Too small."\n }\n}';
  t.equal(metaOf('var.x', rule, { variables: { flags: ['x=3'] } }), '3');
  t.match(errors(meta('1', rule), { variables: { flags: ['x=1'] } }), [/Invalid value for variable "x"; Too small\./]);
});

t.test('an issue of validation stands at its place in the file', async (t) => {
  const source =
    'job "j" {\n  namespace = "prod"\n  periodic {\n    cron = "* * * * *"\n  }\n  task "alone" {\n    driver = ""\n  }\n  group "g" {\n    task "t" {\n      driver = "docker"\n      resources {\n        memory = 1\n      }\n    }\n  }\n}\n';
  const value = parsed(source);
  const { errors } = findIssues(canonicalizeJob(value.job));
  const lines = errors.map(({ path, message }) => {
    const range = findRange(value.ranges, path);
    return range ? diagnosticLine(errorAt(range, 'Invalid job', message)) : `nowhere: ${message}`;
  });
  t.strictSame(lines, [
    'job.hcl:2,3-21: Invalid job; `namespace = "prod"` is not supported yet',
    'job.hcl:3,3-11: Invalid job; `periodic` is for jobs of type batch and sysbatch, not service',
    'job.hcl:7,5-16: Invalid job; Task group alone validation failed: Task alone validation failed: Missing task driver',
    'job.hcl:13,9-19: Invalid job; Task group g validation failed: Task t validation failed: memory must be at least 10 MB, not 1',
  ]);
});

t.test('a path without a place of its own has that of what is around it', async (t) => {
  const { ranges } = parsed('job "j" {\n  group "g" {\n    volume "a[b.c" {\n      type = "x"\n    }\n  }\n}\n');
  const line = (path: string): number | undefined => findRange(ranges, path)?.start.line;
  t.equal(line('TaskGroups[0].Volumes.a[b.c.Type'), 4);
  t.equal(line('TaskGroups[0].Volumes.a[b.c.Source'), 3);
  t.equal(line('TaskGroups[0].Tasks'), 2);
  t.equal(line('Region'), 1);
  t.equal(findRange(new Map(), 'TaskGroups[0].Volumes.a[b'), undefined);
});

t.test('JSON is read with and without the wrapper, and its mistakes have a place', async (t) => {
  t.equal(parsed('{"Job": {"ID": "x"}}').job.ID, 'x');
  t.equal(parsed(' {"ID": "x", "TaskGroups": []}').job.ID, 'x');
  t.equal(parsed('\uFEFF{"ID": "x"}').job.ID, 'x');
  t.match(errors('{"Job": {"Priority": "x"}}'), [/^job\.hcl:1,1-2: Invalid job; Priority: must be a whole number/]);
  t.match(errors('{\n  "Job": }'), [/^job\.hcl:\d+,\d+-\d+: Invalid JSON; The file is not valid JSON/]);
});

t.test('nothing a file may hold makes it throw', async (t) => {
  for (const source of [
    '',
    '{',
    '}',
    'job',
    'job "',
    '\0',
    'job "x" {',
    '[]',
    '{"Job": 3}',
    '{"Job": null}',
    'a = ${',
  ]) {
    t.equal(parse(source).ok, false, JSON.stringify(source));
  }
});

t.test('a submission keeps plain values by name and the others as HCL', async (t) => {
  const source = 'variable "a" {\n default = ""\n}\nvariable "b" {\n type = list(string)\n}\njob "j" {}\n';
  const variables = { flags: ['b=["x"]'], env: { NOMAD_VAR_a: 'y', NOMAD_VAR_other: 'z' } };
  t.strictSame(submissionOf(source, parsed(source, { variables }), variables), {
    Source: source,
    Format: 'hcl2',
    VariableFlags: { a: 'y' },
    Variables: 'b = ["x"]',
  });
});

t.test('a variables file in JSON gives every type, exactly, and its errors have a place', async (t) => {
  const source = `
variable "o" { type = object({ a = number, b = optional(list(string), ["d"]) }) }
variable "n" { type = number }
variable "s" { type = set(string) }
job "x" {
  meta {
    o = jsonencode(var.o)
    n = "${'${var.n}'}"
    s = jsonencode(var.s)
  }
}
`;
  const parse = (values: string) =>
    parseJob({ source, filename: 'j', variables: { files: [{ filename: 'v.json', source: values }] } });
  const parsed = parse('{"o": {"a": "1"}, "n": 12345678901234567890123, "s": ["b", "a", "b"]}');
  t.same(parsed.ok && parsed.value.job.Meta, {
    o: '{"a":1,"b":["d"]}',
    n: '12345678901234567890123',
    s: '["a","b"]',
  });
  const wrong = parse('{"n": 1, "s": [],\n "o": {"a": "x"}}');
  t.equal(!wrong.ok && wrong.error[0] && formatRange(wrong.error[0].subject), 'v.json:2,7-17');
});
