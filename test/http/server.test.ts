import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { createHttpServer } from '../../lib/http/server.js';
import { MeshError } from '../../lib/structs/errors.js';
import { silentLog } from '../../lib/util/log.js';
import { createHttpWorld, send } from './world.js';

/** Sends bytes as they are and gives everything that comes back until the other side closes. */
function raw(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
    socket.write(bytes);
  });
}

t.test('a blocking query ends when its caller hangs up, and nothing is logged', async (t) => {
  const world = await createHttpWorld(t);
  let ended = (): void => {};
  const aborted = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const asked = new Promise<void>((resolve) => {
    world.script['Job.List'] = (_args, signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          ended();
          reject(new Error('left alone'));
        });
        resolve();
      });
  });
  const call = request({ host: '127.0.0.1', port: world.port, path: '/v1/jobs?index=7&wait=10m' });
  call.on('error', () => {});
  call.end();
  await asked;
  call.destroy();
  await aborted;
  t.match(world.calls, [{ args: { MinQueryIndex: 7, MaxQueryTimeMs: 600_000 } }]);
  t.equal((await world.send('/v1/regions')).status, 200, 'others are served');
  t.strictSame(world.logs, []);
});

t.test('an answer may take longer than a request may take to arrive', async (t) => {
  const world = await createHttpWorld(t, { requestArrivalMaxMs: 100 });
  let cut = (): void => {};
  const slowBodyCut = new Promise<void>((resolve) => {
    cut = resolve;
  });
  world.script['Job.List'] = async () => {
    await slowBodyCut;
    return { Jobs: [] };
  };
  const blocking = world.send('/v1/jobs?index=7');
  const slow = await raw(world.port, 'PUT /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"Job"');
  t.match(slow, /^HTTP\/1.1 408/, 'a body that never ends is given up');
  cut();
  t.equal((await blocking).status, 200);
  t.strictSame(world.logs, [], 'a caller who stops sending is no defect');
});

t.test('who hangs up in the middle of a body is forgotten', async (t) => {
  const world = await createHttpWorld(t);
  const closed = new Promise<void>((resolve) => {
    const socket = connect(world.port, '127.0.0.1');
    socket.write('PUT /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n');
    socket.once('data', (chunk) => {
      t.match(chunk.toString(), /^HTTP\/1.1 100 Continue/);
      socket.write('{"Job"', () => socket.destroy());
    });
    socket.once('close', () => resolve());
  });
  await closed;
  t.equal((await world.send('/v1/regions')).status, 200);
  t.strictSame(world.logs, []);
});

t.test('HEAD gives the headers of GET; pretty is indented', async (t) => {
  const world = await createHttpWorld(t);
  world.script['Job.List'] = { Jobs: [{ ID: 'a' }] };
  const head = await world.send('/v1/jobs', { method: 'HEAD' });
  t.equal(head.status, 200);
  t.equal(head.headers['x-nomad-index'], '7');
  t.equal(head.headers['content-length'], '12');
  t.equal(head.text, '');
  t.equal((await world.send('/v1/jobs?pretty')).text, '[\n    {\n        "ID": "a"\n    }\n]\n');
});

t.test('large answers are packed for those who take it, the same each time', async (t) => {
  const world = await createHttpWorld(t);
  const jobs = Array.from({ length: 100 }, (_, i) => ({ ID: `job-${i}`, Name: 'ü' }));
  world.script['Job.List'] = { Jobs: jobs };
  const plain = await world.send('/v1/jobs');
  t.strictSame(plain.json, jobs);
  for (let round = 0; round < 2; round++) {
    const packed = await world.send('/v1/jobs', { headers: { 'accept-encoding': 'br, gzip' } });
    t.equal(packed.headers['content-encoding'], 'gzip');
    t.equal(gunzipSync(packed.bytes).toString(), plain.text);
  }
  const refused = await world.send('/v1/jobs', { headers: { 'accept-encoding': 'gzip;q=0' } });
  t.equal(refused.headers['content-encoding'], undefined);
  world.script['Job.List'] = { Jobs: jobs.slice(1) };
  t.strictSame((await world.send('/v1/jobs')).json, jobs.slice(1), 'another list is another answer');
});

