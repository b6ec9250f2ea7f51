import fc from 'fast-check';
import t, { type Test as TapTest } from 'tap';
import type { MeshRole } from '../../lib/structs/mesh.js';
import { encodeFrame, FRAME_VERSIONS, FrameReader, KIND } from '../../lib/transport/frame.js';
import { type Greeted, shakeHands } from '../../lib/transport/mesh/handshake.js';
import { encodeHello, type Hello, parseHello } from '../../lib/transport/mesh/hello.js';
import { Router } from '../../lib/transport/mesh/router.js';
import type { Connection, Network } from '../../lib/transport/network.js';
import { createMemoryMesh, type MemoryMesh, type MeshNode, testCertificate, testKey } from '../support/memory-mesh.js';

// What strangers, broken programs and enemies with a member's key may do to an agent: nothing that lasts.

const BAD = testKey(9);

interface Stage extends MemoryMesh {
  readonly victim: MeshNode;
  /** The attacker's own end of the network: no link manager stands behind it. */
  readonly network: Network;
  /** A stream to the victim; says nothing yet. */
  connect(): Promise<Connection>;
}

/** A server, and somebody with (or without) a member's key. */
async function stage(t: TapTest, member: boolean, role: MeshRole = 'client'): Promise<Stage> {
  const mesh = await createMemoryMesh(['server'], {
    delayMs: 0,
    peers: () => ({
      // One answers, the other never does.
      handlers: { 'Status.Ping': async () => ({}), 'Status.Leader': () => new Promise(() => {}) },
      // Takes a stream and never reads it.
      streamHandlers: { 'Allocations.Exec': () => {} },
    }),
  });
  t.teardown(() => mesh.close());
  const victim = mesh.nodes[0] as MeshNode;
  if (member) mesh.roster.set(BAD.publicKey, { name: 'bad', role, status: 'admitted' });
  const network = mesh.net.join(BAD);
  return {
    ...mesh,
    victim,
    network,
    async connect() {
      const dial = network.dial(victim.key);
      await mesh.clock.advance(0);
      return dial;
    },
  };
}

function hello(change: Partial<Hello> = {}): Hello {
  return {
    versions: FRAME_VERSIONS,
    link: 'control',
    chain: testCertificate({ Key: BAD.publicKey, Role: 'client', Name: 'bad' }).chain,
    instance: '0'.repeat(32),
    program: 'bad',
    now: 1_800_000_000_000,
    addresses: [],
    relays: false,
    ...change,
  };
}

/** Greets as a good member would. */
async function greet({ clock }: Stage, connection: Connection, change: Partial<Hello> = {}): Promise<Greeted> {
  const greeting = shakeHands({
    connection,
    clock,
    hello: hello(change),
    timeoutMs: 2_000,
    check: () => ({ ok: true, value: testCertificate({ Key: connection.remoteKey }).claims }),
  });
  await clock.advance(0);
  return greeting;
}

const wire = (body: Record<string, unknown>, kind: (typeof KIND)[keyof typeof KIND] = KIND.hello): Buffer =>
  encodeFrame({ kind, id: 0, body });

t.test('a stranger gets no stream; a thousand tries make one line in the log, with the key', async (t) => {
  const { clock, network, victim, net } = await stage(t, false);
  let failed = 0;
  for (let i = 0; i < 1_000; i++) network.dial(victim.key, { timeoutMs: 500 }).catch(() => failed++);
  await clock.advance(1_000);
  await clock.advance(3_000);
  t.equal(failed, 1_000);
  t.equal(net.connections(), 0);
  t.equal(victim.logged.length, 1);
  t.match(victim.logged[0], BAD.publicKey);
});

