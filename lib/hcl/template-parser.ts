import { nearest } from '../util/nearest.js';
import type { Expression, Label } from './ast.js';
import type { SourceRange } from './diagnostics.js';
import { parseExpressionIn } from './expression-parser.js';
import { type ForNames, parseForNames } from './for-parser.js';
import { graphemes } from './graphemes.js';
import { span } from './source-map.js';
import { unescapeToken } from './string-literal.js';
import { treeOfTemplate } from './template-tree.js';
import type { TokenStream } from './token-stream.js';
import { T, type Token, type TokenType } from './tokens.js';

/** A template as a flat list, before its directives are paired; literals are changed by trims in place. */
export type TemplatePart =
  | { readonly kind: 'literal'; text: string; range: SourceRange }
  | { readonly kind: 'interpolation'; readonly expression: Expression; readonly range: SourceRange }
  | { readonly kind: 'if'; readonly condition: Expression; readonly range: SourceRange }
  | { readonly kind: 'for'; readonly names: ForNames; readonly collection: Expression; readonly range: SourceRange }
  | { readonly kind: 'else' | 'endif' | 'endfor'; readonly range: SourceRange }
  | { readonly kind: 'end'; readonly range: SourceRange };

type Literal = TemplatePart & { kind: 'literal' };

/** A quoted string or a heredoc, which comes next. */
export function parseTemplate(stream: TokenStream): Expression {
  const open = stream.read();
  const parts = new PartsParser(stream, open.type === T.OQuote ? T.CQuote : T.CHeredoc).parse();
  const close = stream.previous();
  if (open.type === T.OHeredoc && stream.text(open).startsWith('<<-')) flushLeft(parts);
  const range = stream.between(open, close);
  const [only] = parts;
  if (parts.length === 2 && only?.kind === 'interpolation') {
    return { kind: 'template-wrap', wrapped: only.expression, range };
  }
  return { kind: 'template', parts: treeOfTemplate(stream, meldLiterals(parts)), range };
}

const SPACE_AT_START = /^[\s\u0085]+/u;
const SPACE_AT_END = /[\s\u0085]+$/u;
const DIRECTIVES = ['if', 'for', 'else', 'endif', 'endfor'];

const FOR_WORDS = {
  noName: "For directive requires variable name after 'for'.",
  noValueName: 'For directive requires value variable name after comma.',
  noIn: "For directive requires 'in' keyword after names.",
};

class PartsParser {
  readonly #stream: TokenStream;
  readonly #end: TokenType;
  readonly #parts: TemplatePart[] = [];
  readonly #first: Token;
  /** Whether the literal that comes next loses its leading space, because of `~}`. */
  #trimNext = false;

  constructor(stream: TokenStream, end: TokenType) {
    this.#stream = stream;
    this.#end = end;
    this.#first = stream.peek();
  }

  parse(): TemplatePart[] {
    const stream = this.#stream;
    for (;;) {
      const next = stream.read();
      if (next.type === this.#end) return this.#ended(next);
      const trim = this.#trimNext;
      this.#trimNext = false;
      switch (next.type) {
        case T.QuotedText:
        case T.HeredocText: {
          const text = unescapeToken(stream, next);
          this.#parts.push({
            kind: 'literal',
            text: trim ? text.replace(SPACE_AT_START, '') : text,
            range: stream.range(next),
          });
          break;
        }
        case T.Interpolation:
          this.#trimPrevious(next);
          stream.withNewlines(false, () => this.#interpolation(next));
          break;
        case T.Control:
          this.#trimPrevious(next);
          stream.withNewlines(false, () => this.#directive(next));
          break;
        case T.QuotedNewline:
          // Its error is told already. Where the lexer took the string to end, a newline token is in the same place.
          stream.errors++;
          stream.setRecovery();
          return this.#ended(stream.peekRaw() === T.Newline ? next : stream.recover(this.#end));
        default:
          stream.errorIfSound(
            stream.range(next),
            'Unterminated template string',
            'No closing marker was found for the string.',
            stream.between(this.#first, next),
          );
          return this.#ended(stream.recover(this.#end));
      }
    }
  }

  #ended(token: Token): TemplatePart[] {
    this.#parts.push({ kind: 'end', range: this.#stream.range(token) });
    return this.#parts;
  }

  /** `${~` takes the space off the end of the literal before it. */
  #trimPrevious(open: Token): void {
    const previous = this.#parts[this.#parts.length - 1];
    if (open.end - open.start === 3 && previous?.kind === 'literal') {
      previous.text = previous.text.replace(SPACE_AT_END, '');
    }
  }

