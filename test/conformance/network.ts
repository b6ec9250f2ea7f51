import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Test } from 'tap';
import type { MeshRole, NodeKey } from '../../lib/structs/mesh.js';
import { systemClock } from '../../lib/transport/clock.js';
import { createAddressBook } from '../../lib/transport/mesh/address-book.js';
import type { PeersOptions } from '../../lib/transport/mesh/options.js';
import { createPeers } from '../../lib/transport/mesh/peers.js';
import type { ConnectAs, Connection, Network } from '../../lib/transport/network.js';
import type { Peers } from '../../lib/transport/peers.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { TestRoster, testCertificate, verifyTestChain } from '../support/memory-mesh.js';
import { eventually } from '../support/mesh-agent.js';
import { patience } from '../support/patience.js';

/** A kind of network, and how members of one are made. */
export interface NetworkWorld {
  open(): Promise<Network>;
  /** A key pair such as an invite has. */
  identity(): Promise<ConnectAs>;
}

interface Listening {
  readonly network: Network;
  readonly taken: Connection[];
}

async function listening(
  world: NetworkWorld,
  admit: (key: NodeKey) => boolean | Promise<boolean> = () => true,
): Promise<Listening> {
  const network = await world.open();
  const taken: Connection[] = [];
  await network.listen({ admit, onConnection: (connection) => taken.push(connection) });
  return { network, taken };
}

/** Dials until it works (a DHT may need a moment to know of a new member), and speaks first. */
async function meet(from: Network, to: Listening, as?: ConnectAs): Promise<[Connection, Connection]> {
  const before = to.taken.length;
  const near = await eventually('the dial', () => from.dial(to.network.key, as ? { as } : {}));
  near.stream.write('.');
  const far = await eventually('the connection at the other side', () => to.taken[before]);
  far.stream.once('readable', () => far.stream.read(1));
  await once(far.stream, 'readable');
  return [near, far];
}

