// The HTTP API over streams of messages instead of sockets, as the command line uses it over the mesh.
import t from 'tap';
import { WebSocket } from 'ws';
import { ApiClient, type ApiError } from '../../lib/cli/api.js';
import { byteStream } from '../../lib/transport/byte-stream.js';
import { messagePair } from '../../lib/transport/local.js';
import { createHttpWorld, type HttpWorld } from '../http/world.js';

function clientOf(world: HttpWorld, count = { opened: 0 }): ApiClient {
  return new ApiClient({
    address: new URL('http://nas.mesh'),
    region: '',
    namespace: '',
    token: '',
    httpAuth: '',
    tls: {},
    mesh: {
      open() {
        count.opened++;
        const [near, far] = messagePair();
        world.take(byteStream(far));
        return byteStream(near);
      },
      describe: () => 'via nas',
      close: async () => {},
    },
  });
}

t.test('questions, changes and refusals', async (t) => {
  const world = await createHttpWorld(t, { connectionsPerAddressMax: 2 });
  const api = clientOf(world);
  world.script['Job.List'] = { Jobs: [{ ID: 'a' }] };
  for (let i = 0; i < 5; i++) t.match((await api.get('/v1/jobs')).value, [{ ID: 'a' }]);
  world.script['Job.List'] = { Jobs: [{ ID: 'x'.repeat(300_000) }] };
  const long = await api.get<{ ID: string }[]>('/v1/jobs');
  t.equal(long.value[0]?.ID.length, 300_000);
  const body = { Eval: 'x'.repeat(200_000) };
  await api.put('/v1/system/gc', body);
  const refused = await api.get('/v1/nowhere').then(
    () => undefined,
    (error: ApiError) => error,
  );
  t.match(refused, { status: 404 });
});

t.test('many at once', async (t) => {
  const world = await createHttpWorld(t);
  const count = { opened: 0 };
  const api = clientOf(world, count);
  world.script['Job.List'] = { Jobs: [] };
  const replies = await Promise.all(Array.from({ length: 50 }, () => api.get('/v1/jobs')));
  t.equal(replies.length, 50);
  t.equal(count.opened, 50);
});

t.test('a stream that is given up ends on the other side', async (t) => {
  const world = await createHttpWorld(t);
  const closed = new Promise((resolve) => {
    world.onStream = (far) => {
      far.write({ Data: Buffer.from('line\n'), File: 'web.stdout.0', Offset: 5 });
      far.once('close', resolve);
    };
  });
  const response = await clientOf(world).stream('/v1/client/fs/logs/a1', { task: 'web', type: 'stdout', follow: true });
  await new Promise((resolve) => response.once('data', resolve));
  response.destroy();
  await closed;
  t.pass();
});

t.test('exec', async (t) => {
  const world = await createHttpWorld(t);
  world.onStream = (far) => {
    far.write({ Type: 'stdout', Data: Buffer.from('hi') });
    far.write({ Type: 'exited', ExitCode: 3 });
    far.end();
  };
  const { url, options } = clientOf(world).websocket('/v1/client/allocation/a1/exec', {
    task: 'web',
    command: '["id"]',
  });
  t.match(url, /^ws:/);
  const socket = new WebSocket(url, options);
  const frames: unknown[] = [];
  socket.on('message', (data) => frames.push(JSON.parse(String(data))));
  await new Promise((resolve, reject) => socket.once('close', resolve).once('error', reject));
  t.match(frames, [
    { stdout: { data: Buffer.from('hi').toString('base64') } },
    { exited: true, result: { exit_code: 3 } },
  ]);
});