  #interpolation(open: Token): void {
    const stream = this.#stream;
    const expression = parseExpressionIn(stream);
    const close = stream.peek();
    if (close.type === T.SequenceEnd) this.#close();
    else {
      this.#complainOfInterpolation(close);
      stream.recover(T.SequenceEnd);
    }
    this.#parts.push({ kind: 'interpolation', expression, range: stream.between(open, close) });
  }

  #close(): void {
    const close = this.#stream.read();
    this.#trimNext = close.end - close.start === 2;
  }

  #complainOfInterpolation(close: Token): void {
    const stream = this.#stream;
    const start = stream.range(this.#first);
    const unclosed = 'Unclosed template interpolation sequence';
    const extra = 'Extra characters after interpolation expression';
    const nesting = 'This might be caused by incorrect nesting inside the given expression.';
    const quote = (close.type === T.CQuote || close.type === T.OQuote) && this.#end === T.CQuote;
    if (close.type === T.EOF || quote) {
      const where = quote ? 'quoted template' : 'file';
      const detail = `There is no closing brace for this interpolation sequence before the end of the ${where}. ${nesting}`;
      stream.errorIfSound(start, unclosed, detail);
    } else if (close.type === T.Colon) {
      const detail =
        'Template interpolation doesn\'t expect a colon at this location. Did you intend this to be a literal sequence to be processed as part of another language? If so, you can escape it by starting with "$${" instead of just "${".';
      stream.errorIfSound(stream.range(close), extra, detail, stream.between(this.#first, close));
    } else {
      const detail =
        'Expected a closing brace to end the interpolation expression, but found extra characters.\n\nThis can happen when you include interpolation syntax for another language, such as shell scripting, but forget to escape the interpolation start token. If this is an embedded sequence for another language, escape it by starting with "$${" instead of just "${".';
      stream.errorIfSound(stream.range(close), extra, detail, stream.between(this.#first, close));
    }
  }

  #directive(open: Token): void {
    const stream = this.#stream;
    const keyword = stream.peek();
    const word = stream.text(keyword);
    if (keyword.type !== T.Ident || !DIRECTIVES.includes(word)) {
      this.#complainOfKeyword(open, keyword, word);
      stream.recover(T.SequenceEnd);
      return;
    }
    stream.read();
    const part = this.#directivePart(open, word as 'if' | 'for' | 'else' | 'endif' | 'endfor');
    if (!part) {
      stream.recover(T.SequenceEnd);
      return;
    }
    const close = stream.peek();
    this.#parts.push({ ...part, range: span(stream.range(open), stream.range(close)) } as TemplatePart);
    if (close.type === T.SequenceEnd) {
      this.#close();
      return;
    }
    const detail = 'Expected a closing brace to end the sequence, but found extra characters.';
    const context = stream.between(this.#first, close);
    stream.errorIfSound(stream.range(close), `Extra characters in ${word} marker`, detail, context);
    stream.recover(T.SequenceEnd);
  }

  #directivePart(open: Token, word: 'if' | 'for' | 'else' | 'endif' | 'endfor'): Omit<TemplatePart, 'range'> | null {
    const stream = this.#stream;
    if (word === 'if') return { kind: 'if', condition: parseExpressionIn(stream) } as TemplatePart;
    if (word !== 'for') return { kind: word } as TemplatePart;
    const names = parseForNames(stream, FOR_WORDS, (token, detail) =>
      stream.errorIfSound(stream.range(token), "Invalid 'for' directive", detail, stream.between(open, token)),
    );
    return names && ({ kind: 'for', names, collection: parseExpressionIn(stream) } as TemplatePart);
  }

  #complainOfKeyword(open: Token, keyword: Token, word: string): void {
    const stream = this.#stream;
    const range = stream.range(keyword);
    const context = stream.between(open, keyword);
    if (keyword.type !== T.Ident) {
      const detail = 'A template directive keyword ("if", "for", etc) is expected at the beginning of a %{ sequence.';
      stream.errorIfSound(range, 'Invalid template directive', detail, context);
      return;
    }
    const suggestion = nearest(word, DIRECTIVES);
    const hint = suggestion ? ` Did you mean "${suggestion}"?` : '';
    const detail = `"${word}" is not a valid template control keyword.${hint}`;
    stream.errorIfSound(range, 'Invalid template control keyword', detail, context);
  }
}

/** `<<-`: takes from each line the space that all lines have in common; lines of space alone do not count. */
function flushLeft(parts: TemplatePart[]): void {
  let common = Number.POSITIVE_INFINITY;
  const lineStarts: Literal[] = [];
  let atLineStart = true;
  for (const part of parts) {
    if (part.kind === 'end') break;
    if (atLineStart) {
      atLineStart = false;
      const space = part.kind === 'literal' ? (SPACE_AT_START.exec(part.text)?.[0] ?? '') : '';
      const blank = part.kind === 'literal' && space === part.text && part.text.endsWith('\n');
      if (!blank) {
        if (part.kind === 'literal') lineStarts.push(part);
        common = Math.min(common, graphemes(space).length);
      }
    }
    if (part.kind === 'literal' && part.text.endsWith('\n')) atLineStart = true;
  }
  for (const literal of lineStarts) {
    const space = SPACE_AT_START.exec(literal.text)?.[0] ?? '';
    const cut = graphemes(space).slice(0, common).join('').length;
    literal.text = literal.text.slice(cut);
  }
}

function meldLiterals(parts: TemplatePart[]): TemplatePart[] {
  const melded: TemplatePart[] = [];
  let run: { part: Literal; texts: string[] } | null = null;
  for (const part of parts) {
    if (part.kind !== 'literal') {
      if (run) run.part.text = run.texts.join('');
      run = null;
      melded.push(part);
    } else if (run) {
      run.texts.push(part.text);
      run.part.range = span(run.part.range, part.range);
    } else {
      run = { part, texts: [part.text] };
      melded.push(part);
    }
  }
  return melded;
}

/** A block label in quotes, which comes next: escapes are known, sequences are refused. */
export function parseLabelString(stream: TokenStream): Label {
  const open = stream.read();
  let value = '';
  for (;;) {
    const token = stream.read();
    const range = stream.range(token);
    const context = stream.between(open, token);
    if (token.type === T.CQuote) return { value, range: context };
    if (token.type === T.QuotedText) {
      value += unescapeToken(stream, token);
    } else if (token.type === T.Interpolation || token.type === T.Control) {
      const mark = token.type === T.Interpolation ? '$' : '%';
      const detail = `Template sequences are not allowed in this string. To include a literal "${mark}", double it (as "${mark}${mark}") to escape it.`;
      stream.error(range, 'Invalid string literal', detail, context);
      stream.recover(T.SequenceEnd);
      value += `${mark}{ ... }`;
    } else if (token.type === T.QuotedNewline) {
      stream.errors++;
      stream.setRecovery();
      if (stream.peekRaw() !== T.Newline) stream.recover(T.CQuote);
      return { value, range: context };
    } else if (token.type === T.EOF) {
      const detail = 'Unable to find the closing quote mark before the end of the file.';
      stream.error(range, 'Unterminated string literal', detail, context);
      return { value, range: context };
    } else {
      stream.error(range, 'Invalid string literal', 'This item is not valid in a string literal.', context);
      stream.recover(T.CQuote);
      return { value, range: context };
    }
  }
}
