import type { Body, Expression } from './ast.js';
import { type Diagnostic, errorAt, type Position, type SourceRange } from './diagnostics.js';

export interface ParsedBody {
  /** What could be understood; not to be used when the diagnostics have an error. */
  readonly body: Body;
  readonly diagnostics: readonly Diagnostic[];
}

export interface ParsedExpression {
  readonly expression: Expression;
  readonly diagnostics: readonly Diagnostic[];
}

const START: Position = { line: 1, column: 1, byte: 0, index: 0 };

/** Parses a file of HCL's native syntax. Never throws; several errors of a file are told at once. */
export function parseHcl(_source: string, filename: string): ParsedBody {
  const range: SourceRange = { filename, start: START, end: START };
  const diagnostics = [errorAt(range, 'Invalid file', 'The parser is not there yet.')];
  return { body: { items: [], range, endRange: range }, diagnostics };
}

/** Parses one expression alone, such as the value of a -var flag. */
export function parseExpression(_source: string, filename: string): ParsedExpression {
  const range: SourceRange = { filename, start: START, end: START };
  return { expression: { kind: 'invalid', range }, diagnostics: [] };
}
