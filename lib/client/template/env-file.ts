import { err, ok, type Result } from '../../util/result.js';

/** Lines `KEY=value` as variables: comments, `export `, single and double quotes; the error names the line. */
export function parseEnvFile(text: string): Result<Record<string, string>, string> {
  const env: Record<string, string> = {};
  for (const [i, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim().replace(/^export\s+/, '');
    if (line === '' || line.startsWith('#')) continue;
    const at = line.indexOf('=');
    const key = line.slice(0, Math.max(0, at)).trimEnd();
    if (at < 0) return err(`error on line ${i + 1}: missing = in ${JSON.stringify(clip(line))}`);
    if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(key))
      return err(`error on line ${i + 1}: ${JSON.stringify(clip(key))} is no name`);
    const value = parseValue(line.slice(at + 1).trimStart());
    if (value === null) return err(`error on line ${i + 1}: the quotes of ${key} do not end`);
    env[key] = value;
  }
  return ok(env);
}

/** Values may be secrets: of a bad line only its beginning is shown. */
function clip(text: string): string {
  return text.length > 16 ? `${text.slice(0, 16)}…` : text;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };

function parseValue(text: string): string | null {
  if (text.startsWith("'")) {
    const end = text.indexOf("'", 1);
    return end < 0 ? null : text.slice(1, end);
  }
  if (!text.startsWith('"')) return text.replace(/(^|\s)#.*$/, '').trimEnd();
  const quoted = /^"((?:\\.|[^"\\])*)"/.exec(text)?.[1];
  if (quoted === undefined) return null;
  return quoted.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_, hex: string | undefined, char: string) =>
    hex === undefined ? (ESCAPES[char] ?? char) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
