import t from 'tap';
import type { MeshRole } from '../../lib/structs/mesh.js';
import { createMemoryMesh } from '../support/memory-mesh.js';

const SERVERS = 5;
const CLIENTS = 995;
const HUBS_PER_CLIENT = 3;

t.test(
  'a thousand members: each is linked to its hubs within seconds, an idle one costs next to nothing',
  async (t) => {
    const roles: MeshRole[] = [...Array(SERVERS).fill('server'), ...Array(CLIENTS).fill('client')];
    const mesh = await createMemoryMesh(roles, { delayMs: 10 });
    t.teardown(() => mesh.close());
    const { nodes, clock, net } = mesh;
    const servers = nodes.slice(0, SERVERS);
    const startedMs = performance.now();
    for (const [i, { role, peers }] of nodes.entries()) {
      const hubs = role === 'server' ? servers : [0, 1, 2].map((k) => servers[(i + k) % SERVERS]);
      peers.keep(hubs.flatMap((hub) => hub?.key ?? []));
    }
    const linked = (): number => nodes.reduce((sum, { peers }) => sum + peers.linked().length, 0);
    const wanted = 2 * (CLIENTS * HUBS_PER_CLIENT + (SERVERS * (SERVERS - 1)) / 2);
    const linkedMs = clock.monotonicMs();
    while (linked() < wanted && clock.monotonicMs() < linkedMs + 20_000) await clock.advance(250);
    const tookMs = clock.monotonicMs() - linkedMs;
    t.ok(tookMs < 15_000, `${wanted / 2} links after ${tookMs} ms of simulated time`);

    await clock.advance(10_000);
    const bytes = (): number =>
      nodes.reduce((sum, { peers }) => sum + peers.linked().reduce((all, { report }) => all + report.SentBytes, 0), 0);
    const before = bytes();
    await clock.advance(30_000);
    const perSecond = (bytes() - before) / 30 / nodes.length;
    t.ok(perSecond < 300, `an idle member sends ${perSecond.toFixed(0)} bytes a second`);
    t.equal(linked(), wanted, 'no link was lost');

    // Any two members reach each other in one hop, whichever servers they are linked to.
    let heard = 0;
    const [a, b] = [nodes[500], nodes[900]];
    b?.peers.onDatagram('gossip', () => heard++);
    for (let i = 0; i < 6; i++) a?.peers.send(b?.key ?? '', 'gossip', Buffer.from('x'));
    await clock.advance(1_000);
    t.ok(heard >= 2, `${heard} of 6 came through without a known way`);

    const gone = servers[0];
    net.powerOff(gone?.key ?? '');
    const goneMs = clock.monotonicMs();
    const sees = (): boolean => nodes.slice(1).some(({ peers }) => peers.linked().some(({ key }) => key === gone?.key));
    while (sees() && clock.monotonicMs() < goneMs + 20_000) await clock.advance(250);
    const noticedMs = clock.monotonicMs() - goneMs;
    t.ok(noticedMs < 12_000, `a lost server is noticed by all after ${noticedMs} ms`);
    t.comment(
      `${((performance.now() - startedMs) / 1000).toFixed(1)} s, ${perSecond.toFixed(0)} B/s a member, linked after ${tookMs} ms, loss noticed after ${noticedMs} ms, heap ${(process.memoryUsage().heapUsed / 1e6).toFixed(0)} MB`,
    );
  },
);
