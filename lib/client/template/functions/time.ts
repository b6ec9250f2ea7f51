type Token = (time: Date) => string;

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

const month: Token = (t) => MONTHS[t.getUTCMonth()] ?? '';
const day: Token = (t) => DAYS[t.getUTCDay()] ?? '';
const hour12: Token = (t) => String(t.getUTCHours() % 12 || 12);
const half: Token = (t) => (t.getUTCHours() < 12 ? 'AM' : 'PM');
const dayOfYear = (t: Date): number => Math.floor((t.getTime() - Date.UTC(t.getUTCFullYear(), 0, 1)) / 86_400_000) + 1;

/** Go's layout words → how they are written for a time in UTC; longest first. */
const WORDS: readonly [string, Token][] = [
  ['-07:00:00', () => '+00:00:00'],
  ['Z07:00:00', () => 'Z'],
  ['-070000', () => '+000000'],
  ['January', month],
  ['Z070000', () => 'Z'],
  ['-07:00', () => '+00:00'],
  ['Monday', day],
  ['Z07:00', () => 'Z'],
  ['_2006', (t) => `_${pad(t.getUTCFullYear(), 4)}`],
  ['-0700', () => '+0000'],
  ['Z0700', () => 'Z'],
  ['2006', (t) => pad(t.getUTCFullYear(), 4)],
  ['002', (t) => pad(dayOfYear(t), 3)],
  ['__2', (t) => String(dayOfYear(t)).padStart(3)],
  ['-07', () => '+00'],
  ['Z07', () => 'Z'],
  ['MST', () => 'UTC'],
  ['01', (t) => pad(t.getUTCMonth() + 1, 2)],
  ['02', (t) => pad(t.getUTCDate(), 2)],
  ['03', (t) => hour12(t).padStart(2, '0')],
  ['04', (t) => pad(t.getUTCMinutes(), 2)],
  ['05', (t) => pad(t.getUTCSeconds(), 2)],
  ['06', (t) => pad(t.getUTCFullYear() % 100, 2)],
  ['15', (t) => pad(t.getUTCHours(), 2)],
  ['PM', half],
  ['pm', (t) => half(t).toLowerCase()],
  ['_2', (t) => String(t.getUTCDate()).padStart(2)],
  ['1', (t) => String(t.getUTCMonth() + 1)],
  ['2', (t) => String(t.getUTCDate())],
  ['3', hour12],
  ['4', (t) => String(t.getUTCMinutes())],
  ['5', (t) => String(t.getUTCSeconds())],
];

/** The short names of months and days, which are none where small letters follow. */
const SHORT: readonly [RegExp, Token][] = [
  [/^Jan(?![a-z])/, (t) => month(t).slice(0, 3)],
  [/^Mon(?![a-z])/, (t) => day(t).slice(0, 3)],
];

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0');
}

/** A time in UTC: RFC 3339 without a layout, seconds since 1970 for "unix", else by Go's layout. */
export function timestamp(ms: number, layout: string | null): string {
  const time = new Date(ms);
  if (layout === null) return `${time.toISOString().slice(0, 19)}Z`;
  if (layout === 'unix') return String(Math.floor(ms / 1000));
  let out = '';
  for (let rest = layout; rest !== ''; ) {
    const [length, text] = first(rest, time);
    out += text;
    rest = rest.slice(length);
  }
  return out;
}

/** How many characters of the layout are read, and what they come to. */
function first(layout: string, time: Date): [length: number, text: string] {
  const fraction = /^([.,])(0+|9+)(?!\d)/.exec(layout);
  if (fraction) {
    const [whole, point = '', digits = ''] = fraction;
    const shown = pad(time.getUTCMilliseconds(), 3).padEnd(9, '0').slice(0, digits.length);
    if (digits.startsWith('0')) return [whole.length, point + shown];
    const short = shown.replace(/0+$/, '');
    return [whole.length, short === '' ? '' : point + short];
  }
  for (const [pattern, of] of SHORT) if (pattern.test(layout)) return [3, of(time)];
  const found = WORDS.find(([word]) => layout.startsWith(word));
  return found ? [found[0].length, found[1](time)] : [1, layout.charAt(0)];
}
