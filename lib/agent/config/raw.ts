import {
  type Body,
  type Diagnostic,
  type Expression,
  evaluate,
  hasErrors,
  parseHcl,
  parseJson,
  type SourceRange,
  STANDARD_FUNCTIONS,
  toJs,
} from '../../hcl/index.js';

/** A configuration as it stands in a file, whatever its syntax: who may hold what is not asked here. */
export type RawNode = RawObject | RawList | RawScalar | RawBroken;

export interface RawObject {
  readonly kind: 'object';
  /** In the order of the file; a block type that stands twice has two entries. */
  readonly entries: readonly RawEntry[];
  readonly range: SourceRange;
}

export interface RawEntry {
  readonly key: string;
  readonly keyRange: SourceRange;
  readonly node: RawNode;
}

export interface RawList {
  readonly kind: 'list';
  readonly items: readonly RawNode[];
  readonly range: SourceRange;
}

export interface RawScalar {
  readonly kind: 'scalar';
  readonly value: string | number | bigint | boolean | null;
  readonly range: SourceRange;
}

/** What had no value; a diagnostic says why. */
export interface RawBroken {
  readonly kind: 'broken';
  readonly range: SourceRange;
}

export interface RawFile {
  readonly root: RawObject;
  readonly diagnostics: readonly Diagnostic[];
}

/** Parses a file. It is JSON when its first character says so, whatever its name is. */
export function parseRaw(source: string, filename: string): RawFile {
  return /^[\ufeff\s]*\{/.test(source) ? parseRawJson(source, filename) : parseRawHcl(source, filename);
}

function parseRawJson(source: string, filename: string): RawFile {
  const { expression, diagnostics } = parseJson(source, filename);
  const collected = [...diagnostics];
  const root = rawExpression(expression, collected);
  return { root: root.kind === 'object' ? root : emptyObject(expression.range), diagnostics: collected };
}

function parseRawHcl(source: string, filename: string): RawFile {
  const { body, diagnostics } = parseHcl(source, filename, { firstVersion: true });
  const collected = [...diagnostics];
  if (hasErrors(collected)) return { root: emptyObject(body.range), diagnostics: collected };
  const root = rawBody(body, collected);
  return { root, diagnostics: collected };
}

function emptyObject(range: SourceRange): RawObject {
  return { kind: 'object', entries: [], range };
}

function rawBody(body: Body, diagnostics: Diagnostic[]): RawObject {
  const entries = body.items.map((item): RawEntry => {
    if (item.kind === 'attribute') {
      return { key: item.name, keyRange: item.nameRange, node: rawExpression(item.expression, diagnostics) };
    }
    let node: RawNode = rawBody(item.body, diagnostics);
    for (const label of [...item.labels].reverse()) {
      node = { kind: 'object', entries: [{ key: label.value, keyRange: label.range, node }], range: item.range };
    }
    return { key: item.type, keyRange: item.typeRange, node };
  });
  return { kind: 'object', entries, range: body.range };
}

function rawExpression(expression: Expression, diagnostics: Diagnostic[]): RawNode {
  const { range } = expression;
  if (expression.kind === 'tuple') {
    return { kind: 'list', items: expression.items.map((item) => rawExpression(item, diagnostics)), range };
  }
  if (expression.kind === 'object') {
    const entries = expression.items.map(({ key, value }): RawEntry => {
      const name = evaluate(key, { functions: STANDARD_FUNCTIONS });
      diagnostics.push(...name.diagnostics);
      return { key: String(toJs(name.value) ?? ''), keyRange: key.range, node: rawExpression(value, diagnostics) };
    });
    return { kind: 'object', entries, range };
  }
  const result = evaluate(expression, { functions: STANDARD_FUNCTIONS });
  diagnostics.push(...result.diagnostics);
  if (result.diagnostics.length > 0) return { kind: 'broken', range };
  return rawJs(toJs(result.value), range);
}

/** What a call gave: its parts all lie where the call lies. */
function rawJs(value: unknown, range: SourceRange): RawNode {
  if (Array.isArray(value)) return { kind: 'list', items: value.map((item) => rawJs(item, range)), range };
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, item]) => ({ key, keyRange: range, node: rawJs(item, range) }));
    return { kind: 'object', entries, range };
  }
  return { kind: 'scalar', value: (value ?? null) as RawScalar['value'], range };
}
