import type { Attribute, Block, Body, BodyItem, Expression, Label } from './ast.js';
import { type Diagnostic, errorAt, formatRange } from './diagnostics.js';
import { parseExpressionIn } from './expression-parser.js';
import { lex } from './lexer.js';
import { SourceMap } from './source-map.js';
import { parseLabelString } from './template-parser.js';
import { checkTokens } from './token-check.js';
import { TokenStream } from './token-stream.js';
import { T, type Token, type TokenType } from './tokens.js';

export interface ParsedBody {
  /** What could be understood; not to be used when the diagnostics have an error. */
  readonly body: Body;
  readonly diagnostics: readonly Diagnostic[];
}

export interface ParsedExpression {
  readonly expression: Expression;
  readonly diagnostics: readonly Diagnostic[];
}

export interface ParseOptions {
  /**
   * Read as HCL's first version, which Nomad's agent still takes: names of arguments may be quoted, and a block on one line may
   * hold several arguments and blocks, with commas between them or not.
   */
  readonly firstVersion?: boolean;
}

/**
 * Parses a file of HCL's native syntax. Never throws; several errors of a file are told at once, in the words and at
 * the places of HashiCorp's parser. (There, nothing is told behind the first broken argument; here, the next line has
 * its own chance.)
 */
export function parseHcl(source: string, filename: string, options: ParseOptions = {}): ParsedBody {
  const tooLong = lengthProblem(source, filename);
  if (tooLong) {
    const range = new SourceMap('', filename).range(0, 0);
    return { body: { items: [], range, endRange: range }, diagnostics: [tooLong] };
  }
  const stream = open(source, filename);
  stream.firstVersion = options.firstVersion ?? false;
  const body = parseBody(stream, T.EOF);
  return { body, diagnostics: stream.diagnostics };
}

/** In UTF-16 units: a thousand times what a large job file has. What is longer is not even looked at. */
const SOURCE_LENGTH_MAX = 8_000_000;

/** Says so of a source that is too long to be read, in HCL or JSON. */
export function lengthProblem(source: string, filename: string): Diagnostic | undefined {
  if (source.length <= SOURCE_LENGTH_MAX) return undefined;
  const detail = `A file may have up to ${SOURCE_LENGTH_MAX} characters. Large contents belong in an artifact or a variable.`;
  return errorAt(new SourceMap('', filename).range(0, 0), 'File too large', detail);
}

/** Parses one expression alone, such as the value of a -var flag; newlines within it do not count. */
export function parseExpression(source: string, filename: string): ParsedExpression {
  const stream = open(source, filename);
  const expression = stream.withNewlines(false, () => {
    const parsed = parseExpressionIn(stream);
    const next = stream.peek();
    if (next.type !== T.EOF) {
      const detail = 'An expression was successfully parsed, but extra characters were found after it.';
      stream.errorIfSound(stream.range(next), 'Extra characters after expression', detail);
    }
    return parsed;
  });
  return { expression, diagnostics: stream.diagnostics };
}

function open(source: string, filename: string): TokenStream {
  const map = new SourceMap(source, filename);
  const tokens = lex(source);
  return new TokenStream(tokens, map, checkTokens(tokens, map));
}

const NEEDS_ITEM = 'Argument or block definition required';
const NEEDS_ITEM_DETAIL = 'An argument or block definition is required here.';
const NEEDS_EQUALS_DETAIL = `${NEEDS_ITEM_DETAIL} To set an argument, use the equals sign "=" to introduce the argument value.`;
const UNCLOSED = 'Unclosed configuration block';
const UNCLOSED_DETAIL =
  'There is no closing brace for this block before the end of the file. This may be caused by incorrect brace nesting elsewhere in this file.';

/** The items up to the end token (a brace or the end of the file), which is read too. */
function parseBody(stream: TokenStream, end: TokenType): Body {
  const opening = stream.previous();
  const first = end === T.CBrace ? opening : stream.peek();
  const items: BodyItem[] = [];
  const names = new Map<string, Attribute>();
  for (;;) {
    const next = stream.peek();
    if (next.type === end) {
      stream.read();
      return bodyOf(stream, items, first, next);
    }
    if (next.type === T.Newline) {
      stream.read();
      continue;
    }
    const quoted = next.type === T.OQuote && stream.firstVersion;
    if (next.type !== T.Ident && !quoted) {
      complainOfNoItem(stream, stream.read(), opening, end);
      return bodyOf(stream, items, first, stream.recover(end));
    }
    stream.recovering = false;
    const item = quoted ? parseQuotedAttribute(stream) : parseItem(stream);
    if (item?.kind === 'attribute') addAttribute(stream, names, items, item);
    else if (item) items.push(item);
  }
}

