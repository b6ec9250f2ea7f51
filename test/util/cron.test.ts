import t from 'tap';
import { nextLaunch, parseCron } from '../../lib/util/cron.js';
import { zoneOffset } from '../../lib/util/time-zone.js';

/** The launches of an expression after a time, as ISO texts without the milliseconds. */
function launches(spec: string, after: string, count: number, zone = 'UTC'): string[] {
  const cron = parseCron(spec);
  if (!cron.ok) throw new Error(cron.error);
  const offset = zoneOffset(zone);
  if (!offset) throw new Error(zone);
  const found: string[] = [];
  let at: number | undefined = Date.parse(after);
  for (let i = 0; i < count; i++) {
    at = nextLaunch(cron.value, at, offset);
    if (at === undefined) break;
    found.push(new Date(at).toISOString().replace('.000Z', 'Z'));
  }
  return found;
}

const TABLE: [spec: string, after: string, expected: string[]][] = [
  ['*/15 * * * *', '2026-01-01T00:00:00Z', ['2026-01-01T00:15:00Z', '2026-01-01T00:30:00Z']],
  ['0 0 * * *', '2026-01-31T23:59:59Z', ['2026-02-01T00:00:00Z', '2026-02-02T00:00:00Z']],
  ['@daily', '2026-01-31T00:00:00Z', ['2026-02-01T00:00:00Z']],
  ['@hourly', '2026-01-31T23:10:00Z', ['2026-02-01T00:00:00Z']],
  ['@weekly', '2026-01-01T00:00:00Z', ['2026-01-04T00:00:00Z', '2026-01-11T00:00:00Z']],
  ['@yearly', '2026-01-01T00:00:00Z', ['2027-01-01T00:00:00Z']],
  ['@monthly', '2026-11-20T00:00:00Z', ['2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z']],
  ['0 12 * * 1-5', '2026-01-02T12:00:00Z', ['2026-01-05T12:00:00Z', '2026-01-06T12:00:00Z']],
  ['0 12 * * MON,wed', '2026-01-01T00:00:00Z', ['2026-01-05T12:00:00Z', '2026-01-07T12:00:00Z']],
  ['0 0 29 2 *', '2026-01-01T00:00:00Z', ['2028-02-29T00:00:00Z', '2032-02-29T00:00:00Z']],
  ['0 0 L * *', '2026-01-31T00:00:00Z', ['2026-02-28T00:00:00Z', '2026-03-31T00:00:00Z']],
  ['0 0 LW * *', '2026-01-01T00:00:00Z', ['2026-01-30T00:00:00Z', '2026-02-27T00:00:00Z']],
  ['0 0 1W * *', '2026-07-15T00:00:00Z', ['2026-08-03T00:00:00Z', '2026-09-01T00:00:00Z']],
  ['0 0 * * 5L', '2026-01-01T00:00:00Z', ['2026-01-30T00:00:00Z', '2026-02-27T00:00:00Z']],
  ['0 0 * * 2#3', '2026-01-01T00:00:00Z', ['2026-01-20T00:00:00Z', '2026-02-17T00:00:00Z']],
  ['0 0 13 * FRI', '2026-02-01T00:00:00Z', ['2026-02-06T00:00:00Z', '2026-02-13T00:00:00Z', '2026-02-20T00:00:00Z']],
  ['0 0 * * 7', '2026-01-01T00:00:00Z', ['2026-01-04T00:00:00Z']],
  ['0 5/6 ? * ?', '2026-01-01T00:00:00Z', ['2026-01-01T05:00:00Z', '2026-01-01T11:00:00Z', '2026-01-01T17:00:00Z']],
  ['0 0 1 jan * 2030', '2026-01-01T00:00:00Z', ['2030-01-01T00:00:00Z']],
  ['*/20 0 0 1 1 * *', '2025-12-31T23:59:59Z', ['2026-01-01T00:00:00Z', '2026-01-01T00:00:20Z']],
  ['0 0 30 2 *', '2026-01-01T00:00:00Z', []],
  ['0 0 1 1 * 2020', '2026-01-01T00:00:00Z', []],
];

t.test('an expression is due when it says', async (t) => {
  for (const [spec, after, expected] of TABLE) t.same(launches(spec, after, expected.length || 1), expected, spec);
});

