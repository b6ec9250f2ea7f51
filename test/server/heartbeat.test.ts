import t from 'tap';
import { HEARTBEAT_LIMITS, Heartbeats, heartbeatTtlMs } from '../../lib/server/heartbeat.js';
import { seededRandom } from '../../lib/util/random.js';

const half = { next: () => 0.5 };

t.test('the time between heartbeats grows with the number of nodes', async (t) => {
  const ttl = (nodes: number) =>
    heartbeatTtlMs({ nodes, ttlMinMs: 10_000, perSecondMax: 50, random: { next: () => 0 } });
  t.equal(ttl(1), 10_000);
  t.equal(ttl(500), 10_000);
  t.equal(ttl(5_000), 100_000);
});

t.test('chance adds up to as much again', async (t) => {
  const random = seededRandom(3);
  for (let i = 0; i < 200; i++) {
    const ttlMs = heartbeatTtlMs({ nodes: 1, ttlMinMs: 10_000, perSecondMax: 50, random });
    t.ok(ttlMs >= 10_000 && ttlMs <= 20_000);
  }
});

t.test('a node is missed after its time and the grace, and only once', async (t) => {
  const heartbeats = new Heartbeats({ random: half });
  const ttlMs = heartbeats.beat('n1', 0);
  t.equal(ttlMs, 15_000);
  t.equal(heartbeats.dueMs(), 25_000);
  t.same(heartbeats.takeMissed(24_999).missed, []);
  t.same(heartbeats.takeMissed(25_000).missed, ['n1']);
  t.equal(heartbeats.dueMs(), undefined);
});

t.test('each beat starts the time anew', async (t) => {
  const heartbeats = new Heartbeats({ random: half });
  heartbeats.beat('n1', 0);
  heartbeats.beat('n2', 1_000);
  heartbeats.beat('n1', 20_000);
  t.same(heartbeats.takeMissed(34_999).missed, ['n2']);
  t.same(heartbeats.takeMissed(45_000).missed, ['n1']);
});

t.test('a node that is doubted has the time in which one that is there is heard', async (t) => {
  const heartbeats = new Heartbeats({ random: half });
  heartbeats.begin(['known', 'stranger'], 0);
  heartbeats.doubt('stranger', 0);
  heartbeats.doubt('nobody', 0);
  t.equal(heartbeats.size, 2);
  t.same(heartbeats.takeMissed(29_999).missed, []);
  t.same(heartbeats.takeMissed(30_000).missed, ['stranger']);
});

t.test('a forgotten node is not missed', async (t) => {
  const heartbeats = new Heartbeats({ random: half });
  heartbeats.beat('n1', 0);
  heartbeats.forget('n1');
  t.same(heartbeats.takeMissed(1e9).missed, []);
});

t.test('when leadership begins every node gets time to find the leader', async (t) => {
  const heartbeats = new Heartbeats({ random: half });
  heartbeats.begin(['n1', 'n2'], 0);
  heartbeats.beat('n1', 0);
  t.same(heartbeats.takeMissed(25_000).missed, ['n1']);
  t.same(heartbeats.takeMissed(HEARTBEAT_LIMITS.leaderChangeMs - 1).missed, []);
  t.same(heartbeats.takeMissed(HEARTBEAT_LIMITS.leaderChangeMs).missed, ['n2']);
});

t.test('after a recovery who is not heard soon is lost, and nobody is spared for being one of many', async (t) => {
  const heartbeats = new Heartbeats({ random: half });
  heartbeats.begin(['a', 'b', 'c'], 1_000_000, 'recovery');
  heartbeats.beat('a', 1_020_000);
  t.same(heartbeats.takeMissed(1_040_000), { missed: [], spared: [] });
  heartbeats.beat('a', 1_039_000);
  t.same(heartbeats.takeMissed(1_060_000), { missed: ['b', 'c'], spared: [] });
});

t.test('after this server slept everybody gets time again', async (t) => {
  const heartbeats = new Heartbeats({ random: half });
  heartbeats.beat('n1', 0);
  heartbeats.slept(3_600_000);
  t.same(heartbeats.takeMissed(3_600_000 + 29_999).missed, []);
  t.same(heartbeats.takeMissed(3_600_000 + 30_000).missed, ['n1']);
});