function bodyOf(stream: TokenStream, items: BodyItem[], first: Token, last: Token): Body {
  return { items, range: stream.between(first, last), endRange: stream.range(last) };
}

function addAttribute(stream: TokenStream, names: Map<string, Attribute>, items: BodyItem[], item: Attribute): void {
  const existing = names.get(item.name);
  if (!existing) {
    names.set(item.name, item);
    items.push(item);
    return;
  }
  const where = formatRange(existing.nameRange);
  const detail = `The argument "${item.name}" was already set at ${where}. Each argument may be set only once.`;
  stream.error(item.nameRange, 'Attribute redefined', detail);
}

function complainOfNoItem(stream: TokenStream, bad: Token, opening: Token, end: TokenType): void {
  if (stream.damaged) {
    stream.errors++;
    return;
  }
  if (bad.type === T.OQuote) {
    stream.error(stream.range(bad), 'Invalid argument name', 'Argument names must not be quoted.');
  } else if (bad.type === T.EOF && end === T.CBrace) {
    stream.error(stream.range(opening), UNCLOSED, UNCLOSED_DETAIL);
  } else {
    stream.error(stream.range(bad), NEEDS_ITEM, NEEDS_ITEM_DETAIL);
  }
}

function parseItem(stream: TokenStream): BodyItem | null {
  const name = stream.read();
  const next = stream.peek();
  if (next.type === T.Equal) return parseAttribute(stream, name, false);
  if (next.type === T.OQuote || next.type === T.OBrace || next.type === T.Ident) return parseBlock(stream, name);
  stream.recoverAfterItem();
  stream.error(stream.range(name), NEEDS_ITEM, NEEDS_EQUALS_DETAIL);
  return null;
}

function parseQuotedAttribute(stream: TokenStream): Attribute | null {
  const first = stream.peek();
  const label = parseLabelString(stream);
  if (stream.peek().type === T.Equal) {
    return { ...parseAttribute(stream, first, false), name: label.value, nameRange: label.range };
  }
  stream.error(label.range, NEEDS_ITEM, NEEDS_EQUALS_DETAIL);
  stream.recoverAfterItem();
  return null;
}

function parseAttribute(stream: TokenStream, name: Token, oneLine: boolean): Attribute {
  stream.read();
  const errorsBefore = stream.errors;
  const expression = parseExpressionIn(stream);
  const last = stream.previous();
  if (stream.recovering && stream.errors > errorsBefore) {
    stream.recoverAfterItem();
  } else if (!oneLine) {
    endAttribute(stream, name);
  }
  return {
    kind: 'attribute',
    name: stream.text(name),
    nameRange: stream.range(name),
    expression,
    range: stream.between(name, last),
  };
}

function endAttribute(stream: TokenStream, name: Token): void {
  const next = stream.peek();
  if (endsItem(stream, next)) return;
  const comma = next.type === T.Comma;
  const summary = comma ? 'Unexpected comma after argument' : 'Missing newline after argument';
  const before = comma ? 'Argument definitions must be separated by newlines, not commas. ' : '';
  const detail = `${before}An argument definition must end with a newline.`;
  stream.errorIfSound(stream.range(next), summary, detail, stream.between(name, next));
  stream.recoverAfterItem();
}

/** Whether an item of a body may end before this token; what only parts it from the next one is read. */
function endsItem(stream: TokenStream, next: Token): boolean {
  const parts = next.type === T.Newline || next.type === T.EOF || (stream.firstVersion && next.type === T.Comma);
  if (parts) stream.read();
  return parts || (stream.firstVersion && (next.type === T.CBrace || next.type === T.Ident || next.type === T.OQuote));
}

