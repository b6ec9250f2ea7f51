import { checkExtent, entriesOf, floatOf, kindOf, printValue, Struct, type Value } from '../../../template/index.js';

/** Nested deeper than any file a person writes. */
const DEPTH_MAX = 100;

type Entry = readonly [string, Value];

/**
 * A map as a TOML document, without the last line break: what stands in the map itself first, then its tables, keys in
 * order. What is null is left out, as TOML has no word for it. Throws Error for what is no map.
 */
export function tomlText(value: Value): string {
  checkExtent(value);
  const entries = tableOf(value);
  if (entries === null) throw new Error('toTOML takes a map: a TOML document is a table');
  return table(entries, [], 0).trim();
}

/** The lines of one table, and those of the tables in it, each under its own heading. */
function table(entries: readonly Entry[], path: readonly string[], depth: number): string {
  if (depth > DEPTH_MAX) throw new Error(`nested deeper than ${DEPTH_MAX}`);
  const given = entries.filter(([, value]) => kindOf(value) !== 'nil');
  const own = given.filter(([, value]) => !isTable(value) && !isTables(value));
  const margin = '  '.repeat(path.length);
  const lines = own.map(([key, value]) => `${margin}${bare(key)} = ${inline(value, depth)}\n`).join('');
  const inner = given.map(([key, value]) => {
    const name = [...path, bare(key)];
    const blank = path.length === 0 || isTables(value) ? '\n' : '';
    const part = (open: string, close: string, item: Value): string =>
      `${blank}${margin}${open}${name.join('.')}${close}\n${table(tableOf(item) ?? [], name, depth + 1)}`;
    if (isTable(value)) return part('[', ']', value);
    return isTables(value) ? value.map((item) => part('[[', ']]', item)).join('') : '';
  });
  return lines + inner.join('');
}

function inline(value: Value, depth: number): string {
  if (depth > DEPTH_MAX) throw new Error(`nested deeper than ${DEPTH_MAX}`);
  if (Array.isArray(value)) {
    return `[${(value as Value[])
      .filter((item) => kindOf(item) !== 'nil')
      .map((item) => inline(item, depth + 1))
      .join(', ')}]`;
  }
  const entries = tableOf(value);
  if (entries) return `{${entries.map(([key, item]) => `${bare(key)} = ${inline(item, depth + 1)}`).join(', ')}}`;
  switch (kindOf(value)) {
    case 'string':
      return quoted(value as string);
    case 'float':
      return float(floatOf(value as number));
    default:
      return printValue(value);
  }
}

function isTable(value: Value): boolean {
  return tableOf(value) !== null;
}

/** A list that has only tables becomes headings of its own; others, empty ones too, stand in one line. */
function isTables(value: Value): value is Value[] {
  return Array.isArray(value) && value.length > 0 && value.every(isTable);
}

function tableOf(value: Value): Entry[] | null {
  if (value instanceof Struct) return Object.entries(value.fields);
  return kindOf(value) === 'map' ? entriesOf(value as object) : null;
}

/** A float says that it is one. */
function float(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function bare(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : quoted(key);
}

/** A basic string: what TOML does not let stand in it is escaped. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(/\u007f/g, '\\u007f');
}
