import {
  checkExtent,
  entriesOf,
  type Float,
  floatOf,
  int,
  kindOf,
  TextStruct,
  typeName,
  type Value,
} from '../../../template/index.js';
import { compileRegex, type Regex } from '../../../util/regex/machine.js';

// What the functions take: everything else is refused as Go refuses it.

/** Longest text that a function may make of a short one. */
const TEXT_MAX = 16 * 1024 * 1024;
/** Longest list that a function may make. */
const LIST_MAX = 1_000_000;
/** A pattern takes length · size steps. */
const STEPS_MAX = 20_000_000;

/** Steps of a search that take as long as other functions take for a character. */
const REGEX_STEPS_A_CHAR = 8;

export function textOf(value: Value): string {
  if (typeof value === 'string') return value;
  if (value instanceof TextStruct) return value.text;
  throw new Error(`wrong type for value; expected string; got ${typeName(value)}`);
}

/** A whole number; texts are not taken for numbers. */
export function intOf(value: Value): number {
  if (kindOf(value) === 'int') return Number(value);
  throw new Error(`wrong type for value; expected int; got ${typeName(value)}`);
}

export function numberOf(value: Value): number {
  const kind = kindOf(value);
  if (kind === 'int') return Number(value);
  if (kind === 'float') return floatOf(value as number | Float);
  throw new Error(`wrong type for value; expected a number; got ${typeName(value)}`);
}

/** A whole number as Go has it in 64 bits: what is beyond comes round from the other end. */
export function int64(value: bigint): number | bigint {
  return int(BigInt.asIntN(64, value));
}

export function listOf(value: Value): Value[] {
  if (Array.isArray(value)) return value;
  throw new Error(`wrong type for value; expected a list; got ${typeName(value)}`);
}

export function mapOf(value: Value): object {
  if (kindOf(value) === 'map') return value as object;
  throw new Error(`wrong type for value; expected a map; got ${typeName(value)}`);
}

export function regexOf(pattern: Value, subject: string): Regex {
  const compiled = compileRegex(textOf(pattern));
  if (!compiled.ok) throw new Error(compiled.error);
  if (subject.length * compiled.value.program.length > STEPS_MAX)
    throw new Error('the text is too long for this pattern');
  return compiled.value;
}

/** What a search takes: the pattern comes first, the texts after it. For `TemplateFunction.effort`. */
export function regexEffort([pattern, ...texts]: readonly Value[]): number {
  const compiled = typeof pattern === 'string' ? compileRegex(pattern) : null;
  if (!compiled?.ok) return 0;
  const chars = Math.max(0, ...texts.map((text) => (typeof text === 'string' ? text.length : 0)));
  return Math.ceil((chars * compiled.value.program.length) / REGEX_STEPS_A_CHAR);
}

/** Guards against a text or list that would fill the memory. */
export function checkSize(size: number, what: 'text' | 'list'): void {
  const max = what === 'text' ? TEXT_MAX : LIST_MAX;
  if (!(size <= max))
    throw new Error(`the ${what} would have more than ${max} ${what === 'text' ? 'characters' : 'items'}`);
}

/** Whether two values are deeply equal, as Go's reflect.DeepEqual says. */
export function sameValue(a: Value, b: Value): boolean {
  if (typeof a === 'object' && typeof b === 'object') {
    checkExtent(a);
    checkExtent(b);
  }
  return isSame(a, b);
}

function isSame(a: Value, b: Value): boolean {
  const kind = kindOf(a);
  if (kind !== kindOf(b)) return false;
  switch (kind) {
    case 'nil':
      return true;
    case 'int':
      return BigInt(a as number) === BigInt(b as number);
    case 'float':
      return numberOf(a) === numberOf(b);
    case 'list': {
      const [left, right] = [a as Value[], b as Value[]];
      return left.length === right.length && left.every((item, i) => isSame(item, right[i]));
    }
    case 'map': {
      const [left, right] = [entriesOf(a as object), new Map(entriesOf(b as object))];
      return left.length === right.size && left.every(([key, item]) => right.has(key) && isSame(item, right.get(key)));
    }
    default:
      return a === b;
  }
}
