import { type IncomingMessage, request } from 'node:http';
import t from 'tap';
import { MeshError } from '../../lib/structs/errors.js';
import { createHttpWorld } from './world.js';

const LOGS = '/v1/client/fs/logs/a1?task=web&type=stdout';

function open(port: number, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path, agent: false }, resolve);
    call.on('error', reject);
    call.end();
  });
}

t.test('logs come as JSON objects without anything between them, their data in base64', async (t) => {
  const world = await createHttpWorld(t);
  world.onStream = (far) => {
    far.write({ File: 'alloc/logs/web.stdout.0', Offset: 3, Data: new TextEncoder().encode('hällo\n') });
    far.write({ FileEvent: 'file truncated' });
    far.end({ Data: new Uint8Array([0, 255]) });
  };
  const got = await world.send(`${LOGS}&offset=3&origin=end&namespace=ops`);
  t.equal(got.status, 200);
  t.equal(
    got.text,
    '{"File":"alloc/logs/web.stdout.0","Offset":3,"Data":"aMOkbGxvCg=="}{"FileEvent":"file truncated"}{"Data":"AP8="}',
  );
  t.match(world.streams, [
    {
      method: 'FileSystem.Logs',
      args: {
        AllocID: 'a1',
        Task: 'web',
        LogType: 'stdout',
        Offset: 3,
        Origin: 'end',
        Follow: false,
        Namespace: 'ops',
      },
    },
  ]);
});

t.test('plain logs, cat and readat are the bytes themselves', async (t) => {
  const world = await createHttpWorld(t);
  world.onStream = (far) => {
    far.write({ Data: Buffer.from('one\n') });
    far.write({ FileEvent: 'file truncated' });
    far.end({ Data: Buffer.from([0xff, 0x00]) });
  };
  const bytes = Buffer.from([...Buffer.from('one\n'), 0xff, 0x00]);
  for (const path of [
    `${LOGS}&plain=true`,
    '/v1/client/fs/cat/a1?path=x',
    '/v1/client/fs/readat/a1?path=x&offset=4&limit=9',
    // Nomad's `alloc fs -tail` asks so for all that follows.
    '/v1/client/fs/readat/a1?path=x&offset=4&limit=-1',
    '/v1/client/fs/readat/a1?path=x&offset=4',
  ]) {
    const got = await world.send(path);
    t.strictSame(got.bytes, bytes, path);
    t.match(got.headers['content-type'], /^text\/plain/);
  }
  t.match(world.streams.slice(1), [
    { method: 'FileSystem.Stream', args: { Path: 'x', Offset: 0, Follow: false } },
    { method: 'FileSystem.Stream', args: { Path: 'x', Offset: 4, Limit: 9, Follow: false } },
  ]);
  for (const { args } of world.streams.slice(3, 5)) t.equal((args as { Limit?: number }).Limit, undefined);
  t.equal((await world.send('/v1/client/fs/stream/a1?path=x&follow=false')).status, 200);
  t.match(world.streams[5], { args: { Follow: false, Origin: 'start' } });
});

t.test('a refusal before the first frame is a proper answer', async (t) => {
  const world = await createHttpWorld(t);
  world.onStream = (far) => {
    setImmediate(() => far.destroy(new MeshError('E_NOT_FOUND', 'no task "web" here')));
  };
  for (const path of [LOGS, `${LOGS}&follow=true`, `${LOGS}&plain=true`, '/v1/client/fs/cat/a1?path=x']) {
    t.match(await world.send(path), { status: 404, text: 'no task "web" here' }, path);
  }
});

t.test('a stream that breaks in the middle is cut, not ended', async (t) => {
  const world = await createHttpWorld(t);
  world.onStream = (far) => {
    far.write({ Data: Buffer.from('begin') });
    setImmediate(() => far.destroy(new MeshError('E_STORAGE', 'disk gone')));
  };
  await t.rejects(world.send(LOGS), { code: 'ECONNRESET' });
});

t.test('a follower of a silent file gets the head and heartbeats', async (t) => {
  const world = await createHttpWorld(t);
  for (const [path, first] of [
    [`${LOGS}&follow=true`, '{}'],
    [`${LOGS}&follow=true&plain=true`, ''],
  ] as const) {
    const response = await open(world.port, path);
    t.equal(response.statusCode, 200);
    if (first !== '') t.equal(String((await response[Symbol.asyncIterator]().next()).value), first);
    response.destroy();
  }
});

t.test('hanging up ends the stream behind, and is no defect', async (t) => {
  const world = await createHttpWorld(t);
  const closed = new Promise<void>((resolve) => {
    world.onStream = (far) => {
      far.write({ Data: Buffer.from('begin') });
      far.once('close', resolve);
    };
  });
  const response = await open(world.port, `${LOGS}&follow=true`);
  response.destroy();
  await closed;
  await world.send('/v1/regions');
  t.strictSame(world.logs, []);
});

t.test('a slow reader slows the source down', async (t) => {
  const world = await createHttpWorld(t);
  const frame = { Data: Buffer.alloc(256 * 1024, 97) };
  let written = 0;
  let refill = (): void => {};
  const stalled = new Promise<void>((resolve) => {
    world.onStream = (far) => {
      let idle: NodeJS.Timeout;
      refill = () => {
        clearTimeout(idle);
        while (written < 400 && far.write(frame)) written++;
        if (written >= 400) far.end();
        // A source that finds no room for this long is held up: loopback buffers fill in milliseconds.
        idle = setTimeout(resolve, 300);
      };
      far.on('drain', refill);
      refill();
    };
  });
  const response = await open(world.port, `${LOGS}&plain=true`);
  await stalled;
  t.ok(written < 200, `${written} of 400 frames were taken while nobody read`);
  let bytes = 0;
  for await (const chunk of response) bytes += (chunk as Buffer).length;
  t.ok(bytes >= 400 * 256 * 1024, 'all of it comes once somebody reads');
});

t.test('HEAD of a stream that would never end is answered', async (t) => {
  const world = await createHttpWorld(t);
  world.onStream = (far) => {
    far.write({ Data: Buffer.from('x') });
  };
  t.equal((await world.send(`${LOGS}&follow=true`, { method: 'HEAD' })).status, 200);
});
