import { lower, upper } from './text.js';

// FirstName, first_name, first-name: one way of writing words in a name becomes another.

/** No name is longer. */
const NAME_CHARS_MAX = 100_000;

const CONNECTOR = /[-_\s]/u;

/** `http_server-name` as `HttpServerName`; capitals behind a capital become small. */
export function camelCase(value: string): string {
  checkName(value);
  const lead = /^[-_\s]*/u.exec(value)?.[0] ?? '';
  const body = value.slice(lead.length);
  let out = lead;
  let before = '_';
  let inCapitals = false;
  for (const char of body) {
    if (CONNECTOR.test(char)) {
      if (CONNECTOR.test(before)) out += before;
    } else if (CONNECTOR.test(before)) {
      inCapitals = isUpper(char);
      out += upper(char);
    } else {
      inCapitals &&= isUpper(char);
      out += inCapitals ? lower(char) : char;
    }
    before = char;
  }
  return CONNECTOR.test(before) && body !== '' ? out + before : out;
}

function checkName(value: string): void {
  if (value.length > NAME_CHARS_MAX) throw new Error(`the text has more than ${NAME_CHARS_MAX} characters`);
}

function isUpper(char: string): boolean {
  return /\p{Lu}/u.test(char);
}

/**
 * Words in small letters with a connector between them: `HTTPServer` is http_server. A number goes with the letters
 * before it, or, where small letters follow it, with those: bld4_floor, http_2xx.
 */
export function joinedCase(value: string, connector: string): string {
  checkName(value);
  const parts =
    value.match(/[-_\s]+|\p{P}+|\p{Lu}+(?=\p{Lu}\p{Ll})|\p{Lu}\p{Ll}+|\p{Lu}+|\p{N}+|\p{L}+?(?=\p{Lu}|\P{L}|$)|./gsu) ??
    [];
  let out = '';
  for (const [i, part] of parts.entries()) {
    if (/^[-_\s]/u.test(part)) out += connector.repeat([...part].length);
    else {
      if (isWord(part) && isWord(parts[i - 1] ?? '') && !isJoined(parts, i)) out += connector;
      out += lower(part);
    }
  }
  return out;
}

function isWord(part: string): boolean {
  return part !== '' && !/^[-_\s\p{P}]/u.test(part);
}

/** Whether a part belongs to the word before it. */
function isJoined(parts: readonly string[], at: number): boolean {
  const [part = '', before = '', next = ''] = [parts[at], parts[at - 1], parts[at + 1]];
  if (/^\p{N}/u.test(part)) return /^\p{N}/u.test(before) || !/^\p{Ll}/u.test(next) || isNumbered(parts, at - 1);
  return /^\p{N}/u.test(before) && /^\p{Ll}/u.test(part);
}

/** Whether a part is small letters behind a number. */
function isNumbered(parts: readonly string[], at: number): boolean {
  return /^\p{Ll}/u.test(parts[at] ?? '') && /^\p{N}/u.test(parts[at - 1] ?? '');
}
