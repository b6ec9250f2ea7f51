import fc from 'fast-check';
import t from 'tap';
import { distinct, isLocal, isUsable } from '../../../lib/transport/dht/addresses.js';
import { tagOf } from '../../../lib/transport/dht/mdns.js';
import { decodeFact, encodeFact } from '../../../lib/transport/dht/mdns-packet.js';
import { endableNames } from '../../../lib/transport/dht/names.js';
import { classifyNat } from '../../../lib/transport/dht/nat.js';
import { reasonOf, unreachable } from '../../../lib/transport/dht/obstacles.js';
import { looksLikeRelay } from '../../../lib/transport/dht/relay.js';
import { Sightings } from '../../../lib/transport/dht/sightings.js';

const KEY = 'ab'.repeat(32);
const at = (host: string, port = 1) => ({ host, port });

t.test('the kind of NAT follows from what others see', async (t) => {
  const seen = (...ports: [number, number][]) =>
    ports.map(([by, port]) => ({ by: at('5.5.5.1', by), as: at('9.9.9.9', port) }));
  const cases: [string, boolean, [number, number][], string, number | null][] = [
    ['nobody answers', false, [], 'unknown', null],
    ['one witness only', false, [[1, 7]], 'unknown', 7],
    [
      'the same witness twice',
      false,
      [
        [1, 7],
        [1, 7],
      ],
      'unknown',
      7,
    ],
    [
      'two that agree',
      false,
      [
        [1, 7],
        [2, 7],
      ],
      'consistent',
      7,
    ],
    [
      'two that agree and one that does not',
      false,
      [
        [1, 7],
        [2, 8],
        [3, 7],
      ],
      'consistent',
      7,
    ],
    [
      'each sees another port',
      false,
      [
        [1, 7],
        [2, 8],
        [3, 9],
      ],
      'random',
      null,
    ],
    ['reached unasked', true, [[1, 7]], 'open', 7],
  ];
  for (const [what, open, ports, nat, port] of cases) {
    const found = classifyNat({ open, seen: seen(...ports) });
    t.same([found.nat, found.publicAddress?.port ?? null], [nat, port], what);
  }
});

t.test('an address is local when it lies in a network of this machine', async (t) => {
  const locals = [
    { host: '192.168.1.7', prefix: 24 },
    { host: '10.0.0.1', prefix: 8 },
    { host: '100.64.0.9', prefix: 32 },
  ];
  for (const host of ['192.168.1.200', '10.200.3.4', '127.0.0.1', '100.64.0.9']) t.ok(isLocal(host, locals), host);
  for (const host of ['192.168.2.7', '11.0.0.1', '100.64.0.8', 'nas.lan', '::1', ''])
    t.notOk(isLocal(host, locals), host);
});

t.test('what cannot be sent to is no address', async (t) => {
  for (const host of ['0.0.0.0', '224.0.0.251', '255.255.255.255', 'host', '::1', '1.2.3'])
    t.notOk(isUsable(at(host)), host);
  for (const port of [0, -1, 65_536, 1.5, Number.NaN]) t.notOk(isUsable(at('1.2.3.4', port)), String(port));
  t.ok(isUsable(at('1.2.3.4', 65_535)));
  t.same(distinct([at('1.1.1.1'), at('2.2.2.2'), at('1.1.1.1')]), [at('1.1.1.1'), at('2.2.2.2')]);
});

t.test('what a member says by multicast is read again, whether as text or as bytes', async (t) => {
  const fact = { key: KEY, port: 49_737, tags: [tagOf(Buffer.alloc(32, 1)), tagOf(Buffer.alloc(32, 2))] };
  t.same(decodeFact(encodeFact(fact)), fact);
  t.same(decodeFact(encodeFact(fact).map((text) => Buffer.from(text))), fact);
});

t.test('what anybody may say by multicast never breaks anything', async (t) => {
  const junk = fc.oneof(fc.anything(), fc.array(fc.oneof(fc.string(), fc.uint8Array(), fc.anything())));
  fc.assert(
    fc.property(junk, (data) => {
      const fact = decodeFact(data);
      return fact === undefined || (/^[0-9a-f]{64}$/.test(fact.key) && fact.port > 0 && fact.port < 65_536);
    }),
  );
  const good = encodeFact({ key: KEY, port: 1, tags: ['00'.repeat(8)] });
  t.ok(decodeFact(good));
  for (const [i, bad] of [
    [0, `k=${KEY.slice(2)}`],
    [1, 'p=65536'],
    [1, 'p=0'],
    [2, 't=00'],
  ] as const)
    t.equal(decodeFact(good.with(i, bad)), undefined, bad);
});

