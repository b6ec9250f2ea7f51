import type { SourceRange } from './diagnostics.js';
import type { Value } from './values.js';

/** The inside of a file or of a block: attributes and blocks in the order of the source. */
export interface Body {
  readonly items: readonly BodyItem[];
  /** With its braces, if it has any. */
  readonly range: SourceRange;
  /** Where something missing would have been added: the closing brace, or the end of the file. */
  readonly endRange: SourceRange;
}

export type BodyItem = Attribute | Block;

/** `name = expression`. A body has each name once: the parser refuses a second one. */
export interface Attribute {
  readonly kind: 'attribute';
  readonly name: string;
  readonly nameRange: SourceRange;
  readonly expression: Expression;
  readonly range: SourceRange;
}

/** `type "label" label { … }`. */
export interface Block {
  readonly kind: 'block';
  readonly type: string;
  readonly typeRange: SourceRange;
  readonly labels: readonly Label[];
  readonly body: Body;
  /** From the type to the last label: what an error about the block as a whole points at. */
  readonly headerRange: SourceRange;
  readonly openBraceRange: SourceRange;
  readonly closeBraceRange: SourceRange;
  readonly range: SourceRange;
}

export interface Label {
  readonly value: string;
  readonly range: SourceRange;
}

export type Expression =
  | LiteralExpression
  | TemplateExpression
  | TemplateWrapExpression
  | TemplateJoinExpression
  | TraversalExpression
  | RelativeTraversalExpression
  | IndexExpression
  | SplatExpression
  | SplatItemExpression
  | ForExpression
  | TupleExpression
  | ObjectExpression
  | ObjectKeyExpression
  | ConditionalExpression
  | BinaryExpression
  | UnaryExpression
  | CallExpression
  | ParenthesesExpression
  | InvalidExpression;

/** A number, `true`, `false`, `null`, or the literal text between the interpolations of a template. */
export interface LiteralExpression {
  readonly kind: 'literal';
  readonly value: Value;
  readonly range: SourceRange;
}

/** A quoted string or heredoc; its parts are made into one string. No part: the empty string. */
export interface TemplateExpression {
  readonly kind: 'template';
  readonly parts: readonly Expression[];
  readonly range: SourceRange;
}

/** `"${x}"` alone: the value of x itself, whatever its type. */
export interface TemplateWrapExpression {
  readonly kind: 'template-wrap';
  readonly wrapped: Expression;
  readonly range: SourceRange;
}

/** `%{ for }` of a template: the strings that `tuple` (a for expression) gives, one after the other. */
export interface TemplateJoinExpression {
  readonly kind: 'template-join';
  readonly tuple: ForExpression;
  readonly range: SourceRange;
}

/** One step behind a root or a value: `.name`, `["name"]` or `[0]` with a literal key. */
export type TraversalStep =
  | { readonly kind: 'attribute'; readonly name: string; readonly range: SourceRange }
  | { readonly kind: 'index'; readonly key: Value; readonly range: SourceRange };

/** `root.name[0]`: a variable and literal steps into it. */
export interface TraversalExpression {
  readonly kind: 'traversal';
  readonly root: string;
  readonly rootRange: SourceRange;
  readonly steps: readonly TraversalStep[];
  readonly range: SourceRange;
}

/** Literal steps into the value of any other expression. */
export interface RelativeTraversalExpression {
  readonly kind: 'relative-traversal';
  readonly source: Expression;
  readonly steps: readonly TraversalStep[];
  readonly range: SourceRange;
}

/** `collection[key]` with a computed key. */
export interface IndexExpression {
  readonly kind: 'index';
  readonly collection: Expression;
  readonly key: Expression;
  readonly openRange: SourceRange;
  readonly range: SourceRange;
}

/** `source.*.each` or `source[*].each`; in `each` a splat-item stands for the current element. */
export interface SplatExpression {
  readonly kind: 'splat';
  readonly source: Expression;
  readonly each: Expression;
  readonly item: SplatItemExpression;
  readonly markerRange: SourceRange;
  readonly range: SourceRange;
}

export interface SplatItemExpression {
  readonly kind: 'splat-item';
  readonly range: SourceRange;
}

/** `[for k, v in collection : value if condition]`, or with `{ key => value... }`. */
export interface ForExpression {
  readonly kind: 'for';
  readonly keyName: string | null;
  readonly valueName: string;
  readonly collection: Expression;
  /** Null when a tuple is built. */
  readonly key: Expression | null;
  readonly value: Expression;
  readonly condition: Expression | null;
  /** Whether `...` gathers the values of equal keys. */
  readonly grouping: boolean;
  readonly range: SourceRange;
  readonly openRange: SourceRange;
  readonly closeRange: SourceRange;
}

export interface TupleExpression {
  readonly kind: 'tuple';
  readonly items: readonly Expression[];
  readonly range: SourceRange;
  readonly openRange: SourceRange;
}

export interface ObjectExpression {
  readonly kind: 'object';
  readonly items: readonly { readonly key: ObjectKeyExpression; readonly value: Expression }[];
  readonly range: SourceRange;
  readonly openRange: SourceRange;
}

/** The key of an object: a bare word is its own name, unless parentheses ask for the variable. */
export interface ObjectKeyExpression {
  readonly kind: 'object-key';
  readonly wrapped: Expression;
  /** The bare word; null for every other expression. */
  readonly name: string | null;
  readonly range: SourceRange;
}

export interface ConditionalExpression {
  readonly kind: 'conditional';
  readonly condition: Expression;
  readonly whenTrue: Expression;
  readonly whenFalse: Expression;
  readonly range: SourceRange;
}

export type BinaryOperator = '+' | '-' | '*' | '/' | '%' | '==' | '!=' | '<' | '<=' | '>' | '>=' | '&&' | '||';

export interface BinaryExpression {
  readonly kind: 'binary';
  readonly operator: BinaryOperator;
  readonly left: Expression;
  readonly right: Expression;
  readonly range: SourceRange;
}

export interface UnaryExpression {
  readonly kind: 'unary';
  readonly operator: '-' | '!';
  readonly operand: Expression;
  readonly range: SourceRange;
  readonly operatorRange: SourceRange;
}

/** `name(a, b...)`; the name may have namespaces, `provider::thing::name`. */
export interface CallExpression {
  readonly kind: 'call';
  readonly name: string;
  readonly nameRange: SourceRange;
  readonly arguments: readonly Expression[];
  /** Whether the last argument is a list that stands for the remaining arguments. */
  readonly expandLast: boolean;
  readonly openRange: SourceRange;
  readonly closeRange: SourceRange;
  readonly range: SourceRange;
}

export interface ParenthesesExpression {
  readonly kind: 'parentheses';
  readonly inner: Expression;
  readonly range: SourceRange;
}

/** What could not be parsed (a diagnostic says why): its value is unknown. */
export interface InvalidExpression {
  readonly kind: 'invalid';
  readonly range: SourceRange;
}

/** The attributes of a body. */
export function attributesOf(body: Body): Attribute[] {
  return body.items.filter((item): item is Attribute => item.kind === 'attribute');
}

/** The blocks of a body, of one type when it is given. */
export function blocksOf(body: Body, type?: string): Block[] {
  return body.items.filter(
    (item): item is Block => item.kind === 'block' && (type === undefined || item.type === type),
  );
}
