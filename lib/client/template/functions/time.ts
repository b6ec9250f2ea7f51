/** Go's layout tokens → how they are written for a time in UTC; longest first. */
const TOKENS: readonly [string, (time: Date) => string][] = [
  ['2006', (t) => pad(t.getUTCFullYear(), 4)],
  ['January', (t) => MONTHS[t.getUTCMonth()] ?? ''],
  ['Monday', (t) => DAYS[t.getUTCDay()] ?? ''],
  ['-07:00', () => '+00:00'],
  ['Z07:00', () => 'Z'],
  ['-0700', () => '+0000'],
  ['Jan', (t) => (MONTHS[t.getUTCMonth()] ?? '').slice(0, 3)],
  ['Mon', (t) => (DAYS[t.getUTCDay()] ?? '').slice(0, 3)],
  ['MST', () => 'UTC'],
  ['.000', (t) => `.${pad(t.getUTCMilliseconds(), 3)}`],
  ['01', (t) => pad(t.getUTCMonth() + 1, 2)],
  ['02', (t) => pad(t.getUTCDate(), 2)],
  ['03', (t) => pad(t.getUTCHours() % 12 || 12, 2)],
  ['04', (t) => pad(t.getUTCMinutes(), 2)],
  ['05', (t) => pad(t.getUTCSeconds(), 2)],
  ['06', (t) => pad(t.getUTCFullYear() % 100, 2)],
  ['15', (t) => pad(t.getUTCHours(), 2)],
  ['PM', (t) => (t.getUTCHours() < 12 ? 'AM' : 'PM')],
  ['_2', (t) => String(t.getUTCDate()).padStart(2)],
  ['1', (t) => String(t.getUTCMonth() + 1)],
  ['2', (t) => String(t.getUTCDate())],
  ['3', (t) => String(t.getUTCHours() % 12 || 12)],
  ['4', (t) => String(t.getUTCMinutes())],
  ['5', (t) => String(t.getUTCSeconds())],
];

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0');
}

/** A time in UTC: RFC 3339 without a layout, seconds since 1970 for "unix", else by Go's layout. */
export function timestamp(ms: number, layout: string | null): string {
  const time = new Date(ms);
  if (layout === null) return `${time.toISOString().slice(0, 19)}Z`;
  if (layout === 'unix') return String(Math.floor(ms / 1000));
  let out = '';
  for (let at = 0; at < layout.length; ) {
    const found = TOKENS.find(([token]) => layout.startsWith(token, at));
    out += found ? found[1](time) : layout[at];
    at += found ? found[0].length : 1;
  }
  return out;
}
