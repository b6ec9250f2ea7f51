import type { Attribute, Block, Diagnostic, EvalContext, Expression, SourceRange, Type, Value } from '../hcl/index.js';
import {
  attributesOf,
  blocksOf,
  convert,
  DYNAMIC,
  errorAt,
  evaluate,
  hasErrors,
  references,
  typeOf,
  typeOfConstraint,
  UNKNOWN,
} from '../hcl/index.js';
import { missingItemRange } from '../hcl/start-range.js';
import { unknownAttribute, unknownBlock } from './decode.js';

/** A rule that the value of a variable must fulfil. */
export interface Validation {
  readonly condition: Expression;
  readonly errorMessage: string;
  readonly range: SourceRange;
}

/** What a job file says of one of its variables. */
export interface Declaration {
  readonly name: string;
  /** Null: anything; a value from a flag or the environment is then a string. */
  readonly type: Type | null;
  readonly fallback: Value | null;
  readonly description: string;
  readonly sensitive: boolean;
  readonly validations: readonly Validation[];
  readonly range: SourceRange;
  /** Of the default; of the whole where there is none. */
  readonly fallbackRange: SourceRange;
}

const ATTRIBUTES = ['description', 'default', 'type', 'sensitive'];

/** A `variable "name" { … }` block. */
export function declareVariable(block: Block, root: EvalContext, diagnostics: Diagnostic[]): Declaration | null {
  const [label, extra] = block.labels;
  if (!label || extra) {
    const detail = 'All variable blocks must have one label (name).';
    diagnostics.push(
      errorAt(extra?.range ?? block.openBraceRange, 'Missing name for variable', detail, block.headerRange),
    );
    return null;
  }
  if (!/^[\p{ID_Start}_][\p{ID_Continue}-]*$/u.test(label.value)) {
    const detail = 'The name of a variable is a letter or _ followed by letters, digits, _ and -.';
    diagnostics.push(errorAt(label.range, 'Invalid variable name', detail));
  }
  const given = readAttributes(block, diagnostics);
  const typeAttribute = given.get('type');
  const type = typeAttribute ? typeGiven(typeAttribute, diagnostics) : null;
  const fallbackAttribute = given.get('default');
  const fallback = fallbackAttribute ? defaultOf(fallbackAttribute, type, root, diagnostics) : null;
  return {
    name: label.value,
    type: type ?? (fallback && fallback.kind !== 'null' ? typeOf(fallback) : null),
    fallback,
    description: literalText(given.get('description'), diagnostics),
    sensitive: isTrue(given.get('sensitive')),
    validations: blocksOf(block.body, 'validation').flatMap((b) => validationOf(label.value, b, diagnostics) ?? []),
    range: block.headerRange,
    fallbackRange: fallbackAttribute?.expression.range ?? block.headerRange,
  };
}

function typeGiven({ expression }: Attribute, diagnostics: Diagnostic[]): Type | null {
  const type = typeOfConstraint(expression);
  if (type) return type;
  const detail =
    'A type is string, number, bool or any, or made of types: list(…), set(…), map(…), tuple([…]), object({ name = … }).';
  diagnostics.push(errorAt(expression.range, 'Invalid type specification', detail));
  return null;
}

function readAttributes(block: Block, diagnostics: Diagnostic[]): Map<string, Attribute> {
  for (const attribute of attributesOf(block.body)) {
    if (!ATTRIBUTES.includes(attribute.name)) diagnostics.push(unknownAttribute(attribute, ATTRIBUTES, ['validation']));
  }
  for (const inner of blocksOf(block.body)) {
    if (inner.type !== 'validation') diagnostics.push(unknownBlock(inner, ATTRIBUTES, ['validation']));
  }
  return new Map(attributesOf(block.body).map((attribute) => [attribute.name, attribute]));
}

/** One `name = default` of a `variables { … }` block. */
export function declareFromAttribute(attribute: Attribute, root: EvalContext, diagnostics: Diagnostic[]): Declaration {
  const fallback = defaultOf(attribute, null, root, diagnostics);
  return {
    name: attribute.name,
    type: typeOf(fallback),
    fallback,
    description: '',
    sensitive: false,
    validations: [],
    range: attribute.range,
    fallbackRange: attribute.expression.range,
  };
}

function defaultOf({ expression }: Attribute, type: Type | null, root: EvalContext, diagnostics: Diagnostic[]): Value {
  const { value, diagnostics: found } = evaluate(expression, root);
  diagnostics.push(...found);
  if (hasErrors(found)) return UNKNOWN;
  const converted = convert(value, type ?? DYNAMIC);
  if (converted.ok) return converted.value;
  const why = `${converted.error.path}${converted.error.path && ': '}${converted.error.message}`;
  const detail = `The default does not fit the type of the variable: ${why}.`;
  diagnostics.push(errorAt(expression.range, 'Invalid default value', detail));
  return UNKNOWN;
}

function literalText(attribute: Attribute | undefined, diagnostics: Diagnostic[]): string {
  if (!attribute) return '';
  const { value, diagnostics: found } = evaluate(attribute.expression, {});
  diagnostics.push(...found);
  if (value.kind === 'string') return value.value;
  if (!hasErrors(found)) {
    diagnostics.push(errorAt(attribute.expression.range, 'Unsuitable value type', 'Unsuitable value: string required'));
  }
  return '';
}

function isTrue(attribute: Attribute | undefined): boolean {
  if (!attribute) return false;
  const { value } = evaluate(attribute.expression, {});
  return value.kind === 'bool' && value.value;
}

function validationOf(name: string, block: Block, diagnostics: Diagnostic[]): Validation | null {
  const given = new Map(attributesOf(block.body).map((attribute) => [attribute.name, attribute]));
  for (const attribute of given.values()) {
    if (attribute.name !== 'condition' && attribute.name !== 'error_message') {
      diagnostics.push(unknownAttribute(attribute, ['condition', 'error_message'], []));
    }
  }
  for (const missing of ['condition', 'error_message'].filter((key) => !given.has(key))) {
    const detail = `The argument "${missing}" is required, but no definition was found.`;
    diagnostics.push(errorAt(missingItemRange(block.body), 'Missing required argument', detail));
  }
  const condition = given.get('condition')?.expression;
  if (!condition) return null;
  checkReferences(name, condition, diagnostics);
  const errorMessage = literalText(given.get('error_message'), diagnostics);
  return { condition, errorMessage, range: block.headerRange };
}

/** A rule looks at its own variable and at nothing else. */
function checkReferences(name: string, condition: Expression, diagnostics: Diagnostic[]): void {
  const all = references(condition);
  const isOwn = (reference: (typeof all)[number]): boolean => {
    const [step] = reference.steps;
    return reference.root === 'var' && step?.kind === 'attribute' && step.name === name;
  };
  for (const reference of all.filter((r) => !isOwn(r))) {
    const detail = `A rule of variable "${name}" reads var.${name} and nothing else.`;
    diagnostics.push(errorAt(reference.range, 'Invalid reference in a validation rule', detail));
  }
  if (!all.some(isOwn)) {
    const detail = `A rule that does not read var.${name} cannot tell whether its value is good.`;
    diagnostics.push(errorAt(condition.range, 'Invalid condition of a validation rule', detail));
  }
}
