import t from 'tap';
import type { CertificateClaims, MeshInfo, NodeKey, Tombstone } from '../../lib/structs/mesh.js';
import { createMeshGossip, type GossipChange, type MeshGossip } from '../../lib/transport/gossip.js';
import { type MeshHome, openMeshHome } from '../../lib/transport/mesh-home.js';
import type { Roster } from '../../lib/transport/peers.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { type FakePeers, FakeWire } from '../support/fake-peers.js';
import { createSimulatedClock, type SimulatedClock } from '../support/simulated-clock.js';

const keyOf = (index: number): NodeKey => (index + 1).toString(16).padStart(8, '0').repeat(8);

/** A roster of so many members; a tombstone is genuine when its signature says so. */
class FakeRoster implements Roster {
  readonly mesh = keyOf(999);
  readonly keys: NodeKey[];
  buried: Tombstone[] = [];
  #listeners: (() => void)[] = [];

  constructor(keys: NodeKey[]) {
    this.keys = keys;
  }
  find(key: NodeKey): ReturnType<Roster['find']> {
    return this.keys.includes(key) ? { name: key.slice(0, 8), role: 'client', status: 'admitted' } : undefined;
  }
  isInvite(): boolean {
    return false;
  }
  members(): readonly NodeKey[] {
    return this.keys.filter((key) => !this.buried.some(({ Key }) => Key === key));
  }
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }
  tombstones(): readonly Tombstone[] {
    return this.buried;
  }
  bury(tombstones: readonly Tombstone[]): boolean {
    if (tombstones.some(({ Signature }) => Signature !== 'genuine')) return false;
    this.set([...this.buried, ...tombstones.filter(({ Key }) => !this.buried.some((known) => known.Key === Key))]);
    return true;
  }
  set(buried: Tombstone[]): void {
    this.buried = buried;
    for (const listener of this.#listeners) listener();
  }
  info(): MeshInfo {
    throw new Error('nobody asks');
  }
}

interface Agent {
  peers: FakePeers;
  roster: FakeRoster;
  home: MeshHome;
  gossip: MeshGossip;
  changes: GossipChange[];
}

interface Lab {
  clock: SimulatedClock;
  wire: FakeWire;
  keys: NodeKey[];
  start(index: number, home?: MeshHome): Agent;
}

function lab(count: number): Lab {
  const clock = createSimulatedClock();
  const wire = new FakeWire(clock);
  const keys = Array.from({ length: count }, (_, index) => keyOf(index));
  return {
    clock,
    wire,
    keys,
    start(index, home = openMeshHome(null)) {
      const peers = wire.join(keys[index] as NodeKey);
      const roster = new FakeRoster(keys);
      const claims = { Name: `node-${index}`, Role: 'client' } as CertificateClaims;
      peers.own = [{ host: `10.0.0.${index}`, port: 4747 }];
      const gossip = createMeshGossip({
        peers,
        roster,
        certificate: () => ({ chain: [], claims }),
        home,
        clock,
        random: seededRandom(index + 1),
        log: silentLog,
        meta: { version: '1' },
      });
      const changes: GossipChange[] = [];
      gossip.onChange((change) => changes.push(change));
      gossip.start();
      t.teardown(() => gossip.close());
      return { peers, roster, home, gossip, changes };
    },
  };
}

const tombstone = (key: NodeKey, signature: string): Tombstone => ({
  Key: key,
  At: 1,
  Reason: 'lost',
  By: keyOf(0),
  Signature: signature,
  Chain: [],
});

t.test('members of the roster find each other, say who they are, and teach the links their addresses', async (t) => {
  const { clock, keys, start } = lab(5);
  const agents = keys.map((_, index) => start(index));
  await clock.until(() => agents.every(({ gossip }) => keys.every((key) => gossip.health(key) === 'alive')), 5_000);
  const [a, b] = [agents[0] as Agent, agents[1] as Agent];
  t.match(a.gossip.member(b.peers.key)?.info, { name: 'node-1', role: 'client', meta: { version: '1' } });
  t.strictSame(a.peers.learned.get(b.peers.key), [{ host: '10.0.0.1', port: 4747 }]);
  t.equal(a.gossip.members().length, 5);
  t.equal(a.gossip.health(keyOf(77)), 'unknown');
  await clock.until(() => a.gossip.rttMs(b.peers.key) !== null, 10_000, 'a probe of each other');
  t.equal(a.gossip.rttMs(b.peers.key), 2);

  b.gossip.tell({ raft: { state: 'leader', term: 7 } });
  await clock.until(() => a.gossip.member(b.peers.key)?.info.raft.term === 7, 1_000, 'what b says of itself now');
  b.peers.own = [{ host: '10.9.9.9', port: 1 }];
  await clock.until(() => a.peers.learned.get(b.peers.key)?.[0]?.host === '10.9.9.9', 12_000, 'the new address');
});

