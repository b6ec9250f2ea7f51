import { once } from 'node:events';
import t from 'tap';
import { createMemoryNetwork, type MemoryNetworkOptions } from '../../lib/transport/memory-network.js';
import type { ConnectAs, Connection, Network } from '../../lib/transport/network.js';
import { seededRandom } from '../../lib/util/random.js';
import { createSimulatedClock } from '../support/simulated-clock.js';

const as = (letter: string): ConnectAs => ({ publicKey: letter.repeat(64), seed: new Uint8Array(32) });
const [A, B, C] = [as('a'), as('b'), as('c')] as const;

function world(options: Partial<MemoryNetworkOptions> = {}) {
  const clock = createSimulatedClock();
  return { clock, net: createMemoryNetwork({ clock, random: seededRandom(1), delayMs: 10, ...options }) };
}

async function listening(network: Network, admit: (key: string) => boolean = () => true): Promise<Connection[]> {
  const taken: Connection[] = [];
  await network.listen({
    admit,
    onConnection: (connection) => {
      connection.stream.on('data', () => {});
      taken.push(connection);
    },
  });
  return taken;
}

t.test('a dial opens a stream between proven keys, with one hash that both sides know', async (t) => {
  const { clock, net } = world();
  const taken = await listening(net.join(B));
  const dial = net.join(A).dial(B.publicKey);
  await clock.advance(20);
  const near = await dial;
  const [far] = taken;
  t.match(near, { remoteKey: B.publicKey, localKey: A.publicKey, dialled: true });
  t.match(far, { remoteKey: A.publicKey, localKey: B.publicKey, dialled: false });
  t.same(near.handshakeHash, far?.handshakeHash);
  let heard = '';
  far?.stream.on('data', (chunk: Buffer) => {
    heard += chunk.toString();
  });
  near.stream.write('one ');
  near.stream.write('two');
  await clock.advance(9);
  t.equal(heard, '');
  await clock.advance(1);
  t.equal(heard, 'one two');
});

t.test('who is not admitted gets no stream and learns nothing', async (t) => {
  const { clock, net } = world();
  const taken = await listening(net.join(B), () => false);
  const refused = t.rejects(net.join(A).dial(B.publicKey), { code: 'E_TIMEOUT', message: /no answer/ });
  await clock.advance(4_100);
  await refused;
  t.equal(taken.length, 0);
});

t.test('a cut way loses nothing when it is healed, and ends the stream when it lasts', async (t) => {
  const { clock, net } = world();
  const taken = await listening(net.join(B));
  const dial = net.join(A).dial(B.publicKey);
  await clock.advance(20);
  const near = await dial;
  let heard = '';
  taken[0]?.stream.on('data', (chunk: Buffer) => {
    heard += chunk.toString();
  });
  net.cutOneWay(A.publicKey, B.publicKey);
  near.stream.write('late');
  await clock.advance(5_000);
  t.equal(heard, '');
  net.heal();
  await clock.advance(0);
  t.equal(heard, 'late');
  net.cutOneWay(A.publicKey, B.publicKey);
  near.stream.write('never');
  await clock.advance(16_000);
  t.ok(near.stream.destroyed);
});

t.test('an address change silences connections; by key it is found again once it announced itself', async (t) => {
  const { clock, net } = world();
  const b = net.join(B);
  await listening(b);
  const a = net.join(A);
  const first = a.dial(B.publicKey);
  await clock.advance(20);
  await first;
  net.move(B.publicKey);
  const lost = t.rejects(a.dial(B.publicKey), { code: 'E_TIMEOUT' });
  await clock.advance(4_100);
  await lost;
  const byAddress = a.dial(B.publicKey, { addresses: b.report().localAddresses });
  await clock.advance(20);
  await byAddress;
  await b.refresh();
  const byKey = a.dial(B.publicKey);
  await clock.advance(20);
  await byKey;
});

t.test('who cannot meet directly meets through a relay that admits both', async (t) => {
  const { clock, net } = world();
  await listening(net.join(B));
  await net.join(C).serveRelay(() => true);
  net.needRelay(A.publicKey, B.publicKey);
  const dial = net.join(A).dial(B.publicKey, { relays: [C.publicKey] });
  await clock.advance(20);
  t.match((await dial).path(), { Kind: 'relayed', Relay: C.publicKey });
});

t.test('members of one topic find each other; a half-open connection exists at one side only', async (t) => {
  const { clock, net } = world();
  const [a, b] = [net.join(A), net.join(B)];
  const taken = await listening(b);
  const found: string[] = [];
  const topic = new Uint8Array(32);
  a.discover([topic], { announce: false, onFound: ({ key }) => found.push(key) });
  b.discover([topic], { announce: true, onFound: ({ key }) => found.push(key) });
  await clock.advance(10);
  t.same(found, [B.publicKey]);
  net.halfOpenNext(B.publicKey);
  const dial = a.dial(B.publicKey);
  await clock.advance(20);
  t.notOk((await dial).stream.destroyed);
  t.equal(taken.length, 0);
});

t.test('back-pressure: a writer waits for a reader that does not read', async (t) => {
  const { clock, net } = world({ delayMs: 0 });
  const b = net.join(B);
  let far: Connection | undefined;
  await b.listen({
    admit: () => true,
    onConnection: (connection) => {
      far = connection;
    },
  });
  const near = await net.join(A).dial(B.publicKey);
  let written = 0;
  while (near.stream.write(Buffer.alloc(64 * 1024)) && written < 1000) {
    written++;
    await clock.advance(0);
  }
  t.ok(written < 40, `${written} chunks of 64 KiB`);
  far?.stream.resume();
  await Promise.all([once(near.stream, 'drain'), clock.advance(0)]);
});
