import { parseDuration } from '../../util/duration.js';
import { nearest } from '../../util/nearest.js';
import type { ConfigProblem } from './driver.js';

// How a plugin says which keys its config has. A value comes from a job file or the agent's config as JSON: a block is an
// object or, where the file's author could repeat it, a list of objects; numbers and booleans may be written as text.

/** One key's value: `read` turns what was written into T and notes what is wrong; `absent` is the value when nothing was written. */
export interface Field<T> {
  read(value: unknown, path: string, problems: ConfigProblem[]): T;
  absent(path: string, problems: ConfigProblem[]): T;
}

export type Fields = Record<string, Field<unknown>>;
export type Decoded<F extends Fields> = { [K in keyof F]: F[K] extends Field<infer T> ? T : never };

/** Text; numbers and booleans are taken as they are written. */
export function text(fallback = ''): Field<string> {
  return {
    absent: () => fallback,
    read(value, path, problems) {
      if (typeof value === 'string') return value;
      if (typeof value === 'number' || typeof value === 'boolean') return String(value);
      return wrong(problems, { path, wanted: 'a string', value }, fallback);
    },
  };
}

/** Text out of a few words. */
export function oneOf<T extends string>(words: readonly T[], fallback: T): Field<T> {
  return {
    absent: () => fallback,
    read(value, path, problems) {
      const found = words.find((word) => word === value);
      if (found !== undefined) return found;
      return wrong(
        problems,
        { path, wanted: `one of ${words.map((word) => `"${word}"`).join(', ')}`, value },
        fallback,
      );
    },
  };
}

export function number(fallback = 0, limits: { min?: number; max?: number } = {}): Field<number> {
  return {
    absent: () => fallback,
    read(value, path, problems) {
      const found = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
      if (typeof found !== 'number' || !Number.isFinite(found)) {
        return wrong(problems, { path, wanted: 'a number', value }, fallback);
      }
      if (found < (limits.min ?? -Infinity) || found > (limits.max ?? Infinity)) {
        const range = `between ${limits.min ?? '-∞'} and ${limits.max ?? '∞'}`;
        return wrong(problems, { path, wanted: `a number ${range}`, value }, fallback);
      }
      return found;
    },
  };
}

export function bool(fallback = false): Field<boolean> {
  return {
    absent: () => fallback,
    read(value, path, problems) {
      if (typeof value === 'boolean') return value;
      if (value === 'true' || value === '1') return true;
      if (value === 'false' || value === '0') return false;
      return wrong(problems, { path, wanted: 'true or false', value }, fallback);
    },
  };
}

/** What a timer can wait for at most; it would go off at once for more. */
const LONGEST_MS = 24 * 24 * 3600 * 1000;

/** A duration such as "5m", in milliseconds; a bare number counts as seconds. */
export function durationMs(fallbackMs = 0, { minMs = 0 } = {}): Field<number> {
  return {
    absent: () => fallbackMs,
    read(value, path, problems) {
      const parsed = typeof value === 'string' ? parseDuration(value) : undefined;
      if (parsed && !parsed.ok) {
        problems.push({ path, message: parsed.error });
        return fallbackMs;
      }
      const foundMs = parsed ? parsed.value / 1e6 : typeof value === 'number' ? value * 1000 : undefined;
      if (foundMs === undefined) return wrong(problems, { path, wanted: 'a duration such as "5m"', value }, fallbackMs);
      if (foundMs >= minMs && foundMs <= LONGEST_MS) return foundMs;
      const wanted = foundMs < minMs ? `at least ${minMs / 1000} s` : 'at most 24 days';
      return wrong(problems, { path, wanted, value }, fallbackMs);
    },
  };
}

export function list<T>(of: Field<T>): Field<T[]> {
  return {
    absent: () => [],
    read(value, path, problems) {
      if (!Array.isArray(value)) return wrong(problems, { path, wanted: 'a list', value }, []);
      return value.map((item, i) => of.read(item, `${path}[${i}]`, problems));
    },
  };
}

