import t from 'tap';
import { diagnosticLine } from '../../lib/hcl/index.js';
import { type ParsedJob, parseJob } from '../../lib/jobspec/parse.js';

// Job files in HCL's JSON syntax: the job that their native form gives.

function read(source: string): ParsedJob {
  const parsed = parseJob({ source, filename: 'job.json' });
  if (!parsed.ok) throw new Error(parsed.error.map(diagnosticLine).join('\n'));
  return parsed.value;
}

function errors(source: string): string[] {
  const parsed = parseJob({ source, filename: 'job.json' });
  return parsed.ok ? [] : parsed.error.map(diagnosticLine);
}

const JSON_FORM = String.raw`{
  "//": "a comment",
  "variable": {
    "n": {"type": "number", "default": 2},
    "names": {
      "type": "list(string)",
      "default": ["a", "b"],
      "validation": {"condition": "${'$'}{length(var.names) > 1}", "error_message": "two at least"}
    }
  },
  "locals": {"x": "${'$'}{var.n}-\"q\"\n", "y": {"k${'$'}{var.n}": [1, true, null, "$${'$'}{z}"]}},
  "job": {"web": {
    "datacenters": ["dc1", "${'$'}{local.x}"],
    "meta": {"json": "${'$'}{jsonencode(local.y)}", "ref": "${'$'}{attr.cpu.arch} \"x\" ${'$'}{NOMAD_X}", "n": "${'$'}{var.n}"},
    "constraint": [{"attribute": "${'$'}{attr.kernel.name}", "value": "linux"}, {"distinct_hosts": true}],
    "group": {
      "g": {
        "count": "${'$'}{var.n}",
        "network": {"mode": "bridge", "port": {"http": {"to": 80}, "db": [{"static": 5432}]}},
        "dynamic": {"service": {
          "for_each": "${'$'}{var.names}",
          "iterator": "s",
          "content": {
            "name": "svc-${'$'}{s.value}",
            "provider": "nomad",
            "port": "http",
            "check": [{"type": "tcp", "interval": "10s", "timeout": "2s"}]
          }
        }},
        "task": {
          "t": {
            "driver": "docker",
            "env": {"A": 1, "B": "${'$'}{NOMAD_PORT_http}"},
            "config": {"args": ["${'$'}{1 + 1}", "${'$'}{NOMAD_PORT_x}"], "labels": {"a": "b"}, "n": 1.5, "on": true},
            "resources": {"cpu": 100, "memory": "${'$'}{64 * 2}"},
            "template": {"data": "a\n{{ env \"X\" }}\n%{ if var.n > 1 }yes%{ else }no%{ endif }", "destination": "local/a"},
            "kill_timeout": "20s"
          },
          "u": [{"driver": "exec"}]
        }
      },
      "h": {"task": {"v": {"driver": "exec"}}}
    }
  }}
}`;

const NATIVE_FORM = `
variable "n" {
  type    = number
  default = 2
}
variable "names" {
  default = ["a", "b"]
}
locals {
  x = "\${var.n}-\\"q\\"\\n"
  y = { "k\${var.n}" = [1, true, null, "$\${z}"] }
}
job "web" {
  datacenters = ["dc1", local.x]
  meta = {
    json = jsonencode(local.y)
    ref  = "\${attr.cpu.arch} \\"x\\" \${NOMAD_X}"
    n    = var.n
  }
  constraint {
    attribute = "\${attr.kernel.name}"
    value     = "linux"
  }
  constraint {
    distinct_hosts = true
  }
  group "g" {
    count = var.n
    network {
      mode = "bridge"
      port "http" {
        to = 80
      }
      port "db" {
        static = 5432
      }
    }
    dynamic "service" {
      for_each = var.names
      iterator = s
      content {
        name     = "svc-\${s.value}"
        provider = "nomad"
        port     = "http"
        check {
          type     = "tcp"
          interval = "10s"
          timeout  = "2s"
        }
      }
    }
    task "t" {
      driver = "docker"
      env {
        A = 1
        B = "\${NOMAD_PORT_http}"
      }
      config {
        args   = [1 + 1, "\${NOMAD_PORT_x}"]
        labels = merge({ a = "b" })
        n      = 1.5
        on     = true
      }
      resources {
        cpu    = 100
        memory = 64 * 2
      }
      template {
        data        = "a\\n{{ env \\"X\\" }}\\n%{ if var.n > 1 }yes%{ else }no%{ endif }"
        destination = "local/a"
      }
      kill_timeout = "20s"
    }
    task "u" {
      driver = "exec"
    }
  }
  group "h" {
    task "v" {
      driver = "exec"
    }
  }
}
`;

