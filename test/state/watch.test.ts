import t from 'tap';
import { type WatchKey, watchKeys } from '../../lib/state/watch.js';
import { computedClass, isUniqueKey } from '../../lib/structs/node-class.js';
import { mockEval, mockJob, mockNode } from '../scheduler/mock.js';
import { NOW, placement, planResults, report, World } from './world.js';

t.test('a listener hears of what it waits for, once an apply, and of nothing else', async (t) => {
  const world = new World();
  const heard = new Map<string, number[]>();
  const listen = (name: string, ...keys: WatchKey[]) => {
    heard.set(name, []);
    return world.store.subscribe(keys, (index) => heard.get(name)?.push(index));
  };
  listen('job', watchKeys.job('default', 'web'));
  listen('other job', watchKeys.job('default', 'other'), watchKeys.job('other', 'web'));
  listen('jobs', watchKeys.jobs());
  listen('many', watchKeys.jobs(), watchKeys.evals(), watchKeys.job('default', 'web'));
  listen('node allocs', watchKeys.allocsByNode('node-00000'));
  listen('job allocs', watchKeys.allocsByJob('default', 'web'));
  listen('alloc', watchKeys.alloc('a1'));
  listen('summary', watchKeys.jobSummary('default', 'web'));
  listen('nodes', watchKeys.nodes(), watchKeys.node('node-00000'));
  listen('eval', watchKeys.eval('e1'), watchKeys.evalsByJob('default', 'web'));
  const job = world.register({}, mockEval(mockJob(), { ID: 'e1' }));
  world.apply(planResults(job, [placement(job, { ID: 'a1' }), placement(job, { ID: 'a2', NodeID: 'elsewhere' })]));
  world.apply({ type: 'allocs-client-update', allocs: [report({ ID: 'a2' })], evals: [], time: NOW });
  world.apply({ type: 'node-register', node: mockNode(0), event: null, evals: [] });
  world.apply({ type: 'noop' });
  t.same(Object.fromEntries(heard), {
    job: [1, 2],
    'other job': [],
    jobs: [1, 2],
    many: [1, 2],
    'node allocs': [2],
    'job allocs': [2, 3],
    alloc: [2],
    summary: [1, 2, 3],
    nodes: [4],
    eval: [1],
  });
});

t.test('who unsubscribes hears no more, not even of what is being told', async (t) => {
  const world = new World();
  const heard: string[] = [];
  const keys = [watchKeys.jobs()];
  const listener = (): void => void heard.push('twice');
  const first = world.store.subscribe(keys, () => {
    heard.push('first');
    first();
    second();
  });
  const second = world.store.subscribe(keys, () => heard.push('second'));
  const third = world.store.subscribe(keys, listener);
  world.store.subscribe(keys, listener);
  world.register();
  t.same(heard, ['first', 'twice', 'twice'], 'one function may listen twice');
  third();
  third();
  world.register({ Priority: 70 });
  t.same(heard.length, 4);
});

t.test('a restore wakes everybody', async (t) => {
  const world = new World();
  world.register();
  const heard: number[] = [];
  const other = new World();
  other.store.subscribe([watchKeys.alloc('x')], (index) => heard.push(index));
  await other.store.restore(world.now.stream(), 7);
  t.same(heard, [7]);
});

t.test('listeners of commits are told every row with what it was before', async (t) => {
  const world = new World();
  const told: string[] = [];
  const off = world.store.onCommit(({ index, changes }) => {
    for (const { table, before, after } of changes)
      told.push(`${index} ${table} ${Number(!!before)}${Number(!!after)}`);
  });
  world.register({}, mockEval(mockJob(), { ID: 'e1' }));
  world.apply({ type: 'noop' });
  world.apply({ type: 'job-deregister', namespace: 'default', id: 'web', purge: true, eval: null, time: NOW });
  t.same(told, ['1 evals 01', '1 jobs 01', '3 jobs 10']);
  off();
  world.register();
  t.equal(told.length, 3);
});

t.test('a table tells the index of its last change, and 1 while there was none', async (t) => {
  const world = new World();
  world.apply({ type: 'noop' });
  t.equal(world.now.tableIndex('jobs', 'allocs'), 1);
  world.register();
  world.apply({ type: 'node-register', node: mockNode(1), event: null, evals: [] });
  t.same(
    [world.now.tableIndex('jobs'), world.now.tableIndex('nodes'), world.now.tableIndex('jobs', 'nodes', 'evals')],
    [2, 3, 3],
  );
});

t.test('lists narrow by namespace and prefix, in order', async (t) => {
  const world = new World();
  for (const ID of ['b', 'ab', 'a', 'aa']) world.register({ ID });
  world.register({ ID: 'ac', Namespace: 'other' });
  const ids = (options: object) => [...world.now.jobs(options)].map(({ ID }) => ID);
  t.same(ids({}), ['a', 'aa', 'ab', 'b', 'ac']);
  t.same(ids({ prefix: 'a' }), ['a', 'aa', 'ab', 'ac']);
  t.same(ids({ namespace: '*', prefix: 'a' }), ['a', 'aa', 'ab', 'ac']);
  t.same(ids({ namespace: 'default', prefix: 'a' }), ['a', 'aa', 'ab']);
  t.same(ids({ namespace: 'other' }), ['ac']);
  t.same(ids({ namespace: 'oth' }), []);
});

t.test('nodes are of one class when all but their unique keys is equal', async (t) => {
  const base = mockNode(1, { Meta: { rack: 'r1' }, NodeClass: 'small' });
  const same = [
    mockNode(2, { Meta: { rack: 'r1', 'unique.id': 'x' }, NodeClass: 'small' }),
    { ...base, Attributes: { ...base.Attributes, 'unique.hostname': 'h', 'os.unique.serial': '9' } },
    { ...base, Attributes: Object.fromEntries(Object.entries(base.Attributes).reverse()), Status: 'down' as const },
  ];
  for (const node of same) t.equal(computedClass(node), computedClass(base));
  const devices = [{ Vendor: 'nvidia', Type: 'gpu', Name: 'A', Instances: [], Attributes: null }];
  const different = [
    { ...base, Datacenter: 'dc2' },
    { ...base, NodePool: 'gpu' },
    { ...base, NodeClass: 'big' },
    { ...base, Meta: { rack: 'r2' } },
    { ...base, Attributes: { ...base.Attributes, arch: 'arm64' } },
    { ...base, NodeResources: { ...base.NodeResources, Devices: devices } },
  ];
  const classes = new Set([base, ...different].map(computedClass));
  t.equal(classes.size, different.length + 1);
  t.ok(isUniqueKey('unique.a') && isUniqueKey('a.unique.b') && !isUniqueKey('uniqueness'));
});
