import { bigFloatToString } from '../number.js';
import type { Value } from '../values.js';

/** A value as YAML, in the style of HashiCorp's: block style, keys and texts in double quotes, lines as lines. */
export function yamlEncode(value: Value): string {
  const text = node(value, 0, true);
  // A bare word at the top needs an end mark, lest more of it might follow.
  const bare = value.kind === 'null' || value.kind === 'unknown' || value.kind === 'bool' || value.kind === 'number';
  return `${text}${text.endsWith('\n') ? '' : '\n'}${bare ? '...\n' : ''}`;
}

/** The text of a value whose lines, but for the first one, stand at an indent. */
function node(value: Value, indent: number, top: boolean): string {
  switch (value.kind) {
    case 'null':
    case 'unknown':
      return 'null';
    case 'bool':
      return String(value.value);
    case 'number':
      return bigFloatToString(value.value);
    case 'string':
      return scalar(value.value, top ? 2 : indent, indent);
    case 'list':
    case 'set':
    case 'tuple':
      return value.items.length === 0 ? '[]' : sequence(value.items, indent);
    case 'map':
    case 'object':
      return value.entries.size === 0 ? '{}' : mapping(value.entries, indent);
  }
}

const pad = (indent: number): string => ' '.repeat(indent);
const line = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`);

function sequence(items: readonly Value[], indent: number): string {
  return items.map((item, i) => `${i > 0 ? pad(indent) : ''}- ${line(node(item, indent + 2, false))}`).join('');
}

const SIMPLE_KEY_MAX = 128;

function mapping(entries: ReadonlyMap<string, Value>, indent: number): string {
  return [...entries]
    .map(([key, item], i) => {
      const before = i > 0 ? pad(indent) : '';
      const simple = !key.includes('\n') && new TextEncoder().encode(key).length <= SIMPLE_KEY_MAX;
      if (!simple) {
        const written = line(scalar(key, indent + 2, indent));
        return `${before}? ${written}${pad(indent)}: ${line(node(item, indent + 2, false))}`;
      }
      return `${before}${quoted(key, null)}:${entry(item, indent, quoted(key, null).length + indent + 1)}`;
    })
    .join('');
}

/** What stands behind a key: a sequence is not indented further, a mapping is. */
function entry(item: Value, indent: number, column: number): string {
  if ('items' in item && item.items.length > 0) return `\n${pad(indent)}${sequence(item.items, indent)}`;
  if ('entries' in item && item.entries.size > 0) return `\n${pad(indent + 2)}${mapping(item.entries, indent + 2)}`;
  if (item.kind === 'string') return ` ${line(scalar(item.value, indent + 2, column + 1))}`;
  return ` ${line(node(item, indent + 2, false))}`;
}

/** Lines as a literal block where YAML can write them so, otherwise in quotes. */
function scalar(value: string, indent: number, column: number): string {
  return value.includes('\n') && fitsBlock(value) ? literal(value, indent) : quoted(value, { indent, column });
}

function fitsBlock(value: string): boolean {
  return !/[ ]\n|[ ]$|^\t|[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]|\t/.test(value);
}

function literal(value: string, indent: number): string {
  const hint = /^[ \n]/.test(value) ? '2' : '';
  const chomp = !value.endsWith('\n') ? '-' : value === '\n' || value.endsWith('\n\n') ? '+' : '';
  const lines = value.replace(/\n$/, '').split('\n');
  return `|${hint}${chomp}\n${lines.map((text) => (text === '' ? '\n' : `${pad(indent)}${text}\n`)).join('')}`;
}

const ESCAPES: Record<string, string> = {
  '\0': '\\0',
  '\x07': '\\a',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
  '\x1b': '\\e',
  '"': '\\"',
  '\\': '\\\\',
  '\x85': '\\N',
  '\u2028': '\\L',
  '\u2029': '\\P',
};

function escaped(letter: string): string {
  const known = ESCAPES[letter];
  if (known) return known;
  const code = letter.codePointAt(0) as number;
  const printable =
    (code >= 0x20 && code < 0x7f) ||
    (code >= 0xa0 && code <= 0xd7ff) ||
    (code >= 0xe000 && code < 0xfffe && code !== 0xfeff);
  if (printable) return letter;
  const digits = code.toString(16).toUpperCase();
  if (code < 0x100) return `\\x${digits.padStart(2, '0')}`;
  return code < 0x10000 ? `\\u${digits.padStart(4, '0')}` : `\\U${digits.padStart(8, '0')}`;
}

const WIDTH_MAX = 80;

/** In double quotes; where a fold is allowed, a space beyond the width becomes the end of a line. */
function quoted(value: string, fold: { readonly indent: number; readonly column: number } | null): string {
  let result = '"';
  let column = (fold?.column ?? 0) + 1;
  const letters = [...value];
  for (let i = 0; i < letters.length; i++) {
    const letter = letters[i] as string;
    const inside = i > 0 && i < letters.length - 1 && letters[i - 1] !== ' ';
    if (fold && letter === ' ' && column > WIDTH_MAX && inside) {
      const next = letters[i + 1] === ' ';
      result += `\n${pad(fold.indent)}${next ? '\\' : ''}`;
      column = fold.indent + (next ? 1 : 0);
      continue;
    }
    const text = escaped(letter);
    result += text;
    column += [...text].length;
  }
  return `${result}"`;
}
