import type { Job } from '../structs/job.js';
import { parseDuration } from '../util/duration.js';
import { err, ok, type Result } from '../util/result.js';
import { atOnce, GROUPS_PER_TURN, mapInTurns, type Resting } from '../util/turns.js';
import type { AttributeType, Field, Raw, Struct } from './schema/field.js';
import { job } from './schema/job.js';

/** Deeper than any real job; what is read later recursively cannot overflow the stack. */
const DEPTH_MAX = 64;
const PROBLEMS_MAX = 20;

/**
 * Reads a job as the API carries it: an object of any origin. Every message names the path of the culprit
 * ("TaskGroups[0].Tasks[1].KillTimeout: …"). Keys are matched as Go does (case does not matter), unknown ones are left
 * out, durations may be nanoseconds or text ("30s"). The result may lack anything: `canonicalizeJob` fills it in.
 */
export function readJobJson(value: unknown): Result<Partial<Job>, string[]> {
  return atOnce(readJobInTurns(value));
}

/** The same with rests between its groups. */
export function* readJobInTurns(value: unknown): Resting<Result<Partial<Job>, string[]>> {
  const problems: string[] = [];
  const read = yield* readJob(value, problems);
  if (problems.length > PROBLEMS_MAX) problems.splice(PROBLEMS_MAX, Infinity, 'and more');
  return problems.length > 0 ? err(problems) : ok(read as Partial<Job>);
}

type Problems = string[];

/** The job itself: of what it has in lists, its groups may be very many. */
function* readJob(value: unknown, problems: Problems): Resting<Raw | null> {
  if (!isObject(value)) return readStruct(job, value, '', problems);
  const raw: Raw = {};
  for (const [field, given] of givenTo(job, value)) {
    raw[field.json] =
      field.form === 'block' && field.arity === 'list' && Array.isArray(given)
        ? yield* mapInTurns(
            given,
            (item, i) => readStruct(field.struct, item ?? {}, `${field.json}[${i}]`, problems),
            GROUPS_PER_TURN,
          )
        : readField(field, given, field.json, problems);
  }
  return raw;
}

/** An object of the API by its schema, with the path of whatever is wrong in it. */
export function readStruct(struct: Struct, value: unknown, path: string, problems: Problems): Raw | null {
  if (!isObject(value)) {
    problems.push(`${path || 'job'}: must be an object (${struct.name}), not ${nameOf(value)}`);
    return null;
  }
  const raw: Raw = {};
  for (const [field, given] of givenTo(struct, value)) {
    raw[field.json] = readField(field, given, path === '' ? field.json : `${path}.${field.json}`, problems);
  }
  return raw;
}

/** The fields of a block that an object gives, in their order. */
function* givenTo(struct: Struct, value: Raw): Generator<[Field, unknown], void, void> {
  const others = othersIn(struct, value);
  for (const field of struct.fields) {
    if (field.json.startsWith('~')) continue;
    const given = Object.hasOwn(value, field.json) ? value[field.json] : others?.get(field.json.toLowerCase());
    if (given !== null && given !== undefined) yield [field, given];
  }
}

const names = new WeakMap<Struct, ReadonlySet<string>>();

/** What an object has under other names than the fields of a block, by these in small letters; mostly it has none. */
function othersIn(struct: Struct, value: Raw): Map<string, unknown> | null {
  let known = names.get(struct);
  if (!known) {
    known = new Set(struct.fields.map(({ json }) => json));
    names.set(struct, known);
  }
  let others: Map<string, unknown> | null = null;
  for (const key in value) {
    if (known.has(key)) continue;
    others ??= new Map();
    others.set(key.toLowerCase(), value[key]);
  }
  return others;
}

function readField(field: Field, value: unknown, path: string, problems: Problems): unknown {
  switch (field.form) {
    case 'label':
      return readAttribute('string', value, path, problems);
    case 'attribute':
      return readAttribute(field.type, value, path, problems);
    case 'free':
      return readFree(field.of, value, path, problems);
    case 'block':
      if (field.arity === 'one') return readStruct(field.struct, value, path, problems);
      if (field.arity === 'list') {
        return readList(value, path, problems, (item, at) => readStruct(field.struct, item ?? {}, at, problems));
      }
      return readMap(value, path, problems, (item, at) => readStruct(field.struct, item ?? {}, at, problems));
  }
}

function readAttribute(type: AttributeType, value: unknown, path: string, problems: Problems): unknown {
  switch (type) {
    case 'string':
      return expect(typeof value === 'string', 'a string', value, path, problems);
    case 'bool':
      return expect(typeof value === 'boolean', 'true or false', value, path, problems);
    case 'int':
      // Times of the API are nanoseconds since 1970, which are whole but beyond the safe integers; Go's int64 is the limit.
      return expect(
        Number.isInteger(value) && Math.abs(value as number) <= 2 ** 63,
        'a whole number',
        value,
        path,
        problems,
      );
    case 'duration':
      return readDuration(value, path, problems);
    case 'strings':
      return readList(value, path, problems, (item, at) => readAttribute('string', item, at, problems));
    case 'ints':
      return readList(value, path, problems, (item, at) => readAttribute('int', item, at, problems));
    case 'string-map':
      return readFree('string', value, path, problems);
  }
}

function readDuration(value: unknown, path: string, problems: Problems): number | null {
  if (typeof value === 'string') {
    const parsed = parseDuration(value);
    if (parsed.ok) return parsed.value;
    problems.push(`${path}: ${parsed.error}`);
    return null;
  }
  const fits = Number.isInteger(value) && Math.abs(value as number) <= 2 ** 63;
  return expect(fits, 'a duration (nanoseconds, or text such as "30s")', value, path, problems) as number | null;
}

function readFree(of: 'string' | 'strings' | 'any', value: unknown, path: string, problems: Problems): unknown {
  if (of === 'any') {
    if (!isObject(value)) return expect(false, 'an object', value, path, problems);
    if (depthOf(value, DEPTH_MAX) > DEPTH_MAX) problems.push(`${path}: nested deeper than ${DEPTH_MAX} levels`);
    return value;
  }
  return readMap(value, path, problems, (item, at) =>
    readAttribute(of === 'string' ? 'string' : 'strings', item, at, problems),
  );
}

function readList<T>(value: unknown, path: string, problems: Problems, read: (item: unknown, at: string) => T) {
  if (!Array.isArray(value)) return expect(false, 'a list', value, path, problems);
  return value.map((item, i) => read(item, `${path}[${i}]`));
}

function readMap<T>(value: unknown, path: string, problems: Problems, read: (item: unknown, at: string) => T) {
  if (!isObject(value)) return expect(false, 'an object', value, path, problems);
  // fromEntries makes own properties, also of a key such as __proto__.
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, read(item, `${path}.${key}`)]));
}

function expect(holds: boolean, wanted: string, value: unknown, path: string, problems: Problems): unknown {
  if (holds) return value;
  problems.push(`${path}: must be ${wanted}, not ${nameOf(value)}`);
  return null;
}

function isObject(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nameOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  const shown = JSON.stringify(value) ?? typeof value;
  return shown.length > 60 ? `${shown.slice(0, 60)}…` : shown;
}

/** How deep a value is nested; at most one more than `limit` is told. */
function depthOf(value: unknown, limit: number): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (limit < 0) return 1;
  let deepest = 0;
  for (const item of Object.values(value)) deepest = Math.max(deepest, depthOf(item, limit - 1));
  return deepest + 1;
}
