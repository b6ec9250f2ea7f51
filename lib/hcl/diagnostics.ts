import { graphemes } from './graphemes.js';

/** A place in a source. Columns count grapheme clusters, as a reader does, and bytes are those of UTF-8. */
export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1, in grapheme clusters. */
  readonly column: number;
  /** From 0, in UTF-8. */
  readonly byte: number;
  /** From 0, in UTF-16 units: what `source.slice()` takes. */
  readonly index: number;
}

/** A stretch of a source; `end` is the first position behind it. */
export interface SourceRange {
  readonly filename: string;
  readonly start: Position;
  readonly end: Position;
}

/** What is to be told about a source: an error makes the result unusable, a warning does not. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  /** A few words without a full stop: "Invalid expression". */
  readonly summary: string;
  /** Whole sentences: what happened and what to do. */
  readonly detail: string;
  /** What the message is about. */
  readonly subject: SourceRange;
  /** The larger construct around the subject, when it helps to see it. */
  readonly context?: SourceRange;
}

/** Makes an error; most of them have no context. */
export function errorAt(subject: SourceRange, summary: string, detail: string, context?: SourceRange): Diagnostic {
  return { severity: 'error', summary, detail, subject, ...(context && { context }) };
}

/** Whether the list has an error among its warnings. */
export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some(({ severity }) => severity === 'error');
}

/** `job.hcl:3,13-20`, or `job.hcl:3,13-4,1` over several lines: how HashiCorp's tools write a range. */
export function formatRange({ filename, start, end }: SourceRange): string {
  const to = end.line === start.line ? String(end.column) : `${end.line},${end.column}`;
  return `${filename}:${start.line},${start.column}-${to}`;
}

/** One line: `job.hcl:3,13-20: Summary; Detail`. */
export function diagnosticLine(diagnostic: Diagnostic): string {
  return `${formatRange(diagnostic.subject)}: ${diagnostic.summary}; ${diagnostic.detail}`;
}

/** That line, and below it the source with a caret line. `source` is the text of the file named in the subject; '' shows none. */
export function diagnosticLines(diagnostic: Diagnostic, source: string): string {
  return [diagnosticLine(diagnostic), ...snippetLines(diagnostic, source)].join('\n');
}

const SNIPPET_COLUMNS_MAX = 200;
const SNIPPET_LINES_MAX = 8;

/**
 * Several lines for a terminal: severity and summary, the place, the source with a caret line below what is meant, and
 * the detail. `source` is the text of the file named in the subject.
 */
export function formatDiagnostic(diagnostic: Diagnostic, source: string): string {
  const { severity, summary, detail, subject } = diagnostic;
  const head = `${severity === 'error' ? 'Error' : 'Warning'}: ${summary}`;
  const snippet = snippetLines(diagnostic, source);
  const body =
    snippet.length > 0
      ? `\n\n  on ${formatRange(subject)}:\n${snippet.join('\n')}`
      : `\n\n  on ${formatRange(subject)}`;
  return `${head}${body}\n\n${detail}\n`;
}

function snippetLines({ subject, context }: Diagnostic, source: string): string[] {
  // A value of a flag stands in no file.
  if (source === '') return [];
  const first = Math.min(subject.start.line, context?.start.line ?? subject.start.line);
  // An end in column 1 means that the newline before it was the last thing meant.
  const lastMeant =
    subject.end.column === 1 && subject.end.line > subject.start.line ? subject.end.line - 1 : subject.end.line;
  const last = Math.min(Math.max(lastMeant, context?.end.line ?? lastMeant), first + SNIPPET_LINES_MAX - 1);
  const lines = linesBetween(source, first, last);
  const width = String(last).length;
  return lines.flatMap((text, i) => {
    const line = first + i;
    const shown = text.length > SNIPPET_COLUMNS_MAX ? `${text.slice(0, SNIPPET_COLUMNS_MAX)}…` : text;
    const numbered = `  ${String(line).padStart(width)}: ${shown}`;
    const caret = line === subject.start.line ? caretLine(shown, subject, width) : undefined;
    return caret === undefined ? [numbered] : [numbered, caret];
  });
}

function linesBetween(source: string, first: number, last: number): string[] {
  const lines: string[] = [];
  let at = 0;
  for (let line = 1; line <= last && at <= source.length; line++) {
    const newline = source.indexOf('\n', at);
    const end = newline < 0 ? source.length : newline;
    if (line >= first) lines.push(source.slice(at, end).replace(/\r$/, ''));
    at = end + 1;
  }
  return lines;
}

// Tabs are kept below tabs, so that the carets stand under what they mean at any tab width.
function caretLine(text: string, { start, end }: SourceRange, numberWidth: number): string | undefined {
  const clusters = graphemes(text);
  if (start.column > clusters.length + 1) return undefined;
  const blank = clusters.slice(0, start.column - 1).map((cluster) => (cluster === '\t' ? '\t' : ' '));
  const until = end.line === start.line ? end.column : clusters.length + 1;
  const carets = Math.max(1, Math.min(until, clusters.length + 1) - start.column);
  return `  ${' '.repeat(numberWidth)}  ${blank.join('')}${'^'.repeat(carets)}`;
}
