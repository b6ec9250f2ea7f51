import { once } from 'node:events';
import t, { type Test as TapTest } from 'tap';
import type { MeshRole } from '../../lib/structs/mesh.js';
import { byteStream } from '../../lib/transport/byte-stream.js';
import { secureStream } from '../../lib/transport/dht/secure.js';
import { ANSWER_MAX_BYTES, JOIN_VERSION, JoinChannel } from '../../lib/transport/join-messages.js';
import { messagePair } from '../../lib/transport/local.js';
import type { Connection } from '../../lib/transport/network.js';
import type { RpcHandlers, RpcStreamHandlers } from '../../lib/transport/rpc.js';
import { createMemoryMesh, type MemoryMesh, type MeshNode, testKey } from '../support/memory-mesh.js';

// Members that no dial can bring together, and a third one that both are linked with.

const handlers: RpcHandlers = {
  'Status.Ping': async (_, { peer }) => ({ from: peer }),
};
const streamHandlers: RpcStreamHandlers = {
  'Allocations.Exec': (_, stream) => {
    stream.on('data', (message) => stream.write(message));
    stream.on('end', () => stream.end());
  },
};
const EXEC = { AllocID: 'a', Task: 't', Cmd: ['cat'], Tty: false };

type Trio = MemoryMesh & { a: MeshNode; b: MeshNode; carriers: MeshNode[] };

/** Members 1 and 2 cannot dial each other; both keep links with all the others. */
async function apart(t: TapTest, roles: readonly MeshRole[]): Promise<Trio> {
  const mesh = await createMemoryMesh(roles, { peers: () => ({ handlers, streamHandlers }) });
  t.teardown(() => mesh.close());
  const [a, b, ...carriers] = mesh.nodes as [MeshNode, MeshNode, ...MeshNode[]];
  mesh.net.needRelay(a.key, b.key);
  for (const node of [a, b]) node.peers.keep(carriers.map(({ key }) => key));
  await mesh.clock.until(() => carriers.every((one) => linked(a, one) && linked(b, one)), 2_000);
  return { ...mesh, a, b, carriers };
}

const linked = (node: MeshNode, other: MeshNode): boolean => node.peers.linked().some(({ key }) => key === other.key);
const pathOf = (node: MeshNode, other: MeshNode) =>
  node.peers.linked().find(({ key }) => key === other.key)?.report.Path;
const carrierOf = ({ a, b, carriers }: Trio): MeshNode | undefined =>
  carriers.find(({ key }) => key === pathOf(a, b)?.Relay);

t.test('members that cannot be brought together call and stream by way of a third', async (t) => {
  const trio = await apart(t, ['server', 'server', 'client']);
  const { clock, a, b, carriers } = trio;
  const call = a.peers.caller(b.key).call('Status.Ping', {});
  await clock.advance(9_000);
  t.same(await call, { from: { key: a.key, role: 'server', name: 'n1' } });
  for (const path of [pathOf(a, b), pathOf(b, a)]) t.match(path, { Kind: 'relayed', Relay: carriers[0]?.key });
  t.match(a.peers.report().Problems.join(), /n2 is reached through a member that carries/);

  const stream = a.peers.caller(b.key).stream('Allocations.Exec', EXEC);
  let bytes = 0;
  stream.on('data', ({ Data }: { Data: Uint8Array }) => {
    bytes += Data.length;
  });
  const ended = once(stream, 'end');
  for (let n = 0; n < 64; n++) stream.write({ Data: new Uint8Array(50_000) });
  stream.end();
  await clock.advance(10_000);
  await ended;
  t.equal(bytes, 64 * 50_000);
});

t.test('where UDP is known to be blocked nobody waits for a dial to fail', async (t) => {
  const { clock, net, a, b } = await apart(t, ['client', 'server', 'client']);
  net.setNat(a.key, 'blocked');
  const call = a.peers.caller(b.key).call('Status.Ping', {});
  t.ok((await clock.until(() => linked(a, b), 5_000)) < 500);
  await clock.advance(500);
  await call;
});

t.test('a carried member that is revoked is out at once, everywhere', async (t) => {
  const { clock, roster, a, b } = await apart(t, ['client', 'server', 'client']);
  a.peers.keep([b.key, ...a.peers.linked().map(({ key }) => key)]);
  await clock.until(() => linked(a, b) && linked(b, a), 10_000);
  roster.setStatus(a.key, 'revoked');
  await clock.advance(50);
  t.notOk(linked(b, a));
  await clock.advance(20_000);
  t.notOk(linked(b, a), 'and does not come back');
});

