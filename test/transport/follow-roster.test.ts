import t, { type Test } from 'tap';
import { MeshError } from '../../lib/structs/errors.js';
import type { NodeKey } from '../../lib/structs/mesh.js';
import type { RosterReply } from '../../lib/structs/rpc-mesh.js';
import type { MeshClock } from '../../lib/transport/clock.js';
import { followRoster } from '../../lib/transport/follow-roster.js';
import { openMeshHome } from '../../lib/transport/mesh-home.js';
import type { Peer, Peers } from '../../lib/transport/peers.js';
import { createRoster, type MemberRoster, saveMembership } from '../../lib/transport/roster.js';
import type { RpcCaller } from '../../lib/transport/rpc.js';
import type { SigningKey } from '../../lib/transport/signature.js';
import { spreadTombstones, tombstoneHandlers } from '../../lib/transport/spread-tombstones.js';
import { signTombstone } from '../../lib/transport/tombstone.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { DAY_MS, meshInfo, NOW, newKey, smallMesh } from './mesh-world.js';

type Small = ReturnType<typeof smallMesh>;

function rosterOf(
  t: Test,
  small: Small,
  own: SigningKey,
  others: readonly SigningKey[],
  now = () => NOW,
): MemberRoster {
  const home = openMeshHome(null);
  const Members = [small.founder, own, ...others].map(({ publicKey }, i) => ({
    Key: publicKey,
    Name: `m${i}`,
    Role: i === 0 ? ('server' as const) : ('client' as const),
    Status: 'admitted' as const,
  }));
  saveMembership(home, { Mesh: meshInfo(small.mesh), Chain: small.admit(own), Members });
  const roster = createRoster({ home, key: own.publicKey, now, log: silentLog });
  t.teardown(() => roster.close());
  return roster;
}

const settled = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** A client that follows one server, which answers as the test says, at a time of the test's. */
function following(t: Test) {
  const small = smallMesh();
  const own = newKey();
  const clock = { now: NOW };
  const timers = new Set<() => void>();
  const meshClock: MeshClock = {
    now: () => clock.now,
    monotonicMs: () => clock.now,
    setTimeout(_, fn) {
      timers.add(fn);
      return () => timers.delete(fn);
    },
  };
  const roster = rosterOf(t, small, own, [], () => clock.now);
  const asked: { method: string; index: number; since: number }[] = [];
  const waiting: ((outcome: Partial<RosterReply> & { Index: number }) => void)[] = [];
  const failing: ((error: Error) => void)[] = [];
  const servers = {
    call(method: string, args: { MinQueryIndex?: number; Since?: number }) {
      asked.push({ method, index: args.MinQueryIndex ?? 0, since: args.Since ?? 0 });
      if (method === 'Mesh.Renew') {
        const NotAfter = clock.now + 30 * DAY_MS;
        return Promise.resolve({
          Member: { Chain: small.admit(own, { Serial: 7, NotBefore: clock.now, NotAfter }), NotAfter },
        });
      }
      return new Promise((resolve, reject) => {
        failing.push(reject);
        waiting.push((outcome) =>
          resolve({ Mesh: meshInfo(small.mesh), Members: [], InviteKeys: [], Tombstones: [], Chain: [], ...outcome }),
        );
      });
    },
  } as unknown as RpcCaller;
  const stop = followRoster({ roster, servers, clock: meshClock, random: seededRandom(1), log: silentLog });
  t.teardown(stop);
  const fire = (): void => {
    for (const fn of [...timers]) {
      timers.delete(fn);
      fn();
    }
  };
  return { small, own, clock, roster, asked, waiting, failing, fire, timers, stop };
}

t.test('a client asks for changes from where it is, and takes them', async (t) => {
  const { asked, waiting, roster, fire } = following(t);
  await settled();
  waiting[0]?.({ Index: 5, Mesh: meshInfo(roster.mesh, { DiscoveryEpoch: 3 }) });
  await settled();
  t.equal(asked.length, 1, 'not before it has rested: changes come in a row');
  fire();
  await settled();
  t.equal(roster.info().DiscoveryEpoch, 3);
  t.strictSame(asked, [
    { method: 'Mesh.Roster', index: 0, since: 0 },
    { method: 'Mesh.Roster', index: 5, since: 5 },
  ]);
  waiting[1]?.({ Index: 2 });
  await settled();
  fire();
  await settled();
  t.match(asked.at(-1), { index: 0, since: 0 }, 'after a restore from a backup it begins again');
  waiting[2]?.({ Index: 9 });
  await settled();
  fire();
  await settled();
  t.match(asked.at(-1), { index: 9, since: 9 });
  waiting[3]?.({ Index: 12, Since: 9, Digest: 'of what was never told' });
  await settled();
  fire();
  await settled();
  t.match(asked.at(-1), { index: 0, since: 0 }, 'and where changes do not lead to what the servers have');
});

