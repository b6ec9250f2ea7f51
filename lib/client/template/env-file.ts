import { err, ok, type Result } from '../../util/result.js';

/** Linux gives a program no more. */
const CHARS_MAX = 2 * 1024 * 1024;

/**
 * Lines `KEY=value` as variables, as Nomad reads them: comments, `export `, and values put together of bare, single and double
 * quoted parts (`a"b c"'d'`); a `#` outside of quotes begins a comment. The error names the line.
 */
export function parseEnvFile(text: string): Result<Record<string, string>, string> {
  if (text.length > CHARS_MAX) return err(`more than ${CHARS_MAX} characters: no program takes so many variables`);
  const env: Record<string, string> = {};
  for (const [i, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const at = line.indexOf('=');
    const key = line
      .slice(0, Math.max(0, at))
      .trim()
      .replace(/^export\s+(?=.)/, '');
    if (at < 0) return err(`error on line ${i + 1}: missing = in ${JSON.stringify(clip(line))}`);
    if (!/^[A-Za-z_][A-Za-z0-9_./-]*$/.test(key))
      return err(`error on line ${i + 1}: ${JSON.stringify(clip(key))} is no name`);
    const value = parseValue(line.slice(at + 1).trim());
    if (!value.ok) return err(`error on line ${i + 1}: ${value.error} in the value of ${key}`);
    env[key] = value.value;
  }
  return ok(env);
}

/** Values may be secrets: of a bad line only its beginning is shown. */
function clip(text: string): string {
  return text.length > 16 ? `${text.slice(0, 16)}…` : text;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f', '/': '/' };

/** One part of a value: bare up to a quote or comment, or quoted. */
const PART = /([^"'#]+)|"((?:\\.|[^"\\])*)"|'([^']*)'|#.*$/y;

function parseValue(text: string): Result<string, string> {
  let value = '';
  /** Up to here the value counts: blanks in front of a comment do not. */
  let end = 0;
  PART.lastIndex = 0;
  while (PART.lastIndex < text.length) {
    const match = PART.exec(text);
    if (!match) return err('the quotes do not end');
    const [whole, bare, double, single] = match;
    if (whole.startsWith('#')) break;
    value += bare ?? single ?? unescaped(double ?? '');
    end = bare === undefined ? value.length : Math.max(end, value.trimEnd().length);
  }
  const control = /[\u0000-\u0008\u000a-\u001f]/.test(text);
  return control ? err('a control character stands') : ok(value.slice(0, end));
}

function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_, hex: string | undefined, char: string) =>
    hex === undefined ? (ESCAPES[char] ?? char) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