t.test('strangers with a new key each time make a hundred lines, and a count of the others', async (t) => {
  const { clock, network, victim } = await stage(t, false);
  const knock = (n: number): Promise<unknown> =>
    network.dial(victim.key, { as: testKey(1_000 + n), timeoutMs: 500 }).catch(() => {});
  for (let i = 0; i < 1_000; i++) void knock(i);
  await clock.advance(5_000);
  t.ok(victim.logged.length >= 100 && victim.logged.length <= 115, `${victim.logged.length} lines`);
  void knock(1_000);
  await clock.advance(5_000);
  t.match(victim.logged.at(-1), testKey(2_000).publicKey, 'a while later each is named again');
});

t.test('what comes before a good hello ends the connection', async (t) => {
  const other = testCertificate({ Key: testKey(5).publicKey, Role: 'server' }).chain;
  const foreign = testCertificate({ Key: BAD.publicKey, Role: 'client', Mesh: 'e'.repeat(64) }).chain;
  const good = wire(encodeHello(hello()));
  const first: Record<string, Buffer> = {
    garbage: Buffer.alloc(300, 0xa5),
    'a web browser': Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    'a frame of 100 MB': Buffer.concat([Buffer.from([0, 0, 0, 6]), Buffer.alloc(100)]),
    'a hello of 1 MB': wire({ ...encodeHello(hello()), Filler: 'x'.repeat(1_000_000) }),
    'a call before the hello': wire({ method: 'Status.Ping', args: {} }, KIND.call),
    'an acknowledgement of nothing, twice': Buffer.concat([wire({}, KIND.ack), wire({}, KIND.ack)]),
    'the hello of another member, sent again': wire(encodeHello(hello({ chain: other }))),
    'a certificate of another mesh': wire(encodeHello(hello({ chain: foreign }))),
    'a role that the roster does not know of': wire(
      encodeHello(hello({ chain: testCertificate({ Key: BAD.publicKey, Role: 'server' }).chain })),
    ),
    'versions from the future': wire(encodeHello(hello({ versions: { min: 7, max: 9 } }))),
    'no certificate at all': wire({ ...encodeHello(hello()), Chain: [] }),
    'half a hello': good.subarray(0, good.length - 5),
    'a hello, and then no acknowledgement': good,
  };
  for (const [what, bytes] of Object.entries(first)) {
    const one = await stage(t, true);
    const connection = await one.connect();
    connection.stream.resume();
    connection.stream.write(bytes);
    await one.clock.advance(2_100);
    t.ok(connection.stream.destroyed || connection.stream.readableEnded, `${what}: the stream is closed`);
    t.equal(one.victim.peers.linked().length, 0, `${what}: no link`);
    t.match(one.victim.logged.join(), BAD.publicKey, `${what}: the log names the key`);
    await one.clock.advance(3_000);
    t.equal(one.net.connections(), 0, `${what}: nothing is left`);
  }
});

t.test('a hello drop by drop is not waited for', async (t) => {
  const one = await stage(t, true);
  const { stream } = await one.connect();
  stream.resume();
  const bytes = wire(encodeHello(hello()));
  for (let i = 0; i < 30 && !stream.destroyed; i++) {
    stream.write(bytes.subarray(i, i + 1));
    await one.clock.advance(100);
  }
  t.ok(stream.destroyed);
});

t.test('an agent of the version before is spoken to in its version', async (t) => {
  const one = await stage(t, true);
  const { versions } = hello();
  await greet(one, await one.connect(), { versions: { min: Math.max(0, versions.min - 1), max: versions.max } });
  t.equal(one.victim.peers.linked().length, 1);
});

