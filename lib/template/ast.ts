// A parsed template, as in Go's text/template. `at` is where a part stands in the source, in UTF-16 units.

export type TemplateNode =
  | { kind: 'text'; text: string; at: number }
  | { kind: 'action'; pipe: Pipeline; at: number }
  | { kind: 'if' | 'with' | 'range'; pipe: Pipeline; body: ListNode; otherwise: ListNode | null; at: number }
  | { kind: 'template'; name: string; pipe: Pipeline | null; at: number }
  | { kind: 'break' | 'continue'; at: number };

export interface ListNode {
  kind: 'list';
  nodes: TemplateNode[];
  at: number;
}

/** `$x := a | b`: commands whose value goes on as the last argument of the next one. */
export interface Pipeline {
  kind: 'pipe';
  declare: Extract<Operand, { kind: 'variable' }>[];
  assign: boolean;
  commands: Command[];
  at: number;
}

/** An operand, and what it is applied to. */
export interface Command {
  kind: 'command';
  args: Operand[];
  at: number;
}

export type Operand =
  | { kind: 'bool'; value: boolean; at: number }
  | { kind: 'nil'; at: number }
  | { kind: 'dot'; at: number }
  | { kind: 'number'; text: string; value: NumberConstant; at: number }
  | { kind: 'string'; source: string; value: string; at: number }
  /** `.A.B` */
  | { kind: 'field'; names: string[]; at: number }
  /** `$x.A.B` */
  | { kind: 'variable'; name: string; names: string[]; at: number }
  | { kind: 'function'; name: string; at: number }
  /** `(pipe).A` and `function.A` */
  | { kind: 'chain'; base: Operand; names: string[]; at: number }
  | Pipeline;

/**
 * What a number in a template is in Go: an untyped constant, taken for what it looks like. One that fits 64 bits only
 * without a sign is refused when it is used, a larger one at once.
 */
export type NumberConstant =
  | { type: 'int'; value: bigint }
  | { type: 'float'; value: number }
  | { type: 'overflow' }
  | { type: 'too large' };

/** Anything that stands in a template and can be named in an error. */
export type AnyNode = TemplateNode | ListNode | Command | Operand;

export interface ParsedTemplate {
  name: string;
  source: string;
  /** The template itself under its name, and what `define` and `block` add. */
  defined: ReadonlyMap<string, ListNode>;
}

/** A mistake in the template, or in what it is applied to; the message is Go's, with name, line and column. */
export class TemplateError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TemplateError';
  }
}
