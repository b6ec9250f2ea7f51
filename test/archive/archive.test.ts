import t from 'tap';
import {
  ADDRESS_BYTES,
  BlockSet,
  CHUNK_MAX,
  Chunker,
  type ChunkRef,
  ChunkTable,
  decodePack,
  type Entry,
  encodeEntry,
  encodeNote,
  encodeRefs,
  KEEP_ALL,
  keptSnapshots,
  ManifestReader,
  type ManifestRecord,
  PackWriter,
  pathOrder,
  rangesOf,
} from '../../lib/archive/index.js';
import { MalformedBytes } from '../../lib/util/bytes.js';
import { seededRandom } from '../../lib/util/random.js';

const ASTRAY = { message: /astray/ };
const random = seededRandom(7);
const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => Math.floor(random.next() * 256));

const entry = (changes: Partial<Entry> = {}): Entry => ({
  path: 'a/b',
  kind: 'file',
  mode: 0o4755,
  uid: 1,
  gid: 2,
  mtimeNs: 1_600_000_000_123_456_789n,
  ctimeNs: -5n,
  ino: 99n,
  size: 12,
  isSparse: true,
  target: '',
  ...changes,
});
const ref = (block: number): ChunkRef => ({ address: bytes(ADDRESS_BYTES), block, slot: 3, size: 500, stored: 400 });

function cutsOf(chunker: Chunker, content: Uint8Array): Set<string> {
  const chunks = new Set<string>();
  for (let from = 0; from < content.length; ) {
    const to = chunker.cut(content, from, content.length);
    t.ok(to > from && to - from <= CHUNK_MAX);
    chunks.add(Buffer.from(content.subarray(from, to)).toString('latin1'));
    from = to;
  }
  return chunks;
}

t.test('what is put in between moves the cuts beside it and no other', async (t) => {
  const chunker = new Chunker(bytes(1024));
  const content = bytes(4_000_000);
  const before = cutsOf(chunker, content);
  const after = cutsOf(
    chunker,
    Buffer.concat([content.subarray(0, 1_500_000), bytes(17), content.subarray(1_500_000)]),
  );
  t.ok([...after].filter((chunk) => !before.has(chunk)).length <= 3);
  t.ok(before.size > 8 && before.size < 130, `${before.size} chunks`);
  const another = cutsOf(new Chunker(bytes(1024)), content);
  t.ok([...another].filter((chunk) => before.has(chunk)).length <= 1, 'and where they are depends on the seed');
});

t.test('a table finds each of many chunks, and no other', async (t) => {
  const table = new ChunkTable();
  const refs = Array.from({ length: 5_000 }, (_, block) => ref(block));
  for (const one of refs) table.put(one);
  t.equal(table.count, 5_000);
  t.ok(refs.every((one) => table.get(one.address)?.block === one.block));
  t.equal(table.get(bytes(ADDRESS_BYTES)), undefined);
  table.put({ ...(refs[7] as ChunkRef), block: 77_777 });
  t.equal(table.get((refs[7] as ChunkRef).address)?.block, 77_777);
  t.equal(table.count, 5_000);
});

t.test('a manifest is read as it was written, in pieces of any size', async (t) => {
  const written: ManifestRecord[] = [
    { type: 'entry', entry: entry({ path: '', kind: 'dir' }) },
    { type: 'entry', entry: entry({ path: 'caf\xe9', kind: 'symlink', target: '../../etc' }) },
    { type: 'entry', entry: entry() },
    { type: 'refs', refs: [ref(1), ref(2)] },
    { type: 'changed' },
    { type: 'entry', entry: entry({ path: 'c', kind: 'hardlink', target: 'a/b' }) },
  ];
  const encoded = Buffer.concat(
    written.map((record) => {
      if (record.type === 'entry') return encodeEntry(record.entry);
      return record.type === 'refs' ? encodeRefs(record.refs) : encodeNote();
    }),
  );
  for (const size of [1, 7, 100, encoded.length]) {
    const reader = new ManifestReader();
    const read: ManifestRecord[] = [];
    for (let at = 0; at < encoded.length; at += size) read.push(...reader.take(encoded.subarray(at, at + size)));
    reader.end();
    t.strictSame(read, written, `pieces of ${size}`);
  }
  const cut = new ManifestReader();
  t.ok([...cut.take(encoded.subarray(0, -1))].length < written.length);
  t.throws(() => cut.end(), { message: /cut short/ });
});

