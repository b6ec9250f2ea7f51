import type { TokenStream } from './token-stream.js';
import { T, type Token } from './tokens.js';

const SUMMARY = 'Invalid escape sequence';
const SIMPLE: Record<string, string> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\' };

/** The text that a literal token stands for: `$${` and `%%{` lose a mark, and between quotes backslashes escape. */
export function unescapeToken(stream: TokenStream, token: Token): string {
  const raw = stream.text(token);
  // The lexer gives an escaped mark a token of its own.
  if (raw.startsWith('$${') || raw.startsWith('%%{')) return raw.slice(1);
  if (token.type !== T.QuotedText || !raw.includes('\\')) return raw.normalize('NFC');
  return unescapeQuoted(stream, token, raw).normalize('NFC');
}

function unescapeQuoted(stream: TokenStream, token: Token, raw: string): string {
  let text = '';
  let at = 0;
  for (let backslash = raw.indexOf('\\'); backslash >= 0; backslash = raw.indexOf('\\', at)) {
    text += raw.slice(at, backslash);
    const selector = String.fromCodePoint(raw.codePointAt(backslash + 1) ?? 0x5c);
    const simple = SIMPLE[selector];
    if (simple !== undefined) {
      text += simple;
      at = backslash + 2;
      continue;
    }
    const digits = selector === 'u' ? 4 : selector === 'U' ? 8 : 0;
    const hex = /^[0-9a-fA-F]*/.exec(raw.slice(backslash + 2, backslash + 2 + digits))?.[0] ?? '';
    at = backslash + 1 + selector.length + hex.length;
    if (digits > 0 && hex.length === digits) {
      const code = Number.parseInt(hex, 16);
      text += code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : '\ufffd';
      continue;
    }
    const range = stream.map.range(token.start + backslash, token.start + at);
    const words = digits === 4 ? 'four' : 'eight';
    const detail =
      digits > 0
        ? `The \\${selector} escape sequence must be followed by ${words} hexadecimal digits.`
        : `The symbol "${selector}" is not a valid escape sequence selector.`;
    stream.error(range, SUMMARY, detail);
    text += raw.slice(backslash, at);
  }
  return text + raw.slice(at);
}
