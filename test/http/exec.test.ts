import type { Duplex } from 'node:stream';
import fc from 'fast-check';
import t from 'tap';
import { WebSocket } from 'ws';
import { readFrame } from '../../lib/http/exec-frames.js';
import { MeshError } from '../../lib/structs/errors.js';
import { createHttpWorld } from './world.js';

const EXEC = '/v1/client/allocation/a1/exec?task=web&command=%5B%22sh%22%2C%22-c%22%2C%22id%22%5D';

interface Session {
  socket: WebSocket;
  frames: unknown[];
  closed: Promise<{ code: number; reason: string }>;
}

function dial(port: number, path: string, headers: Record<string, string> = {}): Promise<Session> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
  const frames: unknown[] = [];
  socket.on('message', (data) => frames.push(JSON.parse(String(data))));
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('open', () => resolve({ socket, frames, closed }));
  });
}

/** Takes what arrives at the far end, until `count` messages are there. */
function inputs(far: Duplex, count: number): Promise<unknown[]> {
  return new Promise((resolve) => {
    const got: unknown[] = [];
    far.on('data', (message) => {
      got.push(message);
      if (got.length === count) resolve(got);
    });
  });
}

t.test("an action's session names the action instead of a command", async (t) => {
  const world = await createHttpWorld(t);
  const { socket } = await dial(world.port, '/v1/job/a%2Fb/action?task=web&allocID=a1&action=greet&tty=true');
  while (world.streams.length === 0) await new Promise(setImmediate);
  t.match(world.streams[0]?.args, { AllocID: 'a1', Task: 'web', Cmd: [], Action: 'greet', Tty: true });
  socket.close();
  for (const [query, message] of [
    ['task=web&action=greet', /allocID is missing/],
    ['task=web&allocID=a1', /action is missing/],
    ['allocID=a1&action=greet', /task is missing/],
  ] as const) {
    const answer = await fetch(`http://127.0.0.1:${world.port}/v1/job/x/action?${query}`);
    t.equal(answer.status, 400, query);
    await t.rejects(dial(world.port, `/v1/job/x/action?${query}`), /400/, String(message));
  }
});

t.test('an exec session speaks the frames of Nomad', async (t) => {
  const world = await createHttpWorld(t);
  let arrived: Promise<unknown[]> = Promise.resolve([]);
  world.onStream = (far) => {
    arrived = inputs(far, 3);
  };
  const { socket, frames, closed } = await dial(world.port, `${EXEC}&tty=true`, { 'X-Nomad-Token': 's3' });
  socket.send('{}');
  socket.send('{"tty_size":{"height":40,"width":132}}');
  socket.send(`{"stdin":{"data":"${Buffer.from('ls\n').toString('base64')}"}}`);
  socket.send('{"stdin":{"close":true}}');
  while (world.streams.length === 0) await new Promise(setImmediate);
  t.strictSame(await arrived, [
    { Type: 'resize', Height: 40, Width: 132 },
    { Type: 'stdin', Data: Buffer.from('ls\n') },
    { Type: 'stdin-close' },
  ]);
  const { far, args } = world.streams[0] as { far: Duplex; args: Record<string, unknown> };
  t.match(args, { AllocID: 'a1', Task: 'web', Cmd: ['sh', '-c', 'id'], Tty: true, AuthToken: 's3' });
  far.write({ Type: 'stdout', Data: Buffer.from('hi') });
  far.write({ Type: 'stderr', Data: Buffer.from('oh') });
  far.write({ Type: 'stdout-close' });
  far.write({ Type: 'stderr-close' });
  far.end({ Type: 'exited', ExitCode: 3 });
  t.equal((await closed).code, 1000);
  t.strictSame(frames, [
    { stdout: { data: 'aGk=' } },
    { stderr: { data: 'b2g=' } },
    { stdout: { close: true } },
    { stderr: { close: true } },
    { exited: true, result: { exit_code: 3 } },
  ]);
});

