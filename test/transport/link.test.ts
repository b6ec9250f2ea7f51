import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import t, { type Test as TapTest } from 'tap';
import { MeshError } from '../../lib/structs/errors.js';
import { encodeFrame, FrameReader, KIND } from '../../lib/transport/frame.js';
import { createLink, type Link } from '../../lib/transport/link.js';
import { localCaller, messagePair } from '../../lib/transport/local.js';
import type { RpcCaller, RpcHandlers, RpcStreamHandlers } from '../../lib/transport/rpc.js';

const handlers: RpcHandlers = {
  'Status.Leader': async () => ({ Leader: '127.0.0.1:4647' }),
  'Status.Peers': async () => {
    throw new MeshError('E_NO_LEADER', 'No cluster leader');
  },
  'Status.Ping': (_, { signal }) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))),
};

const streamHandlers: RpcStreamHandlers = {
  'FileSystem.Stream': ({ Limit = 0 }, stream) => {
    void (async () => {
      for (let i = 0; i < Limit; i++) {
        if (!stream.write({ Offset: i, Data: new Uint8Array([i & 255]) })) await once(stream, 'drain');
      }
      stream.end();
    })().catch(() => stream.destroy());
  },
  'FileSystem.Logs': (_, stream) => stream.destroy(new MeshError('E_NOT_FOUND', 'no such task')),
  'Allocations.Exec': (_, stream) => {
    stream.on('data', (message) => stream.write(message));
    stream.on('end', () => stream.end({ Type: 'exited', ExitCode: 7 }));
  },
};

async function linked(t: TapTest): Promise<{ near: Link; far: Link }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const socket = createConnection((server.address() as { port: number }).port, '127.0.0.1');
  const far = createLink((await accepted)[0], { handlers, streamHandlers, dialled: false });
  const near = createLink(socket, { handlers: {}, streamHandlers: {}, dialled: true });
  t.teardown(() => {
    near.close('test over');
    far.close('test over');
    server.close();
  });
  return { near, far };
}

const file = (Limit: number) =>
  ({ AllocID: 'a', Path: '/', Offset: 0, Origin: 'start', Limit, Follow: false }) as const;

async function contract(t: TapTest, caller: RpcCaller): Promise<void> {
  t.same(await caller.call('Status.Leader', {}), { Leader: '127.0.0.1:4647' }, 'an answer comes back');
  await t.rejects(
    caller.call('Status.Peers', {}),
    { code: 'E_NO_LEADER', message: 'No cluster leader' },
    'a refusal keeps its code',
  );
  await t.rejects(caller.call('Job.List', {}), { code: 'E_NOT_SUPPORTED' }, 'an unknown method is refused');

  let next = 0;
  for await (const frame of caller.stream('FileSystem.Stream', file(500)) as AsyncIterable<{
    Offset: number;
    Data: Uint8Array;
  }>) {
    if (frame.Offset !== next || frame.Data[0] !== (next & 255)) t.fail(`frame ${frame.Offset} where ${next} was due`);
    next++;
  }
  t.equal(next, 500, 'a stream arrives whole and in order');

  const refused = caller.stream('FileSystem.Logs', {
    AllocID: 'a',
    Task: 't',
    LogType: 'stdout',
    Offset: 0,
    Origin: 'start',
    Follow: false,
  });
  const [error] = (await once(refused.resume(), 'error').catch((error: unknown) => [error])) as [MeshError];
  t.equal(error.code, 'E_NOT_FOUND', 'a refused stream says why');

  const exec = caller.stream('Allocations.Exec', { AllocID: 'a', Task: 't', Cmd: ['cat'], Tty: false });
  exec.write({ Type: 'stdin', Data: new Uint8Array([1, 2]) });
  exec.end();
  const messages: unknown[] = [];
  for await (const message of exec) messages.push(message);
  t.same(
    messages,
    [
      { Type: 'stdin', Data: new Uint8Array([1, 2]) },
      { Type: 'exited', ExitCode: 7 },
    ],
    'a stream goes both ways',
  );
}

t.test('a local caller keeps the contract', (t) => contract(t, localCaller(handlers, streamHandlers)));

t.test('a link keeps the contract', async (t) => contract(t, (await linked(t)).near));

t.test('a caller that gives up ends the work on the other side', async (t) => {
  const { near } = await linked(t);
  await t.rejects(near.call('Status.Ping', {}, { timeoutMs: 19.98 }), { code: 'E_TIMEOUT', message: /within 20 ms/ });
  const controller = new AbortController();
  const call = near.call('Status.Ping', {}, { signal: controller.signal });
  controller.abort();
  await t.rejects(call, { code: 'E_TIMEOUT' });
});

t.test('a writer waits for a reader that does not read', async (t) => {
  const { near } = await linked(t);
  const stream: Duplex = near.stream('FileSystem.Stream', file(100_000));
  await near.call('Status.Leader', {});
  await near.call('Status.Leader', {});
  t.ok(stream.readableLength > 100 && stream.readableLength <= 2_048, `${stream.readableLength} messages are buffered`);
  stream.destroy();
  t.same(await near.call('Status.Leader', {}), { Leader: '127.0.0.1:4647' }, 'and the link lives on');
});

t.test('a lost link fails what is under way', async (t) => {
  const { near, far } = await linked(t);
  await near.call('Status.Leader', {});
  const call = near.call('Status.Ping', {});
  const stream = near.stream('Allocations.Exec', { AllocID: 'a', Task: 't', Cmd: ['cat'], Tty: false });
  const failed = once(stream, 'error');
  far.close('gone');
  await t.rejects(call, { code: 'E_TIMEOUT' });
  t.match((await failed.catch((error: unknown) => [error]))[0], { code: 'E_TIMEOUT' });
  await t.rejects(near.call('Status.Leader', {}), { code: 'E_TIMEOUT' });
});

t.test('rubbish on the wire closes the link and harms nothing else', async (t) => {
  for (const bytes of [
    Buffer.alloc(64, 0xff),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.from([9, 0, 0, 0, 99, 0, 0, 0, 0, 2, 0, 0, 0, 123, 125]),
  ]) {
    const [near, far] = messagePair();
    const link = createLink(far, { handlers, streamHandlers, dialled: false });
    near.on('error', () => {});
    near.write(bytes);
    await once(near, 'close');
    t.ok(link.closed);
  }
});

t.test('frames survive any cut of the byte stream', async (t) => {
  const frames = [
    { kind: KIND.call, id: 2, body: { method: 'x', args: { a: 'ü' } } },
    { kind: KIND.message, id: 4, body: { Offset: 1, Data: new Uint8Array(0) } },
    { kind: KIND.message, id: 4, body: { Data: new Uint8Array([1, 2, 3]) } },
  ];
  const bytes = Buffer.concat(frames.map(encodeFrame));
  for (let cut = 0; cut <= bytes.length; cut++) {
    const reader = new FrameReader(1024);
    const found = [
      ...reader.push(Buffer.from(bytes.subarray(0, cut))),
      ...reader.push(Buffer.from(bytes.subarray(cut))),
    ];
    t.same(
      found.map(({ kind, id, body }) => ({ kind, id, body })),
      frames,
      `cut at ${cut}`,
    );
  }
});