t.test('what is no expression is refused, with the field', async (t) => {
  const cases: [string, RegExp][] = [
    ['', /fields/],
    ['* * * *', /4 fields/],
    ['60 * * * *', /minute "60"/],
    ['* 24 * * *', /hour "24"/],
    ['* * 0 * *', /day of month "0"/],
    ['* * * foo *', /month "foo"/],
    ['* * * * 8', /day of week "8"/],
    ['*/0 * * * *', /minute/],
    ['5-1 * * * *', /ends before it begins/],
    ['@sometimes', /fields/],
    ['* * * * 1#6', /day of week/],
    ['* * 32W * *', /day of month/],
  ];
  for (const [spec, expected] of cases) {
    const parsed = parseCron(spec);
    t.match(parsed.ok ? 'taken' : parsed.error, expected, spec);
  }
});

t.test('when the clocks are put forward, a time that is skipped is due at the change', async (t) => {
  // Berlin, 2026-03-29: 02:00 becomes 03:00 at 01:00 UTC.
  t.same(launches('30 2 * * *', '2026-03-28T02:00:00Z', 3, 'Europe/Berlin'), [
    '2026-03-29T01:00:00Z',
    '2026-03-30T00:30:00Z',
    '2026-03-31T00:30:00Z',
  ]);
  t.same(launches('30 * * * *', '2026-03-28T23:40:00Z', 3, 'Europe/Berlin'), [
    '2026-03-29T00:30:00Z',
    '2026-03-29T01:30:00Z',
    '2026-03-29T02:30:00Z',
  ]);
  t.same(
    launches('0,30 2,3 * * *', '2026-03-29T00:59:00Z', 2, 'Europe/Berlin'),
    ['2026-03-29T01:00:00Z', '2026-03-29T01:30:00Z'],
    'and not a second time',
  );
});

t.test('when the clocks are put back, a time that comes twice is due once', async (t) => {
  // Berlin, 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC.
  t.same(launches('30 2 * * *', '2026-10-24T12:00:00Z', 2, 'Europe/Berlin'), [
    '2026-10-25T00:30:00Z',
    '2026-10-26T01:30:00Z',
  ]);
  t.same(launches('*/30 2 * * *', '2026-10-25T01:10:00Z', 1, 'Europe/Berlin'), ['2026-10-26T01:00:00Z']);
  t.same(
    launches('30 * * * *', '2026-10-24T23:40:00Z', 3, 'Europe/Berlin'),
    ['2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z', '2026-10-25T02:30:00Z'],
    'but every hour stays every hour',
  );
});

t.test('zones of the southern half, of half hours, and none', async (t) => {
  t.same(launches('0 9 * * *', '2026-01-01T00:00:00Z', 1, 'Australia/Sydney'), ['2026-01-01T22:00:00Z']);
  t.same(launches('0 9 * * *', '2026-01-01T00:00:00Z', 1, 'Asia/Kolkata'), ['2026-01-01T03:30:00Z']);
  t.same(launches('0 9 * * *', '2026-07-01T00:00:00Z', 1, 'America/New_York'), ['2026-07-01T13:00:00Z']);
  t.equal(zoneOffset('Mars/Olympus'), undefined);
  t.equal(zoneOffset('+02:00'), undefined);
});

t.test('launches always lie ahead, and agree with looking at every minute', async (t) => {
  const offset = zoneOffset('Europe/Berlin');
  const specs = ['*/7 3-5 * * *', '13 */5 1-7 * 1', '0 0 1,15 * *', '59 23 L * *'];
  for (const spec of specs) {
    const cron = parseCron(spec);
    if (!cron.ok || !offset) throw new Error(spec);
    const { minutes, hours, months, days } = cron.value;
    let next = nextLaunch(cron.value, Date.UTC(2026, 4, 1), offset);
    for (let at = Date.UTC(2026, 4, 1) + 60_000; at < Date.UTC(2026, 5, 20); at += 60_000) {
      const wall = new Date(at + offset(at));
      const due =
        minutes.includes(wall.getUTCMinutes()) &&
        hours.includes(wall.getUTCHours()) &&
        months.has(wall.getUTCMonth() + 1) &&
        days(wall.getUTCFullYear(), wall.getUTCMonth() + 1).has(wall.getUTCDate());
      if (!due) continue;
      if (next !== at) t.equal(next, at, `${spec} at ${wall.toISOString()}`);
      next = nextLaunch(cron.value, at, offset);
    }
  }
});
