import t from 'tap';
import { frames } from '../../lib/state/frames.js';
import { SnapshotDecoder } from '../../lib/state/snapshot-codec.js';
import { createStore, type Store } from '../../lib/state/store.js';
import { mockJob } from '../scheduler/mock.js';
import { meshCommands } from '../server/mesh-state.js';
import { NOW, placement, planResults, report, World } from './world.js';

const job = (ID: string) =>
  ({ type: 'job-register', job: mockJob({ ID, Name: ID }), eval: null, submission: null }) as const;

async function piecesOf(store: Store): Promise<string[]> {
  const texts: string[] = [];
  for await (const text of frames(store.snapshot().stream())) texts.push(text);
  return texts;
}

/** A store with a job, whose log stands at `index`. */
function storeAt(index: number, ...jobs: string[]): Store {
  const store = createStore();
  for (const [i, name] of jobs.entries()) store.apply(index - jobs.length + i + 1, job(name));
  return store;
}

function stage(store: Store, id: string, pieces: readonly string[], from: number): number {
  for (const [seq, text] of pieces.entries()) store.apply(from + seq, { type: 'restore-stage', id, seq, text });
  return from + pieces.length;
}

t.test('the pieces of a snapshot become the state, all at once, and the index never goes back', async (t) => {
  const pieces = await piecesOf(storeAt(50, 'old', 'older'));
  const store = storeAt(400, 'now');
  let restoredAt = 0;
  let woken = 0;
  store.onRestore((index) => {
    restoredAt = index;
  });
  store.subscribe([{ kind: 'jobs', key: '' }], () => woken++);
  const next = stage(store, 'r', pieces, 401);
  t.ok(store.snapshot().jobById('default', 'now'), 'until the end nothing has changed');
  t.equal(woken, 0);
  t.same(store.apply(next, { type: 'restore-commit', id: 'r', pieces: pieces.length }), {
    ok: true,
    value: { index: next },
  });
  t.equal(restoredAt, next);
  t.equal(woken, 1);
  t.same([...store.snapshot().jobs()].map(({ ID }) => ID).sort(), ['old', 'older']);
  t.equal(store.snapshot().tableIndex('jobs'), next, 'who waits for the list has something new');
  t.equal(store.snapshot().count('restores'), 0);
});

t.test(
  'a snapshot that knows higher indexes than the log lifts the index of the state, here and on whoever follows',
  async (t) => {
    const pieces = await piecesOf(storeAt(90_000, 'old'));
    const store = createStore();
    const next = stage(store, 'r', pieces, 1);
    store.apply(next, { type: 'restore-commit', id: 'r', pieces: pieces.length });
    t.equal(store.index, 90_001);
    store.apply(next + 1, job('new'));
    t.equal(store.snapshot().jobById('default', 'new')?.CreateIndex, 90_002);
    const follower = createStore();
    await follower.restore(store.snapshot().stream(), next + 1);
    t.equal(follower.index, 90_002);
    follower.apply(next + 2, job('newer'));
    t.equal(follower.snapshot().jobById('default', 'newer')?.CreateIndex, 90_003);
  },
);

t.test('pieces that are not all there, or make no state, change nothing', async (t) => {
  const pieces = await piecesOf(storeAt(50, 'old'));
  const store = storeAt(400, 'now');
  let index = stage(store, 'r', pieces.slice(0, -1), 401);
  const commit = (count: number) => store.apply(index++, { type: 'restore-commit', id: 'r', pieces: count });
  t.match(commit(pieces.length), { ok: false, error: { code: 'E_CONFLICT' } });
  t.match(commit(pieces.length - 1), { ok: false, error: { code: 'E_STORAGE' } });
  index = stage(store, 'r', ['{"Format":"something"}'], index);
  t.match(commit(1), { ok: false, error: { code: 'E_STORAGE' } });
  index = stage(store, 'r', ['no json'], index);
  t.match(commit(1), { ok: false, error: { code: 'E_STORAGE' } });
  t.ok(store.snapshot().jobById('default', 'now'));
  store.apply(index, { type: 'restore-abort', id: 'r' });
  t.equal(store.snapshot().count('restores'), 0);
});

t.test('clients are told of what had not ended, so that they say again how it is', async (t) => {
  const world = new World();
  const registered = world.register();
  const placements = ['ended', 'running'].map((ID) => placement(registered, { ID }));
  world.apply(planResults(registered, placements));
  const updates = [report({ ID: 'ended' }, { ClientStatus: 'complete' }), report({ ID: 'running' })];
  world.apply({ type: 'allocs-client-update', allocs: updates, evals: [], time: NOW });
  const pieces = await piecesOf(world.store);
  const store = storeAt(400, 'now');
  const next = stage(store, 'r', pieces, 401);
  store.apply(next, { type: 'restore-commit', id: 'r', pieces: pieces.length });
  const state = store.snapshot();
  t.match(state.allocById('running'), { ClientStatus: 'running', AllocModifyIndex: next, ModifyIndex: next });
  t.ok((state.allocById('ended')?.AllocModifyIndex ?? next) < next, 'of what has ended there is no news');
});

