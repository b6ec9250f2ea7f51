import { checkExtent } from './extent.js';
import { floatText } from './float-text.js';
import { pieces, plainSpec, type Spec } from './format-spec.js';
import { isPrintable, quote, quoteRune } from './quote.js';
import { entriesOf, type Float, floatOf, kindOf, NO_VALUE, type Struct, typeName, type Value } from './values.js';

/** A value as Go's `%v` prints it: lists as `[a b]`, maps as `map[k:v]` with sorted keys, nil as `<nil>`. */
export function printValue(value: Value): string {
  return typeof value === 'string' ? value : printArgument(plainSpec('v'), value);
}

/** Go's fmt.Sprintf. */
export function sprintf(format: string, args: readonly Value[]): string {
  let out = '';
  for (const piece of pieces(format, args)) {
    if ('text' in piece) out += piece.text;
    else if (piece.spec.verb !== 'extra') out += printArgument(piece.spec, piece.value);
    else out += isNil(piece.value) ? '<nil>' : `${typeName(piece.value)}=${printValue(piece.value)}`;
  }
  return out;
}

/** Go's fmt.Sprint: blanks between operands when neither is a string. */
export function sprint(args: readonly Value[]): string {
  return args
    .map((arg, i) => (i > 0 && typeof arg !== 'string' && typeof args[i - 1] !== 'string' ? ' ' : '') + printValue(arg))
    .join('');
}

function isNil(value: Value): boolean {
  return value === NO_VALUE || kindOf(value) === 'nil';
}

function printArgument(spec: Spec, value: Value): string {
  if (spec.verb === 'T') return padText(spec, isNil(value) ? '<nil>' : typeName(value));
  if (typeof value === 'object') checkExtent(value);
  if (isNil(value)) return spec.verb === 'v' ? padText({ ...spec, precision: null }, '<nil>') : `%!${spec.verb}(<nil>)`;
  return print(spec, value);
}

function print(spec: Spec, value: Value): string {
  switch (kindOf(value)) {
    case 'bool':
      return 'tv'.includes(spec.verb) ? padText({ ...spec, precision: null }, String(value)) : bad(spec, value);
    case 'int':
      return printInt(spec, BigInt(value as number | bigint));
    case 'float':
      return printFloat(spec, value as number | Float);
    case 'string':
      return printText(spec, value as string);
    case 'list':
      return printList(spec, value as Value[]);
    case 'map':
      return printMap(spec, value as object);
    case 'struct':
      return printStruct(spec, value as Struct);
    default:
      return bad(spec, value);
  }
}

function bad(spec: Spec, value: Value): string {
  const shown = kindOf(value) === 'func' ? 'func' : print({ ...spec, verb: 'v' }, value);
  return `%!${spec.verb}(${typeName(value)}=${shown})`;
}

/** A value within another one. */
function printInner(spec: Spec, value: Value): string {
  if (!isNil(value)) return print(spec, value);
  return spec.goSyntax ? 'interface {}(nil)' : '<nil>';
}

function printList(spec: Spec, list: readonly Value[]): string {
  const inner = list.map((item) => printInner(spec, item));
  return spec.goSyntax ? `${typeName(list)}{${inner.join(', ')}}` : `[${inner.join(' ')}]`;
}

function printMap(spec: Spec, map: object): string {
  const inner = entriesOf(map).map(([key, item]) => `${print(spec, key)}:${printInner(spec, item)}`);
  return spec.goSyntax ? `${typeName(map)}{${inner.join(', ')}}` : `map[${inner.join(' ')}]`;
}

function printStruct(spec: Spec, { type, fields, methods }: Struct): string {
  // A fmt.Stringer says itself how it is shown.
  const own = spec.goSyntax ? undefined : methods['String'];
  if (own) return print(spec, own.call([]));
  const named = spec.named || spec.goSyntax;
  const inner = Object.entries(fields).map(([key, item]) => `${named ? `${key}:` : ''}${printInner(spec, item)}`);
  const pointer = type.startsWith('*') ? '&' : '';
  return spec.goSyntax ? `${pointer}${type.replace('*', '')}{${inner.join(', ')}}` : `${pointer}{${inner.join(' ')}}`;
}

