import t from 'tap';
import { formatDuration, parseDuration } from '../../lib/util/duration.js';

t.test('durations are read and printed as Go does', async (t) => {
  for (const [text, ns, printed] of [
    ['0', 0, '0s'],
    ['1h30m', 5400e9, '1h30m0s'],
    ['250ms', 250e6, '250ms'],
    ['-1.5s', -1.5e9, '-1.5s'],
    ['90s', 90e9, '1m30s'],
    ['1us', 1000, '1µs'],
  ] as const) {
    const parsed = parseDuration(text);
    t.same(parsed, { ok: true, value: ns }, text);
    t.equal(formatDuration(ns), printed);
  }
});

t.test('a duration that is none is refused with what to write', async (t) => {
  for (const text of ['', '5', '5 s', 'h', '1d', '--1s']) {
    const parsed = parseDuration(text);
    t.equal(parsed.ok, false, text);
    if (!parsed.ok) t.match(parsed.error, /write a number with a unit/);
  }
});
