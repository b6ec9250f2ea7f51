// Three servers that nobody had to set up, one of them lost, come back, and gone for good; a client that notices little of it.
import t from 'tap';
import { eventually, jobJson } from '../support/mesh-agent.js';
import { Machine } from '../support/mesh-machines.js';
import { patience } from '../support/patience.js';
import { openTestnet } from '../support/testnet.js';

interface Alloc {
  ID: string;
  ClientStatus: string;
}

interface RaftServers {
  Servers: { Node: string; Voter: boolean; Leader: boolean }[];
}

/** From kill -9 of the leader to the next write; on machines that do much else at the same time. */
const FAILOVER_MS_MAX = 8_000;

t.test('servers that come, fail and go', { timeout: 240_000 }, async (t) => {
  const testnet = await openTestnet();
  t.teardown(() => testnet.close());
  const [a, b, c, d] = await Promise.all(['a', 'b', 'c', 'd'].map((name) => Machine.make({ testnet, name })));
  if (!a || !b || !c || !d) throw new Error('four machines');
  t.teardown(() => Promise.all([a, b, c, d].map((machine) => machine.dispose())));
  const voters = async (machine: Machine): Promise<string[]> => {
    const { Servers } = await machine.get<RaftServers>('/v1/operator/raft/configuration');
    return Servers.filter(({ Voter }) => Voter).map(({ Node }) => Node.split('.')[0] ?? '');
  };
  const put = async (machine: Machine, id: string): Promise<Alloc> => {
    await machine.register(
      jobJson(id, {
        config: { command: '/bin/sh', args: ['-c', `echo ${id}; exec sleep 3600`] },
        group: { Constraints: [{ LTarget: '${node.unique.name}', RTarget: 'd', Operand: '=' }] },
      }),
    );
    return eventually(`${id} to run`, async () => {
      const allocs = await machine.get<Alloc[]>(`/v1/job/${id}/allocations`);
      return allocs.find(({ ClientStatus }) => ClientStatus === 'running');
    });
  };
  const logs = (machine: Machine, alloc: Alloc, text: string): Promise<true> =>
    eventually(`the log of ${text}`, async () => {
      const { out } = await machine.cli(['alloc', 'logs', alloc.ID]);
      return out === `${text}\n` || undefined;
    });

  await a.start('init');
  await b.start('join', await a.invite('-role=server'));
  await c.start('join', await a.invite('-role=server'));
  await d.start('join', await a.invite());
  await eventually('three voters', async () => (await voters(a)).length === 3 || undefined);
  const first = await put(c, 'first');
  await logs(b, first, 'first');

  await t.test('the leader is lost', { timeout: 90_000 }, async (t) => {
    await a.end('SIGKILL');
    const began = performance.now();
    await eventually('a write', async () => {
      const { status } = await b.fetch('/v1/system/gc', { method: 'PUT' });
      return status === 200 || undefined;
    });
    const ms = Math.round(performance.now() - began);
    t.comment(`written again after ${ms} ms`);
    t.ok(ms < patience(FAILOVER_MS_MAX), `${ms} ms`);
    const second = await put(b, 'second');
    await logs(c, second, 'second');
    await logs(c, first, 'first');
    const [same] = await b.get<Alloc[]>('/v1/job/first/allocations');
    t.match(same, { ID: first.ID, ClientStatus: 'running' }, 'the client went on');
  });

  await t.test('and comes back as what it was', { timeout: 60_000 }, async (t) => {
    await a.start('up');
    await eventually('its own API to know the second job', async () => {
      const { status } = await a.fetch('/v1/job/second');
      return status === 200 || undefined;
    });
    t.same((await voters(a)).sort(), ['a', 'b', 'c']);
  });

  await t.test('one goes for good', { timeout: 90_000 }, async (t) => {
    const left = await c.cli(['leave', '-yes']);
    t.equal(left.code, 0, left.err);
    await eventually('it to be out of the group', async () => !(await voters(b)).includes('c') || undefined);
    const third = await put(a, 'third');
    await logs(b, third, 'third');
  });

  for (const id of ['first', 'second', 'third']) await b.cli(['job', 'stop', '-purge', '-detach', id]);
  await eventually('all tasks to end', async () => {
    const allocs = await b.get<Alloc[]>('/v1/allocations');
    return allocs.some(({ ClientStatus }) => ClientStatus === 'running') ? undefined : true;
  });
});