t.test('a tag tells nothing of its topic but that it is the same', async (t) => {
  const topic = Buffer.alloc(32, 5);
  t.equal(tagOf(topic), tagOf(Buffer.from(topic)));
  t.not(tagOf(topic), tagOf(Buffer.alloc(32, 6)));
  t.match(tagOf(topic), /^[0-9a-f]{16}$/);
  t.notOk(topic.toString('hex').includes(tagOf(topic)));
});

t.test('only the first message of a relay client looks like one', async (t) => {
  const head = Buffer.concat([Buffer.from([0, 1, 1, 11]), Buffer.from('blind-relay'), Buffer.alloc(40)]);
  t.ok(looksLikeRelay(head));
  t.notOk(looksLikeRelay(Buffer.from('blind-relay')));
  t.notOk(looksLikeRelay(Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(30), Buffer.from('blind-relay')])));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => !looksLikeRelay(Buffer.from(bytes))));
});

t.test('sightings are few, fresh and the latest first', async (t) => {
  const seen = new Sightings();
  for (let i = 1; i <= 20; i++) seen.add(KEY, [at('10.0.0.1', i)], i);
  t.same(
    seen.find(KEY, 20).map(({ port }) => port),
    [20, 19, 18, 17, 16, 15, 14, 13],
  );
  seen.add(KEY, [at('10.0.0.1', 13)], 21);
  t.equal(seen.find(KEY, 21)[0]?.port, 13);
  t.same(seen.find(KEY, 700_000), [], 'after ten minutes nothing is believed');
  const heard: number[] = [];
  const stop = seen.watch(KEY, ({ port }) => heard.push(port));
  seen.add(KEY, [at('10.0.0.1', 13), at('10.0.0.1', 99)], 22);
  stop();
  seen.add(KEY, [at('10.0.0.1', 100)], 23);
  t.same(heard, [99], 'only what is new is told, and only while somebody listens');
  for (let i = 0; i < 3_000; i++) seen.add(i.toString(16).padStart(64, '0'), [at('10.0.0.2')], 24);
  t.same(seen.find(KEY, 24), [], 'the key that was not seen for longest is forgotten');
});

t.test('a failed dial says what was tried and what stood in the way', async (t) => {
  const report = { nat: 'consistent', publicAddress: null, localAddresses: [], dht: 'answers', hasIpv4: true } as const;
  const failures = [
    { way: '10.0.0.1:1', why: 'no answer' },
    { way: 'by its key in the DHT', why: 'PEER_NOT_FOUND' },
  ];
  const text = unreachable(KEY, failures, { report, relays: 0, seconds: 1.25 });
  t.equal(
    text,
    'abababab cannot be reached (1.3 s): 10.0.0.1:1: no answer; by its key in the DHT: nobody announces it there',
  );
  const blocked = { ...report, nat: 'blocked', dht: 'silent' } as const;
  t.match(unreachable(KEY, [], { report: blocked, relays: 0, seconds: 1 }), /UDP to the internet is blocked here/);
  const off = { ...report, dht: 'silent' } as const;
  t.match(unreachable(KEY, failures, { report: off, relays: 0, seconds: 1 }), /The DHT does not answer/);
  const random = { ...report, nat: 'random' } as const;
  t.match(unreachable(KEY, failures, { report: random, relays: 0, seconds: 1 }), /would have to relay/);
  t.notMatch(unreachable(KEY, failures, { report: random, relays: 1, seconds: 1 }), /would have to relay/);
  t.equal(reasonOf(Object.assign(new Error('x'), { code: 'RELAY_ABORTED' })), 'RELAY_ABORTED');
  t.equal(reasonOf(undefined), 'closed without a word');
});

t.test('a name server that is silent holds nobody up who leaves', async (t) => {
  const asked: string[] = [];
  const system = async (host: string) => {
    asked.push(host);
    return { host: '10.0.0.7', family: 4 };
  };
  const names = endableNames(system, (host) => host.endsWith('.invalid'));
  t.match(
    await names.lookup('dht.home', { family: 4 }),
    { host: '10.0.0.7' },
    'names of one own go the way of the system',
  );
  const waiting = names.lookup('nobody.invalid', { family: 4 });
  names.end();
  await t.rejects(waiting);
  await t.rejects(names.lookup('dht.home', { family: 4 }), /closed/);
  t.same(asked, ['dht.home'], 'public names never do, nor any after the end');
});
