import t from 'tap';
import { diagnosticLine } from '../../lib/hcl/index.js';
import { canonicalizeJob } from '../../lib/jobspec/canonicalize.js';
import { parseJob } from '../../lib/jobspec/parse.js';
import { findIssues } from '../../lib/structs/validate/job.js';

interface Found {
  /** Without what is only not there yet. */
  errors: string[];
  warnings: string[];
}

function find(source: string): Found {
  const parsed = parseJob({ source, filename: 'block.hcl' });
  if (!parsed.ok) throw new Error(parsed.error.map(diagnosticLine).join('\n'));
  const { errors, warnings } = findIssues(canonicalizeJob(parsed.value.job));
  const wrong = errors.filter(({ reason }) => reason === 'invalid');
  return { errors: wrong.map(({ message }) => message), warnings: warnings.map(({ message }) => message) };
}

type Level = 'job' | 'group' | 'task';

function jobWith(level: Level, text: string, type: string): string {
  const at = (place: Level): string => (place === level ? text : '');
  return `job "j" {
  type = "${type}"
  ${at('job')}
  group "g" {
    ${at('group')}
    network {
      port "http" {}
    }
    task "t" {
      driver = "docker"
      ${at('task')}
    }
  }
}`;
}

const nomad = (more = '', check = ''): string =>
  `service {\n provider = "nomad"\n port = "http"\n ${more}\n ${check === '' ? '' : `check {\n ${check}\n }`}\n}`;
const http = 'type = "http"\n path = "/"\n interval = "10s"\n timeout = "2s"\n';
const csi = 'type = "csi"\n source = "s"\n';
const template = (more: string): string => `template {\n destination = "local/x"\n ${more}\n}`;

const device = (more: string): string => `resources {\n device "gpu" {\n ${more}\n}\n}`;

