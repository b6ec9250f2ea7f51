import { graphemes } from './graphemes.js';
import { lex } from './lexer.js';
import { T, type TokenType } from './tokens.js';

/** A token with its text and the spaces that stand before it. */
interface Piece {
  readonly type: TokenType;
  readonly text: string;
  spaces: number;
}

/** A line in up to three columns: what is assigned stands behind `lead`, a comment at the end. */
interface Line {
  readonly lead: Piece[];
  readonly assign: Piece[];
  readonly comment: Piece | null;
}

/**
 * A valid source in the form in which `nomad fmt` writes it: two spaces a level, equals signs and comments of
 * neighbouring lines in one column. Nothing but spaces is changed; templates and heredocs stay as they are. Whether the
 * source is valid is for the caller to check: of an invalid one only the spaces are moved, too.
 */
export function formatHcl(source: string): string {
  const lines = linesOf(piecesOf(source.replace(/^\ufeff/, '')));
  setIndents(lines);
  for (const line of lines) {
    setSpaces(line.lead);
    setSpaces(line.assign);
  }
  alignColumns(
    lines,
    (line) => line.assign[0] ?? null,
    (line) => width(line.lead),
  );
  alignColumns(
    lines,
    (line) => line.comment,
    (line) => width(line.lead) + width(line.assign),
  );
  return lines.map(printLine).join('');
}

function printLine({ lead, assign, comment }: Line): string {
  return [...lead, ...assign, ...(comment ? [comment] : [])]
    .map(({ spaces, text }) => ' '.repeat(spaces) + text)
    .join('');
}

function piecesOf(source: string): Piece[] {
  const tokens = lex(source);
  const pieces: Piece[] = [];
  let at = 0;
  for (let i = 0; i < tokens.length; i++) {
    const { type, start, end } = tokens.token(i);
    pieces.push({ type, text: source.slice(start, end), spaces: start - at });
    at = end;
  }
  return pieces;
}

/** A comment to the end of its line has the newline in it. */
function endsLine({ type, text }: Piece): boolean {
  return type === T.Newline || (type === T.Comment && text.endsWith('\n'));
}

function linesOf(pieces: readonly Piece[]): Line[] {
  const lines: Line[] = [];
  let current: Piece[] = [];
  for (const piece of pieces) {
    if (piece.type === T.EOF) break;
    current.push(piece);
    if (!endsLine(piece)) continue;
    lines.push(columnsOf(current));
    current = [];
  }
  if (current.length > 0) lines.push(columnsOf(current));
  return lines;
}

function columnsOf(pieces: readonly Piece[]): Line {
  const last = pieces.at(-1);
  const comment = pieces.length > 1 && last?.type === T.Comment ? last : null;
  const rest = comment ? pieces.slice(0, -1) : [...pieces];
  const equals = rest.findIndex(({ type }, i) => i > 0 && type === T.Equal);
  // What goes on on further lines is no column.
  const whole = equals > 0 && rest.slice(equals).reduce((sum, piece) => sum + bracketChange(piece), 0) === 0;
  return whole
    ? { lead: rest.slice(0, equals), assign: rest.slice(equals), comment }
    : { lead: rest, assign: [], comment };
}

const OPENING: readonly TokenType[] = [T.OBrace, T.OBrack, T.OParen, T.Control, T.Interpolation];
const CLOSING: readonly TokenType[] = [T.CBrace, T.CBrack, T.CParen, T.SequenceEnd];

function bracketChange({ type }: Piece): number {
  return OPENING.includes(type) ? 1 : CLOSING.includes(type) ? -1 : 0;
}

/** Each line that opens more brackets than it closes is one level, however many they are. */
function setIndents(lines: readonly Line[]): void {
  const levels: number[] = [];
  for (const { lead, assign } of lines) {
    const first = lead[0];
    if (!first) continue;
    if (first.type === T.Newline) {
      first.spaces = 0;
      continue;
    }
    let net = 0;
    for (const piece of lead) {
      net += bracketChange(piece);
      if (piece.type === T.OHeredoc) break;
    }
    for (const piece of assign) net += bracketChange(piece);
    if (net < 0) close(levels, -net);
    first.spaces = 2 * levels.length;
    if (net > 0) levels.push(net);
  }
}

function close(levels: number[], count: number): void {
  let left = count;
  while (left > 0 && levels.length > 0) {
    const top = levels.pop() as number;
    if (left < top) levels.push(top - left);
    left = Math.max(0, left - top);
  }
}

function setSpaces(pieces: readonly Piece[]): void {
  for (const [i, piece] of pieces.entries()) {
    const after = pieces[i + 1];
    if (after) after.spaces = spaceBetween(pieces[i - 1] ?? null, piece, after) ? 1 : 0;
  }
}

const TEXTS: readonly TokenType[] = [T.QuotedText, T.HeredocText];
/** Behind these a minus is a sign. */
const BEFORE_SIGN: readonly TokenType[] = [
  ...[T.OParen, T.OBrace, T.OBrack, T.Equal, T.Colon, T.Comma, T.Question],
  ...[T.Plus, T.Star, T.Slash, T.Percent, T.Minus],
  ...[T.EqualEqual, T.NotEqual, T.Greater, T.GreaterEqual, T.Less, T.LessEqual, T.And, T.Or, T.Bang],
];

function spaceBetween(before: Piece | null, piece: Piece, after: Piece): boolean {
  const [type, next] = [piece.type, after.type];
  if (next === T.Newline) return false;
  if (type === T.Ident && next === T.OParen) return false;
  if (type === T.DoubleColon || next === T.DoubleColon) return false;
  if (type === T.Dot || next === T.Dot) return false;
  if (next === T.Comma || next === T.Ellipsis) return false;
  if (type === T.Comma) return true;
  if (TEXTS.includes(type) || type === T.OQuote || type === T.OHeredoc) return false;
  if (TEXTS.includes(next) || next === T.CQuote || next === T.CHeredoc) return false;
  if (type === T.Ident && piece.text === 'in' && before?.type === T.Ident) return true;
  if (next === T.OBrack && (type === T.Ident || type === T.Number || bracketChange(piece) < 0)) return false;
  if (type === T.Bang) return false;
  if (type === T.Minus) return before !== null && !BEFORE_SIGN.includes(before.type);
  if (type === T.OBrace || next === T.CBrace) return !(type === T.OBrace && next === T.CBrace);
  if ((type === T.Interpolation || type === T.Control) && next === T.OBrace) return true;
  if (type === T.CBrace && next === T.SequenceEnd) return true;
  if (type === T.SequenceEnd && (next === T.Interpolation || next === T.Control)) return false;
  return bracketChange(piece) <= 0 && bracketChange(after) >= 0;
}

function width(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { spaces, text }) => sum + spaces + graphemes(text).length, 0);
}

/** Puts what a run of lines has in one column behind the longest of what stands before it. */
function alignColumns(
  lines: readonly Line[],
  cellOf: (line: Line) => Piece | null,
  widthBefore: (line: Line) => number,
): void {
  let run: { cell: Piece; before: number }[] = [];
  const end = (): void => {
    const column = Math.max(0, ...run.map(({ before }) => before));
    for (const { cell, before } of run) cell.spaces = column - before + 1;
    run = [];
  };
  for (const line of lines) {
    const cell = cellOf(line);
    if (cell) run.push({ cell, before: widthBefore(line) });
    else end();
  }
  end();
}
