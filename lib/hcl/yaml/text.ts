/** A scalar as it stands in a source: its text, and where it ends. */
export interface Piece {
  readonly text: string;
  readonly end: number;
  readonly style: 'plain' | 'quoted' | 'block';
  /** Why it is malformed, or null. */
  readonly problem: string | null;
}

const broken = (problem: string): Piece => ({ text: '', end: 0, style: 'quoted', problem });

/** Ends of lines within quotes: one is a space, several are one less. */
function folded(text: string): string {
  return text.replace(/[ \t]*\n(?:[ \t]*\n)*[ \t]*/g, (breaks) => {
    const count = breaks.split('\n').length - 1;
    return count === 1 ? ' ' : '\n'.repeat(count - 1);
  });
}

/** `'…'`, in which a quote is doubled. */
export function singleQuoted(source: string, at: number): Piece {
  const pattern = /'((?:[^']|'')*)'/y;
  pattern.lastIndex = at;
  const match = pattern.exec(source);
  if (!match) return broken('found unexpected end of stream');
  return { text: folded(match[1] ?? '').replaceAll("''", "'"), end: pattern.lastIndex, style: 'quoted', problem: null };
}

const ESCAPES: Record<string, string> = {
  '0': '\0',
  a: '\x07',
  b: '\b',
  t: '\t',
  '\t': '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
  e: '\x1b',
  ' ': ' ',
  '"': '"',
  '/': '/',
  '\\': '\\',
  N: '\x85',
  _: '\xa0',
  L: '\u2028',
  P: '\u2029',
};

/** `"…"` with escapes. */
export function doubleQuoted(source: string, at: number): Piece {
  const pattern = /"((?:[^"\\]|\\[\s\S])*)"/y;
  pattern.lastIndex = at;
  const match = pattern.exec(source);
  if (!match) return broken('found unexpected end of stream');
  let problem: string | null = null;
  // Escapes first become marks, so that what they stand for is not folded.
  const made: string[] = [];
  const marked = (match[1] ?? '').replace(
    /\\(?:\n[ \t]*|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([\s\S]))/g,
    (whole, two?: string, four?: string, eight?: string, letter?: string) => {
      if (whole.startsWith('\\\n')) return '';
      const code = Number.parseInt(two ?? four ?? eight ?? '0', 16);
      const isCode = code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
      if (letter === undefined && !isCode) problem = 'found invalid Unicode character escape code';
      const text = letter === undefined && isCode ? String.fromCodePoint(code) : ESCAPES[letter ?? ''];
      if (text === undefined) problem ??= 'found unknown escape character';
      made.push(text ?? '');
      return '\ufdd1';
    },
  );
  let next = 0;
  const text = folded(marked).replace(/\ufdd1/g, () => made[next++] ?? '');
  return { text, end: pattern.lastIndex, style: 'quoted', problem };
}

/** A bare text: up to `: `, ` #` or the end of its lines, which go on as long as they are indented. */
export function plainText(source: string, at: number, minimum: number, flow: boolean): Piece {
  const pattern = flow
    ? /(?:[^\s:#,[\]{}]|:(?![\s,[\]{}]|$)|(?<=\S)#|[ \t]+(?![\s#]|$|:(?:[\s,[\]{}]|$)|[,[\]{}]))+/y
    : /(?:[^\s:#]|:(?!\s|$)|(?<=\S)#|[ \t]+(?![\s#]|$|:(?:\s|$)))+/y;
  pattern.lastIndex = at;
  let text = pattern.exec(source)?.[0] ?? '';
  let end = at + text.length;
  while (text !== '') {
    const breaks = /[ \t]*\n(?:[ \t]*\n)*([ \t]*)(?=[^\s#])/y;
    breaks.lastIndex = end;
    const gap = breaks.exec(source);
    if (!gap || (gap[1] ?? '').length < minimum) break;
    const start = breaks.lastIndex;
    if ((gap[1] ?? '') === '' && /^(?:---|\.\.\.)(?:\s|$)/.test(source.slice(start, start + 4))) break;
    pattern.lastIndex = start;
    const more = pattern.exec(source)?.[0] ?? '';
    if (more === '' || (!flow && /^[ \t]*:(?:\s|$)/.test(source.slice(start + more.length, start + more.length + 40))))
      break;
    if (!flow && minimum === 0 && /^- /.test(source.slice(start, start + 2))) break;
    const count = gap[0].split('\n').length - 1;
    text += (count === 1 ? ' ' : '\n'.repeat(count - 1)) + more;
    end = start + more.length;
  }
  return { text, end, style: 'plain', problem: null };
}

/** `|` and `>` blocks, whose lines are indented deeper than their parent. */
export function blockScalar(source: string, at: number, parentIndent: number): Piece {
  const head = /([|>])(?:([1-9])([+-])?|([+-])([1-9])?)?[ \t]*(?:(?<=[ \t])#[^\n]*)?(?:\n|$)/y;
  head.lastIndex = at;
  const match = head.exec(source);
  if (!match) return broken('did not find expected comment or line break');
  const chomp = match[3] ?? match[4];
  const given = match[2] ?? match[5];
  let indent = given === undefined ? -1 : Math.max(0, parentIndent) + Number(given);
  const lines: string[] = [];
  let end = head.lastIndex;
  while (end < source.length) {
    const next = source.indexOf('\n', end);
    const line = source.slice(end, next < 0 ? undefined : next);
    const spaces = /^ */.exec(line)?.[0].length ?? 0;
    const blank = spaces === line.length;
    if (line.charAt(spaces) === '\t' && (indent < 0 || spaces < indent))
      return broken('found a tab character where an indentation space is expected');
    if (indent < 0 && !blank) indent = spaces > parentIndent ? spaces : Number.POSITIVE_INFINITY;
    if (!blank && spaces < indent) break;
    if (!blank && spaces === 0 && /^(?:---|\.\.\.)(?:\s|$)/.test(line)) break;
    lines.push(indent < 0 ? '' : line.slice(indent));
    end = next < 0 ? source.length : next + 1;
    if (next < 0) break;
  }
  let count = lines.length;
  while (count > 0 && lines[count - 1] === '') count--;
  const content = lines.slice(0, count);
  const trailing = lines.length - count;
  const body = match[1] === '|' ? content.join('\n') : foldLines(content);
  const ending = chomp === '-' || count === 0 ? '' : '\n';
  const text = body + ending + (chomp === '+' ? '\n'.repeat(trailing) : '');
  // The break before the next line is left for the parser, which looks at line starts.
  return { text, end: end > at && source.charAt(end - 1) === '\n' ? end - 1 : end, style: 'block', problem: null };
}

/** Lines at the indent are joined by spaces, blank ones are breaks; indented further they stay lines. */
function foldLines(lines: readonly string[]): string {
  let text = '';
  let breaks = 0;
  let previous: string | null = null;
  for (const line of lines) {
    if (line === '') {
      breaks++;
      continue;
    }
    const kept = /^[ \t]/.test(line) || (previous !== null && /^[ \t]/.test(previous));
    if (previous === null) text += '\n'.repeat(breaks);
    else if (kept) text += '\n'.repeat(breaks + 1);
    else text += breaks === 0 ? ' ' : '\n'.repeat(breaks);
    text += line;
    previous = line;
    breaks = 0;
  }
  return text;
}
