import t from 'tap';
import { Table, type TableSpec } from '../../lib/state/table.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';

interface Row {
  readonly id: string;
  readonly home: string | undefined;
  readonly counts: boolean;
  readonly part: { readonly size: number; readonly marks: readonly number[] };
}

const SPEC: TableSpec<Row, 'home' | 'all'> = {
  key: ({ id }) => id,
  indexes: { home: ({ home }) => home, all: () => 'all' },
  count: ({ counts, home }) => (counts ? home : undefined),
  sum: {
    index: 'home',
    counts: ({ counts }) => counts,
    part: ({ part }) => part,
    values: ({ part }) => [part.size, 1],
    marks: ({ part }) => part.marks,
  },
};

const HOMES = [undefined, 'a', 'b', 'c', 'd'];

t.test(
  'rows written many at once are found, counted and added up as the rows are, and older views never change',
  async (t) => {
    for (let seed = 1; seed <= 5; seed++) {
      const random = seededRandom(seed);
      const table = new Table(SPEC);
      const model = new Map<string, Row>();
      const views: { view: Table<Row, 'home' | 'all'>; rows: Row[] }[] = [];
      for (let epoch = 1; epoch <= 12; epoch++) {
        const batch = new Map<string, Row>();
        for (let left = randomInt(random, 120); left > 0; left--) {
          const row = randomRow(random, model);
          batch.set(row.id, row);
        }
        const rows = [...batch.values()];
        const known = rows.map(({ id }) => model.get(id));
        if (randomInt(random, 4) > 0) t.strictSame(table.putAll(rows, epoch), known, `seed=${seed}`);
        else for (const row of rows) table.put(row, epoch);
        for (const row of rows) model.set(row.id, row);
        for (const id of [...model.keys()].filter(() => randomInt(random, 30) === 0)) {
          t.equal(table.delete(id, epoch), model.get(id));
          model.delete(id);
        }
        t.strictSame(told(table), wanted([...model.values()]), `seed=${seed}, epoch=${epoch}`);
        views.push({ view: table.view(), rows: [...model.values()] });
      }
      for (const { view, rows } of views) t.strictSame(told(view), wanted(rows), `seed=${seed}`);
    }
  },
);

function randomRow(random: ReturnType<typeof seededRandom>, model: ReadonlyMap<string, Row>): Row {
  const id = `row-${String(randomInt(random, 400)).padStart(3, '0')}`;
  const known = model.get(id);
  const part =
    known && randomInt(random, 2) === 0
      ? known.part
      : {
          size: randomInt(random, 9),
          marks: Array.from({ length: randomInt(random, 3) }, () => randomInt(random, 50)),
        };
  return { id, home: HOMES[randomInt(random, HOMES.length)], counts: randomInt(random, 4) > 0, part };
}

function told(table: Table<Row, 'home' | 'all'>): unknown {
  return {
    rows: [...table.values()],
    count: table.count,
    all: table.under('all', 'all'),
    homes: HOMES.map((home = '') => ({
      rows: table.under('home', home),
      counted: table.counted(home),
      // Rows that no longer count leave their zeros behind.
      sums: table.sums(home) ?? [0, 0],
      marks: [...table.marks(home)],
    })),
  };
}

/** The same, looked for among all rows. */
function wanted(unordered: readonly Row[]): unknown {
  const rows = [...unordered].sort((a, b) => (a.id < b.id ? -1 : 1));
  return {
    rows,
    count: rows.length,
    all: rows,
    homes: HOMES.map((home) => {
      const there = home === undefined ? [] : rows.filter((row) => row.home === home);
      const counting = there.filter(({ counts }) => counts);
      return {
        rows: there,
        counted: counting.length,
        sums: [counting.reduce((sum, { part }) => sum + part.size, 0), counting.length],
        marks: counting.flatMap(({ part }) => part.marks).sort((a, b) => a - b),
      };
    }),
  };
}