t.test('who leaves while the command does not read is heard', async (t) => {
  const world = await createHttpWorld(t);
  const { socket } = await dial(world.port, EXEC);
  while (world.streams.length === 0) await new Promise(setImmediate);
  const { far } = world.streams[0] as { far: Duplex };
  const left = new Promise((resolve) => far.once('close', resolve));
  far.on('error', () => {});
  const data = Buffer.alloc(65_536).toString('base64');
  const asked = new Promise((resolve) => socket.once('ping', resolve));
  for (let i = 0; i < 200; i++) socket.send(`{"stdin":{"data":"${data}"}}`);
  await asked;
  socket.terminate();
  await left;
});

t.test('with ws_handshake the first frame brings the token, and the command starts after it', async (t) => {
  const world = await createHttpWorld(t);
  const { socket } = await dial(world.port, `${EXEC}&ws_handshake=true`);
  t.equal(world.streams.length, 0);
  const opened = new Promise<Record<string, unknown>>((resolve) => {
    world.onStream = (far, args) => {
      far.end({ Type: 'exited', ExitCode: 0 });
      resolve(args);
    };
  });
  socket.send('{"version":1,"auth_token":"s3"}');
  t.match(await opened, { AuthToken: 's3' });
  const old = await dial(world.port, `${EXEC}&ws_handshake=true`);
  old.socket.send('{"stdin":{"data":""}}');
  t.match(await old.closed, { code: 1002, reason: /handshake of version 1/ });
});

t.test('what is wrong with the request is refused before the upgrade', async (t) => {
  const world = await createHttpWorld(t);
  for (const [path, status] of [
    ['/v1/client/allocation/a1/exec?command=[]', 400],
    ['/v1/client/allocation/a1/exec?task=web', 400],
    ['/v1/client/allocation/a1/exec?task=web&command={', 400],
    ['/v1/client/allocation/a1/exec?task=web&command=[5]', 400],
    ['/v1/client/allocation/%ZZ/exec?task=web&command=["id"]', 400],
    [`${EXEC}&tty=perhaps`, 400],
    [`${EXEC}&index=x`, 400],
    ['/v1/jobs', 404],
  ] as const) {
    await t.rejects(dial(world.port, path), { message: `Unexpected server response: ${status}` }, path);
  }
  await t.rejects(dial(world.port, EXEC, { origin: 'http://evil.example' }), { message: /403/ });
  t.strictSame(world.streams, []);
  t.strictSame(world.logs, []);
});

t.test('a command that cannot be run closes the session with the reason', async (t) => {
  const world = await createHttpWorld(t);
  world.onStream = (far) => {
    setImmediate(() => far.destroy(new MeshError('E_NOT_FOUND', `no task "ü${'x'.repeat(200)}"`)));
  };
  const { closed } = await dial(world.port, EXEC);
  t.match(await closed, { code: 1011, reason: /^no task "üx+$/ });
});

t.test('frames that are none end the session, and nothing else', async (t) => {
  const world = await createHttpWorld(t);
  for (const frame of ['x', '[]', '5', '{"stdin":{"data":5}}', '{"tty_size":{"height":"a","width":1}}']) {
    const { socket, closed } = await dial(world.port, EXEC);
    socket.send(frame);
    t.equal((await closed).code, 1003, frame);
  }
  fc.assert(fc.property(fc.json(), (text) => Array.isArray(readFrame(text) ?? [])));
});

t.test('hanging up ends the command, and closing the server ends the session', async (t) => {
  const world = await createHttpWorld(t);
  const ended = new Promise<void>((resolve) => {
    world.onStream = (far) => far.once('close', resolve);
  });
  const first = await dial(world.port, EXEC);
  first.socket.close();
  await ended;
  const second = await dial(world.port, EXEC);
  await world.close();
  t.equal((await second.closed).code, 1006);
});
