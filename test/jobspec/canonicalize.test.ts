import t from 'tap';
import { canonicalizeJob } from '../../lib/jobspec/canonicalize.js';
import { readJobJson } from '../../lib/jobspec/read-json.js';
import type { Job, Task, TaskGroup } from '../../lib/structs/job.js';
import { seededRandom } from '../../lib/util/random.js';

const SECOND = 1e9;

function canonical(value: unknown): Job {
  const read = readJobJson(value);
  if (!read.ok) throw new Error(read.error.join('; '));
  return canonicalizeJob(read.value);
}

function job(type: string | null, group: object = {}, more: object = {}): { job: Job; group: TaskGroup; task: Task } {
  const made = canonical({
    ID: 'web',
    Type: type,
    TaskGroups: [{ Name: 'g', Tasks: [{ Name: 't' }], ...group }],
    ...more,
  });
  const first = made.TaskGroups[0] as TaskGroup;
  return { job: made, group: first, task: first.Tasks[0] as Task };
}

t.test('an empty object becomes a job of type service with the documented defaults', async (t) => {
  const made = canonicalizeJob({});
  t.match(made, {
    ID: '',
    Type: 'service',
    Namespace: 'default',
    Region: 'global',
    Priority: 50,
    Datacenters: ['*'],
    NodePool: 'default',
    TaskGroups: [],
  });
});

t.test(
  'a service gets update, migrate and reschedule, a batch job only reschedule, a system job only update',
  async (t) => {
    const service = job('service').group;
    t.match(service.Update, { MaxParallel: 1, HealthCheck: 'checks', MinHealthyTime: 10 * SECOND, Canary: 0 });
    t.match(service.Migrate, { MaxParallel: 1, HealthyDeadline: 300 * SECOND });
    t.match(service.ReschedulePolicy, { Unlimited: true, Delay: 30 * SECOND, DelayFunction: 'exponential' });
    const batch = job('batch').group;
    t.equal(batch.Update, null);
    t.equal(batch.Migrate, null);
    t.match(batch.ReschedulePolicy, { Attempts: 1, Interval: 86_400 * SECOND, DelayFunction: 'constant' });
    const system = job('system').group;
    t.equal(system.ReschedulePolicy, null);
    t.equal(system.Migrate, null);
    t.ok(system.Update);
  },
);

t.test('restart defaults depend on the type, and a task merges those of its group', async (t) => {
  t.match(job('service').group.RestartPolicy, {
    Attempts: 2,
    Interval: 1800 * SECOND,
    Delay: 15 * SECOND,
    Mode: 'fail',
  });
  t.match(job('batch').group.RestartPolicy, { Attempts: 3, Interval: 86_400 * SECOND });
  const merged = job('service', {
    RestartPolicy: { Attempts: 5, Mode: 'delay' },
    Tasks: [{ Name: 't', RestartPolicy: { Delay: '1s' } }],
  });
  t.match(merged.task.RestartPolicy, { Attempts: 5, Mode: 'delay', Delay: SECOND, Interval: 1800 * SECOND });
});

t.test('a group inherits the update of its job and overrides single keys', async (t) => {
  const { group } = job('service', { Update: { Canary: 1 } }, { Update: { MaxParallel: 3 } });
  t.match(group.Update, { MaxParallel: 3, Canary: 1, HealthyDeadline: 300 * SECOND });
  t.equal(job('service', {}, { Update: { MaxParallel: 0 } }).group.Update?.MaxParallel, 0);
});

t.test('tasks get 100 MHz, 300 MB, 5 s to die and 10 log files of 10 MB', async (t) => {
  const { task } = job(null);
  t.match(task.Resources, { CPU: 100, Cores: 0, MemoryMB: 300 });
  t.equal(task.KillTimeout, 5 * SECOND);
  t.match(task.LogConfig, { MaxFiles: 10, MaxFileSizeMB: 10 });
  t.match(job(null, { Tasks: [{ Name: 't', Resources: { Cores: 2 } }] }).task.Resources, { CPU: 0, Cores: 2 });
});

t.test('service names are interpolated', async (t) => {
  const { group, task } = job(null, {
    Services: [{}, { Name: '${BASE}' }],
    Tasks: [{ Name: 't', Services: [{}, { Name: '${JOB}-${TASKGROUP}-${TASK}-${NOMAD_DC}' }] }],
  });
  t.strictSame(
    group.Services?.map((s) => s.Name),
    ['web-g', 'web-g-group'],
  );
  t.strictSame(
    task.Services?.map((s) => s.Name),
    ['web-g-t', 'web-g-t-${NOMAD_DC}'],
  );
});