t.test('a silent member is suspect, then dead; one who says good-bye has left', async (t) => {
  const { clock, wire, keys, start } = lab(4);
  const agents = keys.map((_, index) => start(index));
  const [a, b, c] = agents as [Agent, Agent, Agent];
  const seen = (key: NodeKey): string[] =>
    a.changes.flatMap((change) => (change.type === 'member' && change.record.key === key ? [change.record.state] : []));
  await clock.until(() => agents.every(({ gossip }) => keys.every((key) => gossip.health(key) === 'alive')), 5_000);
  wire.cut.add(b.peers.key);
  await clock.until(() => a.gossip.health(b.peers.key) === 'dead', 8_000);
  t.strictSame(seen(b.peers.key), ['alive', 'suspect', 'dead']);
  await clock.until(() => b.gossip.isolated, 8_000, 'b to know that it is alone');
  t.match(b.changes.at(-1), { type: 'isolated', isolated: true });
  wire.cut.clear();
  await clock.until(() => agents.every(({ gossip }) => keys.every((key) => gossip.health(key) === 'alive')), 15_000);
  t.notOk(b.gossip.isolated);

  const left = c.gossip.leave();
  await clock.until(() => a.gossip.health(c.peers.key) === 'left', 2_000);
  await clock.until(() => b.gossip.health(c.peers.key) === 'left', 2_000);
  await clock.advance(2_000);
  await left;
  await clock.advance(5_000);
  t.equal(a.gossip.health(c.peers.key), 'left', 'its silence is no death');
});

t.test('an agent that starts again is believed at once: its incarnation never goes back', async (t) => {
  const { clock, keys, start } = lab(3);
  const agents = keys.map((_, index) => start(index));
  const [a, b] = agents as [Agent, Agent];
  await clock.until(() => a.gossip.health(b.peers.key) === 'alive', 5_000);
  const first = a.gossip.member(b.peers.key)?.incarnation ?? 0;
  b.gossip.close();
  await clock.until(() => a.gossip.health(b.peers.key) === 'dead', 10_000);
  start(1, b.home);
  await clock.until(() => a.gossip.health(b.peers.key) === 'alive', 1_500);
  t.ok((a.gossip.member(b.peers.key)?.incarnation ?? 0) > first);
});

t.test('a genuine tombstone goes from roster to roster; a false one goes nowhere', async (t) => {
  const { clock, keys, start } = lab(6);
  const agents = keys.map((_, index) => start(index));
  const outKey = keys[5] as NodeKey;
  await clock.until(() => agents.every(({ gossip }) => keys.every((key) => gossip.health(key) === 'alive')), 5_000);
  const [a, b] = agents as [Agent, Agent];
  // As one does whose roster is not to be trusted: it takes its own word for genuine.
  a.roster.set([tombstone(keys[4] as NodeKey, 'forged')]);
  await clock.advance(3_000);
  t.strictSame(b.roster.buried, []);
  t.equal(b.gossip.health(keys[4] as NodeKey), 'alive');

  a.roster.set([tombstone(outKey, 'genuine')]);
  const members = agents.slice(0, 5);
  await clock.until(() => members.every(({ roster }) => roster.buried.length === 1), 3_000, 'all rosters to have it');
  t.ok(members.every(({ gossip }) => gossip.health(outKey) === 'unknown'));
  t.ok(b.changes.some((change) => change.type === 'forgotten' && change.record.key === outKey));
  await clock.advance(30_000);
  t.ok(
    members.every(({ gossip }) => gossip.health(outKey) === 'unknown'),
    'what the one who is out says brings it back nowhere',
  );
});

t.test('a tombstone that does not count after all is taken back', async (t) => {
  const { clock, keys, start } = lab(2);
  const [a, b] = keys.map((_, index) => start(index)) as [Agent, Agent];
  await clock.until(() => a.gossip.health(b.peers.key) === 'alive', 5_000);
  a.roster.set([tombstone(b.peers.key, 'genuine')]);
  t.equal(a.gossip.health(b.peers.key), 'unknown');
  a.roster.set([]);
  b.roster.set([]);
  await clock.until(() => a.gossip.health(b.peers.key) === 'alive', 30_000);
});
