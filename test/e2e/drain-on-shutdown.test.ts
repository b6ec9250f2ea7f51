// An agent that is told to end moves its work to another node first, where its configuration says so.
import t from 'tap';
import { type AllocStub, allocsOf, eventually, jobJson, TestAgent } from '../support/mesh-agent.js';

type Placed = AllocStub & { NodeID: string };

t.test('SIGTERM moves the work away before the agent ends', { timeout: 180_000 }, async (t) => {
  const server = await TestAgent.start({ roles: { client: false } });
  t.teardown(() => server.dispose());
  const machines = new Map<string, TestAgent>();
  for (let i = 0; i < 2; i++) {
    const config = `
leave_on_terminate = true
client {
  servers = ["127.0.0.1:${server.rpcPort}"]
  drain_on_shutdown {
    deadline = "10m"
  }
}
`;
    const machine = await TestAgent.start({ roles: { server: false }, config });
    // In order it would wait for its drain: what is left on the last one has nowhere to go.
    t.teardown(() => machine.kill().then(() => machine.dispose()));
    const { stats } = await machine.get<{ stats: { client: { node_id: string } } }>('/v1/agent/self');
    machines.set(stats.client.node_id, machine);
  }
  await server.register(jobJson('moves', { count: 2 }));
  const before = (await allocsOf(server, 'moves', 'running', 2)) as Placed[];
  const from = before[0]?.NodeID as string;
  const machine = machines.get(from) as TestAgent;

  t.equal(await machine.terminate(), 0);
  t.match(machine.log, /the node drains before the agent ends/);
  t.match(machine.log, /the node is drained/);
  const allocs = await server.get<Placed[]>('/v1/job/moves/allocations');
  const left = allocs.filter(({ NodeID, ClientStatus }) => NodeID === from && ClientStatus !== 'complete');
  t.same(left, [], 'every task had ended before the agent did');
  const there = await eventually('all to run elsewhere', async () => {
    const running = ((await allocsOf(server, 'moves', 'running', 2)) as Placed[]).filter(
      ({ DesiredStatus }) => DesiredStatus === 'run',
    );
    return running.length === 2 ? running : undefined;
  });
  t.notOk(there.some(({ NodeID }) => NodeID === from));

  machine.launch();
  await machine.ready();
  const node = await server.get<{ SchedulingEligibility: string; LastDrain: { Status: string } }>(`/v1/node/${from}`);
  t.match(node, { SchedulingEligibility: 'ineligible', LastDrain: { Status: 'complete' } }, 'as after each drain');
  await server.cli(['job', 'stop', '-purge', '-detach', 'moves']);
  await eventually('the tasks to end', async () => {
    const left = await server.get<AllocStub[]>('/v1/allocations');
    return left.some(({ ClientStatus }) => ClientStatus === 'running') ? undefined : true;
  });
});
