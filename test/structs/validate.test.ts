import t from 'tap';
import { canonicalizeJob } from '../../lib/jobspec/canonicalize.js';
import { readJobJson } from '../../lib/jobspec/read-json.js';
import { findIssues, validateJob } from '../../lib/structs/validate/job.js';
import { pastLaunches } from '../../lib/structs/validate/launch.js';

type Part = Record<string, unknown>;

function makeJob(job: Part = {}, group: Part = {}, task: Part = {}) {
  const read = readJobJson({
    ID: 'web',
    ...job,
    TaskGroups: job['TaskGroups'] ?? [
      { Name: 'g', ...group, Tasks: group['Tasks'] ?? [{ Name: 't', Driver: 'docker', ...task }] },
    ],
  });
  if (!read.ok) throw new Error(read.error.join('; '));
  return canonicalizeJob(read.value);
}

t.test('a plain job of each supported type is valid without a warning', async (t) => {
  for (const Type of ['service', 'batch', 'system']) {
    t.strictSame(validateJob(makeJob({ Type })), { errors: [], warnings: [] });
  }
});

const group = 'Task group g validation failed: ';
const task = `${group}Task t validation failed: `;
const ports = (...list: Part[]): Part => ({ Networks: [{ DynamicPorts: list }] });
const static_ = (...list: Part[]): Part => ({ Networks: [{ ReservedPorts: list }] });

