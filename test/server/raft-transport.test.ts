import t, { type Test as TapTest } from 'tap';
import type { RunningConsensus } from '../../lib/server/consensus.js';
import { openConsensus } from '../../lib/server/consensus.js';
import type { MeshRaftTransport } from '../../lib/server/raft-transport.js';
import { meshRaftTransport } from '../../lib/server/raft-transport.js';
import type { MeshRole } from '../../lib/structs/mesh.js';
import type { RpcStreamHandlers } from '../../lib/transport/rpc.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import type { MemoryMesh, MeshNode } from '../support/memory-mesh.js';
import { createMemoryMesh } from '../support/memory-mesh.js';
import type { Ledger } from './ledger.js';
import { createLedger, write } from './ledger.js';

interface Linked extends MemoryMesh {
  readonly transports: MeshRaftTransport[];
  key(n: number): string;
}

/** Real link managers over a network in memory. */
async function linked(t: TapTest, roles: readonly MeshRole[]): Promise<Linked> {
  const served = roles.map((): RpcStreamHandlers => ({}));
  const mesh = await createMemoryMesh(roles, { peers: (n) => ({ streamHandlers: served[n - 1] ?? {} }) });
  t.teardown(() => mesh.close());
  const transports = mesh.nodes.map(({ peers }, i) => {
    const transport = meshRaftTransport(peers);
    Object.assign(served[i] ?? {}, transport.streamHandlers);
    return transport;
  });
  for (const node of mesh.nodes) node.peers.keep(mesh.nodes.filter((other) => other !== node).map(({ key }) => key));
  await mesh.clock.advance(1000);
  return { ...mesh, transports, key: (n) => (mesh.nodes[n - 1] as MeshNode).key };
}

function transport(mesh: Linked, n: number): MeshRaftTransport {
  return mesh.transports[n - 1] as MeshRaftTransport;
}

async function* chunksOf(...chunks: Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* chunks;
}

async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

const NEVER = new AbortController().signal;

t.test('messages of any size arrive as they were sent', async (t) => {
  const mesh = await linked(t, ['server', 'server']);
  const heard: { from: string; length: number; sum: number }[] = [];
  transport(mesh, 2).onMessage((from, { length }) => heard.push({ from, length, sum: 0 }));
  for (const length of [0, 1, 512 * 1024, 512 * 1024 + 1, 3_000_000]) {
    transport(mesh, 1).send(mesh.key(2), new Uint8Array(length).fill(7));
    await mesh.clock.advance(2000);
  }
  t.same(
    heard.map(({ length }) => length),
    [0, 1, 512 * 1024, 512 * 1024 + 1, 3_000_000],
  );
  t.ok(heard.every(({ from }) => from === mesh.key(1)));
});

t.test('a snapshot arrives whole, in pieces, and is answered when it is stored', async (t) => {
  const mesh = await linked(t, ['server', 'server']);
  let stored: Buffer | undefined;
  transport(mesh, 2).onSnapshot(async (from, { head, chunks }) => {
    t.same([from, Buffer.from(head).toString()], [mesh.key(1), 'head']);
    stored = await gather(chunks);
  });
  const large = new Uint8Array(5_000_000).map((_, i) => i % 251);
  const sent = transport(mesh, 1).sendSnapshot(
    mesh.key(2),
    { head: Buffer.from('head'), chunks: chunksOf(large, Buffer.from('end')) },
    NEVER,
  );
  await mesh.clock.advance(5000);
  await sent;
  t.ok(stored?.equals(Buffer.concat([large, Buffer.from('end')])));
});

t.test('a snapshot that breaks off, or is refused, is known to have failed on both sides', async (t) => {
  const mesh = await linked(t, ['server', 'server']);
  let outcome = 'nothing';
  transport(mesh, 2).onSnapshot((_, { chunks }) =>
    gather(chunks).then(
      () => {
        outcome = 'stored';
      },
      (error: Error) => {
        outcome = error.message;
        throw error;
      },
    ),
  );
  async function* broken(): AsyncIterable<Uint8Array> {
    yield new Uint8Array(10);
    throw new Error('planted');
  }
  const head = new Uint8Array(1);
  const sent = transport(mesh, 1).sendSnapshot(mesh.key(2), { head, chunks: broken() }, NEVER);
  const rejected = t.rejects(sent, /planted/);
  await mesh.clock.advance(1000);
  await rejected;
  t.match(outcome, /ended|closed|abort|Premature|lost/i);
  transport(mesh, 2).onSnapshot(() => Promise.reject(new Error('not now')));
  const refused = transport(mesh, 1).sendSnapshot(mesh.key(2), { head, chunks: chunksOf(new Uint8Array(9)) }, NEVER);
  const noted = t.rejects(refused, /not now/);
  await mesh.clock.advance(1000);
  await noted;
  transport(mesh, 2).onSnapshot((_, { chunks }) => gather(chunks).then(() => {}));
  const controller = new AbortController();
  const endless = transport(mesh, 1).sendSnapshot(
    mesh.key(2),
    {
      head,
      chunks: (async function* () {
        await new Promise(() => {});
        yield head;
      })(),
    },
    controller.signal,
  );
  const ended = t.rejects(endless, { code: 'E_TIMEOUT' });
  await mesh.clock.advance(100);
  controller.abort();
  await ended;
});

