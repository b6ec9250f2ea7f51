/** Where something stands in the template's text: for messages. */
export interface Position {
  line: number;
  column: number;
}

/** The parts of a parsed template, as in Go's text/template. */
export type TemplateNode =
  | { kind: 'text'; text: string }
  | { kind: 'action'; pipe: Pipeline }
  | { kind: 'if' | 'with'; pipe: Pipeline; body: TemplateNode[]; otherwise: TemplateNode[] }
  | { kind: 'range'; pipe: Pipeline; body: TemplateNode[]; otherwise: TemplateNode[] }
  | { kind: 'template'; name: string; pipe: Pipeline | undefined; at: Position }
  | { kind: 'break' | 'continue' };

/** `$x := a | b`: commands whose value goes on as the last argument of the next one. */
export interface Pipeline {
  declare: string[];
  assign: boolean;
  commands: Command[];
  at: Position;
}

export interface Command {
  args: Operand[];
  at: Position;
}

export type Operand =
  | { kind: 'literal'; value: string | number | boolean | null }
  | { kind: 'dot'; at: Position }
  /** `.A.B`, `$x.A`, `(pipe).A`: fields taken from a base. */
  | { kind: 'field'; base: Operand; names: string[]; at: Position }
  | { kind: 'variable'; name: string; at: Position }
  | { kind: 'function'; name: string; at: Position }
  | { kind: 'pipe'; pipe: Pipeline; at: Position };

export interface ParsedTemplate {
  body: TemplateNode[];
  /** `{{define "x"}}` and `{{block "x"}}`. */
  defined: Map<string, TemplateNode[]>;
}

/** A mistake in the template, or in what it is applied to. */
export class TemplateError extends Error {
  constructor(at: Position, message: string) {
    super(`${at.line}:${at.column}: ${message}`);
    this.name = 'TemplateError';
  }
}