type Refused = [what: string, job: Part, group: Part, task: Part, path: string, message: string | RegExp];
const REFUSED: Refused[] = [
  ['an empty id', { ID: '', Name: 'n' }, {}, {}, 'ID', 'Missing job ID'],
  ['a space in the id', { ID: 'a b' }, {}, {}, 'ID', 'Job ID contains a space'],
  ['a null in the id', { ID: 'a\0b', Name: 'n' }, {}, {}, 'ID', 'Job ID contains a NUL'],
  ['an unknown type', { Type: 'cron' }, {}, {}, 'Type', /Unknown job type "cron"/],
  ['priority -1', { Priority: -1 }, {}, {}, 'Priority', /between 1 and 100, not -1/],
  ['priority 101', { Priority: 101 }, {}, {}, 'Priority', /between 1 and 100, not 101/],
  ['an empty datacenter', { Datacenters: [''] }, {}, {}, 'Datacenters', 'A datacenter has an empty name'],
  ['no group', { TaskGroups: [] }, {}, {}, 'TaskGroups', /^Missing task groups/],
  ['no task', {}, { Tasks: [] }, {}, 'TaskGroups[0].Tasks', /^Task group g validation failed: Missing tasks/],
  ['a negative count', {}, { Count: -1 }, {}, 'TaskGroups[0].Count', `${group}count must not be negative (-1)`],
  ['60000 allocations', {}, { Count: 60_000 }, {}, 'TaskGroups', /at most 50000 are allowed/],
  [
    'a system job of two',
    { Type: 'system' },
    { Count: 2 },
    {},
    'TaskGroups[0].Count',
    /a system job runs once on each node/,
  ],
  [
    'an unknown kill signal',
    {},
    {},
    { KillSignal: 'SIGTREM' },
    'TaskGroups[0].Tasks[0].KillSignal',
    `${task}kill_signal: "SIGTREM" is no signal; did you mean "SIGTERM"?`,
  ],
  ['a kill signal of nothing known', {}, {}, { KillSignal: 'x' }, 'TaskGroups[0].Tasks[0].KillSignal', /is no signal/],
  ['kill signal 65', {}, {}, { KillSignal: '65' }, 'TaskGroups[0].Tasks[0].KillSignal', /"65" is no signal/],
  [
    'an unknown signal of a change',
    {},
    {},
    { Templates: [{ EmbeddedTmpl: 'x', DestPath: 'local/x', ChangeMode: 'signal', ChangeSignal: 'usr3' }] },
    'TaskGroups[0].Tasks[0].Templates[0].ChangeSignal',
    /change_signal: "USR3" is no signal; did you mean "SIGUSR1"\?/,
  ],
  [
    'an unknown signal of an identity',
    {},
    {},
    { Identities: [{ Name: 'i', ChangeMode: 'signal', ChangeSignal: 'SIGHUPP' }] },
    'TaskGroups[0].Tasks[0].Identities[0].ChangeSignal',
    /did you mean "SIGHUP"\?/,
  ],
  [
    'an unknown type of scaling',
    {},
    { Scaling: { Type: 'horizonal', Min: 0, Max: 3 } },
    {},
    'TaskGroups[0].Scaling.Type',
    `${group}scaling: unknown type "horizonal"; did you mean "horizontal"?`,
  ],
  [
    'a group scaled as a task',
    {},
    { Scaling: { Type: 'vertical_cpu', Min: 0, Max: 3 } },
    {},
    'TaskGroups[0].Scaling.Type',
    /by type "horizontal" only/,
  ],
  ['no driver', {}, {}, { Driver: '' }, 'TaskGroups[0].Tasks[0].Driver', `${task}Missing task driver`],
  ['a task named alloc', {}, {}, { Name: 'alloc' }, 'TaskGroups[0].Tasks[0].Name', /named "alloc"/],
  ['a slash in a task', {}, {}, { Name: 'a/b' }, 'TaskGroups[0].Tasks[0].Name', /contains a slash/],
  [
    'a port above 65535',
    {},
    static_({ Label: 'x', Value: 70_000 }),
    {},
    'TaskGroups[0].Networks[0].ReservedPorts[0].Value',
    /70000/,
  ],
  [
    'a target above 65535',
    {},
    ports({ Label: 'x', To: 70_000 }),
    {},
    'TaskGroups[0].Networks[0].DynamicPorts[0].To',
    /70000/,
  ],
  [
    'one static port twice',
    {},
    static_({ Label: 'a', Value: 80 }, { Label: 'b', Value: 80 }),
    {},
    'TaskGroups[0].Networks[0].ReservedPorts[1].Value',
    /Static port 80 is taken by group network:a/,
  ],
  [
    'one label twice',
    {},
    ports({ Label: 'a' }, { Label: 'a' }),
    {},
    'TaskGroups[0].Networks[0].DynamicPorts[1].Label',
    /Port label a is taken by the group network/,
  ],
  ...(
    [
      ['a mode that is none', { Mode: 'brigde' }, 'Mode', /none of "host", "bridge"/],
      ['a CNI network without a name', { Mode: 'cni/' }, 'Mode', /"cni\/NAME"/],
      ['a CNI network that leaves its directory', { Mode: 'cni/../x' }, 'Mode', /none of/],
      ['an argument for CNI that is two', { Mode: 'cni/x', CNI: { Args: { a: 'b;c=d' } } }, 'CNI', /contains ; or =/],
      [
        'a collision ignored on the bridge',
        { Mode: 'bridge', ReservedPorts: [{ Label: 'a', Value: 80, IgnoreCollision: true }] },
        'ReservedPorts[0].IgnoreCollision',
        /only with mode = "host"/,
      ],
    ] as const
  ).map(
    ([fact, network, key, message]): Refused => [
      fact,
      {},
      { Networks: [network] },
      {},
      `TaskGroups[0].Networks[0].${key}`,
      message,
    ],
  ),
  [
    'an empty label',
    {},
    ports({ Label: '' }),
    {},
    'TaskGroups[0].Networks[0].DynamicPorts[0].Label',
    /must not be empty/,
  ],
  [
    'restart in 1s',
    {},
    { RestartPolicy: { Interval: '1s', Attempts: 0 } },
    {},
    'TaskGroups[0].RestartPolicy.Interval',
    /at least 5s, not 1s/,
  ],
  ['an unknown restart mode', {}, { RestartPolicy: { Mode: 'x' } }, {}, 'TaskGroups[0].RestartPolicy.Mode', /"x"/],
  [
    'both cpu and cores',
    {},
    {},
    { Resources: { CPU: 5, Cores: 1 } },
    'TaskGroups[0].Tasks[0].Resources.Cores',
    /either for `cpu` or for `cores`/,
  ],
  [
    '5 MB of memory',
    {},
    {},
    { Resources: { MemoryMB: 5 } },
    'TaskGroups[0].Tasks[0].Resources.MemoryMB',
    /at least 10 MB, not 5/,
  ],
  [
    'memory_max below memory',
    {},
    {},
    { Resources: { MemoryMaxMB: 20 } },
    'TaskGroups[0].Tasks[0].Resources.MemoryMaxMB',
    /20 MB.* is less than/,
  ],
  [
    'a regex that is none',
    { Constraints: [{ LTarget: 'a', Operand: 'regexp', RTarget: '(' }] },
    {},
    {},
    'Constraints[0].RTarget',
    /no regular expression/,
  ],
  [
    'an unknown operator',
    { Constraints: [{ LTarget: 'a', Operand: '~' }] },
    {},
    {},
    'Constraints[0].Operand',
    /Unknown operator "~"/,
  ],
  [
    'a version that is none',
    { Constraints: [{ LTarget: 'a', Operand: 'version', RTarget: '>= x' }] },
    {},
    {},
    'Constraints[0].RTarget',
    /is no version constraint/,
  ],
  [
    'an operator that semver has not',
    { Constraints: [{ LTarget: '${attr.a}', Operand: 'semver', RTarget: '~> 1.2' }] },
    {},
    {},
    'Constraints[0].RTarget',
    /is no semver constraint/,
  ],
  [
    'a constraint on what no node has',
    { Constraints: [{ LTarget: '${node.datacentre}', Operand: '=', RTarget: 'dc1' }] },
    {},
    {},
    'Constraints[0].LTarget',
    /unsupported attribute "\$\{node.datacentre\}": did you mean "\$\{node.datacenter\}"\?/,
  ],
  [
    'a constraint without its closing brace',
    {},
    {},
    { Constraints: [{ LTarget: '${attr.arch', Operand: '=', RTarget: 'x86' }] },
    'TaskGroups[0].Tasks[0].Constraints[0].LTarget',
    /missing a closing brace/,
  ],
  [
    'an affinity of 0',
    { Affinities: [{ LTarget: 'a', Operand: '=', RTarget: 'b', Weight: 0 }] },
    {},
    {},
    'Affinities[0].Weight',
    /zero/,
  ],
  [
    'a spread above 100 %',
    {},
    {
      Spreads: [
        {
          Attribute: 'a',
          SpreadTarget: [
            { Value: 'x', Percent: 60 },
            { Value: 'y', Percent: 60 },
          ],
        },
      ],
    },
    {},
    'TaskGroups[0].Spreads[0].SpreadTarget',
    /120 percent/,
  ],
  [
    'deadlines out of order',
    { Update: { HealthyDeadline: '20m' } },
    {},
    {},
    'TaskGroups[0].Update.HealthyDeadline',
    /shorter than progress_deadline/,
  ],
  [
    'auto_promote without canary',
    { Update: { AutoPromote: true } },
    {},
    {},
    'TaskGroups[0].Update.AutoPromote',
    /there is no canary/,
  ],
  [
    'update of a batch job',
    { Type: 'batch' },
    { Update: {} },
    {},
    'TaskGroups[0].Update',
    /no meaning for a job of type "batch"/,
  ],
  [
    'reschedule of a system job',
    { Type: 'system' },
    { ReschedulePolicy: {} },
    {},
    'TaskGroups[0].ReschedulePolicy',
    /no meaning/,
  ],
  [
    'attempts that do not fit',
    { Type: 'batch' },
    { ReschedulePolicy: { Attempts: 100, Interval: '1m' } },
    {},
    'TaskGroups[0].ReschedulePolicy.Interval',
    /at least 8m20s/,
  ],
  [
    'a mount of no volume',
    {},
    {},
    { VolumeMounts: [{ Volume: 'v', Destination: '/v' }] },
    'TaskGroups[0].Tasks[0].VolumeMounts[0].Volume',
    /does not have: "v"/,
  ],
  [
    'an unknown hook',
    {},
    {
      Tasks: [
        { Name: 'm', Driver: 'd' },
        { Name: 't', Driver: 'd', Lifecycle: { Hook: 'x' } },
      ],
    },
    {},
    'TaskGroups[0].Tasks[1].Lifecycle.Hook',
    /prestart, poststart or poststop/,
  ],
  [
    'only lifecycle tasks',
    {},
    {},
    { Lifecycle: { Hook: 'prestart' } },
    'TaskGroups[0].Tasks',
    /Every task has a lifecycle hook/,
  ],
  [
    'two tasks of one name',
    {},
    {
      Tasks: [
        { Name: 't', Driver: 'd' },
        { Name: 't', Driver: 'd' },
      ],
    },
    {},
    'TaskGroups[0].Tasks[1].Name',
    /Tasks 1 and 2 are both named "t"/,
  ],
  [
    'two leaders',
    {},
    {
      Tasks: [
        { Name: 'a', Driver: 'd', Leader: true },
        { Name: 'b', Driver: 'd', Leader: true },
      ],
    },
    {},
    'TaskGroups[0].Tasks',
    /Two tasks claim/,
  ],
  [
    'more logs than disk',
    {},
    { EphemeralDisk: { SizeMB: 50 } },
    {},
    'TaskGroups[0].Tasks[0].LogConfig',
    /logs may take 100 MB/,
  ],
];

