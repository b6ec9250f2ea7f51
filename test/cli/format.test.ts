import t from 'tap';
import {
  formatAgo,
  formatBytes,
  formatPairs,
  formatTable,
  formatTime,
  formatTimeText,
  localTime,
} from '../../lib/cli/format.js';

t.test('a table has its columns two blanks apart, and <none> where nothing is', async (t) => {
  t.equal(
    formatTable([
      ['ID', 'Name', 'Status'],
      ['a1', 'a longer\n  name', 'running'],
      ['b2', '', '\u001b[31mfailed\u001b[0m'],
    ]),
    ['ID  Name           Status', 'a1  a longer name  running', 'b2  <none>         \u001b[31mfailed\u001b[0m'].join(
      '\n',
    ),
  );
  t.equal(
    formatPairs([
      ['ID', 'x'],
      ['Node Pool', ''],
      ['Drain', false],
    ]),
    'ID        = x\nNode Pool = <none>\nDrain     = false',
  );
});

t.test('the age of things has its two largest units', async (t) => {
  const now = 1_000_000_000_000;
  const seconds = (value: number): string => formatAgo((now - value * 1000) * 1e6, now);
  for (const [age, text] of [
    [0, '0s ago'],
    [-5, '5s from now'],
    [59, '59s ago'],
    [60, '1m ago'],
    [303, '5m3s ago'],
    [3600 + 65, '1h1m ago'],
    [86_400 * 3 + 3600 * 4, '3d4h ago'],
    [86_400 * 30 + 5, '1mo5s ago'],
    [86_400 * 400, '1y1mo ago'],
  ] as const) {
    t.equal(seconds(age), text);
  }
  t.equal(formatAgo(0, now), 'N/A');
});

t.test('times are local with their offset', async (t) => {
  const date = new Date('2026-05-01T10:00:00Z');
  t.match(localTime(date), /^2026-0[45]-[03]\dT\d\d:\d\d:00(Z|[+-]\d\d:\d\d)$/);
  t.equal(new Date(localTime(date)).getTime(), date.getTime());
  t.equal(formatTime(date.getTime() * 1e6), localTime(date));
  t.equal(formatTimeText('2026-05-01T10:00:00.5Z'), localTime(date));
  for (const none of ['0001-01-01T00:00:00Z', '', null, undefined]) t.equal(formatTimeText(none), 'N/A');
  t.equal(formatTime(0), 'N/A');
});

t.test('sizes are in binary units', async (t) => {
  for (const [bytes, text] of [
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [300 * 2 ** 20, '300 MiB'],
    [2.5 * 2 ** 30, '2.5 GiB'],
    [12.9 * 2 ** 30, '13 GiB'],
    [9.96 * 2 ** 20, '10 MiB'],
  ] as const) {
    t.equal(formatBytes(bytes), text);
  }
});