function printInt(spec: Spec, value: bigint): string {
  switch (spec.verb) {
    case 'v':
    case 'd':
      return padInt(spec, value, 10, '');
    case 'b':
      return padInt(spec, value, 2, '0b');
    case 'o':
      return padInt(spec, value, 8, '0');
    case 'O':
      return padInt({ ...spec, sharp: true }, value, 8, '0o');
    case 'x':
      return padInt(spec, value, 16, '0x');
    case 'X':
      return padInt(spec, value, 16, '0x').toUpperCase();
    case 'c':
      return padText({ ...spec, precision: null }, runeText(Number(value)));
    case 'q':
      return padText({ ...spec, precision: null }, quoteRune(Number(value), spec.plus));
    case 'U':
      return padText({ ...spec, precision: null, zero: false }, unicodeText(spec, Number(value)));
    default:
      return bad(spec, value);
  }
}

function padInt(spec: Spec, value: bigint, base: number, prefix: string): string {
  const { precision, minus, zero, width } = spec;
  const sign = signText(spec, value < 0n);
  let digits = (value < 0n ? -value : value).toString(base);
  if (precision === 0 && value === 0n) return ' '.repeat(width);
  const wanted = precision ?? (zero && !minus ? width - sign.length : 0);
  digits = digits.padStart(wanted, '0');
  const lead = spec.sharp && !(prefix === '0' && digits.startsWith('0')) ? prefix : '';
  return padText({ ...spec, precision: null, zero: false }, sign + lead + digits);
}

function signText({ plus, space }: Spec, negative: boolean): string {
  if (negative) return '-';
  return plus ? '+' : space ? ' ' : '';
}

function runeText(code: number): string {
  return String.fromCodePoint(code >= 0 && code <= 0x10ffff ? code : 0xfffd);
}

function unicodeText({ sharp, precision }: Spec, code: number): string {
  const hex = code
    .toString(16)
    .toUpperCase()
    .padStart(Math.max(4, precision ?? 0), '0');
  const char = runeText(code);
  return `U+${hex}${sharp && isPrintable(char) ? ` '${char}'` : ''}`;
}

function printFloat(spec: Spec, given: number | Float): string {
  const value = floatOf(given);
  const { verb } = spec;
  if (!'vbgGeEfFxX'.includes(verb)) return bad(spec, given);
  const text = floatText(Math.abs(value), verb === 'v' ? 'g' : verb, spec.precision, spec.sharp);
  const sign = signText(spec, value < 0 || Object.is(value, -0));
  const body = Number.isFinite(value) ? sign + text : value < 0 ? '-Inf' : printInfinite(spec, text);
  const cased = 'EGX'.includes(verb) ? body.toUpperCase() : body;
  if (!spec.zero || spec.minus || !Number.isFinite(value)) {
    return padText({ ...spec, precision: null, zero: false }, cased);
  }
  const digits = cased.slice(sign.length);
  return sign + digits.padStart(spec.width - sign.length, '0');
}

/** Infinity has its sign only where it is asked for, but with `%v`; what is no number has none. */
function printInfinite({ plus, verb }: Spec, text: string): string {
  return text === 'NaN' ? (plus ? '+NaN' : 'NaN') : plus || verb === 'v' || verb !== '' ? '+Inf' : 'Inf';
}

function printText(spec: Spec, text: string): string {
  switch (spec.verb) {
    case 'v':
      return spec.goSyntax ? padText({ ...spec, precision: null }, quote(text)) : padText(spec, text);
    case 's':
      return padText(spec, text);
    case 'q':
      return padText({ ...spec, precision: null }, quoted(spec, cut(text, spec.precision)));
    case 'x':
    case 'X':
      return padText({ ...spec, precision: null }, hexText(spec, text));
    default:
      return bad(spec, text);
  }
}

function quoted({ sharp, plus }: Spec, text: string): string {
  const raw = sharp && !/[`\u0000-\u0008\u000a-\u001f\u007f\ufeff]/.test(text);
  return raw ? `\`${text}\`` : quote(text, plus);
}

function hexText({ verb, sharp, space, precision }: Spec, text: string): string {
  const bytes = [...new TextEncoder().encode(text)].slice(0, precision ?? undefined);
  const pairs = bytes.map((byte) => byte.toString(16).padStart(2, '0'));
  const prefix = sharp && pairs.length > 0 ? '0x' : '';
  const out = space ? pairs.map((pair) => prefix + pair).join(' ') : prefix + pairs.join('');
  return verb === 'X' ? out.toUpperCase() : out;
}

function padText({ width, minus, zero, precision }: Spec, text: string): string {
  if (width === 0 && precision === null) return text;
  const shown = cut(text, precision);
  const missing = width - [...shown].length;
  if (missing <= 0) return shown;
  if (minus) return shown + ' '.repeat(missing);
  return (zero ? '0' : ' ').repeat(missing) + shown;
}

function cut(text: string, precision: number | null): string {
  return precision === null ? text : [...text].slice(0, precision).join('');
}
