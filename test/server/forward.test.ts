import { once } from 'node:events';
import { type Duplex, duplexPair } from 'node:stream';
import t from 'tap';
import { MeshError } from '../../lib/structs/errors.js';
import type { RpcCaller } from '../../lib/transport/rpc.js';
import { createTestWorld, webJob } from './world.js';

/** A caller, the server in between, and the client's end of a stream. */
async function streaming(): Promise<{ caller: Duplex; near: Duplex; far: Duplex; client: Duplex }> {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: webJob({ count: 1 }) });
  await world.time.advance(20);
  const [far, client] = duplexPair({ objectMode: true });
  const link: RpcCaller = {
    call: () => Promise.reject(new Error('not asked')),
    stream: () => far,
  };
  world.server.registerNodeLink(node.ID, link);
  const [near, caller] = duplexPair({ objectMode: true });
  const args = { AllocID: world.allocs()[0]?.ID ?? '', Task: 'web', Cmd: ['sh'], Tty: false };
  world.server.streamHandlers['Allocations.Exec']?.(args, near, { signal: new AbortController().signal });
  // Where the node is linked is found a moment later.
  await new Promise((resolve) => setImmediate(resolve));
  return { caller, near, far, client };
}

t.test('messages go both ways, and all arrive before the end', async (t) => {
  const { caller, client } = await streaming();
  caller.write({ Type: 'stdin', Data: 'in' });
  t.same(await once(client, 'data').then(([message]) => message), { Type: 'stdin', Data: 'in' });
  for (let i = 0; i < 100; i++) client.write(i);
  client.end();
  const got: number[] = [];
  for await (const message of caller) got.push(message as number);
  t.equal(got.length, 100);
});

t.test(
  'when the caller leaves, the stream to the client is closed; when the client fails, the caller hears why',
  async (t) => {
    const left = await streaming();
    const closed = once(left.far, 'close');
    left.near.destroy();
    await closed;
    const failing = await streaming();
    const failed = once(failing.near, 'error');
    failing.far.destroy(new MeshError('E_TIMEOUT', 'the client is gone'));
    const [error] = await failed;
    t.equal((error as MeshError).code, 'E_TIMEOUT');
  },
);

t.test('an unknown allocation ends the stream with the reason', async (t) => {
  const world = createTestWorld();
  const [near] = duplexPair({ objectMode: true });
  const failed = once(near, 'error');
  const args = { AllocID: 'gone', Task: 'web', LogType: 'stdout', Offset: 0, Origin: 'start', Follow: false } as const;
  world.server.streamHandlers['FileSystem.Logs']?.(args, near, { signal: new AbortController().signal });
  const [error] = await failed;
  t.ok(error instanceof MeshError && error.code === 'E_NOT_FOUND');
});
