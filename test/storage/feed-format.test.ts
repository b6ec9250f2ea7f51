import fc from 'fast-check';
import t from 'tap';
import type { Entry, EntryType } from '../../lib/raft/index.js';
import { encodeMembership } from '../../lib/raft/index.js';
import { chainDigest, EntryChain, snapshotDigest } from '../../lib/storage/entry-chain.js';
import {
  decodeFeedBlock,
  encodeEntriesBlock,
  encodeNextBlock,
  encodeSnapshotBlock,
} from '../../lib/storage/feed-format.js';
import type { MeshError } from '../../lib/structs/errors.js';

const ANNOUNCEMENT = {
  index: 900,
  term: 3,
  membership: { voters: ['a'], learners: ['b'] },
  digest: 'ab'.repeat(32),
  chunks: 4,
  bytes: 200_000,
};

function entriesFrom(firstIndex: number, texts: readonly string[]): Entry[] {
  const types: EntryType[] = ['command', 'noop', 'config'];
  return texts.map((text, i) => {
    const type = types[i % 3] as EntryType;
    return { index: firstIndex + i, term: 5 + i, type, data: Buffer.from(text) };
  });
}

function code(block: Uint8Array): string {
  try {
    decodeFeedBlock(block);
    return 'fine';
  } catch (error) {
    return (error as MeshError).code;
  }
}

t.test('what is encoded is decoded', async (t) => {
  const property = fc.property(
    fc.array(fc.string(), { minLength: 1, maxLength: 20 }),
    fc.nat(2 ** 40),
    (texts, first) => {
      const entries = entriesFrom(first, texts);
      const before = new Uint8Array(32).fill(1);
      const after = new Uint8Array(32).fill(2);
      const block = decodeFeedBlock(encodeEntriesBlock({ announcedAt: 7, before, after, firstIndex: first, entries }));
      t.same(block, {
        type: 'entries',
        announcedAt: 7,
        before: Buffer.from(before),
        after: Buffer.from(after),
        firstIndex: first,
        entries,
      });
    },
  );
  fc.assert(property, { numRuns: 100 });
  const snapshot = decodeFeedBlock(encodeSnapshotBlock(ANNOUNCEMENT));
  t.same(snapshot, { type: 'snapshot', announcedAt: 4, announcement: ANNOUNCEMENT });
  const key = Buffer.alloc(32, 9);
  t.same(decodeFeedBlock(encodeNextBlock({ announcedAt: 7, key })), { type: 'next', announcedAt: 7, key });
});

t.test('a block of a newer version is refused by name, anything else that is no block as damaged', async (t) => {
  const block = encodeSnapshotBlock(ANNOUNCEMENT);
  block[0] = 2;
  t.equal(code(block), 'E_NOT_SUPPORTED');
  const entries = encodeEntriesBlock({
    announcedAt: 7,
    before: new Uint8Array(32),
    after: new Uint8Array(32),
    firstIndex: 1,
    entries: entriesFrom(1, ['one', 'two', 'three']),
  });
  for (let cut = 0; cut < entries.length; cut++) t.equal(code(entries.subarray(0, cut)), 'E_STORAGE', `cut at ${cut}`);
  for (const key of Object.keys(ANNOUNCEMENT)) {
    for (const wrong of [undefined, null, -1, 1.5, 'x', {}, []]) {
      const said = JSON.stringify({ ...ANNOUNCEMENT, [key]: wrong });
      const wrongBlock = Buffer.concat([encodeSnapshotBlock(ANNOUNCEMENT).subarray(0, 10), Buffer.from(said)]);
      t.equal(code(wrongBlock), 'E_STORAGE', `${key} is ${JSON.stringify(wrong)}`);
    }
  }
});

t.test('whatever bytes come, a decoder ends with a block or a MeshError', async (t) => {
  const base = encodeEntriesBlock({
    announcedAt: 7,
    before: new Uint8Array(32),
    after: new Uint8Array(32),
    firstIndex: 1,
    entries: entriesFrom(1, ['one', 'two', 'three']),
  });
  const flipped = fc.property(fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { maxLength: 6 }), (changes) => {
    const bytes = Uint8Array.from(base);
    for (const [at, value] of changes) bytes[at] = value;
    t.ok(['fine', 'E_STORAGE', 'E_NOT_SUPPORTED'].includes(code(bytes)));
  });
  fc.assert(flipped, { numRuns: 2000 });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      t.ok(['fine', 'E_STORAGE', 'E_NOT_SUPPORTED'].includes(code(bytes)));
    }),
    { numRuns: 1000 },
  );
});

t.test('one digest for a history: any difference anywhere before changes it, a snapshot carries it on', async (t) => {
  const history = entriesFrom(
    1,
    Array.from({ length: 30 }, (_, i) => `line ${i}`),
  ).map((entry) => (entry.type === 'config' ? { ...entry, data: encodeMembership(ANNOUNCEMENT.membership) } : entry));
  const digestOf = (entries: readonly Entry[]): string => {
    const chain = new EntryChain();
    for (const entry of entries) chain.applied(entry);
    return chain.digestText;
  };
  const whole = digestOf(history);
  t.equal(digestOf(history), whole);
  const changes: Partial<Entry>[] = [{ term: 99 }, { type: 'noop' }, { data: Buffer.from('other') }, { index: 99 }];
  for (const change of changes) {
    const other = history.map((entry, i) => (i === 3 ? { ...entry, ...change } : entry));
    t.not(digestOf(other), whole, `${Object.keys(change)}`);
  }
  const first = new EntryChain();
  for (const entry of history.slice(0, 12)) first.applied(entry);
  const membership = { voters: ['a'], learners: [] };
  const second = new EntryChain();
  second.restored({ index: 12, term: first.term, membership, digest: first.digestText });
  for (const entry of history.slice(12)) second.applied(entry);
  t.equal(second.digestText, whole);
  t.same(snapshotDigest({ index: 0, term: 0, membership }), new Uint8Array(32));
  t.same(snapshotDigest({ index: 5, term: 2, membership }), snapshotDigest({ index: 5, term: 2, membership }));
  t.equal(chainDigest(new Uint8Array(32), history[0] as Entry).length, 32);
});
