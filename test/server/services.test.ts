import t from 'tap';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Job } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import type { ClientAllocUpdate } from '../../lib/structs/rpc.js';
import type { Service, ServiceReport } from '../../lib/structs/service.js';
import { createTestWorld, type TestWorld, webJob } from './world.js';

const reportOf = (allocId: string, fields: Partial<ServiceReport> = {}): ServiceReport => ({
  ID: `_nomad-task-${allocId}-group-web-web-http`,
  ServiceName: 'web',
  Tags: ['a'],
  Address: '10.0.0.1',
  Port: 20_000,
  Health: 'passing',
  ...fields,
});

function withServices(job: Partial<Job>, names: readonly string[]): Partial<Job> {
  const Services = names.map((Name) => ({ Name, Provider: 'nomad' }) as Service);
  return { ...job, TaskGroups: (job.TaskGroups ?? []).map((group) => ({ ...group, Services })) };
}

/** A job whose clients say that it is up, each instance as `fields` says. */
async function serving(world: TestWorld, count: number, fields: (n: number) => Partial<ServiceReport> = () => ({})) {
  const nodes = [await world.addNode(1), await world.addNode(2)];
  await world.call('Job.Register', { Job: withServices(webJob({ count }), ['web', 'it-${attr.kernel.name}-s']) });
  await world.time.advance(20);
  let n = 0;
  for (const node of nodes) {
    await world.obey(node, (alloc) => ({ ClientStatus: 'running', Services: [reportOf(alloc.ID, fields(n++))] }));
  }
  return nodes;
}

/** The client of an allocation says something new of it. */
async function say(world: TestWorld, nodes: Node[], alloc: Allocation | undefined, fields: Partial<ClientAllocUpdate>) {
  const node = nodes.find(({ ID }) => ID === alloc?.NodeID);
  if (!alloc || !node) throw new Error('no such allocation');
  const { ID, ClientStatus, ClientDescription, TaskStates, AllocStates, NetworkStatus, DeploymentStatus } = alloc;
  const known = { ID, ClientStatus, ClientDescription, TaskStates, AllocStates, NetworkStatus, DeploymentStatus };
  await world.call('Node.UpdateAlloc', { NodeID: node.ID, SecretID: node.SecretID, Alloc: [{ ...known, ...fields }] });
}

const names = async (world: TestWorld, args: { All?: boolean; Filter?: string } = {}) =>
  (await world.call('ServiceRegistration.List', args)).Services;
const instances = async (world: TestWorld, args: { Choose?: string; All?: boolean; Filter?: string } = {}) =>
  (await world.call('ServiceRegistration.GetService', { ServiceName: 'web', ...args })).Services;

t.test('what clients say is up is listed, with the tags of all instances', async (t) => {
  const world = createTestWorld();
  await serving(world, 3, (n) => ({ Tags: [`n${n}`, 'all'] }));
  t.same(await names(world), [
    { Namespace: 'default', Services: [{ ServiceName: 'web', Tags: ['all', 'n0', 'n1', 'n2'] }] },
  ]);
  const found = await instances(world);
  t.equal(found.length, 3);
  const seen: string[] = [];
  for (let NextToken = '', pages = 0; pages < 2; pages++) {
    const reply = await world.call('ServiceRegistration.GetService', { ServiceName: 'web', PerPage: 2, NextToken });
    seen.push(...reply.Services.map(({ ID }) => ID));
    NextToken = reply.NextToken ?? '';
    t.equal(NextToken === '', pages === 1, 'the second page is the last');
  }
  t.strictSame(seen, found.map(({ ID }) => ID).sort(), 'pages hold each once, in the order of their ids');
  const [first] = found;
  const alloc = world.allocs().find(({ ID }) => ID === first?.AllocID);
  t.match(first, { Namespace: 'default', JobID: 'web', NodeID: alloc?.NodeID, Datacenter: 'dc1', Port: 20_000 });
  t.equal((await instances(world, { Filter: 'Tags contains "n1"' })).length, 1);
  t.same(await names(world, { Filter: 'ServiceName == "other"' }), []);
});

t.test('what fails its checks or is out of reach is left out, unless all is asked for', async (t) => {
  const world = createTestWorld();
  const [one] = await serving(world, 4, (n) => ({ Health: n === 0 ? 'failing' : 'passing' }));
  t.equal((await instances(world)).length, 3);
  t.equal((await instances(world, { All: true })).length, 4);
  await world.call('Node.UpdateStatus', {
    NodeID: one?.ID ?? '',
    SecretID: one?.SecretID ?? '',
    Status: 'disconnected',
  });
  const left = await instances(world);
  t.ok(left.length > 0 && left.every(({ NodeID }) => NodeID !== one?.ID));
});

