import t from 'tap';
import type { MeshRole, NodeKey } from '../../lib/structs/mesh.js';
import { createMeshGossip, type MeshGossip } from '../../lib/transport/gossip.js';
import { openMeshHome } from '../../lib/transport/mesh-home.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { createMemoryMesh, type MemoryMesh, type MeshNode } from '../support/memory-mesh.js';

// Gossip over real link managers: servers linked with each other, everybody else with servers only, so that most datagrams go
// over one hop.

interface Talker {
  node: MeshNode;
  gossip: MeshGossip;
  /** Who was found dead here, in order. */
  dead: NodeKey[];
}

async function talkers(servers: number, clients: number): Promise<{ mesh: MemoryMesh; all: Talker[] }> {
  const roles: MeshRole[] = Array.from({ length: servers + clients }, (_, at) => (at < servers ? 'server' : 'client'));
  const mesh = await createMemoryMesh(roles);
  const hubs = mesh.nodes.slice(0, servers).map(({ key }) => key);
  const all = mesh.nodes.map((node, at): Talker => {
    // Servers with all servers, others with three of them: as agents do it.
    node.peers.keep(
      node.role === 'server' ? hubs : Array.from({ length: 3 }, (_, n) => hubs[(at + n) % servers] ?? ''),
    );
    const gossip = createMeshGossip({
      peers: node.peers,
      roster: node.roster,
      certificate: () => node.certificate,
      home: openMeshHome(null),
      clock: mesh.clock,
      random: seededRandom(at + 1),
      log: silentLog,
      meta: {},
    });
    const talker: Talker = { node, gossip, dead: [] };
    gossip.onChange((change) => {
      if (change.type === 'member' && change.record.state === 'dead') talker.dead.push(change.record.key);
    });
    gossip.start();
    return talker;
  });
  t.teardown(async () => {
    for (const { gossip } of all) gossip.close();
    await mesh.close();
  });
  const knows = (a: Talker): boolean => all.every((b) => a.gossip.health(b.node.key) === 'alive');
  await mesh.clock.until(() => all.every(knows), 20_000, 'everybody to know everybody');
  await mesh.clock.advance(20_000);
  return { mesh, all };
}

const off = (mesh: MemoryMesh, talker: Talker): void => {
  mesh.net.powerOff(talker.node.key);
  talker.gossip.close();
};

const seesDead = (who: readonly Talker[], of: Talker): boolean =>
  who.every(({ gossip }) => gossip.health(of.node.key) === 'dead');

t.test('a client that dies is found dead by all, though nobody but servers is linked with it', async (t) => {
  const { mesh, all } = await talkers(3, 12);
  const victim = all.at(-1) as Talker;
  const rest = all.slice(0, -1);
  off(mesh, victim);
  const took = await mesh.clock.until(() => seesDead(rest, victim), 8_000, 'all to see it');
  t.ok(took > 1_500);
  await mesh.clock.advance(10_000);
  t.strictSame(
    rest.flatMap(({ dead }) => dead.filter((key) => key !== victim.node.key)),
    [],
  );
});

t.test('a server that dies takes nobody along who was reached through it', async (t) => {
  for (const servers of [3, 5]) {
    const { mesh, all } = await talkers(servers, 12);
    const victim = all[1] as Talker;
    const rest = all.filter((talker) => talker !== victim);
    off(mesh, victim);
    await mesh.clock.until(() => seesDead(rest, victim), 12_000, 'all to see it');
    await mesh.clock.advance(20_000);
    t.strictSame(
      rest.flatMap(({ dead }) => dead.filter((key) => key !== victim.node.key)),
      [],
      `of ${servers} servers`,
    );
  }
});