t.test('when the carrier dies another one carries', async (t) => {
  const trio = await apart(t, ['client', 'server', 'client', 'client']);
  const { clock, net, a, b, carriers } = trio;
  a.peers.keep([b.key, ...carriers.map(({ key }) => key)]);
  await clock.until(() => linked(a, b), 10_000);
  const first = carrierOf(trio);
  t.ok(first);
  net.powerOff(first?.key ?? '');
  await clock.until(() => carrierOf(trio) !== undefined && carrierOf(trio) !== first, 30_000);
  const call = a.peers.caller(b.key).call('Status.Ping', {});
  await clock.advance(1_000);
  t.match(await call, { from: { name: 'n1' } });
});

t.test('a way of their own takes the place of the carried one, and no call is lost', async (t) => {
  const trio = await apart(t, ['server', 'server', 'client']);
  const { clock, net, a, b } = trio;
  a.peers.keep([b.key, ...a.peers.linked().map(({ key }) => key)]);
  await clock.until(() => linked(a, b), 10_000);
  net.allowDirect(a.key, b.key);
  const stream = a.peers.caller(b.key).stream('Allocations.Exec', EXEC);
  const heard: unknown[] = [];
  stream.on('data', (message) => heard.push(message));
  await clock.until(() => pathOf(a, b)?.Kind === 'memory' && pathOf(b, a)?.Kind === 'memory', 70_000);
  stream.write({ Data: new Uint8Array(1) });
  await clock.advance(500);
  t.equal(heard.length, 1, 'what was under way goes on');
  await clock.advance(120_000);
  stream.write({ Data: new Uint8Array(1) });
  await clock.advance(500);
  t.equal(heard.length, 2, 'as long as it takes');
  stream.end();
  await clock.advance(500);
  const call = a.peers.caller(b.key).call('Status.Ping', {});
  await clock.advance(500);
  await call;
});

t.test('nobody carries for strangers, to strangers, to itself, or what is carried already', async (t) => {
  const { clock, roster, a, b, carriers } = await apart(t, ['client', 'server', 'client']);
  const [carrier] = carriers as [MeshNode];
  const refusal = async (from: MeshNode, to: MeshNode, method: 'Mesh.Carry' | 'Mesh.Carried', key: string) => {
    const stream = from.peers
      .caller(to.key)
      .stream(method, (method === 'Mesh.Carry' ? { To: key } : { From: key }) as never);
    const failed = new Promise<{ code?: string }>((resolve) => stream.once('error', resolve));
    await clock.advance(3_000);
    return (await failed).code;
  };
  t.equal(await refusal(a, carrier, 'Mesh.Carry', 'f'.repeat(64)), 'E_NOT_FOUND', 'to a stranger');
  t.equal(await refusal(a, carrier, 'Mesh.Carry', carrier.key), 'E_NOT_FOUND', 'to itself');
  t.equal(await refusal(a, carrier, 'Mesh.Carry', a.key), 'E_NOT_FOUND', 'back to the asker');
  t.equal(await refusal(carrier, b, 'Mesh.Carried', 'f'.repeat(64)), 'E_PERMISSION_DENIED', 'from a stranger');
  const call = a.peers.caller(b.key).call('Status.Ping', {});
  await clock.until(() => linked(a, b), 10_000);
  await clock.advance(100);
  await call;
  t.equal(await refusal(carrier, a, 'Mesh.Carry', b.key), 'E_NO_NODE_PATH', 'over a link that is carried itself');
  roster.set('9'.repeat(64), { name: 'out', role: 'client', status: 'revoked' });
  t.equal(await refusal(a, carrier, 'Mesh.Carry', '9'.repeat(64)), 'E_NOT_FOUND', 'to one that was revoked');
});

t.test('a carrier has room for a few connections of one member, and has it again when they end', async (t) => {
  const { clock, a, b, carriers } = await apart(t, ['client', 'server', 'client']);
  const [carrier] = carriers as [MeshNode];
  const refused: unknown[] = [];
  const open = () => {
    const stream = a.peers.caller(carrier.key).stream('Mesh.Carry', { To: b.key });
    stream.on('error', (error: { code?: string }) => refused.push(error.code));
    return stream;
  };
  const streams = Array.from({ length: 10 }, open);
  await clock.advance(3_000);
  t.same(refused, ['E_TOO_MANY', 'E_TOO_MANY']);
  for (const stream of streams) stream.destroy();
  await clock.advance(1_000);
  open();
  await clock.advance(2_000);
  t.equal(refused.length, 2);
});

t.test('a key that carries to somebody else than was asked for gets no link', async (t) => {
  // Member 3 says that member 1 comes, and proves only itself.
  const { clock, net, a, b, carriers } = await apart(t, ['client', 'server', 'client']);
  const [carrier] = carriers as [MeshNode];
  const bytes = byteStream(carrier.peers.caller(b.key).stream('Mesh.Carried', { From: a.key }));
  bytes.on('error', () => {});
  const stranger = net.join(testKey(77));
  stranger.secure(bytes, { dialled: true, path: () => ({ Kind: 'memory', Address: '' }) }).catch(() => {});
  await clock.until(() => bytes.destroyed, 10_000);
  t.notOk(linked(b, a));
});

