import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Connection, Network, Sighting } from '../../../lib/transport/network.js';
import type { Address } from '../../../lib/transport/tcp.js';
import { eventually } from '../../support/mesh-agent.js';
import { patience } from '../../support/patience.js';
import { newIdentity, openTestnet, type Testnet } from '../../support/testnet.js';

// Some of them mostly wait.
t.jobs = 5;

/** Nobody answers there, and nobody says so. */
const SILENT: Address = { host: '127.255.255.250', port: 9 };

async function testnet(t: Test): Promise<Testnet> {
  const net = await openTestnet();
  t.teardown(() => net.close());
  return net;
}

/** Lets in whom `admit` likes, and gives the connections it took. */
async function listening(
  network: Network,
  admit: (key: string) => boolean | Promise<boolean> = () => true,
): Promise<Connection[]> {
  const taken: Connection[] = [];
  await network.listen({ admit, onConnection: (connection) => taken.push(connection) });
  return taken;
}

function addressOf(network: Network): Address {
  const [address] = network.report().localAddresses;
  if (!address) throw new Error('a network has an address');
  return address;
}

async function said(connection: Connection): Promise<string> {
  for await (const chunk of connection.stream) return String(chunk);
  return '';
}

t.test('a member is reached by its key alone, and both sides know who the other is', async (t) => {
  const net = await testnet(t);
  const a = await net.open();
  const b = await net.open();
  const taken = await listening(a);
  const near = await eventually('the dial', () => b.dial(a.key));
  near.stream.write('hello');
  const far = await eventually('the connection', () => taken.at(-1));
  t.equal(await said(far), 'hello');
  t.equal(near.remoteKey, a.key);
  t.equal(near.localKey, b.key);
  t.equal(far.remoteKey, b.key);
  t.equal(far.localKey, a.key);
  t.equal(near.dialled, true);
  t.equal(far.dialled, false);
  t.equal(near.handshakeHash.length, 64);
  t.same(Buffer.from(near.handshakeHash), Buffer.from(far.handshakeHash));
  t.equal(near.path().Kind, 'local');
});

t.test('a connection carries megabytes both ways, with back-pressure, and its end is heard', async (t) => {
  const net = await testnet(t);
  const a = await net.open({ bootstrap: [] });
  const b = await net.open({ bootstrap: [] });
  const taken = await listening(a);
  const near = await b.dial(a.key, { addresses: [addressOf(a)] });
  const far = await eventually('the connection', () => taken[0]);
  far.stream.pipe(far.stream);
  const block = Buffer.alloc(1 << 20, 'x');
  let back = 0;
  let waited = 0;
  near.stream.on('data', (chunk: Buffer) => {
    back += chunk.length;
  });
  for (let i = 0; i < 8; i++) {
    if (near.stream.write(block)) continue;
    waited++;
    await once(near.stream, 'drain');
  }
  await eventually('all of it', () => back === 8 << 20 || undefined);
  t.ok(waited > 0, 'the writer was held back');
  near.stream.destroy();
  await eventually('the other end to hear of it', () => far.stream.closed || undefined);
});

t.test(
  'a key that is not admitted gets no stream, and one that is admitted later does',
  { buffered: true },
  async (t) => {
    const net = await testnet(t);
    const a = await net.open({ bootstrap: [] });
    const b = await net.open({ bootstrap: [] });
    const members = new Set<string>();
    const taken = await listening(a, async (key) => {
      if (key === 'never') throw new Error('unreachable');
      return members.has(key);
    });
    const dial = { addresses: [addressOf(a)], timeoutMs: 700 };
    await t.rejects(b.dial(a.key, dial), { code: 'E_TIMEOUT', message: /cannot be reached/ });
    t.equal(taken.length, 0);
    members.add(b.key);
    await b.dial(a.key, { addresses: [addressOf(a)] });
    await eventually('the connection', () => taken[0]);
  },
);

t.test('an admission that throws refuses', { buffered: true }, async (t) => {
  const net = await testnet(t);
  const a = await net.open({ bootstrap: [] });
  const b = await net.open({ bootstrap: [] });
  const taken = await listening(a, () => {
    throw new Error('the roster is not there yet');
  });
  await t.rejects(b.dial(a.key, { addresses: [addressOf(a)], timeoutMs: 700 }), { code: 'E_TIMEOUT' });
  t.equal(taken.length, 0);
});

t.test('an invite is dialled with its own key pair', async (t) => {
  const net = await testnet(t);
  const invite = await newIdentity();
  const a = await net.open({ bootstrap: [] });
  const b = await net.open({ bootstrap: [] });
  const taken = await listening(a, (key) => key === invite.publicKey);
  const near = await b.dial(a.key, { addresses: [addressOf(a)], as: invite });
  const far = await eventually('the connection', () => taken[0]);
  t.equal(near.localKey, invite.publicKey);
  t.equal(far.remoteKey, invite.publicKey);
});