function parseBlock(stream: TokenStream, type: Token): Block {
  const labels: Label[] = [];
  let header = type;
  for (;;) {
    const token = stream.peek();
    if (token.type === T.OBrace) break;
    if (token.type === T.OQuote) {
      labels.push(parseLabelString(stream));
      header = stream.previous();
    } else if (token.type === T.Ident) {
      header = stream.read();
      labels.push({ value: stream.text(header), range: stream.range(header) });
    } else {
      return brokenBlock(stream, type, labels, token);
    }
  }
  const brace = stream.read();
  const body = parseBlockBody(stream, type, brace);
  const close = stream.previous();
  const end = stream.peek();
  if (!endsItem(stream, end)) {
    const detail = 'A block definition must end with a newline.';
    const context = stream.between(type, end);
    stream.errorIfSound(stream.range(end), 'Missing newline after block definition', detail, context);
    stream.recoverAfterItem();
  }
  return {
    kind: 'block',
    type: stream.text(type),
    typeRange: stream.range(type),
    labels,
    body,
    headerRange: stream.between(type, header),
    openBraceRange: stream.range(brace),
    closeBraceRange: stream.range(close),
    range: stream.between(type, close),
  };
}

function brokenBlock(stream: TokenStream, type: Token, labels: Label[], bad: Token): Block {
  const summary = 'Invalid block definition';
  const range = stream.range(bad);
  const context = stream.between(type, bad);
  if (bad.type === T.Equal) {
    const detail = 'The equals sign "=" indicates an argument definition, and must not be used when defining a block.';
    stream.error(range, summary, detail, context);
  } else if (bad.type === T.Newline) {
    const detail =
      'A block definition must have block content delimited by "{" and "}", starting on the same line as the block header.';
    stream.error(range, summary, detail, context);
  } else {
    const detail = 'Either a quoted string block label or an opening brace ("{") is expected here.';
    stream.errorIfSound(range, summary, detail, context);
  }
  stream.recoverAfterItem();
  const at = stream.range(type);
  return {
    kind: 'block',
    type: stream.text(type),
    typeRange: at,
    labels,
    body: { items: [], range: at, endRange: at },
    headerRange: at,
    openBraceRange: at,
    closeBraceRange: at,
    range: at,
  };
}

function parseBlockBody(stream: TokenStream, type: Token, brace: Token): Body {
  const next = stream.peek();
  const multiLine = next.type === T.Newline || next.type === T.EOF || next.type === T.CBrace || stream.firstVersion;
  return stream.deeper(
    () => (multiLine ? parseBody(stream, T.CBrace) : parseOneLineBody(stream, type, brace)),
    (token) => bodyOf(stream, [], token, token),
  );
}

const ONE_LINE = 'Invalid single-argument block definition';

function parseOneLineBody(stream: TokenStream, type: Token, brace: Token): Body {
  const attribute = parseOneLineAttribute(stream);
  const items = attribute ? [attribute] : [];
  const next = stream.peek();
  if (next.type === T.CBrace) return bodyOf(stream, items, brace, stream.read());
  const range = stream.range(next);
  if (next.type === T.Comma) {
    const detail =
      'Single-line block syntax can include only one argument definition. To define multiple arguments, use the multi-line block syntax with one argument definition per line.';
    stream.errorIfSound(range, ONE_LINE, detail);
  } else if (next.type === T.Newline) {
    const detail =
      "An argument definition on the same line as its containing block creates a single-line block definition, which must also be closed on the same line. Place the block's closing brace immediately after the argument definition.";
    stream.errorIfSound(range, ONE_LINE, detail);
  } else if (next.type === T.EOF) {
    stream.errorIfSound(stream.range(brace), UNCLOSED, UNCLOSED_DETAIL, stream.between(type, brace));
  } else {
    const detail =
      'A single-line block definition must end with a closing brace immediately after its single argument definition.';
    stream.errorIfSound(range, ONE_LINE, detail);
  }
  return bodyOf(stream, items, brace, stream.recover(T.CBrace));
}

function parseOneLineAttribute(stream: TokenStream): Attribute | null {
  const name = stream.read();
  const next = stream.peek();
  if (name.type === T.Ident && next.type === T.Equal) return parseAttribute(stream, name, true);
  stream.setRecovery();
  if (name.type !== T.Ident) {
    stream.error(stream.range(name), NEEDS_ITEM, NEEDS_ITEM_DETAIL);
  } else if (next.type === T.OQuote || next.type === T.OBrace || next.type === T.Ident) {
    const detail = `A single-line block definition can contain only a single argument. If you meant to define argument "${stream.text(name)}", use an equals sign to assign it a value. To define a nested block, place it on a line of its own within its parent block.`;
    stream.error(stream.between(name, next), 'Argument definition required', detail);
  } else {
    stream.error(stream.range(name), NEEDS_ITEM, NEEDS_EQUALS_DETAIL);
  }
  return null;
}
