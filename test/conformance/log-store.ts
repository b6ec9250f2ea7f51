import type { Test } from 'tap';
import type { Entry, EntryType, LogStore } from '../../lib/raft/index.js';

export function entry(term: number, index: number, text = `${term}/${index}`, type: EntryType = 'command'): Entry {
  return { term, index, type, data: new TextEncoder().encode(text) };
}

/** Entries from..to of a term. */
export function entries(term: number, from: number, to: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(term, from + i));
}

/** What a log holds, readable. */
export function contents(log: LogStore): string[] {
  const all = log.firstIndex() > log.lastIndex() ? [] : log.entries(log.firstIndex(), log.lastIndex(), 1e9);
  return all.map(({ term, index, data }) => `${index}@${term}=${new TextDecoder().decode(data)}`);
}

/** What every LogStore must do. `reopen` closes it and opens it again, where there is something to open. */
export async function logStoreSuite(
  t: Test,
  world: { open: () => Promise<LogStore>; reopen?: (log: LogStore) => Promise<LogStore> },
): Promise<void> {
  const { open, reopen = async (log) => log } = world;

  await t.test('an empty log begins at 1', async (t) => {
    const log = await reopen(await open());
    t.same([log.firstIndex(), log.lastIndex(), log.term(0), log.term(1)], [1, 0, 0, undefined]);
    await log.append([]);
    t.equal(log.lastIndex(), 0);
  });

  await t.test('what is appended is there, with terms, types and payloads of any size', async (t) => {
    let log = await open();
    await log.append([entry(1, 1, 'config', 'config'), entry(1, 2, '', 'noop')]);
    await log.append([entry(2, 3, 'x'.repeat(100_001)), entry(2, 4, 'é')]);
    log = await reopen(log);
    t.same([log.firstIndex(), log.lastIndex()], [1, 4]);
    t.same(
      [0, 1, 2, 3, 4, 5].map((index) => log.term(index)),
      [0, 1, 1, 2, 2, undefined],
    );
    t.same(
      log.entries(1, 4, 1e9).map(({ type }) => type),
      ['config', 'noop', 'command', 'command'],
    );
    t.equal(log.entries(3, 3, 0)[0]?.data.length, 100_001);
    t.equal(contents(log)[3], '4@2=é');
    t.same(log.configIndexes(), [1]);
  });

  await t.test('a reader gets at least one entry, then what fits', async (t) => {
    const log = await reopen(await filled(open));
    t.equal(log.entries(3, 9, 0).length, 1);
    t.equal(log.entries(3, 9, 10).length, 3, '3/3 and so on have three bytes');
    t.same(
      log.entries(3, 5, 1e9).map(({ index }) => index),
      [3, 4, 5],
    );
  });

  await t.test('entries replace those with their indexes and all that followed', async (t) => {
    let log = await filled(open);
    await log.append([entry(4, 6, 'new', 'config')]);
    t.same([log.lastIndex(), log.term(6), log.term(7)], [6, 4, undefined]);
    log = await reopen(log);
    t.same([log.lastIndex(), log.term(5), log.term(6)], [6, 3, 4]);
    t.same(log.configIndexes(), [6]);
    await log.append([entry(5, 6), entry(5, 7)]);
    log = await reopen(log);
    t.same(contents(log).slice(4), ['5@3=3/5', '6@5=5/6', '7@5=5/7']);
    t.same(log.configIndexes(), []);
    await log.append(entries(6, 1, 2));
    log = await reopen(log);
    t.same(contents(log), ['1@6=6/1', '2@6=6/2']);
  });

  await t.test('compaction keeps the term of the boundary, and the log goes on', async (t) => {
    let log = await filled(open);
    await log.compact(4);
    t.same([log.firstIndex(), log.term(4), log.term(3)], [5, 3, undefined]);
    await log.compact(2);
    t.equal(log.firstIndex(), 5, 'it never goes back');
    await log.append([entry(3, 11)]);
    log = await reopen(log);
    t.ok(log.firstIndex() <= 5);
    t.equal(contents(log).at(-1), '11@3=3/11');
    await log.compact(11);
    t.same([log.firstIndex(), log.lastIndex(), log.term(11)], [12, 11, 3]);
    await log.append([entry(4, 12)]);
    log = await reopen(log);
    t.equal(log.lastIndex(), 12);
  });

  await t.test('after a reset the log begins behind the snapshot', async (t) => {
    let log = await filled(open);
    await log.reset({ index: 100, term: 7 });
    t.same([log.firstIndex(), log.lastIndex(), log.term(100), log.term(10)], [101, 100, 7, undefined]);
    log = await reopen(log);
    t.same([log.firstIndex(), log.lastIndex(), log.term(100)], [101, 100, 7]);
    await log.append(entries(7, 101, 102));
    log = await reopen(log);
    t.same(contents(log), ['101@7=7/101', '102@7=7/102']);
    await log.reset({ index: 50, term: 8 });
    log = await reopen(log);
    t.same([log.firstIndex(), log.lastIndex()], [51, 50], 'also backwards');
  });

  await t.test('thousands of entries, in many writes', async (t) => {
    let log = await open();
    for (let index = 1; index <= 5000; index += 100) await log.append(entries(1, index, index + 99));
    log = await reopen(log);
    t.equal(log.lastIndex(), 5000);
    t.equal(new TextDecoder().decode(log.entries(4321, 4321, 1)[0]?.data), '1/4321');
    await log.compact(4000);
    await log.append(entries(1, 5001, 7000));
    t.equal(contents(log).length, 3000);
  });
}

async function filled(open: () => Promise<LogStore>): Promise<LogStore> {
  const log = await open();
  await log.append(entries(3, 1, 10));
  return log;
}
