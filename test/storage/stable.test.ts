import t from 'tap';
import { memoryStable, openStable } from '../../lib/storage/index.js';
import { seededRandom } from '../../lib/util/random.js';
import { FaultyDisk } from './faulty-disk.js';

const EMPTY = { term: 0, vote: '', commit: 0 };
const FOLDER = '/raft';
const PATH = '/raft/vote.json';

t.test('nothing is stored at first; what is saved is there after opening again', async (t) => {
  const disk = new FaultyDisk();
  const stable = openStable(FOLDER, { disk });
  t.same(stable.load(), EMPTY);
  await stable.save({ term: 3, vote: 'é"', commit: 9 });
  t.same(stable.load(), { term: 3, vote: 'é"', commit: 9 });
  t.same(openStable(FOLDER, { disk }).load(), { term: 3, vote: 'é"', commit: 9 });
  const memory = memoryStable();
  t.same(memory.load(), EMPTY);
  await memory.save({ term: 1, vote: 'a', commit: 0 });
  t.equal(memory.load().vote, 'a');
});

t.test(
  'whenever the power goes, the old vote or the new one is there, and the new one once it was acknowledged',
  async (t) => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = seededRandom(seed);
      const disk = new FaultyDisk();
      const stable = openStable(FOLDER, { disk });
      await stable.save({ term: 1, vote: 'a', commit: 0 });
      disk.operationsLeft = seed % 6;
      const saved = await stable.save({ term: 2, vote: 'b', commit: 0 }).then(
        () => true,
        (error) => error.code !== 'E_STORAGE',
      );
      disk.crash(random);
      const { term } = openStable(FOLDER, { disk }).load();
      if (term !== 2 && (saved || term !== 1)) t.fail(`seed=${seed}: term ${term}, acknowledged: ${saved}`);
    }
  },
);

t.test('a damaged file and one of another version are refused: a forgotten vote could be given twice', async (t) => {
  const disk = new FaultyDisk();
  await openStable(FOLDER, { disk }).save({ term: 7, vote: 'abc', commit: 1 });
  const text = new TextDecoder().decode(disk.bytes(PATH));
  for (let at = 0; at < text.length - 1; at++) {
    const bytes = disk.bytes(PATH);
    const good = bytes[at] as number;
    // Digits stay digits: the damage that a parser would not see.
    bytes[at] = good ^ 1;
    const code = /"format":\d/.test(new TextDecoder().decode(bytes)) && at === text.indexOf(':') + 1;
    t.throws(() => openStable(FOLDER, { disk }), { code: code ? 'E_NOT_SUPPORTED' : 'E_STORAGE' }, `byte ${at}`);
    bytes[at] = good;
  }
  t.equal(openStable(FOLDER, { disk }).load().term, 7);
});
