import t, { type Test as TapTest } from 'tap';
import type { MeshRole } from '../../lib/structs/mesh.js';
import { byteStream } from '../../lib/transport/byte-stream.js';
import type { RpcHandlers, RpcStreamHandlers } from '../../lib/transport/rpc.js';
import { Standby, tempFolder, Voter } from '../storage/feed-fakes.js';
import type { MemoryMesh } from '../support/memory-mesh.js';
import { createMemoryMesh } from '../support/memory-mesh.js';

// The feed over the links of members: real link managers and their windows, a network in memory.

interface Linked {
  readonly mesh: MemoryMesh;
  readonly voter: Voter;
}

/** The first is a voter; everybody is linked with everybody. */
async function linked(t: TapTest, roles: readonly MeshRole[]): Promise<Linked> {
  const voter = await new Voter(tempFolder(t)).open();
  const handlers: RpcHandlers = {
    'Feed.Describe': async () => ({
      Leader: 'v',
      Index: voter.chain.index,
      Members: [],
      Feed: voter.publisher.address,
    }),
  };
  const streamHandlers: RpcStreamHandlers = {
    'Feed.Replicate': (_, messages) => voter.cores.replicate(byteStream(messages), 'answers'),
  };
  const mesh = await createMemoryMesh(roles, { peers: (n) => (n === 1 ? { handlers, streamHandlers } : {}) });
  t.teardown(async () => {
    await mesh.close();
    await voter.close();
  });
  for (const node of mesh.nodes) node.peers.keep(mesh.nodes.filter((other) => other !== node).map(({ key }) => key));
  await mesh.clock.advance(1000);
  return { mesh, voter };
}

/** Lets simulated time pass for the links, and real time for the disks. */
async function pass(mesh: MemoryMesh, what: string, isThere: () => boolean): Promise<void> {
  for (let i = 0; !isThere(); i++) {
    if (i > 3000) throw new Error(`waited for ${what}`);
    await mesh.clock.advance(20);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

t.test('a server follows over a bulk link, and again after the link was lost', async (t) => {
  const { mesh, voter } = await linked(t, ['server', 'server']);
  const [first, second] = mesh.nodes as [MemoryMesh['nodes'][0], MemoryMesh['nodes'][0]];
  const standby = await Standby.open(tempFolder(t));
  t.teardown(() => standby.close());
  const follow = async (): Promise<void> => {
    const said = second.peers.caller(first.key).call('Feed.Describe', { Follow: true });
    await mesh.clock.advance(500);
    standby.follower.follow((await said).Feed);
    standby.cores.replicate(byteStream(second.peers.caller(first.key).stream('Feed.Replicate', {})), 'asks');
  };
  const caughtUp = (what: string): Promise<void> => pass(mesh, what, () => standby.chain.index === voter.chain.index);
  // More than any window holds.
  for (let i = 0; i < 3000; i++) voter.write(`${i} ${'x'.repeat(1000)}`);
  await pass(mesh, 'the feed', () => voter.publisher.stats().publishedIndex === voter.chain.index);
  await follow();
  await caughtUp('three megabytes');
  t.same(standby.diary.lines, voter.diary.lines);

  mesh.net.partition([[first.key], [second.key]]);
  await mesh.clock.advance(10_000);
  for (let i = 0; i < 100; i++) voter.write(`while it was cut ${i}`);
  mesh.net.heal();
  await mesh.clock.advance(10_000);
  await follow();
  await caughtUp('what came meanwhile');
  t.same(standby.diary.lines, voter.diary.lines);
  t.equal(standby.logged.records.filter(({ message }) => message.includes('restored')).length, 1);
});

t.test('nobody but servers is told where the feed is, or given a block of it', async (t) => {
  const { mesh } = await linked(t, ['server', 'client', 'operator']);
  const [voter, ...others] = mesh.nodes as [MemoryMesh['nodes'][0], ...MemoryMesh['nodes']];
  for (const { peers, role } of others) {
    const asked = peers.caller(voter.key).call('Feed.Describe', { Follow: true });
    asked.catch(() => {});
    const stream = peers.caller(voter.key).stream('Feed.Replicate', {});
    let refusal = '';
    stream.on('error', (error) => {
      refusal = (error as Error & { code: string }).code;
    });
    stream.resume();
    await mesh.clock.advance(1000);
    await t.rejects(asked, { code: 'E_PERMISSION_DENIED' }, role);
    t.equal(refusal, 'E_PERMISSION_DENIED', role);
  }
});
