import { isPrintable } from './quote.js';

const HTML: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
  '\0': '\uFFFD',
};

/** Go's HTMLEscapeString. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"'\0]/g, (char) => HTML[char] ?? char);
}

const JS: Readonly<Record<string, string>> = { '\\': '\\\\', "'": "\\'", '"': '\\"' };

/** Go's JSEscapeString. */
export function escapeJs(text: string): string {
  return text.replace(/[\\'"<>&=\u0000-\u001f\u0080-\u{10ffff}]/gu, (char) => {
    const named = JS[char];
    if (named !== undefined) return named;
    if (char > '\u007f' && isPrintable(char)) return char;
    const hex = (char.codePointAt(0) ?? 0).toString(16).toUpperCase();
    return `\\u${hex.padStart(4, '0')}`;
  });
}

/** Go's url.QueryEscape. */
export function escapeQuery(text: string): string {
  let out = '';
  for (const byte of new TextEncoder().encode(text)) {
    const char = String.fromCharCode(byte);
    if (/[A-Za-z0-9._~-]/.test(char)) out += char;
    else out += char === ' ' ? '+' : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}