t.test('a member with a broken program: its link is closed, and the agent goes on', async (t) => {
  const call = (id: number): Buffer => encodeFrame({ kind: KIND.call, id, body: { method: 'Status.Ping', args: {} } });
  const bad: Record<string, Buffer> = {
    'a frame of 100 MB': Buffer.concat([Buffer.from([0, 0, 0, 6]), Buffer.alloc(1000)]),
    'a frame larger than control carries': Buffer.concat([Buffer.from([0, 0, 16, 0]), Buffer.alloc(1000)]),
    'an unknown kind': Buffer.concat([Buffer.from([9, 0, 0, 0, 99]), Buffer.alloc(8)]),
    'no JSON': Buffer.concat([Buffer.from([14, 0, 0, 0, KIND.call, 2, 0, 0, 0, 5, 0, 0, 0]), Buffer.from('{"a":')]),
    'a raft datagram of a client': encodeFrame({ kind: KIND.datagram, id: 1, body: { Data: new Uint8Array(8) } }),
    'a datagram as of another, by one who is no server': encodeFrame({
      kind: KIND.datagram,
      id: 0x200,
      body: { Data: new Uint8Array(40) },
    }),
    'a datagram of no channel': encodeFrame({ kind: KIND.datagram, id: 77, body: { Data: new Uint8Array(8) } }),
    'a certificate that is none': wire({ Chain: ['x'] }, KIND.certificate),
    'a credit that takes away': encodeFrame({ kind: KIND.credit, id: 0, body: { count: -1 } }),
  };
  for (const [what, bytes] of Object.entries(bad)) {
    const one = await stage(t, true);
    const { connection } = await greet(one, await one.connect());
    t.equal(one.victim.peers.linked().length, 1, `${what}: the link stood`);
    connection.stream.resume();
    connection.stream.write(Buffer.concat([call(2), bytes]));
    await one.clock.advance(10);
    t.equal(one.victim.peers.linked().length, 0, `${what}: it is closed`);
    t.ok(connection.stream.destroyed, what);
  }
});

t.test('a stream takes one window of what is not read, and a sender that goes on loses the link', async (t) => {
  const one = await stage(t, true, 'operator');
  const { connection } = await greet(one, await one.connect(), {
    chain: testCertificate({ Key: BAD.publicKey, Role: 'operator' }).chain,
  });
  connection.stream.resume();
  const message = (id: number): Buffer =>
    encodeFrame({ kind: KIND.message, id, body: { Data: new Uint8Array(100_000) } });
  for (let i = 0; i < 100; i++) connection.stream.write(message(4));
  await one.clock.advance(10);
  t.equal(one.victim.peers.linked().length, 1, 'messages of no stream are ignored');
  connection.stream.write(encodeFrame({ kind: KIND.open, id: 2, body: { method: 'Allocations.Exec', args: {} } }));
  let sent = 0;
  for (; sent < 100 && !connection.stream.destroyed; sent++) {
    connection.stream.write(message(2));
    await one.clock.advance(1);
  }
  t.ok(sent > 8 && sent < 14, `cut off after ${sent} messages of 100 kB`);
  t.equal(one.victim.peers.linked().length, 0);
});

t.test('a thousand connects a second of one member: a few pass, and one link is left', async (t) => {
  const one = await stage(t, true);
  let opened = 0;
  for (let second = 0; second < 3; second++) {
    for (let i = 0; i < 1_000; i++) {
      one.network.dial(one.victim.key, { timeoutMs: 100 }).then(
        (connection) => {
          opened++;
          greet(one, connection, { instance: opened.toString(16).padStart(32, '0') }).catch(() => {});
        },
        () => {},
      );
    }
    await one.clock.advance(1_000);
  }
  t.ok(opened >= 20 && opened <= 40, `${opened} were let in`);
  await one.clock.advance(5_000);
  t.ok(one.net.connections() <= 1, `${one.net.connections()} are left`);
  t.ok(one.victim.logged.length < 12, `${one.victim.logged.length} lines in the log`);
});

t.test('a member that asks and does not read is cut off', async (t) => {
  const one = await stage(t, true);
  const { connection } = await greet(one, await one.connect());
  const call = encodeFrame({ kind: KIND.call, id: 2, body: { method: `x${'y'.repeat(400_000)}`, args: {} } });
  connection.stream.pause();
  for (let i = 0; i < 60 && !connection.stream.destroyed; i++) {
    connection.stream.write(call);
    await one.clock.advance(20);
  }
  t.equal(one.victim.peers.linked().length, 0);
});

