/** A value as Go's `%v` prints it: lists as `[a b]`, maps as `map[k:v]` with sorted keys, nil as `<nil>`. */
export function printValue(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(printValue).join(' ')}]`;
  if (typeof value === 'object') {
    const pairs = Object.keys(value)
      .sort()
      .map((key) => `${key}:${printValue((value as Record<string, unknown>)[key])}`);
    return `map[${pairs.join(' ')}]`;
  }
  return String(value);
}

const VERB = /%([-+ 0#]*)(\d+|\*)?(?:\.(\d+))?([a-zA-Z%])/g;

/** Go's fmt.Sprintf for the verbs that make sense on JSON values: %v %s %q %d %f %e %g %t %x %X %o %b %c %T %%. */
export function format(pattern: string, args: readonly unknown[]): string {
  let next = 0;
  const text = pattern.replace(
    VERB,
    (_, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      const wide = width === '*' ? Number(args[next++]) : Number(width ?? 0);
      if (next >= args.length) return `%!${verb}(MISSING)`;
      const value = args[next++];
      const body = verbText(verb, value, precision === undefined ? undefined : Number(precision), flags);
      return pad(body, wide, flags, typeof value === 'number');
    },
  );
  if (next >= args.length) return text;
  const extra = args.slice(next).map((value) => `${typeName(value)}=${printValue(value)}`);
  return `${text}%!(EXTRA ${extra.join(', ')})`;
}

function pad(body: string, width: number, flags: string, numeric: boolean): string {
  if (flags.includes('-')) return body.padEnd(width);
  if (!flags.includes('0') || !numeric) return body.padStart(width);
  return body.startsWith('-') ? `-${body.slice(1).padStart(width - 1, '0')}` : body.padStart(width, '0');
}

function verbText(verb: string, value: unknown, precision: number | undefined, flags: string): string {
  const wrong = (): string => `%!${verb}(${typeName(value)}=${printValue(value)})`;
  const integer = (base: number): string => {
    if (typeof value !== 'number' || !Number.isInteger(value)) return wrong();
    return (flags.includes('+') && value >= 0 ? '+' : '') + value.toString(base);
  };
  switch (verb) {
    case 'v':
      return printValue(value);
    case 's':
      return typeof value === 'number' || typeof value === 'boolean' ? wrong() : cut(printValue(value), precision);
    case 'q':
      return typeof value === 'string' ? JSON.stringify(value) : wrong();
    case 'd':
      return integer(10);
    case 'b':
      return integer(2);
    case 'o':
      return integer(8);
    case 'x':
    case 'X': {
      const hex = typeof value === 'string' ? bytesHex(value) : integer(16);
      return verb === 'X' ? hex.toUpperCase() : hex;
    }
    case 'c':
      return typeof value === 'number' ? String.fromCodePoint(value) : wrong();
    case 'f':
    case 'F':
      return typeof value === 'number' ? value.toFixed(precision ?? 6) : wrong();
    case 'e':
      return typeof value === 'number'
        ? value.toExponential(precision ?? 6).replace(/e([+-])(\d)$/, 'e$10$2')
        : wrong();
    case 'g':
      return typeof value === 'number'
        ? String(precision === undefined ? value : Number(value.toPrecision(precision)))
        : wrong();
    case 't':
      return typeof value === 'boolean' ? String(value) : wrong();
    case 'T':
      return typeName(value);
    default:
      return wrong();
  }
}

function cut(text: string, precision: number | undefined): string {
  return precision === undefined ? text : [...text].slice(0, precision).join('');
}

function bytesHex(text: string): string {
  return [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function typeName(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float64';
  if (typeof value === 'string') return 'string';
  return Array.isArray(value) ? '[]interface {}' : 'map[string]interface {}';
}