/** A map with keys of the author's choice, written as an object or as one or more blocks. */
export function map<T>(of: Field<T>): Field<Record<string, T>> {
  return {
    absent: () => ({}),
    read(value, path, problems) {
      const objects = Array.isArray(value) ? value : [value];
      const result: Record<string, T> = {};
      for (const object of objects) {
        if (!isObject(object)) return wrong(problems, { path, wanted: 'a map', value }, {});
        for (const [key, item] of Object.entries(object)) result[key] = of.read(item, `${path}.${key}`, problems);
      }
      return result;
    },
  };
}

/** A block that may be written once; null when it was not. */
export function block<F extends Fields>(fields: F): Field<Decoded<F> | null> {
  return {
    absent: () => null,
    read(value, path, problems) {
      const blocks = blocksOf(value);
      if (!blocks) return wrong(problems, { path, wanted: 'a block', value }, null);
      if (blocks.length > 1) problems.push({ path, message: `may be written once, not ${blocks.length} times` });
      return blocks[0] ? readFields(fields, blocks[0], path, problems) : null;
    },
  };
}

/** A block that may be repeated. */
export function blocks<F extends Fields>(fields: F): Field<Decoded<F>[]> {
  return {
    absent: () => [],
    read(value, path, problems) {
      const found = blocksOf(value);
      if (!found) return wrong(problems, { path, wanted: 'a block or a list of blocks', value }, []);
      return found.map((one, i) => readFields(fields, one, `${path}[${i}]`, problems));
    },
  };
}

/** A key that must be written, and not as an empty string. */
export function required<T>(field: Field<T>, why: string): Field<T> {
  return {
    absent(path, problems) {
      problems.push({ path, message: `is missing: ${why}` });
      return field.absent(path, []);
    },
    read(value, path, problems) {
      if (value === '') problems.push({ path, message: `is empty: ${why}` });
      return field.read(value, path, problems);
    },
  };
}

/** A key that is known, but not honoured: `message` says what to do instead. Harmless values (false, "", 0, empty) pass. */
export function refused(message = 'is not supported yet'): Field<undefined> {
  return {
    absent: () => undefined,
    read(value, path, problems) {
      const empty = Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0;
      if (value && !empty) problems.push({ path, message });
      return undefined;
    },
  };
}

/** Reads a whole config; null counts as not written. Unknown keys are problems that name the nearest known one. */
export function decodeFields<F extends Fields>(
  fields: F,
  config: Record<string, unknown>,
): { config: Decoded<F> } | { problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  const decoded = readFields(fields, config, '', problems);
  return problems.length > 0 ? { problems } : { config: decoded };
}

function readFields<F extends Fields>(
  fields: F,
  config: Record<string, unknown>,
  prefix: string,
  problems: ConfigProblem[],
): Decoded<F> {
  const result: Record<string, unknown> = {};
  const at = (key: string): string => (prefix === '' ? key : `${prefix}.${key}`);
  // First what is misspelt: it explains what is missing.
  for (const key of Object.keys(config)) {
    if (Object.hasOwn(fields, key)) continue;
    const near = nearest(key, Object.keys(fields));
    const message = `is not a known key${near ? `; did you mean "${near}"?` : ''}`;
    problems.push({ path: at(key), message, isUnknownKey: true });
  }
  for (const [key, field] of Object.entries(fields)) {
    const value = config[key];
    result[key] = value == null ? field.absent(at(key), problems) : field.read(value, at(key), problems);
  }
  return result as Decoded<F>;
}

function blocksOf(value: unknown): Record<string, unknown>[] | undefined {
  const found = Array.isArray(value) ? value : [value];
  return found.every(isObject) ? found : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong<T>(problems: ConfigProblem[], found: { path: string; wanted: string; value: unknown }, fallback: T): T {
  problems.push({
    path: found.path,
    message: `must be ${found.wanted}, not ${JSON.stringify(found.value)}`,
  });
  return fallback;
}