t.test('the JSON form of a job file is the job of its native form', async (t) => {
  const { job, format } = read(JSON_FORM);
  t.equal(format, 'hcl2');
  t.strictSame(job, read(NATIVE_FORM).job);
});

t.test('flags and files give values to its variables, which are checked', async (t) => {
  const given = (flag: string) =>
    parseJob({ source: JSON_FORM, filename: 'job.json', variables: { flags: [flag], env: { NOMAD_VAR_n: '5' } } });
  const good = given('names=["one", "two"]');
  t.ok(good.ok && good.value.job.TaskGroups?.[0]?.Count === 5);
  const bad = given('names=["one"]');
  t.match(bad.ok || bad.error.map(diagnosticLine), [/two at least/]);
});

t.test('of volumes with one name the last counts, which is worth a warning', async (t) => {
  const volume = (source: string): string => `volume "v" {\n type = "host"\n source = "${source}"\n}\n`;
  const { job, warnings } = read(`job "a" {\n group "g" {\n${volume('one')}${volume('two')}}\n}`);
  t.equal(job.TaskGroups?.[0]?.Volumes?.['v']?.Source, 'two');
  t.match(warnings.map(diagnosticLine), [
    /job\.json:7,1-11: Duplicate volume "v" block; .*job\.json:3,1-11.*last one counts/,
  ]);
});

t.test('a block beside the content of a dynamic one is refused', async (t) => {
  const dynamic = 'dynamic "group" {\n for_each = ["a"]\n labels = [group.value]\n network {}\n content {}\n}';
  t.match(errors(`job "a" {\n${dynamic}\n}`), [
    /^job\.json:5,2-9: Unsupported block type; .*"network".*belong into "content"/,
  ]);
});

t.test('mistakes are told with their places', async (t) => {
  const job = (inner: string): string => `{"job": {"a": ${inner}}}`;
  t.match(errors('{"job": {"example": {}}}'), []);
  t.match(errors(job('{"grup": {}}')), [/^job\.json:1,16-22: Unsupported argument; .*Did you mean "group"\?/]);
  t.match(errors(job('{"group": {"g": {"count": "many"}}}')), [
    /^job\.json:1,41-47: Unsuitable value type; .*a number is req/,
  ]);
  t.match(errors(job('{"group": {"g": 5}}')), [/^job\.json:1,31-32: Incorrect JSON value type; .*a block "group"/]);
  t.match(errors(job('{"group": 5}')), [/Incorrect JSON value type; .*what the labels of "group" lead to/]);
  t.match(errors(job('{"name": "${upper(}"}')), [/^job\.json:1,24-35: /]);
  t.match(errors(job('{"name": "${local.none}"}')), [/^job\.json:1,24-39: Unsupported attribute/]);
  t.match(errors('{"job": {"a": {}}, "job": {"b": {}}}'), [/Duplicate JSON property/]);
  t.match(errors('{"job": {"a": {}, "b": {}}}'), [/Duplicate job block/]);
  t.match(errors(job(`${'{"x": '.repeat(2000)}1${'}'.repeat(2000)}`)), [/Nesting too deep/]);
});
