// Go's quoted texts.

const NAMED: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
};

const BY_CHAR = new Map(
  Object.entries(NAMED)
    .filter(([name]) => name !== "'")
    .map(([name, char]) => [char, `\\${name}`]),
);

/** A text as Go's `%q` prints it; `ascii` escapes everything else too (`%+q`). */
export function quote(text: string, ascii = false): string {
  let out = '"';
  for (const char of text) out += char === "'" ? char : quotedChar(char, ascii);
  return `${out}"`;
}

/** A character as Go's `%q` prints a rune. */
export function quoteRune(code: number, ascii = false): string {
  const valid = code >= 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
  const char = String.fromCodePoint(valid ? code : 0xfffd);
  if (char === '"') return `'"'`;
  return char === "'" ? `'\\''` : `'${quotedChar(char, ascii)}'`;
}

function quotedChar(char: string, ascii: boolean): string {
  const named = BY_CHAR.get(char);
  if (named !== undefined) return named;
  const code = char.codePointAt(0) ?? 0;
  if (isPrintable(char) && (!ascii || code < 0x80)) return char;
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code < 0x1_0000) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}

/** Whether Go's unicode.IsPrint holds: letters, marks, numbers, punctuation, symbols, and the ordinary blank. */
export function isPrintable(char: string): boolean {
  return char === ' ' || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(char);
}

/** The text in a quoted one (`"…"`, `` `…` `` or `'…'`), null when it is malformed. */
export function unquote(source: string): string | null {
  const quoteChar = source[0];
  const inner = source.slice(1, -1);
  if (quoteChar === '`') return inner.replaceAll('\r', '');
  const bytes: number[] = [];
  const utf8 = new TextEncoder();
  for (let at = 0; at < inner.length; ) {
    if (inner[at] !== '\\') {
      const char = String.fromCodePoint(inner.codePointAt(at) ?? 0);
      bytes.push(...utf8.encode(char));
      at += char.length;
      continue;
    }
    const read = readEscape(inner, at + 1, quoteChar);
    if (!read) return null;
    if (read.byte) bytes.push(read.code);
    else bytes.push(...utf8.encode(String.fromCodePoint(read.code)));
    at = read.end;
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

interface Escape {
  code: number;
  /** It stands for a byte, not for a character. */
  byte: boolean;
  end: number;
}

const SIZES: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

function readEscape(source: string, at: number, quoteChar: string | undefined): Escape | null {
  const char = source[at] ?? '';
  const size = SIZES[char];
  if (size !== undefined) {
    const digits = source.slice(at + 1, at + 1 + size);
    const code = Number.parseInt(digits, 16);
    const whole = digits.length === size && /^[0-9a-fA-F]+$/.test(digits);
    if (!whole || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return null;
    return { code, byte: char === 'x', end: at + 1 + size };
  }
  const octal = /^[0-3][0-7]{2}/.exec(source.slice(at, at + 3));
  if (octal) return { code: Number.parseInt(octal[0], 8), byte: true, end: at + 3 };
  if ((char === "'" || char === '"') && char !== quoteChar) return null;
  const named = NAMED[char];
  return named === undefined ? null : { code: named.charCodeAt(0), byte: false, end: at + 1 };
}