t.test('while many are silent at once nobody is taken for down, for some time', async (t) => {
  const heartbeats = new Heartbeats({ random: half });
  const ids = ['n1', 'n2', 'n3', 'n4', 'n5', 'n6'];
  for (const id of ids) heartbeats.beat(id, 0);
  heartbeats.beat('n1', 20_000);
  heartbeats.beat('n2', 20_000);
  const first = heartbeats.takeMissed(25_000);
  t.same([first.missed, [...first.spared].sort()], [[], ['n3', 'n4', 'n5', 'n6']]);
  heartbeats.beat('n1', 30_000);
  heartbeats.beat('n2', 30_000);
  heartbeats.beat('n3', 30_000);
  heartbeats.beat('n4', 30_000);
  heartbeats.beat('n5', 30_000);
  t.same(heartbeats.takeMissed(35_000), { missed: ['n6'], spared: [] }, 'the others are back: this one is down');
});

t.test('a mass loss that lasts is believed', async (t) => {
  const heartbeats = new Heartbeats({ random: half });
  for (const id of ['n1', 'n2', 'n3']) heartbeats.beat(id, 0);
  const down: string[] = [];
  for (let at = 0; at <= 25_000 + HEARTBEAT_LIMITS.massLossMs; at += 1_000) {
    const { missed } = heartbeats.takeMissed(at);
    if (at < 25_000 + HEARTBEAT_LIMITS.massLossMs) t.same(missed, []);
    down.push(...missed);
  }
  t.same(down.sort(), ['n1', 'n2', 'n3']);
});

t.test(
  'a mass loss that is believed is believed of all who were spared, so that nothing is placed where it is lost next',
  async (t) => {
    const heartbeats = new Heartbeats({ random: half });
    heartbeats.beat('n1', 0);
    heartbeats.beat('n2', 5_000);
    heartbeats.beat('n3', 9_000);
    for (const id of ['n4', 'n5']) heartbeats.beat(id, 0);
    const down: [number, string[]][] = [];
    for (let at = 0; at <= 35_000 + HEARTBEAT_LIMITS.massLossMs; at += 1_000) {
      if (at % 10_000 === 0) for (const id of ['n4', 'n5']) heartbeats.beat(id, at);
      const { missed } = heartbeats.takeMissed(at);
      if (missed.length > 0) down.push([at, missed.sort()]);
    }
    t.same(down, [[25_000 + HEARTBEAT_LIMITS.massLossMs, ['n1', 'n2', 'n3']]]);
  },
);

t.test('one node of two is no mass', async (t) => {
  const heartbeats = new Heartbeats({ random: half });
  heartbeats.beat('n1', 0);
  heartbeats.beat('n2', 20_000);
  t.same(heartbeats.takeMissed(25_000).missed, ['n1']);
});

t.test('who gossip finds dead has to be heard of soon, and has its time again when that was wrong', async (t) => {
  const heartbeats = new Heartbeats({ random: half, limits: { hastenedMs: 5_000 } });
  heartbeats.beat('n1', 0);
  heartbeats.beat('n2', 0);
  heartbeats.hasten('n1', 4_000);
  t.equal(heartbeats.dueMs(), 9_000);
  t.same(heartbeats.takeMissed(9_000), { missed: ['n1'], spared: [] });
  heartbeats.hasten('n2', 4_000);
  heartbeats.relent('n2');
  t.equal(heartbeats.dueMs(), 25_000);
  heartbeats.hasten('n2', 24_000);
  t.equal(heartbeats.dueMs(), 25_000, 'it never gains by it');
  heartbeats.hasten('n2', 10_000);
  heartbeats.beat('n2', 11_000);
  t.equal(heartbeats.dueMs(), 36_000, 'its own word counts for more');
  heartbeats.hasten('nobody', 0);
  t.equal(heartbeats.size, 1);
});

t.test('when gossip finds many dead at once they are spared as when they are silent', async (t) => {
  const heartbeats = new Heartbeats({ random: half, limits: { hastenedMs: 5_000 } });
  for (const node of ['n1', 'n2', 'n3']) heartbeats.beat(node, 0);
  heartbeats.hasten('n1', 1_000);
  heartbeats.hasten('n2', 1_000);
  t.same(heartbeats.takeMissed(6_000), { missed: [], spared: ['n1', 'n2'] });
});