for (const [what, job, group, task, path, message] of REFUSED) {
  t.test(`${what} is refused`, async (t) => {
    const { errors } = findIssues(makeJob(job, group, task));
    t.equal(errors.length, 1, JSON.stringify(errors));
    t.match(errors[0], { path, message });
  });
}

t.test('what Go’s regular expressions and versions allow is allowed', async (t) => {
  const constraints = [
    ['regexp', '(?i)^web-[0-9]+$'],
    ['regexp', '(?i:a)|(?P<name>b)'],
    ['regexp', '\\Aa\\z'],
    ['version', '>= 0.6.1, < 2.0'],
    ['version', '~> 1.2'],
    ['semver', '>= 1.2.3-beta1+ent'],
    ['distinct_property', '2'],
    ['is_set', ''],
  ].map(([Operand, RTarget]) => ({ LTarget: '${attr.a}', Operand, RTarget }));
  t.strictSame(validateJob(makeJob({ Constraints: constraints })).errors, []);
});

t.test('an attribute without its braces is text, and worth a warning', async (t) => {
  const Constraints = [{ LTarget: 'attr.cpu.arch', Operand: '=', RTarget: 'amd64' }];
  const Affinities = [{ LTarget: 'node.class', Operand: '=', RTarget: 'big', Weight: 50 }];
  const Spreads = [{ Attribute: 'meta.rack', Weight: 50, SpreadTarget: null }];
  const { errors, warnings } = findIssues(makeJob({ Constraints, Affinities, Spreads }));
  t.strictSame(errors, []);
  t.match(
    warnings.map(({ path, message }) => `${path}: ${message}`),
    [
      /^Constraints\[0\].LTarget: "attr.cpu.arch" is plain text.* did you mean "\$\{attr.cpu.arch\}"\?$/,
      /^Affinities\[0\].LTarget: "node.class"/,
      /^Spreads\[0\].Attribute: "meta.rack"/,
    ],
  );
  t.strictSame(findIssues(makeJob({ Constraints: [{ LTarget: 'a', Operand: '=', RTarget: 'a' }] })).warnings, []);
});