t.test('a body above the limit is a 413 and the connection lives on, whether its length is told or not', async (t) => {
  const world = await createHttpWorld(t);
  const large = Buffer.alloc(8 * 1024 * 1024 + 1, 0x20);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  const put = (headers: Record<string, string>) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const call = request(
        { host: '127.0.0.1', port: world.port, path: '/v1/jobs', method: 'PUT', agent, headers },
        (response) => {
          let text = '';
          response.on('data', (chunk) => {
            text += chunk;
          });
          response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
        },
      );
      call.on('error', reject);
      call.end(large);
    });
  const told = await put({ 'content-length': String(large.length) });
  t.equal(told.status, 413);
  t.match(told.text, /8388608 bytes/);
  t.equal((await put({ 'transfer-encoding': 'chunked' })).status, 413);
  t.strictSame(world.logs, []);
});

t.test('connections beyond the limit of an address hear why, and room is made as others leave', async (t) => {
  const world = await createHttpWorld(t, { connectionsPerAddressMax: 2 });
  const holders = [connect(world.port, '127.0.0.1'), connect(world.port, '127.0.0.1')];
  await Promise.all(holders.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
  const refused = await world.send('/v1/regions');
  t.equal(refused.status, 429);
  t.match(refused.text, /too many concurrent connections/);
  t.equal(refused.headers.connection, 'close');
  for (const socket of holders) socket.destroy();
  let status = 429;
  while (status === 429) status = (await world.send('/v1/regions')).status;
  t.equal(status, 200);
});

t.test('a port in use and an address of another machine are told plainly', async (t) => {
  const world = await createHttpWorld(t);
  const other = createHttpServer({ rpc: {} as never, agent: {} as never, log: silentLog });
  await t.rejects(other.listen({ host: '127.0.0.1', port: world.port }), {
    message: new RegExp(`^port ${world.port} of 127.0.0.1 is in use: another agent may be running`),
  });
  await t.rejects(other.listen({ host: '203.0.113.1', port: 0 }), { message: /is no address of this machine/ });
});

t.test('web pages of another origin are refused, programs and own pages are not', async (t) => {
  const world = await createHttpWorld(t);
  const host = `127.0.0.1:${world.port}`;
  const cases: [Record<string, string>, number][] = [
    [{}, 200],
    [{ host: 'nas.lan:4646' }, 200],
    [{ origin: `http://${host}` }, 200],
    [{ 'sec-fetch-site': 'same-origin' }, 200],
    [{ 'sec-fetch-site': 'none' }, 200],
    [{ host: '[::1]:4646', origin: 'http://[::1]:4646' }, 200],
    [{ host: 'localhost:4646', origin: 'http://localhost:4646' }, 200],
    [{ origin: 'https://evil.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ origin: 'http://127.0.0.1:20001' }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'same-site' }, 403],
    [{ host: 'evil.example', origin: 'http://evil.example' }, 403],
    [{ host: 'evil.example', 'sec-fetch-site': 'same-origin' }, 403],
    [{ host: 'nas.lan:4646', 'accept-language': 'en' }, 200],
    [{ host: 'nas:4646', 'user-agent': 'Mozilla/5.0' }, 200],
    [{ host: 'vps.example.org:4646', 'user-agent': 'curl/8' }, 200],
    // A name that resolves to this machine of a sudden: plain HTTP pages send no mark with what they read.
    [{ host: 'evil.example:4646', 'user-agent': 'Mozilla/5.0', 'accept-language': 'en' }, 403],
    [{ host: 'evil.example:4646', 'user-agent': 'curl/8', 'accept-language': 'en' }, 403],
    [{ host: 'evil.example:4646', 'user-agent': 'Mozilla/5.0' }, 403],
    [{ host: 'evillan:4646.example', 'user-agent': 'Mozilla/5.0' }, 403],
    [{ host: '127.0.0.1.evil.example', 'accept-language': 'en' }, 403],
  ];
  for (const [headers, status] of cases) {
    t.equal((await world.send('/v1/regions', { headers })).status, status, JSON.stringify(headers));
  }
});

t.test('the token comes from X-Nomad-Token or Authorization', async (t) => {
  const world = await createHttpWorld(t);
  world.script['Job.List'] = { Jobs: [] };
  for (const headers of [{ 'x-nomad-token': ' s3 ' }, { authorization: 'Bearer s3' }]) {
    await world.send('/v1/jobs', { headers });
  }
  await world.send('/v1/jobs', { headers: { authorization: 'Basic x' } });
  t.strictSame(
    world.calls.map(({ args }) => args['AuthToken']),
    ['s3', 's3', undefined],
  );
});

t.test('a refusal keeps its status and text; a defect is logged and told without its stack', async (t) => {
  const world = await createHttpWorld(t);
  world.script['Job.List'] = () => Promise.reject(new MeshError('E_NO_LEADER', 'No cluster leader'));
  t.match(await world.send('/v1/jobs'), { status: 500, text: 'No cluster leader' });
  t.strictSame(world.logs, []);
  world.script['Job.List'] = () => Promise.reject(new TypeError('x is not a function'));
  const got = await world.send('/v1/jobs');
  t.equal(got.status, 500);
  t.match(got.text, /^internal error: x is not a function/);
  t.notMatch(got.text, /at .*\.js/);
  t.match(world.logs, [{ level: 'error', message: 'request failed', fields: { path: '/v1/jobs' } }]);
});

t.test('an offer to upgrade to another protocol is passed over', async (t) => {
  const world = await createHttpWorld(t);
  const text = await raw(
    world.port,
    'GET /v1/regions HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n',
  );
  t.match(text, /^HTTP\/1.1 200 OK[\s\S]*\["here"\]$/);
});

t.test('no request crashes the server or stays without an answer', async (t) => {
  const world = await createHttpWorld(t);
  for (const method of ['Job.List', 'Alloc.List', 'Eval.List', 'Node.List', 'Deployment.List']) {
    world.script[method] = { Jobs: [], Allocations: [], Evaluations: [], Nodes: [], Deployments: [] };
  }
  world.onStream = (far) => {
    far.end();
  };
  const word = fc.oneof(
    fc.constantFrom(
      'v1',
      'jobs',
      'job',
      'web',
      'plan',
      'allocation',
      'client',
      'fs',
      'logs',
      'cat',
      'node',
      'drain',
      'search',
    ),
    fc.constantFrom(
      '..',
      '.',
      '',
      '%',
      '%00',
      '%2F',
      '%c3%28',
      '*',
      ':',
      '__proto__',
      'constructor',
      '?',
      '#',
      '%0d%0a',
    ),
    fc.webSegment(),
  );
  const path = fc.array(word, { maxLength: 6 }).map((words) => `/${words.join('/')}`);
  const name = fc.constantFrom(
    'index',
    'wait',
    'pretty',
    'namespace',
    'filter',
    'task',
    'type',
    'path',
    'per_page',
    'x',
  );
  const query = fc.array(fc.tuple(name, fc.webQueryParameters()), { maxLength: 4 });
  const value = fc.oneof(
    fc.jsonValue(),
    fc.record({ Job: fc.jsonValue() }),
    fc.record({ Job: fc.record({ ID: fc.jsonValue(), TaskGroups: fc.jsonValue() }) }),
  );
  const body = fc.oneof(
    value.map((json) => JSON.stringify(json)),
    fc.string(),
    fc.constant(''),
  );
  const header = fc.constantFrom(
    'origin',
    'host',
    'x-nomad-token',
    'accept-encoding',
    'content-type',
    'if-none-match',
    'range',
  );
  const headers = fc.dictionary(header, fc.stringMatching(/^[ -~]{0,20}$/), { maxKeys: 2 });
  const method = fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH');
  await fc.assert(
    fc.asyncProperty(method, path, query, headers, body, async (method, path, query, headers, body) => {
      const search = query.map(([key, value]) => `${key}=${value.replaceAll('&', '')}`).join('&');
      const got = await send(world.port, `${path}?${search}`, {
        method,
        headers,
        ...(method === 'GET' || method === 'HEAD' ? {} : { body }),
      });
      return got.status >= 200 && got.status < 600;
    }),
    { numRuns: 300 },
  );
  const internal = world.logs.filter(({ level }) => level === 'error');
  t.strictSame(internal, [], 'none of them met a defect');
});

t.test('bytes that are no HTTP are answered with 400 and cut', async (t) => {
  const world = await createHttpWorld(t);
  for (const bytes of [
    '\u0016\u0003\u0001\u0002\u0000',
    'GET\r\n\r\n',
    'GET /v1/jobs HTTP/1.1\r\nContent-Length: x\r\n\r\n',
  ]) {
    t.match(await raw(world.port, bytes), /^HTTP\/1.1 400/);
  }
  t.match(await raw(world.port, 'OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'), /^HTTP\/1.1 400/);
  t.match(
    await raw(world.port, 'GET http://agent:4646/v1/regions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    /^HTTP\/1.1 200/,
  );
});