t.test('what is canonical stays as it is', async (t) => {
  const full = job('service', {
    Networks: [{ DynamicPorts: [{ Label: 'http', To: 80 }] }],
    Volumes: { data: { Type: 'host', Source: 'd' } },
    Constraints: [{ LTarget: 'a', Operand: 'is_set' }],
    Spreads: [{ Attribute: '${node.datacenter}', SpreadTarget: [{ Value: 'a', Percent: 50 }] }],
    Scaling: { Min: 2, Max: 4 },
    Services: [{ PortLabel: 'http', Checks: [{ Type: 'tcp', CheckRestart: { Limit: 3 } }] }],
    Tasks: [
      { Name: 't', Templates: [{ ChangeMode: 'signal' }], Artifacts: [{ GetterSource: 'http://x/y' }], Vault: {} },
    ],
  }).job;
  t.strictSame(canonical(JSON.parse(JSON.stringify(full))), full);
  t.strictSame(canonicalizeJob(full), full);
});

t.test('wrong JSON types are named by their path', async (t) => {
  const cases: [unknown, string][] = [
    [null, 'job: must be an object (job), not null'],
    [[], 'job: must be an object (job), not a list'],
    [{ Priority: '50' }, 'Priority: must be a whole number, not "50"'],
    [{ TaskGroups: {} }, 'TaskGroups: must be a list, not an object'],
    [
      { TaskGroups: [{ Tasks: [{ KillTimeout: '5 parsecs' }] }] },
      'TaskGroups[0].Tasks[0].KillTimeout: invalid duration',
    ],
    [{ TaskGroups: [{ Tasks: [{ Env: { A: 1 } }] }] }, 'TaskGroups[0].Tasks[0].Env.A: must be a string, not 1'],
    [{ Meta: { a: { b: 1 } } }, 'Meta.a: must be a string, not an object'],
    [{ Datacenters: ['a', 3] }, 'Datacenters[1]: must be a string, not 3'],
  ];
  for (const [value, wanted] of cases) {
    const read = readJobJson(value);
    t.equal(read.ok, false);
    if (!read.ok) t.ok(read.error[0]?.startsWith(wanted), `${read.error[0]} begins with ${wanted}`);
  }
});

t.test('durations are read as nanoseconds and as text, and keys in any case', async (t) => {
  const made = canonical({ id: 'x', taskGroups: [{ name: 'g', tasks: [{ name: 't', killTimeout: '7s' }] }] });
  t.equal(made.TaskGroups[0]?.Tasks[0]?.KillTimeout, 7 * SECOND);
  t.equal(canonical({ TaskGroups: [{ ShutdownDelay: 3 }] }).TaskGroups[0]?.ShutdownDelay, 3);
});

t.test('keys of maps cannot reach a prototype, and a driver configuration cannot be nested without end', async (t) => {
  const made = canonical(JSON.parse('{"Meta": {"__proto__": "x"}}'));
  t.equal(Object.getPrototypeOf(made.Meta), Object.prototype);
  t.ok(Object.hasOwn(made.Meta ?? {}, '__proto__'));
  const deep = JSON.parse(`{"TaskGroups":[{"Tasks":[{"Config":{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}}]}]}`);
  const read = readJobJson(deep);
  t.match(read, { ok: false, error: [/nested deeper/] });
});

t.test('any JSON at all is either refused or becomes a job', async (t) => {
  const random = seededRandom(4);
  const int = (below: number): number => Math.floor(random.next() * below);
  const keys = [
    'TaskGroups',
    'Tasks',
    'Env',
    'Resources',
    'Networks',
    'DynamicPorts',
    'Count',
    'Name',
    'Update',
    'Config',
  ];
  const make = (depth: number): unknown => {
    const roll = int(depth > 6 ? 5 : 8);
    if (roll < 5) return [null, 1, 'x', true, ''][roll];
    if (roll === 5) return Array.from({ length: int(3) }, () => make(depth + 1));
    return Object.fromEntries(Array.from({ length: int(4) }, () => [keys[int(keys.length)], make(depth + 1)]));
  };
  let jobs = 0;
  for (let i = 0; i < 3000; i++) {
    const read = readJobJson(make(0));
    if (!read.ok) continue;
    const made = canonicalizeJob(read.value);
    t.strictSame(canonicalizeJob(made), made);
    jobs++;
  }
  t.ok(jobs > 100, `${jobs} were jobs`);
});