t.test('without a DHT an address leads to a member at once, among dead and foreign ones', async (t) => {
  const net = await testnet(t);
  const a = await net.open({ bootstrap: [] });
  const b = await net.open({ bootstrap: [] });
  const other = await net.open({ bootstrap: [] });
  await listening(a);
  await listening(other);
  const began = performance.now();
  const found = await b.dial(a.key, { addresses: [SILENT, addressOf(other), addressOf(b), addressOf(a)] });
  t.equal(found.remoteKey, a.key);
  t.ok(performance.now() - began < patience(2_000), `took ${Math.round(performance.now() - began)} ms`);
});

t.test('a dead bootstrap node delays neither listening nor a dial by address', { buffered: true }, async (t) => {
  const net = await testnet(t);
  const began = performance.now();
  const a = await net.open({ bootstrap: [SILENT] });
  const b = await net.open({ bootstrap: [SILENT] });
  const taken = await listening(a);
  await b.dial(a.key, { addresses: [addressOf(a)] });
  await eventually('the connection', () => taken[0]);
  t.ok(performance.now() - began < patience(2_000), `took ${Math.round(performance.now() - began)} ms`);
  t.equal(b.report().dht, 'silent');
});

t.test('who cannot be reached is told with what was tried', { buffered: true }, async (t) => {
  const net = await testnet(t);
  const b = await net.open({ bootstrap: [] });
  const { publicKey } = await newIdentity();
  const address = `${SILENT.host}:${SILENT.port}`;
  await t.rejects(b.dial(publicKey, { addresses: [SILENT], timeoutMs: 300 }), {
    code: 'E_TIMEOUT',
    message: new RegExp(`^${publicKey.slice(0, 8)} cannot be reached \\(\\d\\.\\d s\\)`),
  });
  await t.rejects(b.dial(publicKey, { addresses: [SILENT] }), { code: 'E_TIMEOUT', message: new RegExp(address) });
  await t.rejects(b.dial(b.key), { code: 'E_BAD_REQUEST', message: /this node itself/ });
});

t.test('a name leads to a member like an address', async (t) => {
  const net = await testnet(t);
  const a = await net.open({ bootstrap: [] });
  const b = await net.open({ bootstrap: [] });
  await listening(a);
  const { port } = addressOf(a);
  t.equal((await b.dial(a.key, { addresses: [{ host: 'localhost', port }] })).remoteKey, a.key);
  const unknown = { addresses: [{ host: 'nowhere.invalid', port }], timeoutMs: 1_000 };
  await t.rejects(b.dial(a.key, unknown), { code: 'E_TIMEOUT', message: /cannot be reached/ });
});

