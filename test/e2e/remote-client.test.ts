// A client that knows its server by plain address only: jobs, logs, exec and restarts go over one link.
import t from 'tap';
import type { EventBatch } from '../../lib/structs/rpc-event.js';
import { allocsOf, eventually, jobJson, TestAgent } from '../support/mesh-agent.js';

t.test('a client elsewhere runs jobs, and can be asked through its server', { timeout: 120_000 }, async (t) => {
  const server = await TestAgent.start({ roles: { client: false } });
  t.teardown(() => server.dispose());
  const client = await TestAgent.start({
    roles: { server: false },
    config: `client {\n  servers = ["127.0.0.1:${server.rpcPort}"]\n}\n`,
  });
  t.teardown(() => client.dispose());

  const heard = new AbortController();
  t.teardown(() => heard.abort());
  const news = await fetch(`${client.address}/v1/event/stream?topic=Allocation:far&topic=Job`, {
    signal: heard.signal,
  });
  const events = linesOf(news.body as ReadableStream<Uint8Array>);

  const script = 'echo hello from $NOMAD_ALLOC_NAME; exec sleep 3600';
  await server.register(jobJson('far', { config: { command: '/bin/sh', args: ['-c', script] } }));
  const [alloc] = await allocsOf(server, 'far', 'running', 1);
  if (!alloc) throw new Error('no allocation');
  await eventually('the log', async () => {
    const { out } = await server.cli(['alloc', 'logs', alloc.ID]);
    return out === 'hello from far.g[0]\n' ? true : undefined;
  });
  const exec = await server.cli(['alloc', 'exec', '-i=false', alloc.ID, '/bin/sh', '-c', 'echo in; exit 5']);
  t.same([exec.code, exec.out], [5, 'in\n'], 'exec goes through the server');
  const near = await client.cli(['job', 'status', '-short', 'far']);
  t.match(near.out, /Status\s+= running/, "the client's own API answers for the server");
  t.same(events[0], {}, 'the stream is open');
  const told = events.flatMap(({ Events }) => Events ?? []).map(({ Topic, Type, Key }) => `${Topic} ${Type} ${Key}`);
  t.equal(told[0], 'Job JobRegistered far');
  t.ok(told.includes(`Allocation PlanResult ${alloc.ID}`), told.join(', '));

  await server.kill();
  const local = await client.cli(['alloc', 'logs', alloc.ID]);
  t.not(local.code, 0, 'without a server the id cannot be looked up');
  server.launch();
  await server.ready();
  const [same] = await allocsOf(server, 'far', 'running', 1);
  t.equal(same?.ID, alloc.ID, 'a server that was gone changes nothing');
  await eventually('the link to be back', async () => {
    const { out } = await server.cli(['alloc', 'logs', alloc.ID]);
    return out.startsWith('hello') ? true : undefined;
  });
  await server.cli(['job', 'stop', '-purge', '-detach', 'far']);
  await eventually('the task to end', async () => {
    const allocs = await server.get<{ ClientStatus: string }[]>('/v1/allocations');
    return allocs.some(({ ClientStatus }) => ClientStatus === 'running') ? undefined : true;
  });
});

/** The lines of JSON that have come. */
function linesOf(body: ReadableStream<Uint8Array>): Partial<EventBatch>[] {
  const lines: Partial<EventBatch>[] = [];
  const read = async (): Promise<void> => {
    let rest = '';
    const decoder = new TextDecoder();
    for await (const chunk of body) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts.map((part) => JSON.parse(part) as Partial<EventBatch>));
    }
  };
  read().catch(() => {});
  return lines;
}
