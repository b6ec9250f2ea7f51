import t from 'tap';
import type { MemberRecord, MemberState } from '../../lib/gossip/index.js';
import { bucketAmong, MemberList, overrides } from '../../lib/gossip/member-list.js';
import { seededRandom } from '../../lib/util/random.js';
import { infoOf } from '../simulation/gossip/world.js';

const keyOf = (index: number): string => (index * 0x9e3779b1).toString(16).padStart(16, '0').slice(-16).repeat(4);

const record = (index: number, state: MemberState = 'alive', incarnation = 1): MemberRecord => ({
  key: keyOf(index),
  state,
  incarnation,
  info: infoOf(index),
  since: 0,
});

function listOf(count: number, seed = 1): MemberList {
  const list = new MemberList(keyOf(0), seededRandom(seed));
  for (let index = 0; index < count; index++) list.put(record(index));
  return list;
}

t.test('who wins over whom', async (t) => {
  // News (rows) against belief (columns), each of the same incarnation, then of one above and one below.
  const states: MemberState[] = ['alive', 'suspect', 'dead', 'left'];
  const same: Record<MemberState, boolean[]> = {
    alive: [false, false, false, false],
    suspect: [true, false, false, false],
    dead: [true, true, false, false],
    left: [true, true, true, false],
  };
  const above: Record<MemberState, boolean[]> = {
    alive: [true, true, true, true],
    suspect: [true, true, false, false],
    dead: [true, true, false, false],
    left: [true, true, true, false],
  };
  for (const state of states) {
    for (const [column, known] of states.entries()) {
      const wins = (incarnation: number): boolean =>
        overrides({ state, incarnation }, { state: known, incarnation: 5 });
      t.equal(wins(5), same[state][column], `${state} against ${known}, same incarnation`);
      t.equal(wins(6), above[state][column], `${state} against ${known}, newer`);
      t.equal(wins(4), false, `${state} against ${known}, older`);
    }
  }
});

t.test('each of the others is probed once a round, in another order each time', async (t) => {
  const list = listOf(20);
  const round = (): string[] => Array.from({ length: 19 }, () => list.nextToProbe()?.key ?? '');
  const first = round();
  t.equal(new Set(first).size, 19);
  t.notOk(first.includes(keyOf(0)), 'never itself');
  // The ring holds itself too, so a round may begin anew one early; over some rounds it evens out.
  const counts = new Map<string, number>();
  for (let at = 0; at < 19 * 50; at++) {
    const key = list.nextToProbe()?.key ?? '';
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  t.ok([...counts.values()].every((count) => count === 50));
  t.notSame(round(), first);
});

t.test('nobody is probed who is dead, gone or removed, and newcomers soon are', async (t) => {
  const list = listOf(6);
  list.put(record(1, 'dead'));
  list.put(record(2, 'left'));
  list.put(record(3, 'suspect'));
  list.remove(keyOf(4));
  list.put(record(9));
  const met = new Set(Array.from({ length: 12 }, () => list.nextToProbe()?.key));
  t.strictSame(met, new Set([keyOf(3), keyOf(5), keyOf(9)]));
  t.equal(list.present, 4, 'itself, a suspect and two alive');
  for (const index of [3, 5, 9]) list.remove(keyOf(index));
  t.equal(list.nextToProbe(), undefined);
});

t.test('a pick gives different others that fit, all of them when few do', async (t) => {
  for (const size of [10, 64, 65, 500]) {
    const list = listOf(size);
    const picked = list.pick(3, () => true);
    t.equal(new Set(picked).size, 3);
    t.notOk(picked.some(({ key }) => key === keyOf(0)));
  }
  const list = listOf(64);
  list.put(record(7, 'dead'));
  t.strictSame(
    list.pick(3, ({ state }) => state === 'dead').map(({ key }) => key),
    [keyOf(7)],
  );
});

t.test('digests are equal exactly when the same is known of those who are there', async (t) => {
  const a = listOf(300, 1);
  const b = listOf(300, 2);
  const differing = (buckets: number): number[] => {
    const other = b.digest(buckets);
    return a.digest(buckets).flatMap((hash, bucket) => (hash === other[bucket] ? [] : [bucket]));
  };
  t.strictSame(differing(64), []);
  b.put(record(17, 'suspect'));
  t.strictSame(differing(64), [], 'a suspicion is refuted or ends by itself');
  for (const change of [
    () => b.put(record(17, 'alive', 2)),
    () => b.put(record(17, 'dead', 2)),
    () => b.remove(keyOf(17)),
  ]) {
    change();
    for (const buckets of [1, 4, 64, 256]) t.strictSame(differing(buckets), [bucketAmong(keyOf(17), buckets)]);
  }
  b.put(record(17));
  t.strictSame(differing(256), []);
  b.mark(keyOf(40), 1);
  t.strictSame(differing(256), [bucketAmong(keyOf(40), 256)], 'a tombstone counts');
  b.mark(keyOf(40), -1);
  t.strictSame(differing(256), []);
});