t.test('a machine with an invite is taken to a server by a member that is none', async (t) => {
  const arrived: Connection[] = [];
  const mesh = await createMemoryMesh(['server', 'client'], {
    peers: (n) => (n === 1 ? { onJoin: (connection: Connection) => arrived.push(connection) } : {}),
  });
  t.teardown(() => mesh.close());
  const [server, member] = mesh.nodes as [MeshNode, MeshNode];
  const { clock, net, roster } = mesh;
  const invite = testKey(0xabc);
  const joiner = net.join(testKey(0xdef));
  const askToBeCarried = async () => {
    const dialled = joiner.dial(member.key, { as: invite });
    dialled.catch(() => {});
    await clock.advance(8_000);
    const channel = new JoinChannel((await dialled).stream, ANSWER_MAX_BYTES);
    channel.send({ Type: 'join', Version: JOIN_VERSION });
    await clock.advance(1_000);
    return { channel, said: await channel.receive(1_000) };
  };
  await t.rejects(askToBeCarried(), /cannot be reached/, 'not with a key that was never invited');
  roster.invite(invite.publicKey);
  const early = await askToBeCarried();
  t.match(early.said, { Type: 'refused', Code: 'E_NO_NODE_PATH' }, 'nor by a member that is linked with no server');
  member.peers.keep([server.key]);
  await clock.until(() => linked(member, server), 2_000);
  const { channel, said } = await askToBeCarried();
  t.equal(said.Type, 'carried');
  const path = () => ({ Kind: 'memory', Address: '' }) as const;
  const secured = joiner.secure(channel.release(), { dialled: true, path, as: invite });
  await clock.advance(1_000);
  const inner = await secured;
  t.equal(inner.remoteKey, server.key, 'who answers proves to be the server');
  const [there] = arrived;
  t.equal(there?.remoteKey, invite.publicKey, 'and the joiner, that it has the invite');
  t.same(there?.handshakeHash, inner.handshakeHash);
  t.match(there?.path(), { Kind: 'relayed', Relay: member.key });
  inner.stream.write('hello');
  await clock.advance(100);
  t.equal(String(there?.stream.read()), 'hello');
});

t.test('both ends prove their keys over carried bytes, which nobody between can read', async (t) => {
  const { default: DHT } = await import('hyperdht');
  const [one, other] = [DHT.keyPair(Buffer.alloc(32, 1)), DHT.keyPair(Buffer.alloc(32, 2))];
  const [near, far] = messagePair();
  const seen: Buffer[] = [];
  const carried = byteStream(near);
  const write = carried.write.bind(carried) as (chunk: Buffer) => boolean;
  carried.write = ((chunk: Buffer) => {
    seen.push(Buffer.from(chunk));
    return write(chunk);
  }) as typeof carried.write;
  const path = () => ({ Kind: 'relayed', Address: '' }) as const;
  const [a, b] = await Promise.all([
    secureStream(carried, { keyPair: one, dialled: true, path }),
    secureStream(byteStream(far), { keyPair: other, dialled: false, path }),
  ]);
  t.equal(a.remoteKey, other.publicKey.toString('hex'));
  t.equal(b.remoteKey, one.publicKey.toString('hex'));
  t.ok(Buffer.from(a.handshakeHash).equals(Buffer.from(b.handshakeHash)));
  const data = Buffer.alloc(300_000, 'a secret that is easily found');
  a.stream.end(data);
  const got: Buffer[] = [];
  for await (const chunk of b.stream) got.push(chunk as Buffer);
  t.ok(Buffer.concat(got).equals(data));
  t.ok(Buffer.concat(seen).length > data.length);
  t.notOk(Buffer.concat(seen).includes('secret'));
  b.stream.end();
});

t.test('bytes that are no handshake, or that end, reject', async (t) => {
  const { default: DHT } = await import('hyperdht');
  const path = () => ({ Kind: 'relayed', Address: '' }) as const;
  for (const say of [Buffer.from([4, 0, 0, 1, 2, 3, 4]), null]) {
    const [near, far] = messagePair();
    const bytes = byteStream(near);
    bytes.on('error', () => {});
    const secured = secureStream(byteStream(far), { keyPair: DHT.keyPair(Buffer.alloc(32, 1)), dialled: false, path });
    if (say) bytes.write(say);
    else bytes.destroy();
    await t.rejects(secured, /no handshake over a carried connection/);
  }
});