t.test('questions without end: so many are served at a time, the others are told to come again', async (t) => {
  const one = await stage(t, true);
  const { connection } = await greet(one, await one.connect());
  const codes = new Map<string, number>();
  const reader = new FrameReader();
  connection.stream.on('data', (chunk: Buffer) => {
    for (const { kind, body } of reader.push(chunk)) {
      if (kind === KIND.error) codes.set(String(body['code']), (codes.get(String(body['code'])) ?? 0) + 1);
    }
  });
  connection.stream.resume();
  for (let i = 1; i <= 1_500; i++) {
    connection.stream.write(encodeFrame({ kind: KIND.call, id: i * 2, body: { method: 'Status.Leader', args: {} } }));
  }
  await one.clock.advance(10);
  t.same([...codes], [['E_TOO_MANY', 476]]);
  t.equal(one.victim.peers.linked().length, 1);
});

t.test('the key of an invite gets to join/1 and to nothing else', async (t) => {
  const joins: Connection[] = [];
  const mesh = await createMemoryMesh(['server'], { delayMs: 0, peers: () => ({ onJoin: (one) => joins.push(one) }) });
  t.teardown(() => mesh.close());
  const [victim] = mesh.nodes as [MeshNode];
  mesh.roster.invite(BAD.publicKey);
  const connection = await mesh.net.join(testKey(4)).dial(victim.key, { as: BAD });
  await mesh.clock.advance(0);
  t.equal(joins.length, 1);
  t.equal(joins[0]?.remoteKey, BAD.publicKey);
  connection.stream.write(wire(encodeHello(hello())));
  connection.stream.write(encodeFrame({ kind: KIND.call, id: 2, body: { method: 'Status.Ping', args: {} } }));
  let answered = 0;
  connection.stream.on('data', () => answered++);
  await mesh.clock.advance(5_000);
  t.equal(answered, 0, 'no hello, no answer');
  t.equal(victim.peers.linked().length, 0);
});

t.test('a member that waits for approval gets no stream by its own key', async (t) => {
  const one = await stage(t, false);
  one.roster.set(BAD.publicKey, { name: 'bad', role: 'client', status: 'pending' });
  const refused = t.rejects(one.network.dial(one.victim.key, { timeoutMs: 100 }), { code: 'E_TIMEOUT' });
  await one.clock.advance(200);
  await refused;
  t.match(one.victim.logged.join(), /waits for approval/);
});

t.test('two machines with one key are noticed', async (t) => {
  const one = await stage(t, true);
  for (const instance of ['a', 'b', 'a']) {
    await greet(one, await one.connect(), { instance: instance.repeat(32) });
    await one.clock.advance(1_000);
  }
  t.match(one.victim.peers.report().Problems.join(), /two machines use the key of bad/);
  const copy = one.net.join(testKey(8)).dial(one.victim.key, { as: testKey(1), timeoutMs: 100 });
  const refused = t.rejects(copy, { code: 'E_TIMEOUT' });
  await one.clock.advance(200);
  await refused;
  t.match(one.victim.peers.report().Problems.join(), /another machine uses the key of this one/);
});

