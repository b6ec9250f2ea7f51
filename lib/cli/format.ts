/** Characters of an id that are shown unless -verbose is given. */
export const SHORT_ID = 8;

/** Shortens an id for people; `verbose` leaves it whole. */
export function shortId(id: string, verbose: boolean): string {
  return verbose ? id : id.slice(0, SHORT_ID);
}

/** A table: the first row is the head; columns are two blanks apart; an empty cell of a table is `<none>`. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  const cells = rows.map((row) => row.map((cell) => (cell === '' ? '<none>' : cell.replace(/\s*\n\s*/g, ' '))));
  for (const row of cells) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, displayWidth(cell));
    });
  }
  return cells
    .map((row) =>
      row
        .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat((widths[i] ?? 0) - displayWidth(cell))))
        .join('  '),
    )
    .join('\n');
}

/** `Key = value` lines with the equals signs in one column. */
export function formatPairs(pairs: readonly (readonly [string, string | number | boolean])[]): string {
  const width = Math.max(...pairs.map(([key]) => displayWidth(key)));
  return pairs
    .map(([key, value]) => `${key}${' '.repeat(width - displayWidth(key))} = ${value === '' ? '<none>' : value}`)
    .join('\n');
}

// Colour codes take no room; a wide character is rare enough in ids and names to count as one.
function displayWidth(text: string): number {
  return [...text.replace(/\u001b\[[0-9;]*m/g, '')].length;
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, cyan: 36, lightYellow: 93 } as const;

export type Style = keyof typeof CODES;

export function paint(color: boolean, style: Style, text: string): string {
  return color ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text;
}

/** Nanoseconds since the epoch as `2026-05-01T10:00:00Z` in local time with its offset, as Nomad prints it. */
export function formatTime(ns: number): string {
  return ns <= 0 ? 'N/A' : localTime(new Date(ns / 1e6));
}

/** An RFC 3339 time of the API likewise; the zero time is N/A. */
export function formatTimeText(text: string | null | undefined): string {
  if (!text || text.startsWith('0001-01-01')) return 'N/A';
  return localTime(new Date(text));
}

export function localTime(date: Date): string {
  const two = (value: number): string => String(Math.floor(Math.abs(value))).padStart(2, '0');
  const offset = -date.getTimezoneOffset();
  const zone = offset === 0 ? 'Z' : `${offset < 0 ? '-' : '+'}${two(offset / 60)}:${two(offset % 60)}`;
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}${zone}`;
}

const UNITS: [string, number][] = [
  ['y', 360 * 86_400],
  ['mo', 30 * 86_400],
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
];

/** `5m3s ago`: the two largest units between two times, as Nomad counts them (a year has twelve months of thirty days). */
export function formatAgo(ns: number, nowMs: number): string {
  if (ns <= 0) return 'N/A';
  const age = Math.round(nowMs / 1000) - Math.round(ns / 1e9);
  let seconds = Math.abs(age);
  const parts: string[] = [];
  for (const [unit, size] of UNITS) {
    if (parts.length === 2) break;
    const count = Math.floor(seconds / size);
    if (count === 0 && !(unit === 's' && parts.length === 0)) continue;
    parts.push(`${count}${unit}`);
    seconds -= count * size;
  }
  return `${parts.join('')} ${age < 0 ? 'from now' : 'ago'}`;
}

/** `1.5 GiB`, `300 MiB`: bytes in binary units, as Nomad's humanize.IBytes prints them. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = Math.max(0, bytes);
  let i = 0;
  while (value >= 1024 && i < names.length - 1) {
    value /= 1024;
    i++;
  }
  const rounded = Math.round(value * 10) / 10;
  return `${rounded.toFixed(i > 0 && rounded < 10 ? 1 : 0)} ${names[i]}`;
}

export function formatMegabytes(mb: number): string {
  return formatBytes(mb * 1024 * 1024);
}