t.test('the DHT is entered again when its bootstrap node is gone', { buffered: true }, async (t) => {
  const net = await testnet(t);
  const folder = mkdtempSync(join(tmpdir(), 'meshnomad-nodes-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const bootstrap = net.bootstrap.slice(0, 1);
  await eventually('a member to learn of the nodes that are not in its configuration', async () => {
    const before = await net.open({ bootstrap, folder });
    await eventually('the DHT to answer', () => before.report().dht === 'answers' || undefined);
    await before.close();
    return readFileSync(join(folder, 'dht-nodes'), 'utf8').split('\n').length > 3 || undefined;
  });
  const a = await net.open();
  await listening(a);
  await eventually('a member to be announced', async () => (await (await net.open()).dial(a.key)) && true);
  await net.stop(0);
  const after = await net.open({ bootstrap, folder });
  await eventually('the DHT to answer again', () => after.report().dht === 'answers' || undefined, 20_000);
  t.equal((await after.dial(a.key)).remoteKey, a.key);
});

t.test('a dial ends at once when it is called off', async (t) => {
  const net = await testnet(t);
  const b = await net.open({ bootstrap: [] });
  const { publicKey } = await newIdentity();
  const controller = new AbortController();
  const dialling = b.dial(publicKey, { addresses: [SILENT], signal: controller.signal });
  controller.abort(new Error('no longer wanted'));
  await t.rejects(dialling, { message: 'no longer wanted' });
  await t.rejects(b.dial(publicKey, { signal: controller.signal }), { message: 'no longer wanted' });
});

t.test('members that join a topic at the same moment all find each other', async (t) => {
  const net = await testnet(t);
  const topic = Buffer.alloc(32, 7);
  const members = await Promise.all(Array.from({ length: 5 }, () => net.open()));
  const found = await Promise.all(
    members.map(async (member) => {
      const keys = new Set<string>();
      await listening(member);
      const onFound = (sighting: Sighting): void => void keys.add(sighting.key);
      const discovery = member.discover([topic, Buffer.alloc(32, 8)], { announce: true, onFound });
      t.teardown(() => discovery.close());
      return keys;
    }),
  );
  await eventually('everybody to know everybody', () => found.every((keys) => keys.size === 4) || undefined, 20_000);
  const silent = await net.open();
  const heard = new Set<string>();
  const quiet = silent.discover([topic], { announce: false, onFound: ({ key }) => heard.add(key) });
  await quiet.refresh();
  await eventually('the quiet one to know all', () => heard.size === 5 || undefined, 20_000);
  t.notOk(
    found.some((keys) => keys.has(silent.key)),
    'nobody hears of who does not announce',
  );
  await quiet.close();
});

t.test('several see this node, so it knows how it is reached', async (t) => {
  const net = await testnet(t);
  const a = await net.open();
  const report = await eventually('the report', () => {
    const found = a.report();
    // It is seen at the port of its client socket until it knows itself to be open.
    return found.nat === 'open' && found.publicAddress?.port === addressOf(a).port ? found : undefined;
  });
  t.equal(report.dht, 'answers');
  t.same(report.publicAddress, addressOf(a));
  const advertised = await net.open({ advertise: [{ host: '5.5.5.5', port: 7 }] });
  t.same(addressOf(advertised), { host: '5.5.5.5', port: 7 });
});

t.test(
  'a node that relays tells by the first bytes who wants to be relayed, and lets only members',
  { buffered: true },
  async (t) => {
    const net = await testnet(t);
    const a = await net.open();
    const b = await net.open();
    const taken = await listening(a);
    await a.serveRelay((key) => key !== b.key);
    const dial = { addresses: [addressOf(a)] };
    const wish = Buffer.concat([Buffer.from([0, 1, 1, 11]), Buffer.from('blind-relay'), Buffer.alloc(40)]);
    const refused = await b.dial(a.key, dial);
    refused.stream.write(wish);
    await eventually('the refusal', () => refused.stream.closed || undefined);
    t.equal(taken.length, 0, 'it is no connection for anybody');
    const plain = await b.dial(a.key, dial);
    plain.stream.write('hello');
    const far = await eventually('the connection', () => taken[0]);
    t.equal(await said(far), 'hello', 'what was read to find out is not lost');
    await b.dial(a.key, dial);
    await eventually('one that says nothing', () => taken[1]);
  },
);

t.test('what was open without a word lets other ways go first, and is still tried', async (t) => {
  const net = await testnet(t);
  const a = await net.open();
  const b = await net.open();
  await listening(a);
  const dial = { addresses: [addressOf(a)] };
  (await b.dial(a.key, dial)).stream.destroy();
  const again = await b.dial(a.key, dial);
  t.equal(again.remoteKey, a.key);
  const alone = await net.open({ bootstrap: [] });
  (await alone.dial(a.key, dial)).stream.destroy();
  const began = performance.now();
  await alone.dial(a.key, dial);
  t.ok(performance.now() - began < patience(900), 'where there is no other way, it is not waited for');
});

t.test('what is under way ends with the network', async (t) => {
  const net = await testnet(t);
  const a = await net.open();
  const { publicKey } = await newIdentity();
  const dialling = a.dial(publicKey, { addresses: [SILENT] });
  const failed = t.rejects(dialling, { code: 'E_TIMEOUT', message: 'the network is closed' });
  await a.close();
  await failed;
  await t.rejects(a.dial(publicKey), { code: 'E_TIMEOUT', message: 'the network is closed' });
});

t.test('a taken port is named, a chosen one is kept, and given up only for another program', async (t) => {
  const net = await testnet(t);
  const a = await net.open();
  const { port } = addressOf(a);
  await t.rejects(net.open({ port }), { code: 'E_CONFLICT', message: new RegExp(`UDP port ${port} .*mesh \\{ port`) });
  const folder = mkdtempSync(join(tmpdir(), 'meshnomad-port-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const first = await net.open({ port: null, folder });
  const chosen = addressOf(first).port;
  await first.close();
  const second = await net.open({ port: null, folder });
  t.equal(addressOf(second).port, chosen);
  const moved = addressOf(await net.open({ port: null, folder })).port;
  t.not(moved, chosen);
  t.equal(readFileSync(join(folder, 'udp-port'), 'utf8'), `${moved}\n`);
});

t.test('of many that start at the same moment each finds a port of its own', async (t) => {
  const net = await testnet(t);
  const folder = mkdtempSync(join(tmpdir(), 'meshnomad-ports-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const open = (at: number): Promise<Network> => net.open({ port: null, folder: join(folder, String(at)) });
  const networks = await Promise.all(Array.from({ length: 24 }, (_, at) => open(at)));
  const ports = networks.map((network) => addressOf(network).port);
  t.equal(new Set(ports).size, ports.length);
  t.same(
    ports.map((_, at) => Number(readFileSync(join(folder, String(at), 'udp-port'), 'utf8'))),
    ports,
    'and keeps it',
  );
});