t.test('any bytes: the frame reader throws or gives frames, and holds no more than its limit', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (chunks) => {
      const reader = new FrameReader(1_000);
      try {
        for (const chunk of chunks) {
          for (const { body } of reader.push(Buffer.from(chunk))) if (typeof body !== 'object') return false;
          if (reader.rest().length > 1_200) return false;
        }
      } catch (error) {
        return error instanceof Error;
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.pass('500 runs');
});

t.test('any frames come out as they went in, however the bytes are cut', async (t) => {
  const frame = fc.record({
    kind: fc.constantFrom(...Object.values(KIND)),
    id: fc.nat(0xffff_ffff),
    body: fc.dictionary(
      fc.string().filter((key) => key !== 'Data' && key !== '__proto__'),
      fc.oneof(fc.string(), fc.integer(), fc.boolean()),
    ),
    data: fc.option(fc.uint8Array({ maxLength: 300 })),
  });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(400), { maxLength: 30 }), (frames, cuts) => {
      const sent = frames.map(({ kind, id, body, data }) => ({
        kind,
        id,
        body: data ? { ...body, Data: data } : body,
      }));
      let bytes = Buffer.concat(sent.map(encodeFrame));
      const reader = new FrameReader();
      const found: unknown[] = [];
      for (const cut of [...cuts, bytes.length]) {
        for (const { kind, id, body } of reader.push(bytes.subarray(0, cut))) found.push({ kind, id, body });
        bytes = bytes.subarray(cut);
      }
      return JSON.stringify(found) === JSON.stringify(sent);
    }),
    { numRuns: 300 },
  );
  t.pass('300 runs');
});

t.test('any hello: read whole and within bounds, or refused in words', async (t) => {
  const good = encodeHello(hello({ addresses: [{ host: 'fe80::1', port: 49_737 }] }));
  t.match(parseHello(good), { ok: true, value: { link: 'control', addresses: [{ host: 'fe80::1', port: 49_737 }] } });
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(good)), fc.jsonValue(), (field, value) => {
      const read = parseHello({ ...good, [field]: value });
      return read.ok
        ? read.value.chain.length <= 8 && read.value.addresses.length <= 16
        : read.error.startsWith('a hello');
    }),
    { numRuns: 1_000 },
  );
  t.pass('1,000 runs');
});

t.test('any frames of a member: the agent lives, and answers the next one', async (t) => {
  const body = fc.oneof(
    fc.constant({}),
    fc.constant({ Data: new Uint8Array(40) }),
    fc.record({ method: fc.constantFrom('Status.Ping', 'toString', '__proto__', 'Job.List'), args: fc.jsonValue() }),
    fc.record({ count: fc.oneof(fc.integer(), fc.string()), token: fc.string(), Every: fc.float(), Wish: fc.float() }),
  );
  const frames = fc.array(fc.record({ kind: fc.constantFrom(...Object.values(KIND)), id: fc.nat(5), body }), {
    minLength: 1,
    maxLength: 12,
  });
  const one = await stage(t, true);
  let links = 0;
  await fc.assert(
    fc.asyncProperty(frames, async (sent) => {
      await one.clock.advance(1_000);
      const { connection } = await greet(one, await one.connect(), {
        instance: (links++).toString(16).padStart(32, '0'),
      });
      connection.stream.resume();
      for (const frame of sent) connection.stream.write(encodeFrame(frame as never));
      await one.clock.advance(5);
    }),
    { numRuns: 200 },
  );
  await one.clock.advance(1_000);
  await greet(one, await one.connect());
  t.equal(one.victim.peers.linked().length, 1);
});

t.test('any datagram: delivered, dropped, or a reason to close the link', async (t) => {
  const { clock, roster, victim } = await stage(t, true);
  const heard: number[] = [];
  const live = { key: BAD.publicKey, claims: { Name: 'bad', Role: 'client' }, link: { datagram: () => true } } as never;
  const router = new Router({
    own: victim.key,
    clock,
    roster,
    notices: { say: () => {} } as never,
    up: () => undefined,
    hubs: () => [],
    isHub: () => true,
    open: () => Promise.reject(new Error('nobody')),
  });
  router.listen('gossip', (_, data) => heard.push(data.length));
  router.listen('raft', () => t.fail('a client’s raft datagram was delivered'));
  fc.assert(
    fc.property(fc.nat(0x3ff), fc.uint8Array({ maxLength: 64 }), (id, data) => {
      try {
        router.receive(live, id, data);
      } catch (error) {
        return error instanceof Error;
      }
      return true;
    }),
    { numRuns: 1_000 },
  );
  t.pass('1,000 runs');
});