t.test('a snapshot whose digest is wrong is not taken, and none from a client', async (t) => {
  const mesh = await linked(t, ['server', 'server', 'client']);
  let outcome: unknown;
  transport(mesh, 2).onSnapshot(async (_, { chunks }) => {
    outcome = await gather(chunks).catch((error: unknown) => error);
  });
  const stream = (mesh.nodes[0] as MeshNode).peers.caller(mesh.key(2)).stream('Raft.Snapshot', { Head: '' });
  stream.on('error', () => {});
  stream.write({ Data: new Uint8Array([1, 2, 3]) });
  stream.write({ Digest: '00' });
  await mesh.clock.advance(1000);
  t.match(outcome, { code: 'E_STORAGE', message: /changed on its way/ });
  outcome = 'nothing';
  const sent = transport(mesh, 3).sendSnapshot(mesh.key(2), { head: new Uint8Array(1), chunks: chunksOf() }, NEVER);
  const rejected = t.rejects(sent, { code: 'E_PERMISSION_DENIED' });
  await mesh.clock.advance(1000);
  await rejected;
  t.equal(outcome, 'nothing');
});

async function open(
  mesh: Linked,
  n: number,
  snapshotBytes: number,
): Promise<{ consensus: RunningConsensus; ledger: Ledger }> {
  const ledger = createLedger();
  const { clock } = mesh;
  const consensus = await openConsensus({
    dataDir: null,
    id: mesh.key(n),
    found: n === 1,
    transport: transport(mesh, n),
    fsm: ledger,
    timers: { setTimeout: (ms, fn) => clock.setTimeout(ms, fn), soon: setImmediate },
    now: () => clock.monotonicMs(),
    random: seededRandom(n),
    log: silentLog,
    limits: { snapshotBytes },
  });
  consensus.start();
  return { consensus, ledger };
}

t.test('three servers agree over real links: large writes, a snapshot for the newcomer, another leader', async (t) => {
  const mesh = await linked(t, ['server', 'server', 'server']);
  const servers = await Promise.all([1, 2, 3].map((n) => open(mesh, n, 2_000_000)));
  const [first, second, third] = servers as [(typeof servers)[0], (typeof servers)[0], (typeof servers)[0]];
  t.teardown(() => Promise.all(servers.map(({ consensus }) => consensus.close())));
  await mesh.clock.until(() => first.consensus.isLeader, 1000);
  const during = async (work: Promise<unknown>): Promise<void> => {
    let done = false;
    work.then(() => {
      done = true;
    });
    await mesh.clock.until(() => done, 20_000);
  };
  await during(first.consensus.change({ type: 'addVoter', id: mesh.key(2) }));
  for (let i = 0; i < 12; i++) await during(first.consensus.propose(write(`${i}${'x'.repeat(900_000)}`)));
  t.ok(first.consensus.stats().snapshotIndex > 1);
  await during(first.consensus.change({ type: 'addLearner', id: mesh.key(3) }));
  await mesh.clock.until(() => third.ledger.rows.length === 12, 20_000);
  t.ok(third.consensus.stats().snapshotIndex > 0, 'by way of a snapshot');
  t.same(third.ledger.rows, first.ledger.rows);
  await during(first.consensus.change({ type: 'addVoter', id: mesh.key(3) }));
  await mesh.clock.advance(2000);
  for (const { voter, rttMs, lastContactMs } of first.consensus.followers()) {
    t.ok(voter && rttMs !== null && rttMs >= 10 && rttMs < 100, `${rttMs} ms`);
    t.ok(lastContactMs < 500);
  }
  await during(first.consensus.close());
  const took = await mesh.clock.until(() => second.consensus.isLeader || third.consensus.isLeader, 5000);
  t.ok(took < 200, `a leader that stops hands over: ${took} ms`);
  const next = second.consensus.isLeader ? second : third;
  await during(next.consensus.propose(write('after')));
});