t.test('no path of a manifest leads out of the volume', async (t) => {
  for (const path of ['..', '../x', 'a/../../x', '/etc/passwd', 'a//b', './a', 'a/.', 'a\0b', 'a/']) {
    t.throws(() => [...new ManifestReader().take(encodeEntry(entry({ path })))], ASTRAY, JSON.stringify(path));
    const link = encodeEntry(entry({ kind: 'hardlink', target: path }));
    t.throws(() => [...new ManifestReader().take(link)], ASTRAY, `to ${JSON.stringify(path)}`);
  }
});

t.test('bytes that somebody made up are refused, or are something harmless', async (t) => {
  const good = Buffer.concat([encodeEntry(entry()), encodeRefs([ref(1), ref(2)])]);
  const pack = new PackWriter();
  pack.add({ address: bytes(ADDRESS_BYTES), size: 10, isDeflated: false, data: bytes(10) });
  const packed = pack.finish();
  t.equal(decodePack(packed)[0]?.size, 10);
  let refused = 0;
  for (let round = 0; round < 3_000; round++) {
    const [manifest, block] = [Buffer.from(good), Buffer.from(packed)];
    for (const changed of [manifest, block]) {
      for (let i = 0; i < 3; i++) changed[Math.floor(random.next() * changed.length)] = Math.floor(random.next() * 256);
    }
    for (const read of [() => [...new ManifestReader().take(manifest)], () => decodePack(block)]) {
      try {
        read();
      } catch (error) {
        if (!(error instanceof MalformedBytes)) throw error;
        refused++;
      }
    }
  }
  t.ok(refused > 100, `${refused} were refused`);
});

t.test('paths sort as a tree is walked', async (t) => {
  const walked = ['', 'a', 'a/x', 'a/x/y', 'a/z', 'a b', 'a.b', 'b'];
  t.strictSame(walked.toReversed().sort(pathOrder), walked);
});

t.test('blocks of a set, as ranges', async (t) => {
  const set = new BlockSet();
  for (const block of [0, 1, 2, 5, 2_000, 2_001]) set.add(block);
  t.strictSame(
    rangesOf(2_002, (block) => set.has(block)),
    [
      [0, 3],
      [5, 6],
      [2_000, 2_002],
    ],
  );
  t.strictSame(
    rangesOf(4, () => false),
    [],
  );
});

t.test('of each day, week or month the newest stays, and always the newest of all', async (t) => {
  const HOUR = 3_600_000;
  const start = Date.UTC(2024, 0, 1);
  // Four a day for sixty days.
  const all = Array.from({ length: 240 }, (_, i) => ({ id: String(i), at: start + i * 6 * HOUR }));
  const kept = (policy: Partial<typeof KEEP_ALL>, offset = 0): string[] =>
    [...keptSnapshots(all, { ...KEEP_ALL, ...policy }, () => offset)]
      .map(Number)
      .sort((a, b) => a - b)
      .map(String);
  t.equal(kept({}).length, 240, 'without a rule all stay');
  t.strictSame(kept({ Last: 2 }), ['238', '239']);
  t.strictSame(kept({ Daily: 3 }), ['231', '235', '239'], 'the newest of each day');
  t.strictSame(kept({ Monthly: 12 }), ['123', '239'], 'of January and of February');
  t.strictSame(kept({ Last: 1, Weekly: 2 }), ['223', '239'], 'weeks begin on Monday');
  t.strictSame(kept({ Daily: 2 }, 7 * HOUR), ['238', '239'], 'days are those of the zone');
});

t.test('what was made after a clock was set back is the newest', async (t) => {
  const DAY = 24 * 3_600_000;
  const made = [
    { id: 'before', at: 20 * DAY },
    { id: 'ahead', at: 900 * DAY },
    { id: 'after', at: 21 * DAY },
  ];
  const kept = (policy: Partial<typeof KEEP_ALL>): string[] => [
    ...keptSnapshots(made, { ...KEEP_ALL, ...policy }, () => 0),
  ];
  t.strictSame(kept({ Last: 1 }), ['after']);
  t.strictSame(kept({ Daily: 2 }), ['after', 'ahead']);
});

t.test('two hours of one name are two, where clocks are put back', async (t) => {
  const HOUR = 3_600_000;
  // 02:30, again 02:30, and 03:30 there.
  const made = [0, 1, 2].map((hour) => ({ id: String(hour), at: Date.UTC(2024, 9, 27, 0, 30) + hour * HOUR }));
  const offset = (at: number): number => (at < Date.UTC(2024, 9, 27, 1) ? 2 : 1) * HOUR;
  t.strictSame([...keptSnapshots(made, { ...KEEP_ALL, Hourly: 3 }, offset)], ['2', '1', '0']);
  t.strictSame([...keptSnapshots(made, { ...KEEP_ALL, Daily: 3 }, offset)], ['2']);
});