/** A block with one thing wrong with it, and what is said of that. */
const REFUSED: [level: Level, text: string, message: RegExp, type?: string][] = [
  ['task', 'vault {}', /`vault` cannot be honoured: there is no Vault here\. Keep secrets in variables/],
  ['task', 'consul {}', /`consul` cannot be honoured.*provider = "nomad"/],
  ['group', 'consul {}', /`consul` cannot be honoured/],
  ['group', nomad('connect {\n sidecar_service {}\n }'), /`connect` is Consul's mesh/],
  ['task', 'kind = "connect-proxy:x"', /`kind` "connect-proxy:x" is Consul Connect's/],
  ['task', 'secret "s" {\n provider = "vault"\n path = "p"\n}', /Secret "s" is kept in Vault.*provider = "nomad"/],
  [
    'task',
    template('data = "{{ key \\"a/b\\" }}"'),
    /asks Consul with `key`, but there is no Consul here: use nomadVar/,
  ],
  ['task', template('data = "{{ with secret \\"a\\" }}{{ end }}"'), /asks Vault with `secret`.*use nomadVar/],
  ['task', template('data = "{{ range service \\"db\\" }}{{ end }}"'), /with `service`.*use nomadService/],
  ['task', template('data = "{{- range services }}{{ end }}"'), /with `services`.*use nomadServices/],
  ['task', template('data = "{{ if eq (keyOrDefault \\"a\\" \\"b\\") \\"c\\" }}{{ end }}"'), /with `keyOrDefault`/],
  ['task', template('data = "[[ key \\"a\\" ]]"\n left_delimiter = "[["\n right_delimiter = "]]"'), /with `key`/],
  ['group', nomad('name = "a_b"'), /Service "a_b": the name must be 1 to 63 letters/],
  [
    'task',
    nomad().replace('"http"', '"x"'),
    /names a port that the group's network does not have: "x"; its ports are http/,
  ],
  ['task', nomad('task = "x"'), /belongs to task "t" and cannot name "x"/],
  ['group', nomad('', `${http} task = "x"`), /names a task that the group does not have: "x"/],
  ['group', nomad('identity {\n aud = ["x"]\n }'), /its identity needs a name/],
  ['task', 'identity {\n name = "a"\n aud = [""]\n ttl = "1h"\n}', /an audience \(aud\) is empty/],
  ['task', device('constraint {\n attribute = "a"\n}'), /Device "gpu": Constraint 1.*requires a value/],
  ['task', device('constraint {\n distinct_hosts = true\n}'), /"distinct_hosts" is allowed in jobs and groups only/],
  ['task', device('affinity {\n attribute = "a"\n value = "b"\n weight = 0\n}'), /A weight of zero has no effect/],
  ['group', nomad('address_mode = "x"'), /unknown address_mode "x"/],
  ['group', nomad('on_update = "x"'), /unknown on_update "x"/],
  ['group', nomad('address = "x"\n address_mode = "host"'), /an address goes with address_mode "auto"/],
  ['group', nomad('identity {\n env = true\n }'), /its identity needs an audience/],
  ['group', `${nomad()}\n${nomad()}`, /Service "j-g" is there twice/],
  [
    'group',
    nomad('', 'type = "script"\n command = "x"\n interval = "1s"\n timeout = "1s"'),
    /type "script" are Consul's/,
  ],
  ['group', nomad('', `${http} path = ""`.replace('path = "/"\n ', '')), /an http check needs a path/],
  ['group', nomad('', http.replace('10s', '10ms')), /interval must be at least 1s, not 10ms/],
  ['group', nomad('', http.replace('2s', '0s')), /timeout must be at least 1s, not 0s/],
  ['group', nomad('', `${http} method = "FETCH"`), /unknown method "FETCH"/],
  ['group', nomad('', `${http} success_before_passing = 2`), /success_before_passing is Consul's/],
  ['group', nomad('', `${http} tls_server_name = "x"`), /tls_server_name is Consul's/],
  ['group', nomad('', `${http} check_restart {\n limit = -1\n }`), /limit must not be negative/],
  ['task', 'template {\n data = "x"\n}', /Template 1: has no destination/],
  ['task', template(''), /has neither a source nor data/],
  ['task', template('data = "x"\n change_mode = "x"'), /unknown change_mode "x"/],
  ['task', template('data = "x"\n change_mode = "signal"\n env = true'), /do not change by a signal/],
  ['task', template('data = "x"\n change_mode = "script"'), /needs a change_script block/],
  ['task', template('data = "x"\n perms = "999"'), /is no octal mode/],
  ['task', template('data = "x"\n wait {\n min = "5s"\n max = "1s"\n }'), /min is longer than max/],
  ['task', 'template {\n destination = "../../../etc/x"\n data = "x"\n}', /leads out of the task/],
  ['task', `${template('data = "x"')}\n${template('data = "y"')}`, /Templates 1 and 2 have the same destination/],
  ['task', 'artifact {}', /Artifact 1: has no source/],
  ['task', 'artifact {\n source = "u"\n mode = "x"\n}', /unknown mode "x"/],
  ['task', 'artifact {\n source = "u"\n destination = "../../x"\n}', /leads out of the task/],
  ['job', 'periodic {\n crons = ["@daily"]\n}', /for jobs of type batch and sysbatch, not service/],
  ['job', 'periodic {}', /neither cron nor crons/, 'batch'],
  ['job', 'periodic {\n cron = "@daily"\n crons = ["@hourly"]\n}', /either cron or crons/, 'batch'],
  ['job', 'periodic {\n cron = "often"\n}', /"often" is no cron expression/, 'batch'],
  ['job', 'periodic {\n cron = "@daily"\n time_zone = "Mars/Phobos"\n}', /unknown time_zone "Mars\/Phobos"/, 'batch'],
  ['job', 'parameterized {}', /for jobs of type batch and sysbatch, not service/],
  ['job', 'parameterized {\n payload = "x"\n}', /unknown payload "x"/, 'batch'],
  [
    'job',
    'parameterized {\n meta_required = ["a"]\n meta_optional = ["a"]\n}',
    /a is both required and optional/,
    'batch',
  ],
  ['group', 'scaling {\n min = 5\n max = 3\n}', /max \(3\) is less than min \(5\)|count \(5\) is greater/],
  ['group', 'count = 9\n scaling {\n max = 3\n min = 1\n}', /count \(9\) is greater than max \(3\)/],
  [
    'group',
    'disconnect {\n lost_after = "1h"\n stop_on_client_after = "1h"\n}',
    /either lost_after or stop_on_client_after/,
  ],
  ['group', 'disconnect {\n reconcile = "x"\n}', /unknown reconcile "x"/],
  ['group', 'max_run_duration = "1h"', /max_run_duration is for jobs of type batch/],
  ['group', `volume "v" {\n ${csi} attachment_mode = "file-system"\n}`, /needs an access_mode/],
  ['group', `volume "v" {\n ${csi} access_mode = "single-node-writer"\n}`, /needs an attachment_mode/],
  [
    'group',
    `volume "v" {\n ${csi} access_mode = "multi-node-reader-only"\n attachment_mode = "file-system"\n}`,
    /goes with read_only = true/,
  ],
  [
    'group',
    'update {\n canary = 1\n}\n volume "v" {\n type = "host"\n source = "s"\n per_alloc = true\n}',
    /per_alloc does not go with canaries/,
  ],
  ['task', 'csi_plugin {\n type = "node"\n}', /csi_plugin: the id is missing/],
  ['task', 'csi_plugin {\n id = "p"\n type = "x"\n}', /csi_plugin: unknown type "x"/],
  ['task', 'resources {\n device "a/b/c/d" {}\n}', /must be named type, vendor\/type or vendor\/type\/model/],
  ['task', 'resources {\n device "gpu" {\n count = 0\n }\n}', /count must be at least 1, not 0/],
  ['task', 'resources {\n device "gpu" {\n share = 101\n }\n}', /share is percent of a device, 1 to 100, not 101/],
  ['task', 'resources {\n device "gpu" {\n memory = 0\n }\n}', /memory must be at least 1 MiB of a device, not 0/],
  ['task', 'resources {\n cores = 1\n numa {\n affinity = "x"\n }\n}', /numa: unknown affinity "x"/],
  ['task', 'identity {\n name = "a b"\n}', /Identity name "a b" must be/],
  ['task', 'identity {\n name = "a"\n change_mode = "signal"\n}', /needs a change_signal/],
  ['task', 'identity {\n name = "a"\n}\n identity {\n name = "a"\n}', /Identity "a" is there twice/],
  ['task', 'identity {\n ttl = "1h"\n}', /the default identity has no ttl/],
  ['task', 'identity {\n name = "a"\n filepath = "x"\n}', /filepath goes with file = true/],
  [
    'group',
    nomad('on_update = "ignore"', `${http} check_restart {\n limit = 3\n }`),
    /"ignore" does not go with check_restart/,
  ],
  ['group', nomad('', `${http} on_update = "ignore_warnings"`), /"ignore_warnings" is Consul's/],
  ['group', nomad('', `${http} address_mode = "driver"`), /a check has no address_mode "driver"/],
  ['task', 'action "a b" {\n command = "c"\n}', /Action name "a b" must be/],
  ['task', 'action "a" {\n command = ""\n}', /Action a has no command/],
  [
    'group',
    'service {\n name = "a"\n provider = "nomad"\n}\nservice {\n name = "b"\n}',
    /Services of one group have one provider, these have nomad and consul/,
  ],
  [
    'task',
    'service {\n provider = "nomad"\n port = "80"\n}',
    /port 80 is a number, which needs address_mode = "driver"/,
  ],
  ['task', 'service {\n provider = "nomad"\n address_mode = "alloc"\n}', /"alloc" is for services of the group only/],
  ['group', 'service {\n provider = "nomad"\n address_mode = "driver"\n}', /"driver" is for services of a task only/],
  ['job', 'constraint {\n attribute = "a"\n operator = "regex"\n value = "b"\n}', /"regex": did you mean "regexp"\?/],
  ['job', 'affinity {\n attribute = "a"\n operator = "~"\n value = "b"\n}', /"~": known are =, ==, .*semver$/],
  ['task', 'secret "s" {\n path = "p"\n}', /has no provider; write provider = "nomad"/],
  ['task', 'secret "s" {\n provider = "nomad"\n}', /Secret "s": has no path/],
  ['task', 'secret "a-b" {\n provider = "nomad"\n path = "p"\n}', /Secret "a-b": its name must be 1 to 128 letters/],
  ['task', 'secret "s" {\n provider = "nomad"\n path = "p"\n env {\n a = "b"\n }\n}', /provider "nomad" takes no env/],
  ['task', 'secret "s" {\n provider = "x"\n path = "p"\n config {\n a = "b"\n }\n}', /plugin "x" takes no config/],
  [
    'task',
    'secret "s" {\n provider = "nomad"\n path = "p"\n config {\n namespace = ["a"]\n }\n}',
    /config: namespace must be a string/,
  ],
];

for (const [level, text, message, type = 'service'] of REFUSED) {
  t.test(`refused in a ${level}: ${text.replace(/\s+/g, ' ')}`, async (t) => {
    const { errors } = find(jobWith(level, text, type));
    t.ok(errors.length >= 1 && errors.length <= 2, JSON.stringify(errors));
    t.ok(
      errors.some((error) => message.test(error)),
      JSON.stringify(errors),
    );
  });
}

/** What is right, though it looks like what is refused. */
const TAKEN: [level: Level, text: string, type?: string][] = [
  ['group', nomad('name = "${NOMAD_JOB_NAME}-web"\n tags = ["a"]', http)],
  ['group', nomad().replace('"http"', '"8080"')],
  ['group', nomad().replace('"http"', '"${NOMAD_PORT_http}"')],
  ['group', nomad('', `${http} header {\n A = ["b"]\n }\n check_restart {\n limit = 3\n }`)],
  ['task', template('data = "{{ with nomadVar \\"nomad/jobs/x\\" }}{{ .secret }} key \\"a\\"{{ end }}"')],
  [
    'task',
    template(
      'data = "{{ range nomadService \\"db\\" }}{{ .Address }}{{ end }} {{ printf \\"key %s\\" \\"service\\" }}"',
    ),
  ],
  ['task', template('data = "{{/* key \\"x\\" */}}{{ $key := 1 }}{{ .service }}"')],
  ['task', 'template {\n destination = "${NOMAD_SECRETS_DIR}/x"\n data = "x"\n env = true\n change_mode = "noop"\n}'],
  ['task', 'artifact {\n source = "git::https://example.com/x.git"\n destination = "../alloc/data"\n}'],
  ['job', 'periodic {\n cron = "*/15 6-22 * * MON-FRI"\n time_zone = "Europe/Berlin"\n}', 'batch'],
  ['job', 'periodic {\n crons = ["0 0 3 * * * *", "@weekly"]\n}', 'sysbatch'],
  ['job', 'parameterized {\n payload = "forbidden"\n}', 'batch'],
  ['group', 'disconnect {\n stop_on_client_after = "1m"\n}'],
  ['group', `volume "v" {\n ${csi} access_mode = "single-node-writer"\n attachment_mode = "block-device"\n}`],
  [
    'task',
    'resources {\n cores = 2\n device "nvidia/gpu" {}\n numa {\n affinity = "prefer"\n devices = ["nvidia/gpu"]\n }\n}',
  ],
  ['task', 'resources {\n disk = 100\n}'],
  ['job', 'periodic {\n cron = "@daily"\n enabled = false\n}'],
  ['task', template('data = "x"\n wait {\n min = "5s"\n}')],
  ['task', 'artifact {\n source = "https://example.com/x"\n mode = ""\n}'],
  ['task', 'identity {\n file = true\n filepath = "local/token.jwt"\n}'],
];

for (const [level, text, type = 'service'] of TAKEN) {
  t.test(`taken in a ${level}: ${text.replace(/\s+/g, ' ')}`, async (t) => {
    t.strictSame(find(jobWith(level, text, type)).errors, []);
  });
}

const WARNED: [level: Level, text: string, message: RegExp, type?: string][] = [
  ['job', 'periodic {\n crons = ["@daily", "0 0 30 2 *"]\n}', /"0 0 30 2 \*" is never due/, 'batch'],
  ['group', 'service {\n port = "http"\n}', /registered in the mesh's own catalogue.*Write provider = "nomad"/],
  ['job', 'ui {\n link {\n label = "l"\n }\n}', /Link 1 in ui has no url/],
  ['group', nomad('enable_tag_override = true'), /enable_tag_override is Consul's and has no effect/],
  ['task', template('data = "x"\n source = "y"'), /has both a source and data/],
  ['task', template('data = "x"\n vault_grace = "1s"'), /vault_grace has no effect/],
  ['task', 'identity {\n name = "a"\n aud = ["x"]\n}', /Identity "a": without a ttl it never ends/],
  ['task', 'identity {\n name = "a"\n ttl = "1h"\n}', /Identity "a": without an audience/],
  ['task', 'resources {\n network {\n port "x" {}\n }\n}', /networks belong to the group/],
  ['job', 'multiregion {\n region "west" {}\n}', /`multiregion` has no effect/],
  ['task', 'schedule {\n cron {\n start = "0 9 * * *"\n end = "0 17"\n }\n}', /Task "t": `schedule` has no effect/],
  ['task', 'resources {\n iops = 5\n}', /iops has no effect/],
  ['task', 'dispatch_payload {\n file = "x"\n}', /the job has no parameterized block/],
  ['task', 'csi_plugin {\n id = "p"\n type = "node"\n health_timeout = "1s"\n}', /below 5s is short/],
  ['group', 'max_client_disconnect = "1h"', /lost_after in disconnect replaces it/],
  [
    'group',
    nomad().replace('"http"', '"x"'),
    /names a port that the group's network does not have: "x"; its ports are/,
  ],
  ['group', nomad('task = "x"'), /Service "j-g" names a task that the group does not have: "x"/],
  ['group', nomad('identity {\n name = "a"\n aud = ["x"]\n}'), /Service "j-g": without a ttl it never ends/],
  ['task', 'restart {\n interval = "5s"\n}', /Task "t": restart: 2 attempts with a delay of 15s take longer/],
];

for (const [level, text, message, type = 'service'] of WARNED) {
  t.test(`warned of in a ${level}: ${text.replace(/\s+/g, ' ')}`, async (t) => {
    const { errors, warnings } = find(jobWith(level, text, type));
    t.strictSame(errors, []);
    t.match(warnings, [message]);
  });
}
