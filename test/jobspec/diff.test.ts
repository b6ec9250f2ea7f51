import t from 'tap';
import { canonicalizeJob } from '../../lib/jobspec/canonicalize.js';
import { diffJobs, emptyDiff } from '../../lib/jobspec/diff.js';
import { annotateDiff } from '../../lib/jobspec/diff-annotate.js';
import { readJobJson } from '../../lib/jobspec/read-json.js';
import type { DesiredUpdates } from '../../lib/structs/evaluation.js';
import type { Job } from '../../lib/structs/job.js';
import type { FieldDiff, JobDiff, ObjectDiff } from '../../lib/structs/job-diff.js';
import { type Random, seededRandom } from '../../lib/util/random.js';

type Part = Record<string, unknown>;

function makeJob(job: Part = {}, group: Part = {}, task: Part = {}): Job {
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

const brief = { contextual: false };
const field = (Type: string, Name: string, Old: string, New: string) => ({ Type, Name, Old, New, Annotations: null });
const firstGroup = (diff: JobDiff) => diff.TaskGroups?.[0];
const firstTask = (diff: JobDiff) => firstGroup(diff)?.Tasks?.[0];

t.test('a job and itself do not differ, whatever the server wrote into it', async (t) => {
  const job = makeJob({ Meta: { a: 'b' } }, { Networks: [{ DynamicPorts: [{ Label: 'http' }] }] });
  const stored = { ...job, Status: 'running' as const, Version: 4, SubmitTime: 7, JobModifyIndex: 9, Stable: true };
  for (const contextual of [false, true]) {
    t.match(diffJobs(job, stored, { contextual }), { Type: 'None', ID: 'web', Fields: null, Objects: null });
  }
  t.match(firstGroup(diffJobs(job, stored, brief)), { Type: 'None', Name: 'g', Fields: null, Objects: null });
});

t.test('a constraint said twice is one', async (t) => {
  const constraint = { LTarget: 'a', RTarget: '1', Operand: '=' };
  const [once, twice] = [makeJob({ Constraints: [constraint] }), makeJob({ Constraints: [constraint, constraint] })];
  t.equal(diffJobs(once, twice, brief).Type, 'None');
  t.equal(diffJobs(twice, makeJob(), brief).Objects?.length, 1);
});

t.test('a new job is Added with all its groups and tasks, one that is gone Deleted', async (t) => {
  const job = makeJob();
  const added = diffJobs(null, job, brief);
  t.match(added, { Type: 'Added', ID: 'web', TaskGroups: [{ Type: 'Added', Name: 'g', Tasks: [{ Type: 'Added' }] }] });
  t.strictSame(
    firstGroup(added)?.Fields?.find(({ Name }) => Name === 'Count'),
    field('Added', 'Count', '', '1'),
  );
  t.match(diffJobs(job, null, brief), { Type: 'Deleted', ID: 'web', TaskGroups: [{ Type: 'Deleted', Name: 'g' }] });
  t.strictSame(emptyDiff('x', 'Added'), { Type: 'Added', ID: 'x', Fields: null, Objects: null, TaskGroups: null });
});

t.test('plain values and maps are fields', async (t) => {
  const diff = diffJobs(
    makeJob({ Priority: 50, Meta: { a: '1', b: '2' } }, { Count: 1 }, { Env: { A: 'x' }, User: 'root' }),
    makeJob({ Priority: 60, Meta: { a: '1', c: '3' } }, { Count: 3 }, { Env: { A: 'y' } }),
    brief,
  );
  t.equal(diff.Type, 'Edited');
  t.strictSame(diff.Fields, [
    field('Deleted', 'Meta[b]', '2', ''),
    field('Added', 'Meta[c]', '', '3'),
    field('Edited', 'Priority', '50', '60'),
  ]);
  t.strictSame(firstGroup(diff)?.Fields, [field('Edited', 'Count', '1', '3')]);
  t.strictSame(firstTask(diff)?.Fields, [field('Edited', 'Env[A]', 'x', 'y'), field('Deleted', 'User', 'root', '')]);
});

/** What one change in a job, a group or a task gives: the objects told at its level. */
const OBJECTS: [what: string, before: [Part, Part, Part], after: [Part, Part, Part], objects: unknown[]][] = [
  [
    'datacenters',
    [{ Datacenters: ['a', 'b'] }, {}, {}],
    [{ Datacenters: ['c', 'b'] }, {}, {}],
    [
      {
        Type: 'Edited',
        Name: 'Datacenters',
        Fields: [field('Added', 'Datacenters', '', 'c'), field('Deleted', 'Datacenters', 'a', '')],
        Objects: null,
      },
    ],
  ],
  [
    'a changed constraint is one gone and one new',
    [{ Constraints: [{ LTarget: 'a', RTarget: '1', Operand: '=' }] }, {}, {}],
    [{ Constraints: [{ LTarget: 'a', RTarget: '2', Operand: '=' }] }, {}, {}],
    [
      {
        Type: 'Added',
        Name: 'Constraint',
        Fields: [
          field('Added', 'LTarget', '', 'a'),
          field('Added', 'Operand', '', '='),
          field('Added', 'RTarget', '', '2'),
        ],
        Objects: null,
      },
      {
        Type: 'Deleted',
        Name: 'Constraint',
        Fields: [
          field('Deleted', 'LTarget', 'a', ''),
          field('Deleted', 'Operand', '=', ''),
          field('Deleted', 'RTarget', '1', ''),
        ],
        Objects: null,
      },
    ],
  ],
  [
    'periodic',
    [{ Type: 'batch' }, {}, {}],
    [{ Type: 'batch', Periodic: { Specs: ['* * * * *'], SpecType: 'cron' } }, {}, {}],
    [
      {
        Type: 'Added',
        Name: 'Periodic',
        Fields: [
          field('Added', 'Enabled', '', 'true'),
          field('Added', 'ProhibitOverlap', '', 'false'),
          field('Added', 'SpecType', '', 'cron'),
          field('Added', 'TimeZone', '', 'UTC'),
        ],
        Objects: [{ Type: 'Added', Name: 'Specs', Fields: [field('Added', 'Specs', '', '* * * * *')], Objects: null }],
      },
    ],
  ],
  [
    'restart is named RestartPolicy',
    [{}, {}, {}],
    [{}, { RestartPolicy: { Attempts: 5 } }, {}],
    [{ Type: 'Edited', Name: 'RestartPolicy', Fields: [field('Edited', 'Attempts', '2', '5')], Objects: null }],
  ],
  [
    'update does not tell stagger',
    [{}, {}, {}],
    [{}, { Update: { Stagger: '1h', Canary: 1 } }, {}],
    [{ Type: 'Edited', Name: 'Update', Fields: [field('Edited', 'Canary', '0', '1')], Objects: null }],
  ],
  [
    'a volume',
    [{}, {}, {}],
    [{}, { Volumes: { v: { Type: 'host', Source: 's' } } }, {}],
    [
      {
        Type: 'Added',
        Name: 'Volume',
        Fields: [
          field('Added', 'Name', '', 'v'),
          field('Added', 'PerAlloc', '', 'false'),
          field('Added', 'ReadOnly', '', 'false'),
          field('Added', 'Source', '', 's'),
          field('Added', 'Sticky', '', 'false'),
          field('Added', 'Type', '', 'host'),
        ],
        Objects: null,
      },
    ],
  ],
  [
    'a driver configuration by its leaves',
    [{}, {}, { Config: { image: 'a:1', ports: ['x'], mount: [{ source: 's' }] } }],
    [{}, {}, { Config: { image: 'a:2', ports: ['x', 'y'], mount: [{ source: 't' }] } }],
    [
      {
        Type: 'Edited',
        Name: 'Config',
        Fields: [
          field('Edited', 'image', 'a:1', 'a:2'),
          field('Edited', 'mount[0][source]', 's', 't'),
          field('Added', 'ports[1]', '', 'y'),
        ],
        Objects: null,
      },
    ],
  ],
  [
    'resources and a device in them',
    [{}, {}, {}],
    [{}, {}, { Resources: { CPU: 500, Devices: [{ Name: 'gpu', Count: 2 }] } }],
    [
      {
        Type: 'Edited',
        Name: 'Resources',
        Fields: [field('Edited', 'CPU', '100', '500')],
        Objects: [
          {
            Type: 'Added',
            Name: 'Device',
            Fields: [field('Added', 'Count', '', '2'), field('Added', 'Name', '', 'gpu')],
            Objects: null,
          },
        ],
      },
    ],
  ],
  [
    'a template is known by its destination',
    [{}, {}, { Templates: [{ DestPath: 'a', EmbeddedTmpl: '1' }, { DestPath: 'b' }] }],
    [{}, {}, { Templates: [{ DestPath: 'b' }, { DestPath: 'a', EmbeddedTmpl: '2' }] }],
    [{ Type: 'Edited', Name: 'Template', Fields: [field('Edited', 'EmbeddedTmpl', '1', '2')], Objects: null }],
  ],
];

for (const [what, before, after, objects] of OBJECTS) {
  t.test(`objects: ${what}`, async (t) => {
    const diff = diffJobs(makeJob(...before), makeJob(...after), brief);
    const all = [...(diff.Objects ?? []), ...(firstGroup(diff)?.Objects ?? []), ...(firstTask(diff)?.Objects ?? [])];
    t.strictSame(all, objects);
    t.equal(diff.Type, 'Edited');
  });
}

t.test('a service stays itself under another name or port, but not under both', async (t) => {
  const services = (...list: Part[]) => makeJob({}, { Services: list });
  const named = (diff: JobDiff) => firstGroup(diff)?.Objects?.map(({ Type, Name }) => `${Name} ${Type}`);
  const [a, b, c] = [
    { Name: 'a', PortLabel: 'x' },
    { Name: 'b', PortLabel: 'y' },
    { Name: 'c', PortLabel: 'z' },
  ];
  t.strictSame(named(diffJobs(services(a, b), services(b, a), brief)), undefined, 'moved');
  t.strictSame(named(diffJobs(services(a, b), services(a, { ...b, Name: 'q' }), brief)), ['Service Edited']);
  t.strictSame(named(diffJobs(services(a, b), services(a, c), brief)), ['Service Added', 'Service Deleted']);
  t.strictSame(named(diffJobs(services(a), services(c), brief)), ['Service Edited'], 'the only one');
});

t.test('contextual: changed blocks tell their unchanged fields, unchanged blocks nothing', async (t) => {
  const diff = diffJobs(makeJob(), makeJob({}, {}, { LogConfig: { MaxFiles: 3 } }), { contextual: true });
  const objects = firstTask(diff)?.Objects;
  t.strictSame(
    objects?.map(({ Name }) => Name),
    ['LogConfig'],
  );
  t.strictSame(objects?.[0]?.Fields, [
    field('None', 'Disabled', 'false', 'false'),
    field('None', 'MaxFileSizeMB', '10', '10'),
    field('Edited', 'MaxFiles', '10', '3'),
  ]);
});

const desired = (updates: Partial<DesiredUpdates>): DesiredUpdates => ({
  Ignore: 0,
  Place: 0,
  Migrate: 0,
  Stop: 0,
  InPlaceUpdate: 0,
  DestructiveUpdate: 0,
  Canary: 0,
  Preemptions: 0,
  Disconnect: 0,
  Reconnect: 0,
  RescheduleNow: 0,
  RescheduleLater: 0,
  ...updates,
});

t.test('annotations: what a change forces', async (t) => {
  const cases: [what: string, before: Job | null, after: Job, annotation: string | null][] = [
    ['a new job', null, makeJob(), 'forces create'],
    ['another image', makeJob(), makeJob({}, {}, { Config: { image: 'x' } }), 'forces create/destroy update'],
    ['another kill_timeout', makeJob(), makeJob({}, {}, { KillTimeout: '9s' }), 'forces in-place update'],
    ['more log files', makeJob(), makeJob({}, {}, { LogConfig: { MaxFiles: 3 } }), 'forces in-place update'],
    ['no logs', makeJob(), makeJob({}, {}, { LogConfig: { Disabled: true } }), 'forces create/destroy update'],
    ['nothing in the task', makeJob(), makeJob({}, { Count: 2 }), null],
  ];
  for (const [what, before, after, annotation] of cases) {
    const diff = annotateDiff(diffJobs(before, after, { contextual: true }), {});
    t.strictSame(firstTask(diff)?.Annotations, annotation && [annotation], what);
  }
  const scaled = annotateDiff(diffJobs(makeJob(), makeJob({}, { Count: 2 }), brief), {
    g: desired({ Place: 1, Ignore: 1 }),
  });
  t.strictSame(firstGroup(scaled)?.Fields?.[0]?.Annotations, ['forces create']);
  t.strictSame(firstGroup(scaled)?.Updates, { ignore: 1, create: 1 });
  const fewer = annotateDiff(diffJobs(makeJob({}, { Count: 2 }), makeJob(), brief), {});
  t.strictSame(firstGroup(fewer)?.Fields?.[0]?.Annotations, ['forces destroy']);
  t.equal(firstGroup(fewer)?.Updates, null);
});

const pick = <T>(random: Random, items: readonly T[]): T => items[Math.floor(random.next() * items.length)] as T;

/** A job of a small world, so that two of them have much in common. */
function randomJob(random: Random): Job {
  const maybe = <T>(value: T): T | null => (random.next() < 0.5 ? value : null);
  const some = <T>(items: readonly T[]): T[] => items.filter(() => random.next() < 0.5);
  const task = (Name: string): Part => ({
    Name,
    Driver: pick(random, ['docker', 'raw_exec']),
    Config: maybe({ image: pick(random, ['a', 'b']), args: some(['x', 'y']) }),
    Env: maybe({ A: pick(random, ['1', '2']), B: '' }),
    Resources: maybe({ CPU: pick(random, [100, 200]), Devices: maybe(some([{ Name: 'gpu' }, { Name: 'tpu' }])) }),
    Templates: maybe(some([{ DestPath: 'a' }, { DestPath: 'b', Uid: 5 }, { DestPath: 'b', Once: true }])),
    Artifacts: maybe(some([{ GetterSource: 'u' }, { GetterSource: 'v', RelativeDest: 'd' }])),
    Identities: maybe(some([{ Name: 'x', Audience: some(['p', 'q']) }])),
    Vault: maybe({ Policies: some(['p', 'q']) }),
    Lifecycle: maybe({ Hook: 'prestart', Sidecar: random.next() < 0.5 }),
    VolumeMounts: maybe(some([{ Volume: 'v' }, { Volume: 'w' }])),
  });
  const services = [
    { Name: 'a', PortLabel: 'x', Tags: some(['p', 'q']) },
    {
      Name: 'b',
      PortLabel: 'x',
      Checks: some([
        { Name: 'c', Type: 'tcp' },
        { Name: 'd', Header: { H: ['1'] } },
      ]),
    },
    { Name: 'a', PortLabel: 'y', Weights: maybe({ Passing: 2 }), Connect: maybe({ Native: true }) },
  ];
  const group = (Name: string): Part => ({
    Name,
    Count: pick(random, [0, 1, 2]),
    Networks: maybe(some([{ Mode: 'bridge', DynamicPorts: [{ Label: 'x', To: pick(random, [1, 2]) }] }, {}])),
    Services: some(services),
    Volumes: maybe({ [pick(random, ['v', 'w'])]: { Type: 'host', MountOptions: maybe({ MountFlags: some(['r']) }) } }),
    Spreads: maybe([{ Attribute: 'a', SpreadTarget: some([{ Value: 'x', Percent: 50 }]) }]),
    Scaling: maybe({ Max: pick(random, [3, 4]), Policy: maybe({ k: [1, { m: null }] }) }),
    Disconnect: maybe({ LostAfter: maybe('1h'), Replace: maybe(false) }),
    Tasks: some(['t', 'u', 'v']).map(task),
  });
  return makeJob({
    Priority: pick(random, [40, 50]),
    Datacenters: some(['a', 'b', 'c']),
    Constraints: some([{ LTarget: 'a', Operand: 'is_set' }, { Operand: 'distinct_hosts' }]),
    UI: maybe({ Description: 'd', Links: some([{ Label: 'l', Url: 'u' }, { Label: 'm' }]) }),
    Multiregion: maybe({ Strategy: maybe({ MaxParallel: 1 }), Regions: some([{ Name: 'r', Count: 2 }]) }),
    TaskGroups: some(['g', 'h']).map(group),
  });
}

const SWAPPED: Record<string, string> = { Added: 'Deleted', Deleted: 'Added', Edited: 'Edited', None: 'None' };

/** The diff read backwards, and put into an order of its own, for the order tells Added before Deleted. */
function normal(value: unknown, swap: boolean): unknown {
  if (Array.isArray(value)) {
    return value.map((item) => normal(item, swap)).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }
  if (typeof value !== 'object' || value === null) return value;
  const { Type, Old, New, ...rest } = value as Part;
  const inner = Object.entries(rest).map(([key, item]): [string, unknown] => [key, normal(item, swap)]);
  return Object.fromEntries([
    ...inner,
    ['Type', swap ? SWAPPED[String(Type)] : Type],
    ['Old', swap ? New : Old],
    ['New', swap ? Old : New],
  ]);
}

function changesOf(objects: readonly ObjectDiff[] | null): FieldDiff[] {
  return (objects ?? [])
    .flatMap((o) => [...(o.Fields ?? []), ...changesOf(o.Objects)])
    .filter((f) => f.Type !== 'None');
}

const text = (value: unknown): string => JSON.stringify(value);

t.test('read from the other side, a diff says the opposite; unchanged fields never hide a change', async (t) => {
  const random = seededRandom(11);
  let edited = 0;
  for (let i = 0; i < 400; i++) {
    const [a, b] = [randomJob(random), randomJob(random)];
    const contextual = i % 2 === 0;
    const there = diffJobs(a, b, { contextual });
    if (there.Type === 'Edited') edited++;
    if (text(normal(diffJobs(b, a, { contextual }), true)) !== text(normal(there, false))) t.fail(`pair ${i}`);
    if (diffJobs(a, structuredClone(a), { contextual }).Type !== 'None') t.fail(`job ${i} differs from itself`);
    const full = diffJobs(a, b, { contextual: true });
    const [told, changed] = [full, diffJobs(a, b, brief)].map(({ Objects }) => text(normal(changesOf(Objects), false)));
    if (told !== changed) t.fail(`pair ${i}: ${told} is not ${changed}`);
  }
  t.ok(edited > 300, `${edited} pairs differ`);
});