t.test('an allocation that is over takes its services with it; another one cannot take over its row', async (t) => {
  const world = createTestWorld();
  const nodes = await serving(world, 2);
  const [victim, other] = world.allocs();
  await say(world, nodes, other, { Services: [reportOf(victim?.ID ?? '', { Address: '6.6.6.6' })] });
  t.notOk((await instances(world)).some(({ Address }) => Address === '6.6.6.6'));
  await say(world, nodes, victim, { ClientStatus: 'failed' });
  t.notOk((await instances(world, { All: true })).some(({ AllocID }) => AllocID === victim?.ID));
});

t.test('a caller is sent to the same instances as long as they are there', async (t) => {
  const world = createTestWorld();
  await serving(world, 4);
  const chosen = await instances(world, { Choose: '2|me' });
  t.equal(chosen.length, 2);
  t.same(await instances(world, { Choose: '2|me' }), chosen);
  const gone = (await instances(world)).find(({ ID }) => !chosen.some((row) => row.ID === ID));
  await world.call('ServiceRegistration.DeleteByID', { ServiceName: 'web', ID: gone?.ID ?? '' });
  t.same(await instances(world, { Choose: '2|me' }), chosen, 'another one that goes changes nothing for it');
  for (const bad of ['2', '0|x', 'x|y', '1|', '1|a|b']) {
    await t.rejects(instances(world, { Choose: bad }), { code: 'E_BAD_REQUEST', message: /NUMBER\|KEY/ });
  }
  await t.rejects(world.call('ServiceRegistration.DeleteByID', { ServiceName: 'web', ID: 'none' }), {
    code: 'E_NOT_FOUND',
  });
});

t.test('whoever waits for a service hears of its change, and the catalogue survives a snapshot', async (t) => {
  const world = createTestWorld();
  const nodes = await serving(world, 1);
  const { Index } = await world.call('ServiceRegistration.GetService', { ServiceName: 'web' });
  const waiting = world.call('ServiceRegistration.GetService', { ServiceName: 'web', All: true, MinQueryIndex: Index });
  const [alloc] = world.allocs();
  await say(world, nodes, alloc, { Services: [reportOf(alloc?.ID ?? '', { Health: 'failing' })] });
  t.match((await waiting).Services, [{ Health: 'failing' }]);
  const before = world.store.snapshot();
  const rows = [...before.services()];
  await world.store.restore(before.stream(), before.index);
  t.same([...world.store.snapshot().services()], rows);
  t.equal(world.store.snapshot().servicesByAlloc(rows[0]?.AllocID ?? '').length, 1);
});

t.test('a report that cannot be read is refused, and nothing of it is stored', async (t) => {
  const world = createTestWorld();
  const nodes = await serving(world, 1);
  const [alloc] = world.allocs();
  const id = alloc?.ID ?? '';
  const service = reportOf(id);
  const wrong: Record<string, unknown>[] = [
    { ClientStatus: 'splendid' },
    { ClientStatus: 'toString' },
    { ClientDescription: 5 },
    { ClientDescription: 'x'.repeat(2 ** 20) },
    { TaskStates: { web: null } },
    { TaskStates: { web: { State: 'dead', Events: 5 } } },
    { TaskStates: [] },
    { DeploymentStatus: { Healthy: 'yes' } },
    { Services: 5 },
    { Services: [null] },
    { Services: [{ ...service, Tags: 'a' }] },
    { Services: [{ ...service, Tags: [{}] }] },
    { Services: [{ ...service, Port: -1 }] },
    { Services: [{ ...service, ServiceName: { toString: 1 } }] },
    { Services: [{ ...service, Health: 'fine' }] },
    { Services: Array.from({ length: 1_025 }, (_, n) => ({ ...service, ID: `s${n}` })) },
  ];
  const before = JSON.stringify([world.allocs(), await instances(world)]);
  for (const fields of wrong) {
    const told = say(world, nodes, alloc, fields as Partial<ClientAllocUpdate>);
    await t.rejects(told, { code: 'E_BAD_REQUEST', message: /cannot be used/ }, JSON.stringify(fields).slice(0, 60));
  }
  t.equal(JSON.stringify([world.allocs(), await instances(world)]), before);
  await say(world, nodes, alloc, { Services: [{ ...service, Tags: null, Address: '' }] });
});

t.test('a node can say of an allocation only what its job declares', async (t) => {
  const world = createTestWorld();
  const nodes = await serving(world, 1);
  const [alloc] = world.allocs();
  const named = (ServiceName: string): ServiceReport =>
    reportOf(alloc?.ID ?? '', { ID: `s-${ServiceName}`, ServiceName });
  await say(world, nodes, alloc, { Services: ['web', 'database', 'it-linux-s', 'it-s', 'it-linux-st'].map(named) });
  const said = (await names(world)).flatMap(({ Services }) => Services.map(({ ServiceName }) => ServiceName));
  t.same(said, ['it-linux-s', 'web']);
});
