import t from 'tap';
import { diagnosticLine } from '../../lib/hcl/index.js';
import { canonicalizeJob } from '../../lib/jobspec/canonicalize.js';
import { parseJob } from '../../lib/jobspec/parse.js';

// Job files as people write them: one thing each, and what Nomad's API has for it. The place is a path into the canonical job.

type Case = [what: string, source: string, place: string, value: unknown];

/** A job with one group and one task; each part goes where it belongs. */
function job(parts: { top?: string; job?: string; group?: string; task?: string; type?: string }): string {
  const type = parts.type === undefined ? '' : `  type = "${parts.type}"\n`;
  return `${parts.top ?? ''}
job "j" {
${type}  ${parts.job ?? ''}
  group "g" {
    ${parts.group ?? ''}
    task "t" {
      driver = "docker"
      ${parts.task ?? ''}
    }
  }
}
`;
}

const G = 'TaskGroups.0';
const T = `${G}.Tasks.0`;
const S = 1e9;
const M = 60 * S;
const H = 60 * M;

const CASES: Case[] = [
  // Names and the head of a job.
  ['the label is id and name', job({}), 'ID', 'j'],
  ['a name of its own', job({ job: 'name = "Pretty"' }), 'Name', 'Pretty'],
  ['an id of its own', job({ job: 'id = "other"' }), 'ID', 'other'],
  ['an id leaves the name', job({ job: 'id = "other"' }), 'Name', 'j'],
  ['one datacenter', job({ job: 'datacenters = ["dc1"]' }), 'Datacenters', ['dc1']],
  ['a glob of datacenters', job({ job: 'datacenters = ["eu-*", "us-1"]' }), 'Datacenters', ['eu-*', 'us-1']],
  ['priority', job({ job: 'priority = 80' }), 'Priority', 80],
  ['priority as text', job({ job: 'priority = "80"' }), 'Priority', 80],
  ['all_at_once', job({ job: 'all_at_once = true' }), 'AllAtOnce', true],
  ['node_pool', job({ job: 'node_pool = "gpu"' }), 'NodePool', 'gpu'],
  ['meta', job({ job: 'meta = {\n owner = "ops"\n "a.b" = 1\n }' }), 'Meta', { owner: 'ops', 'a.b': '1' }],
  ['meta as a map', job({ job: 'meta = { owner = "ops" }' }), 'Meta', { owner: 'ops' }],
  ['a region', job({ job: 'region = "global"' }), 'Region', 'global'],
  [
    'ui',
    job({ job: 'ui {\n description = "a job"\n link {\n label = "Docs"\n url = "https://example.com"\n }\n }' }),
    'UI',
    { Description: 'a job', Links: [{ Label: 'Docs', Url: 'https://example.com' }] },
  ],
  // Variables, locals and functions.
  [
    'a variable with a default',
    job({ top: 'variable "n" {\n default = 3\n}', group: 'count = var.n' }),
    `${G}.Count`,
    3,
  ],
  [
    'a typed variable',
    job({ top: 'variable "n" {\n type = number\n default = "3"\n}', group: 'count = var.n + 1' }),
    `${G}.Count`,
    4,
  ],
  [
    'a list of objects',
    job({
      top: 'variable "v" {\n type = list(object({ name = string, n = number }))\n default = [{ name = "a", n = 2 }]\n}',
      group: 'count = var.v[0].n',
    }),
    `${G}.Count`,
    2,
  ],
  [
    'locals in any order',
    job({ top: 'locals {\n b = local.a * 2\n a = 2\n}', group: 'count = local.b' }),
    `${G}.Count`,
    4,
  ],
  [
    'locals over variables',
    job({
      top: 'variable "e" {\n default = "prod"\n}\nlocals {\n n = var.e == "prod" ? 5 : 1\n}',
      group: 'count = local.n',
    }),
    `${G}.Count`,
    5,
  ],
  ['a function of texts', job({ job: 'meta {\n a = upper(join("-", ["x", "y"]))\n }' }), 'Meta.a', 'X-Y'],
  [
    'a for expression',
    job({ job: 'datacenters = [for i in range(1, 4) : "dc${i}"]' }),
    'Datacenters',
    ['dc1', 'dc2', 'dc3'],
  ],
  ['a filter', job({ job: 'datacenters = [for d in ["a", "b", "c"] : d if d != "b"]' }), 'Datacenters', ['a', 'c']],
  [
    'a for over a map',
    job({ job: 'meta = { for k, v in { a = 1, b = 2 } : upper(k) => v * 10 }' }),
    'Meta',
    { A: '10', B: '20' },
  ],
  [
    'a splat',
    job({ top: 'locals {\n l = [{ n = "a" }, { n = "b" }]\n}', job: 'datacenters = local.l[*].n' }),
    'Datacenters',
    ['a', 'b'],
  ],
  [
    'try and can',
    job({ job: 'meta {\n a = try(local.none, "else")\n b = can(regex("x", "y"))\n }', top: 'locals {\n x = 1\n}' }),
    'Meta.a',
    'else',
  ],
  [
    'jsonencode',
    job({ task: 'env {\n C = jsonencode({ a = [1, true, null] })\n }' }),
    `${T}.Env.C`,
    '{"a":[1,true,null]}',
  ],
  ['format', job({ task: 'env {\n C = format("%s-%03d", "n", 7)\n }' }), `${T}.Env.C`, 'n-007'],
  ['merge', job({ task: 'env = merge({ A = "1" }, { B = "2" })' }), `${T}.Env`, { A: '1', B: '2' }],
  ['cidrhost', job({ task: 'env {\n IP = cidrhost("10.0.0.0/24", 5)\n }' }), `${T}.Env.IP`, '10.0.0.5'],
  ['base64', job({ task: 'env {\n B = base64encode("hi")\n }' }), `${T}.Env.B`, 'aGk='],
  // Interpolation: what only the node knows stays as it is.
  [
    'runtime values stay',
    job({ task: 'env {\n P = "${NOMAD_PORT_http}"\n N = "${node.unique.name}"\n }' }),
    `${T}.Env`,
    { P: '${NOMAD_PORT_http}', N: '${node.unique.name}' },
  ],
  [
    'attributes stay',
    job({ job: 'constraint {\n attribute = "${attr.kernel.name}"\n value = "linux"\n }' }),
    'Constraints.0',
    { LTarget: '${attr.kernel.name}', RTarget: 'linux', Operand: '=' },
  ],
  ['meta with a key in brackets', job({ task: 'env {\n A = "${meta["a.b"]}"\n }' }), `${T}.Env.A`, '${meta["a.b"]}'],
  [
    'mixed',
    job({ top: 'variable "h" {\n default = "db"\n}', task: 'env {\n U = "http://${var.h}:${NOMAD_PORT_db}/"\n }' }),
    `${T}.Env.U`,
    'http://db:${NOMAD_PORT_db}/',
  ],
  ['an escaped interpolation', job({ task: 'env {\n A = "$${HOME}"\n }' }), `${T}.Env.A`, '${HOME}'],
  ['an escaped directive', job({ task: 'env {\n A = "%%{ if }"\n }' }), `${T}.Env.A`, '%{ if }'],
  [
    'a heredoc',
    job({ task: 'template {\n destination = "a"\n data = <<EOF\nline\n  two\nEOF\n }' }),
    `${T}.Templates.0.EmbeddedTmpl`,
    'line\n  two\n',
  ],
  [
    'an indented heredoc',
    job({ task: 'template {\n destination = "a"\n data = <<-EOF\n    line\n      two\n    EOF\n }' }),
    `${T}.Templates.0.EmbeddedTmpl`,
    'line\n  two\n',
  ],
  [
    'directives of a heredoc',
    job({
      task: 'template {\n destination = "a"\n data = <<EOF\n%{ for x in ["a", "b"] ~}\n${x}\n%{ endfor ~}\nEOF\n }',
    }),
    `${T}.Templates.0.EmbeddedTmpl`,
    'a\nb\n',
  ],
  ['unicode', job({ task: 'env {\n A = "\\u00e9 ✓"\n }' }), `${T}.Env.A`, 'é ✓'],
  ['a large number', job({ task: 'env {\n A = 12345678901234567890\n }' }), `${T}.Env.A`, '12345678901234567890'],
  ['a float in env', job({ task: 'env {\n A = 1.50\n B = true\n }' }), `${T}.Env`, { A: '1.5', B: 'true' }],
  // dynamic blocks.
  [
    'dynamic ports',
    job({
      group:
        'network {\n dynamic "port" {\n for_each = ["http", "db"]\n labels = [port.value]\n content {\n to = 80\n }\n }\n }',
    }),
    `${G}.Networks.0.DynamicPorts.1.Label`,
    'db',
  ],
  [
    'dynamic with an iterator',
    job({
      group:
        'dynamic "service" {\n for_each = { a = 1, b = 2 }\n iterator = s\n content {\n name = s.key\n port = s.value\n provider = "nomad"\n }\n }',
    }),
    `${G}.Services.1.Name`,
    'b',
  ],
  [
    'dynamic over nothing',
    job({ group: 'dynamic "volume" {\n for_each = []\n labels = ["x"]\n content {\n type = "host"\n }\n }' }),
    `${G}.Volumes`,
    null,
  ],
  [
    'dynamic inside dynamic',
    job({
      task: 'dynamic "template" {\n for_each = ["a", "b"]\n content {\n destination = template.value\n data = join(",", [for i in [1, 2] : "${template.value}${i}"])\n }\n }',
    }),
    `${T}.Templates.1.EmbeddedTmpl`,
    'b1,b2',
  ],
  // Group.
  ['a group counts one', job({}), `${G}.Count`, 1],
  ['count 0', job({ group: 'count = 0' }), `${G}.Count`, 0],
  ['scaling.min is the count', job({ group: 'scaling {\n min = 3\n max = 9\n }' }), `${G}.Count`, 3],
  ['a count beside scaling', job({ group: 'count = 4\n scaling {\n min = 3\n max = 9\n }' }), `${G}.Count`, 4],
  [
    'restart merges its defaults',
    job({ group: 'restart {\n attempts = 5\n }' }),
    `${G}.RestartPolicy`,
    { Attempts: 5, Interval: 30 * M, Delay: 15 * S, Mode: 'fail', RenderTemplates: false },
  ],
  [
    'a task takes the group’s restart',
    job({ group: 'restart {\n attempts = 5\n mode = "delay"\n }' }),
    `${T}.RestartPolicy.Mode`,
    'delay',
  ],
  ['restart of a batch job', job({ type: 'batch' }), `${G}.RestartPolicy.Attempts`, 3],
  [
    'reschedule of a service',
    job({}),
    `${G}.ReschedulePolicy`,
    { Attempts: 0, Interval: 0, Delay: 30 * S, DelayFunction: 'exponential', MaxDelay: H, Unlimited: true },
  ],
  ['reschedule of a batch job', job({ type: 'batch' }), `${G}.ReschedulePolicy.DelayFunction`, 'constant'],
  ['no reschedule of a system job', job({ type: 'system' }), `${G}.ReschedulePolicy`, null],
  [
    'ephemeral_disk',
    job({ group: 'ephemeral_disk {\n size = 500\n migrate = true\n sticky = true\n }' }),
    `${G}.EphemeralDisk`,
    { Sticky: true, SizeMB: 500, Migrate: true },
  ],
  ['the default disk', job({}), `${G}.EphemeralDisk.SizeMB`, 300],
  ['shutdown_delay', job({ group: 'shutdown_delay = "10s"' }), `${G}.ShutdownDelay`, 10 * S],
  [
    'a static port',
    job({ group: 'network {\n port "ssh" {\n static = 22\n }\n }' }),
    `${G}.Networks.0.ReservedPorts.0`,
    { Label: 'ssh', Value: 22, To: 0, HostNetwork: 'default', IgnoreCollision: false },
  ],
  [
    'a mapped port',
    job({ group: 'network {\n mode = "bridge"\n port "http" {\n to = 8080\n }\n }' }),
    `${G}.Networks.0.DynamicPorts.0.To`,
    8080,
  ],
  [
    'dns',
    job({ group: 'network {\n dns {\n servers = ["1.1.1.1"]\n searches = ["lan"]\n }\n }' }),
    `${G}.Networks.0.DNS`,
    { Servers: ['1.1.1.1'], Searches: ['lan'], Options: null },
  ],
  [
    'hostname',
    job({ group: 'network {\n mode = "bridge"\n hostname = "web-${NOMAD_ALLOC_INDEX}"\n }' }),
    `${G}.Networks.0.Hostname`,
    'web-${NOMAD_ALLOC_INDEX}',
  ],
  [
    'a host volume',
    job({ group: 'volume "data" {\n type = "host"\n source = "mysql"\n read_only = true\n }' }),
    `${G}.Volumes.data.Source`,
    'mysql',
  ],
  [
    'a CSI volume',
    job({
      group:
        'volume "d" {\n type = "csi"\n source = "m"\n access_mode = "single-node-writer"\n attachment_mode = "file-system"\n mount_options {\n fs_type = "ext4"\n mount_flags = ["noatime"]\n }\n }',
    }),
    `${G}.Volumes.d.MountOptions`,
    { FSType: 'ext4', MountFlags: ['noatime'] },
  ],
  [
    'affinity',
    job({ group: 'affinity {\n attribute = "${node.datacenter}"\n value = "dc1"\n weight = 80\n }' }),
    `${G}.Affinities.0`,
    { LTarget: '${node.datacenter}', RTarget: 'dc1', Operand: '=', Weight: 80 },
  ],
  [
    'the default weight of an affinity',
    job({ group: 'affinity {\n attribute = "${node.class}"\n value = "a"\n }' }),
    `${G}.Affinities.0.Weight`,
    50,
  ],
  [
    'spread with targets',
    job({
      group:
        'spread {\n attribute = "${node.datacenter}"\n target "a" {\n percent = 70\n }\n target "b" {\n percent = 30\n }\n }',
    }),
    `${G}.Spreads.0.SpreadTarget.0`,
    { Value: 'a', Percent: 70 },
  ],
  [
    'distinct_hosts',
    job({ group: 'constraint {\n distinct_hosts = true\n }' }),
    `${G}.Constraints.0.Operand`,
    'distinct_hosts',
  ],
  [
    'distinct_property',
    job({ group: 'constraint {\n distinct_property = "${meta.rack}"\n value = 2\n }' }),
    `${G}.Constraints.0`,
    { LTarget: '${meta.rack}', RTarget: '2', Operand: 'distinct_property' },
  ],
  [
    'regexp',
    job({ job: 'constraint {\n attribute = "${attr.cpu.arch}"\n regexp = "arm.*"\n }' }),
    'Constraints.0.Operand',
    'regexp',
  ],
  [
    'version',
    job({ job: 'constraint {\n attribute = "${attr.kernel.version}"\n version = ">= 5.10"\n }' }),
    'Constraints.0',
    { LTarget: '${attr.kernel.version}', RTarget: '>= 5.10', Operand: 'version' },
  ],
  [
    'set_contains',
    job({ job: 'constraint {\n attribute = "${meta.tags}"\n set_contains = "a,b"\n }' }),
    'Constraints.0.Operand',
    'set_contains',
  ],
  [
    'is_set',
    job({ job: 'constraint {\n attribute = "${attr.x}"\n operator = "is_set"\n }' }),
    'Constraints.0.Operand',
    'is_set',
  ],
  [
    'disconnect',
    job({ group: 'disconnect {\n lost_after = "6h"\n replace = false\n }' }),
    `${G}.Disconnect.LostAfter`,
    6 * H,
  ],
  [
    'stop_on_client_after',
    job({ group: 'disconnect {\n stop_on_client_after = "90s"\n }' }),
    `${G}.Disconnect.StopOnClientAfter`,
    90 * S,
  ],
  [
    'migrate',
    job({ group: 'migrate {\n max_parallel = 2\n }' }),
    `${G}.Migrate`,
    { MaxParallel: 2, HealthCheck: 'checks', MinHealthyTime: 10 * S, HealthyDeadline: 5 * M },
  ],
  [
    'update of a group over the job’s',
    job({ job: 'update {\n max_parallel = 2\n canary = 1\n }', group: 'update {\n max_parallel = 5\n }' }),
    `${G}.Update.MaxParallel`,
    5,
  ],
  [
    'what the group does not say is the job’s',
    job({ job: 'update {\n max_parallel = 2\n canary = 1\n }', group: 'update {\n max_parallel = 5\n }' }),
    `${G}.Update.Canary`,
    1,
  ],
  // Task.
  ['kill_timeout', job({ task: 'kill_timeout = "90s"' }), `${T}.KillTimeout`, 90 * S],
  ['the default kill_timeout', job({}), `${T}.KillTimeout`, 5 * S],
  ['kill_signal', job({ task: 'kill_signal = "SIGINT"' }), `${T}.KillSignal`, 'SIGINT'],
  ['a leader', job({ task: 'leader = true' }), `${T}.Leader`, true],
  ['user', job({ task: 'user = "nobody"' }), `${T}.User`, 'nobody'],
  [
    'config of a driver',
    job({ task: 'config {\n image = "redis:7"\n args = ["--port", "${NOMAD_PORT_db}"]\n }' }),
    `${T}.Config`,
    { image: 'redis:7', args: ['--port', '${NOMAD_PORT_db}'] },
  ],
  [
    'blocks of a driver’s config',
    job({ task: 'config {\n image = "a"\n mount {\n type = "bind"\n source = "local"\n target = "/x"\n }\n }' }),
    `${T}.Config.mount`,
    [{ type: 'bind', source: 'local', target: '/x' }],
  ],
  [
    'labels of a driver’s config',
    job({ task: 'config {\n image = "a"\n labels = {\n "traefik.enable" = "true"\n }\n }' }),
    `${T}.Config.labels`,
    [{ 'traefik.enable': 'true' }],
  ],
  [
    'resources',
    job({ task: 'resources {\n cpu = 500\n memory = 256\n memory_max = 512\n }' }),
    `${T}.Resources.MemoryMaxMB`,
    512,
  ],
  [
    'a device',
    job({
      task: 'resources {\n device "nvidia/gpu" {\n count = 2\n constraint {\n attribute = "${device.attr.memory}"\n operator = ">="\n value = "8 GiB"\n }\n }\n }',
    }),
    `${T}.Resources.Devices.0.Count`,
    2,
  ],
  [
    'one device by default',
    job({ task: 'resources {\n device "nvidia/gpu" {}\n }' }),
    `${T}.Resources.Devices.0.Count`,
    1,
  ],
  [
    'a lifecycle hook',
    job({ task: 'lifecycle {\n hook = "prestart"\n sidecar = true\n }' }),
    `${T}.Lifecycle`,
    { Hook: 'prestart', Sidecar: true },
  ],
  ['logs', job({ task: 'logs {\n max_files = 3\n max_file_size = 5\n }' }), `${T}.LogConfig.MaxFileSizeMB`, 5],
  [
    'dispatch_payload',
    job({ type: 'batch', job: 'parameterized {}', task: 'dispatch_payload {\n file = "in.json"\n }' }),
    `${T}.DispatchPayload`,
    { File: 'in.json' },
  ],
  [
    'volume_mount',
    job({
      group: 'volume "d" {\n type = "host"\n source = "d"\n }',
      task: 'volume_mount {\n volume = "d"\n destination = "/data"\n }',
    }),
    `${T}.VolumeMounts.0`,
    { Volume: 'd', Destination: '/data', ReadOnly: false, PropagationMode: 'private', SELinuxLabel: '' },
  ],
  [
    'an artifact’s default place',
    job({ task: 'artifact {\n source = "https://example.com/a.tgz"\n }' }),
    `${T}.Artifacts.0.RelativeDest`,
    'local/',
  ],
  [
    'an artifact’s options',
    job({ task: 'artifact {\n source = "https://example.com/a.tgz"\n options {\n checksum = "md5:1234"\n }\n }' }),
    `${T}.Artifacts.0.GetterOptions`,
    { checksum: 'md5:1234' },
  ],
  [
    'a template with change_mode signal',
    job({
      task: 'template {\n destination = "a"\n data = "x"\n change_mode = "signal"\n change_signal = "sigusr1"\n }',
    }),
    `${T}.Templates.0.ChangeSignal`,
    'SIGUSR1',
  ],
  ['a service’s default name', job({ group: 'service {\n provider = "nomad"\n }' }), `${G}.Services.0.Name`, 'j-g'],
  ['a service of a task', job({ task: 'service {\n provider = "nomad"\n }' }), `${T}.Services.0.Name`, 'j-g-t'],
  ['a service’s provider', job({ group: 'service {\n name = "s"\n }' }), `${G}.Services.0.Provider`, 'consul'],
  [
    'tags',
    job({ group: 'service {\n name = "s"\n provider = "nomad"\n tags = ["a", "v${NOMAD_META_v}"]\n }' }),
    `${G}.Services.0.Tags`,
    ['a', 'v${NOMAD_META_v}'],
  ],
  [
    'a check',
    job({
      group:
        'service {\n name = "s"\n provider = "nomad"\n port = "http"\n check {\n type = "http"\n path = "/health"\n interval = "10s"\n timeout = "2s"\n }\n }',
    }),
    `${G}.Services.0.Checks.0.Interval`,
    10 * S,
  ],
  // Kinds of jobs.
  [
    'periodic',
    job({ type: 'batch', job: 'periodic {\n cron = "*/5 * * * *"\n time_zone = "Europe/Berlin"\n }' }),
    'Periodic.TimeZone',
    'Europe/Berlin',
  ],
  [
    'periodic with several',
    job({ type: 'batch', job: 'periodic {\n crons = ["@daily", "0 12 * * *"]\n prohibit_overlap = true\n }' }),
    'Periodic.Specs',
    ['@daily', '0 12 * * *'],
  ],
  [
    'parameterized',
    job({ type: 'batch', job: 'parameterized {\n payload = "required"\n meta_required = ["a"]\n }' }),
    'ParameterizedJob',
    { Payload: 'required', MetaRequired: ['a'], MetaOptional: null },
  ],
  ['a task without a group', 'job "j" {\n task "alone" {\n driver = "docker"\n }\n}', 'TaskGroups.0.Name', 'alone'],
  [
    'two groups in their order',
    'job "j" {\n group "b" {\n task "x" {\n driver = "d"\n }\n }\n group "a" {\n task "y" {\n driver = "d"\n }\n }\n}',
    'TaskGroups.1.Name',
    'a',
  ],
  ['the default type', job({}), 'Type', 'service'],
  ['sysbatch', job({ type: 'sysbatch' }), `${G}.Update`, null],
  ['comments of all kinds', `# one\n// two\n/* three */\n${job({ group: 'count = 2 # four' })}`, `${G}.Count`, 2],
  ['a BOM and CRLF', `\ufeff${job({ group: 'count = 2' }).replace(/\n/g, '\r\n')}`, `${G}.Count`, 2],
];

function at(value: unknown, place: string): unknown {
  return place.split('.').reduce<unknown>((inner, key) => (inner as Record<string, unknown> | null)?.[key], value);
}

for (const [what, source, place, value] of CASES) {
  t.test(what, async (t) => {
    const parsed = parseJob({ source, filename: 'job.hcl' });
    if (!parsed.ok) throw new Error(parsed.error.map(diagnosticLine).join('\n'));
    t.strictSame(at(canonicalizeJob(parsed.value.job), place), value);
  });
}