t.test('while no server can be reached it knows what it knew, and asks again', async (t) => {
  const { asked, failing, fire, roster, timers } = following(t);
  await settled();
  failing[0]?.(new MeshError('E_TIMEOUT', 'nobody'));
  await settled();
  t.equal(timers.size, 1);
  t.equal(roster.members().length, 2);
  fire();
  await settled();
  t.equal(asked.length, 2);
});

t.test('the certificate is renewed when two thirds of its life are over, before anything else is asked', async (t) => {
  const { asked, waiting, clock, roster, fire } = following(t);
  await settled();
  clock.now = NOW + 21 * DAY_MS;
  waiting[0]?.({ Index: 5 });
  await settled();
  fire();
  await settled();
  t.equal(roster.own().claims.Serial, 7);
  t.strictSame(
    asked.map(({ method }) => method),
    ['Mesh.Roster', 'Mesh.Renew', 'Mesh.Roster'],
  );
});

t.test('who stops asks nothing more', async (t) => {
  const { stop, failing, timers } = following(t);
  await settled();
  stop();
  failing[0]?.(new Error('aborted'));
  await settled();
  t.equal(timers.size, 0);
});

/** Members in a row, each linked to its neighbours only. */
function row(t: Test, count: number, { areLinked = true } = {}) {
  const small = smallMesh();
  const keys = Array.from({ length: count }, newKey);
  const thief = newKey();
  const rosters = keys.map((key) => rosterOf(t, small, key, [...keys.filter((one) => one !== key), thief]));
  const linked = (i: number): number[] => [i - 1, i + 1].filter((j) => areLinked && j >= 0 && j < count);
  const listeners: ((peer: Peer, up: boolean) => void)[][] = keys.map(() => []);
  let calls = 0;
  const index = new Map<NodeKey, number>(keys.map(({ publicKey }, i) => [publicKey, i]));
  for (const [i, roster] of rosters.entries()) {
    const peers = {
      linked: () => linked(i).map((j) => ({ key: keys[j]?.publicKey }) as Peer),
      onLink: (listener: (peer: Peer, up: boolean) => void) => void listeners[i]?.push(listener),
      caller: (key: NodeKey) =>
        ({
          call: (_: string, args: { Tombstones: [] }) => {
            calls++;
            const handlers = tombstoneHandlers(rosters[index.get(key) as number] as MemberRoster);
            return handlers['Mesh.Bury']?.(args, { signal: new AbortController().signal });
          },
        }) as unknown as RpcCaller,
    };
    spreadTombstones(roster, peers as unknown as Peers);
  }
  const tombstone = signTombstone({
    mesh: small.mesh,
    key: thief.publicKey,
    atMs: NOW,
    reason: '',
    by: small.founder,
    chain: small.founderChain,
  });
  return { rosters, keys, thief, tombstone, listeners, calls: () => calls };
}

t.test('a tombstone goes from neighbour to neighbour, and comes to rest', async (t) => {
  const { rosters, thief, tombstone, calls } = row(t, 6);
  rosters[0]?.bury([tombstone]);
  await settled();
  for (const roster of rosters) t.equal(roster.find(thief.publicKey)?.status, 'revoked');
  const before = calls();
  t.ok(before <= 2 * 5, `${before} calls`);
  await settled();
  t.equal(calls(), before);
});

t.test('whoever is linked anew is told of all', async (t) => {
  const { rosters, keys, thief, tombstone, listeners } = row(t, 2, { areLinked: false });
  const [near, far] = rosters as [MemberRoster, MemberRoster];
  near.bury([tombstone]);
  await settled();
  t.equal(far.find(thief.publicKey)?.status, 'admitted', 'nobody could tell it');
  for (const listener of listeners[0] ?? []) listener({ key: keys[1]?.publicKey } as Peer, true);
  await settled();
  t.equal(far.find(thief.publicKey)?.status, 'revoked');
});
