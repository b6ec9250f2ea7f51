import type { Attribute, Block, Body, BodyItem, Diagnostic, Expression, Label, SourceRange } from '../hcl/index.js';
import { errorAt, hasErrors, parseExpression, parseJson, stringValue } from '../hcl/index.js';
import type { Struct } from './schema/field.js';
import { job as jobSchema } from './schema/job.js';

// HCL in JSON syntax: what is a block and what an argument follows from the schema; strings are templates.

/** A file in JSON as the tree that its native form would give, and the text that the places in its templates lie in. */
export interface JsonBody {
  readonly body: Body;
  readonly source: string;
  readonly diagnostics: readonly Diagnostic[];
}

/** What stands in a block of JSON: the arguments whose text is an expression, and its inner blocks by type. */
interface Inside {
  readonly keywords?: readonly string[];
  readonly blocks?: (type: string) => Form | undefined;
}

interface Form {
  readonly labels: number;
  readonly inside: Inside;
}

const PLAIN: Form = { labels: 0, inside: {} };
const TOP: Readonly<Record<string, Form>> = {
  job: { labels: 1, inside: insideOf(jobSchema) },
  variable: {
    labels: 1,
    inside: { keywords: ['type'], blocks: (type) => (type === 'validation' ? PLAIN : undefined) },
  },
  variables: PLAIN,
  locals: PLAIN,
};

/** Reads a job file in HCL's JSON syntax. Never throws. */
export function parseHclJson(source: string, filename: string): JsonBody {
  const { expression, diagnostics } = parseJson(source, filename);
  const reader = new Reader(source, [...diagnostics]);
  const known = (type: string): Form | undefined => (Object.hasOwn(TOP, type) ? TOP[type] : undefined);
  const body = hasErrors(diagnostics)
    ? { items: [], range: expression.range, endRange: expression.range }
    : reader.body(expression, { blocks: known });
  return { body, source: reader.source, diagnostics: reader.diagnostics };
}

function insideOf(struct: Struct): Inside {
  const blocks = (type: string): Form | undefined => {
    if (type === 'dynamic') return { labels: 1, inside: dynamicOf(struct) };
    const field = struct.fields.find((one) => 'hcl' in one && one.hcl === type && one.form !== 'label');
    if (field?.form === 'free') return field.equals ? undefined : PLAIN;
    if (field?.form !== 'block') return undefined;
    const labels = field.struct.fields.filter(({ form }) => form === 'label').length;
    return { labels, inside: insideOf(field.struct) };
  };
  return { blocks };
}

/** The content of a dynamic block may be that of any block here: the label, which is not known yet, tells. */
function dynamicOf(struct: Struct): Inside & { ofLabel: (label: string) => Inside } {
  const ofLabel = (label: string): Inside => ({
    keywords: ['iterator'],
    blocks: (type) =>
      type === 'content' ? { labels: 0, inside: insideOf(struct).blocks?.(label)?.inside ?? {} } : undefined,
  });
  return { ofLabel };
}

class Reader {
  /** The file, and behind it every template of it without the escapes of JSON. */
  source: string;
  readonly diagnostics: Diagnostic[];

  constructor(source: string, diagnostics: Diagnostic[]) {
    this.source = source;
    this.diagnostics = diagnostics;
  }

  /** An object, or a list of them that are taken together. */
  body(value: Expression, inside: Inside): Body {
    const items: BodyItem[] = [];
    for (const object of this.objects(value, 'a block')) {
      for (const { key, value: inner } of object.items) {
        const name = key.name ?? '';
        if (name === '//') continue;
        const form = inside.blocks?.(name);
        if (form) items.push(...this.blocks(name, key.range, inner, form, []));
        else items.push(this.attribute(name, key.range, inner, inside.keywords?.includes(name) ?? false));
      }
    }
    return { items, range: value.range, endRange: endOf(value.range) };
  }

  private objects(value: Expression, what: string): Extract<Expression, { kind: 'object' }>[] {
    const all = value.kind === 'tuple' ? value.items : [value];
    return all.flatMap((each) => {
      if (each.kind === 'object') return [each];
      const detail = `Here must stand a JSON object, which is ${what}, or an array of them.`;
      this.diagnostics.push(errorAt(each.range, 'Incorrect JSON value type', detail));
      return [];
    });
  }

  private blocks(type: string, at: SourceRange, value: Expression, form: Form, labels: readonly Label[]): Block[] {
    if (labels.length < form.labels) {
      return this.objects(value, `what the labels of "${type}" lead to`).flatMap((object) =>
        object.items
          .filter(({ key }) => key.name !== '//')
          .flatMap(({ key, value: inner }) =>
            this.blocks(type, at, inner, form, [...labels, { value: key.name ?? '', range: key.range }]),
          ),
      );
    }
    const ofLabel = (form.inside as Partial<ReturnType<typeof dynamicOf>>).ofLabel;
    const inside = ofLabel?.(labels[0]?.value ?? '') ?? form.inside;
    // An array is one block for each of its objects.
    return this.objects(value, `a block "${type}"`).map((object) => ({
      kind: 'block',
      type,
      typeRange: at,
      labels,
      body: this.body(object, inside),
      headerRange: at,
      openBraceRange: object.openRange,
      closeBraceRange: endOf(object.range),
      range: object.range,
    }));
  }