t.test('two groups of one name are refused', async (t) => {
  const one = { Name: 'g', Tasks: [{ Name: 't', Driver: 'docker' }] };
  t.match(validateJob(makeJob({ TaskGroups: [one, one] })).errors, ['Task groups 1 and 2 are both named "g"']);
});

t.test('the text of a feature that is not there yet tells the path', async (t) => {
  const { errors } = validateJob(makeJob({ Namespace: 'prod' }));
  t.strictSame(errors, ['`namespace = "prod"` is not supported yet (at Namespace)']);
});

t.test('a max_parallel above the count is worth a warning', async (t) => {
  const { errors, warnings } = validateJob(makeJob({ Update: { MaxParallel: 5 } }, { Count: 2 }));
  t.strictSame(errors, []);
  t.match(warnings, [/^Group "g": max_parallel \(5\) is greater/]);
});

t.test('launches in years that are past are worth a warning at that time', async (t) => {
  const Specs = ['@daily', '0 0 0 1 1 * 2020', '0 0 30 2 *'];
  const job = makeJob({ Type: 'batch', Periodic: { Enabled: true, Specs, SpecType: 'cron' } });
  t.same(pastLaunches(job, Date.parse('2019-06-01T00:00:00Z')), []);
  const found = pastLaunches(job, Date.parse('2021-06-01T00:00:00Z'));
  t.equal(found.length, 1);
  t.match(found[0], /"0 0 0 1 1 \* 2020" is never due again/);
});

t.test('a dns server that is no address is worth a warning', async (t) => {
  const network = { Mode: 'bridge', Device: '', CIDR: '', IP: '', Hostname: '', MBits: null, CNI: null };
  const Servers = ['9.9.9.9', 'fd00::1', '${attr.unique.network.ip-address}', 'dns.lan'];
  const DNS = { Servers, Searches: null, Options: null };
  const { errors, warnings } = findIssues(
    makeJob({}, { Networks: [{ ...network, DNS, ReservedPorts: null, DynamicPorts: null }] }),
  );
  t.strictSame(errors, []);
  t.match(warnings, [{ message: /dns server "dns\.lan" is no address/ }]);
  t.equal(warnings.length, 1);
});

t.test('a secret that no block of the task declares is worth a warning', async (t) => {
  const Secrets = [{ Name: 'db', Provider: 'nomad', Path: 'nomad/jobs/web' }];
  const given = { Config: { image: 'x', args: ['${secret.db.password}', '${ secret.bd.user }'] } };
  const { errors, warnings } = validateJob(
    makeJob({}, {}, { Secrets, ...given, Env: { A: '${secret.other.x} ${secret}' } }),
  );
  t.strictSame(errors, []);
  t.strictSame(warnings, [
    'Task "t" uses ${secret.bd.user}, and has no secret block "bd": the words stay as they are; did you mean "db"?',
    'Task "t" uses ${secret.other.x}, and has no secret block "other": the words stay as they are',
  ]);
});