t.test('pieces put aside survive a snapshot of the log, so that every server commits the same', async (t) => {
  const pieces = await piecesOf(storeAt(50, 'old'));
  const store = storeAt(400, 'now');
  const next = stage(store, 'r', pieces, 401);
  const follower = createStore();
  await follower.restore(store.snapshot().stream(), next - 1);
  for (const each of [store, follower]) each.apply(next, { type: 'restore-commit', id: 'r', pieces: pieces.length });
  t.same(await piecesOf(follower), await piecesOf(store));
});

t.test(
  'pieces are read as they come: where all were seen, none is left to read when they become the state',
  async (t) => {
    let read = 0;
    const { take } = SnapshotDecoder.prototype;
    t.teardown(() => Object.assign(SnapshotDecoder.prototype, { take }));
    SnapshotDecoder.prototype.take = function (text) {
      read++;
      return take.call(this, text);
    };
    const [old, other] = [await piecesOf(storeAt(50, 'old')), await piecesOf(storeAt(60, 'other'))];
    const readBy = (store: Store, id: string, pieces: number): number => {
      read = 0;
      const outcome = store.apply(store.index + 1, { type: 'restore-commit', id, pieces });
      return outcome.ok ? read : -1;
    };
    const store = storeAt(400, 'now');
    stage(store, 'a', other, 401);
    stage(store, 'b', old, store.index + 1);
    // A latecomer of one that another has taken the place of.
    store.apply(store.index + 1, { type: 'restore-stage', id: 'a', seq: other.length, text: '[]' });
    const started = createStore();
    await started.restore(store.snapshot().stream(), store.index);
    t.equal(readBy(store, 'a', other.length), -1);
    t.equal(readBy(store, 'b', old.length), 0);
    t.equal(readBy(started, 'b', old.length), old.length, 'who was started meanwhile reads them then');
    for (const one of [store, started])
      t.same(
        [...one.snapshot().jobs()].map(({ ID }) => ID),
        ['old'],
      );
    // What is written afterwards does not change what was read before.
    const before = store.snapshot();
    store.apply(store.index + 1, job('new'));
    t.same(
      [...before.jobs()].map(({ ID }) => ID),
      ['old'],
    );
    stage(store, 'c', other, store.index + 1);
    store.apply(store.index + 1, { type: 'restore-abort', id: 'c' });
    t.equal(readBy(store, 'c', other.length), -1);
  },
);

t.test('another restore takes the place of one that was left unfinished', async (t) => {
  const pieces = await piecesOf(storeAt(50, 'old'));
  const store = storeAt(400, 'now');
  let index = stage(store, 'a', pieces, 401);
  index = stage(store, 'b', pieces, index);
  t.match(store.apply(index, { type: 'restore-commit', id: 'a', pieces: pieces.length }), { ok: false });
  t.match(store.apply(index + 1, { type: 'restore-commit', id: 'b', pieces: pieces.length }), { ok: true });
});

/** A store of a mesh with these members, by key and name. */
function meshStore(root: string, members: [key: string, name: string][], index: number): Store {
  const store = createStore();
  const [founder, ...others] = members as [[string, string], ...[string, string][]];
  let at = index;
  for (const command of meshCommands(
    founder[0],
    others.map(([Key, Name]) => ({ Key, Name })),
  )) {
    const founded = command.type === 'mesh-found' ? { ...command, info: { ...command.info, Root: root } } : command;
    store.apply(at++, founded);
  }
  return store;
}

t.test('a restore brings members of the same mesh back, but nobody who is out, and nobody of another', async (t) => {
  const before: [string, string][] = [
    ['old', ''],
    ['pi', 'pi'],
    ['thief', 'thief'],
    ['tv', 'tv'],
  ];
  const pieces = await piecesOf(meshStore('root', before, 10));
  const restoreInto = (store: Store): Record<string, string> => {
    const next = stage(store, 'r', pieces, store.index + 1);
    t.match(store.apply(next, { type: 'restore-commit', id: 'r', pieces: pieces.length }), { ok: true });
    return Object.fromEntries([...store.snapshot().meshMembers()].map(({ Key, Status }) => [Key, Status]));
  };
  const now: [string, string][] = [
    ['new', ''],
    ['pi-again', 'pi'],
  ];
  const again = meshStore('root', now, 1);
  const tombstone = { Key: 'thief', At: 0, Reason: '', By: 'new', Signature: '', Chain: [] };
  again.apply(again.index + 1, { type: 'mesh-bury', tombstones: [tombstone], discoverySecret: 'f'.repeat(64) });
  t.same(restoreInto(again), {
    new: 'admitted',
    old: 'admitted',
    // The machine is in the mesh again under another key.
    pi: 'left',
    'pi-again': 'admitted',
    thief: 'revoked',
    tv: 'admitted',
  });
  t.equal(again.snapshot().mesh()?.NextSerial, 5);

  const other = meshStore('other', [['me', '']], 1);
  t.same(restoreInto(other), { me: 'admitted' });
  t.equal(other.snapshot().mesh()?.Root, 'other');
});