  private attribute(name: string, nameRange: SourceRange, value: Expression, isKeyword: boolean): Attribute {
    const expression = isKeyword ? this.keyword(value) : this.expression(value);
    return { kind: 'attribute', name, nameRange, expression, range: { ...nameRange, end: value.range.end } };
  }

  /** A value in which strings and keys are templates. */
  private expression(value: Expression): Expression {
    if (value.kind === 'tuple') return { ...value, items: value.items.map((item) => this.expression(item)) };
    if (value.kind === 'object') {
      const items = value.items.map(({ key, value: inner }) => {
        const wrapped = this.template(key.name ?? '', key.range);
        const name = wrapped.kind === 'literal' ? key.name : null;
        return { key: { ...key, wrapped, name }, value: this.expression(inner) };
      });
      // In parentheses: only a native object is a list of one to the drivers.
      return { kind: 'parentheses', inner: { ...value, items }, range: value.range };
    }
    if (value.kind !== 'literal' || value.value.kind !== 'string') return value;
    return this.template(value.value.value, value.range);
  }

  /** `"type": "list(string)"`: the text is the expression. */
  private keyword(value: Expression): Expression {
    if (value.kind !== 'literal' || value.value.kind !== 'string') return this.expression(value);
    const text = value.value.value;
    return this.placed(parseExpression(text, value.range.filename), text, 0, value.range);
  }

  private template(text: string, range: SourceRange): Expression {
    if (!text.includes('${') && !text.includes('%{')) return { kind: 'literal', value: stringValue(text), range };
    // As a heredoc, which knows no escapes either; the line break before its end is none of the text.
    const end = heredocEnd(text);
    const head = `<<${end}\n`;
    const parsed = parseExpression(`${head}${text}\n${end}\n`, range.filename);
    return withoutLastBreak(this.placed(parsed, text, head.length, range));
  }

  /** The tree with its places at the string in the file for readers, and at the text behind the file for what asks for it. */
  private placed(
    parsed: { expression: Expression; diagnostics: readonly Diagnostic[] },
    text: string,
    headLength: number,
    range: SourceRange,
  ): Expression {
    const base = this.source.length + 1 - headLength;
    this.source = `${this.source}\n${text}`;
    for (const { summary, detail, severity } of parsed.diagnostics) {
      this.diagnostics.push({ severity, summary, detail, subject: range });
    }
    moveRanges(parsed.expression, range, base);
    return parsed.expression;
  }
}

/** A word for the end of a heredoc that is no line of the text. */
function heredocEnd(text: string): string {
  let word = 'END';
  while (text.includes(word)) word += '_';
  return word;
}

function withoutLastBreak(expression: Expression): Expression {
  if (expression.kind !== 'template') return expression;
  const last = expression.parts.at(-1);
  if (last?.kind !== 'literal' || last.value.kind !== 'string' || !last.value.value.endsWith('\n')) return expression;
  const rest = last.value.value.slice(0, -1);
  const before = expression.parts.slice(0, -1);
  const parts = rest === '' ? before : [...before, { ...last, value: stringValue(rest) }];
  const [only] = parts;
  // "${x}" alone is the value of x, whatever its type.
  const isWrap = only && parts.length === 1 && only.kind !== 'literal';
  return isWrap ? { kind: 'template-wrap', wrapped: only, range: expression.range } : { ...expression, parts };
}

/** Gives every range below an expression the lines of `to` and its own index behind `base`. The tree was made for this alone. */
function moveRanges(node: unknown, to: SourceRange, base: number, seen = new Set<unknown>()): void {
  if (typeof node !== 'object' || node === null || seen.has(node)) return;
  seen.add(node);
  if (Array.isArray(node)) {
    for (const item of node) moveRanges(item, to, base, seen);
    return;
  }
  for (const [key, item] of Object.entries(node)) {
    if (isRange(item)) {
      const moved = (position: SourceRange['start'], like: SourceRange['start']) => ({
        ...like,
        index: base + position.index,
      });
      (node as Record<string, unknown>)[key] = {
        filename: to.filename,
        start: moved(item.start, to.start),
        end: moved(item.end, to.end),
      };
    } else if (key !== 'value' || (node as { kind?: unknown }).kind !== 'literal') moveRanges(item, to, base, seen);
  }
}

function isRange(item: unknown): item is SourceRange {
  return typeof item === 'object' && item !== null && 'start' in item && 'end' in item && 'filename' in item;
}

const endOf = (range: SourceRange): SourceRange => ({ ...range, start: range.end });