/** What every Network must do. */
export async function networkSuite(t: Test, world: NetworkWorld): Promise<void> {
  // Timers of links keep no process alive.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(() => clearInterval(alive));

  await t.test('both sides know the other one and the handshake, and who dialled', async (t) => {
    const a = await listening(world);
    const b = await world.open();
    const [near, far] = await meet(b, a);
    t.match(near, { remoteKey: a.network.key, localKey: b.key, dialled: true });
    t.match(far, { remoteKey: b.key, localKey: a.network.key, dialled: false });
    t.equal(near.handshakeHash.length, 64);
    t.ok(Buffer.from(near.handshakeHash).equals(Buffer.from(far.handshakeHash)));
    t.ok(near.path().Address.includes(':'));
    const [again] = await meet(b, a);
    t.notOk(Buffer.from(again.handshakeHash).equals(Buffer.from(near.handshakeHash)), 'no two handshakes are alike');
    t.notOk(near.stream.destroyed, 'and two connections of one pair live side by side');
  });

  await t.test('megabytes arrive whole and in order, both ways at once', async (t) => {
    const a = await listening(world);
    const [near, far] = await meet(await world.open(), a);
    const data = Buffer.alloc(3_000_000, 'forty-one bytes, so that a shift is noticed');
    const whole = createHash('sha256').update(data).digest('hex');
    const receive = ({ stream }: Connection): Promise<string> =>
      new Promise((resolve, reject) => {
        const hash = createHash('sha256');
        stream.on('data', (chunk: Buffer) => hash.update(chunk));
        stream.once('error', reject);
        stream.once('end', () => resolve(hash.digest('hex')));
      });
    const received = Promise.all([receive(near), receive(far)]);
    near.stream.end(data);
    far.stream.end(data);
    t.same(await received, [whole, whole]);
  });

  await t.test('the end of one side is heard at the other', async (t) => {
    const a = await listening(world);
    const [near, far] = await meet(await world.open(), a);
    far.stream.resume();
    near.stream.destroy();
    await eventually('the end', () => far.stream.destroyed || undefined);
    t.pass();
  });

  await t.test('a key that is not admitted gets no stream, and the very same one does later', async (t) => {
    const b = await world.open();
    const admitted = new Set<NodeKey>();
    const a = await listening(world, async (key) => {
      if (key === b.key && !admitted.has(key)) throw new Error('what throws refuses');
      return true;
    });
    await t.rejects(b.dial(a.network.key, { timeoutMs: 3_000 }), { code: 'E_TIMEOUT' });
    t.equal(a.taken.length, 0);
    admitted.add(b.key);
    const [near] = await meet(b, a);
    t.equal(near.remoteKey, a.network.key);
  });

  await t.test('a dial may use another key pair than the network’s own', async (t) => {
    const a = await listening(world);
    const b = await world.open();
    const invite = await world.identity();
    const [near, far] = await meet(b, a, invite);
    t.equal(far.remoteKey, invite.publicKey);
    t.equal(near.localKey, invite.publicKey);
  });

  await t.test('who is not there is not reached, and a dial ends when it is called off', async (t) => {
    const b = await world.open();
    const nobody = await world.identity();
    await t.rejects(b.dial(nobody.publicKey, { timeoutMs: 1_000 }), { code: 'E_TIMEOUT' });
    const controller = new AbortController();
    const startedMs = performance.now();
    const dial = b.dial(nobody.publicKey, { signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await t.rejects(dial);
    t.ok(performance.now() - startedMs < patience(1_000));
  });

  await peersFacts(t, world);
}

interface Node {
  readonly key: NodeKey;
  readonly peers: Peers;
}

async function meshOf(
  t: Test,
  world: NetworkWorld,
  roles: readonly MeshRole[],
): Promise<{ nodes: Node[]; roster: TestRoster }> {
  const roster = new TestRoster();
  const nodes = await Promise.all(
    roles.map(async (role, i) => {
      const network = await world.open();
      const key = network.key;
      const name = `n${i + 1}`;
      roster.set(key, { name, role, status: 'admitted' });
      const options: PeersOptions = {
        network,
        roster,
        certificate: () => testCertificate({ Key: key, Role: role, Name: name }),
        verify: verifyTestChain,
        handlers: {
          'Status.Ping': async (_, { peer }) => ({ from: peer?.name }),
          'Job.List': async () => ({
            Jobs: [],
            Index: 1,
            LastContactMs: 0,
            KnownLeader: true,
            Filler: 'x'.repeat(5_000_000),
          }),
        },
        streamHandlers: {
          'Allocations.Exec': (_, stream) => {
            stream.on('data', (message) => stream.write(message));
            stream.on('end', () => stream.end());
          },
        },
        relay: false,
        addressBook: createAddressBook({ path: null, clock: systemClock, log: silentLog }),
        log: silentLog,
        clock: systemClock,
        random: seededRandom(i + 1),
        version: 'test',
      };
      return { key, peers: createPeers(options) };
    }),
  );
  t.teardown(() => Promise.all(nodes.map(({ peers }) => peers.close())));
  for (const { peers } of nodes) await peers.start();
  // As gossip would tell.
  for (const { peers } of nodes) for (const other of nodes) peers.learn(other.key, other.peers.addresses());
  return { nodes, roster };
}

/** What link managers do over it. */
async function peersFacts(t: Test, world: NetworkWorld): Promise<void> {
  await t.test('members call, take large answers and stream', async (t) => {
    const { nodes } = await meshOf(t, world, ['server', 'server']);
    const [a, b] = nodes as [Node, Node];
    const caller = b.peers.caller(a.key);
    t.same(await caller.call('Status.Ping', {}, { timeoutMs: 10_000 }), { from: 'n2' });
    const large = (await caller.call('Job.List', {}, { timeoutMs: 10_000 })) as unknown as { Filler: string };
    t.equal(large.Filler.length, 5_000_000);
    const stream = caller.stream('Allocations.Exec', { AllocID: 'a', Task: 't', Cmd: ['cat'], Tty: false });
    let bytes = 0;
    const ended = once(stream, 'end');
    stream.on('data', ({ Data }: { Data: Uint8Array }) => {
      bytes += Data.length;
    });
    for (let i = 0; i < 100; i++) {
      if (!stream.write({ Type: 'stdin', Data: new Uint8Array(50_000) })) await once(stream, 'drain');
    }
    stream.end();
    await ended;
    t.equal(bytes, 5_000_000);
  });

  await t.test('both sides dial: one link each is left, and datagrams go both ways', async (t) => {
    const { nodes } = await meshOf(t, world, ['server', 'server']);
    const [a, b] = nodes as [Node, Node];
    const heard: string[] = [];
    for (const { peers } of [a, b]) peers.onDatagram('raft', (_, data) => heard.push(Buffer.from(data).toString()));
    a.peers.keep([b.key]);
    b.peers.keep([a.key]);
    await eventually('the link', () => (a.peers.linked().length === 1 && b.peers.linked().length === 1) || undefined);
    a.peers.send(b.key, 'raft', Buffer.from('from a'));
    b.peers.send(a.key, 'raft', Buffer.from('from b'));
    await eventually('the datagrams', () => heard.length === 2 || undefined);
    t.same(heard.sort(), ['from a', 'from b']);
  });

  await t.test('a hub passes datagrams on, and a revoked member is cut off within 2 s', async (t) => {
    const { nodes, roster } = await meshOf(t, world, ['server', 'client', 'client']);
    const [hub, b, c] = nodes as [Node, Node, Node];
    b.peers.keep([hub.key]);
    c.peers.keep([hub.key]);
    await eventually(
      'the links',
      () => (hub.peers.linked().length === 2 && c.peers.linked().length === 1) || undefined,
    );
    let heard = 0;
    c.peers.onDatagram('gossip', () => heard++);
    await eventually('a datagram', () => {
      b.peers.send(c.key, 'gossip', Buffer.from('x'));
      return heard > 0 || undefined;
    });
    const startedMs = performance.now();
    roster.setStatus(b.key, 'revoked');
    await eventually(
      'the end of the link',
      () => (hub.peers.linked().length === 1 && b.peers.linked().length === 0) || undefined,
    );
    const tookMs = performance.now() - startedMs;
    t.ok(tookMs < patience(2_000), `${tookMs.toFixed(0)} ms`);
    t.equal(c.peers.linked().length, 1);
  });
}
