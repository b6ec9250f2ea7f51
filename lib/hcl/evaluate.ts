import { type Accessed, attributeOf, elementOf, isValue } from './access.js';
import type {
  BinaryExpression,
  ConditionalExpression,
  Expression,
  IndexExpression,
  ObjectExpression,
  ObjectKeyExpression,
  SplatExpression,
  SplatItemExpression,
  TemplateExpression,
  TemplateJoinExpression,
  TraversalExpression,
  TraversalStep,
  UnaryExpression,
} from './ast.js';
import { evaluateCall } from './call.js';
import type { Budget, EvalContext } from './context.js';
import { convert, unify } from './convert.js';
import { type Diagnostic, errorAt, type SourceRange } from './diagnostics.js';
import { evaluateFor } from './evaluate-for.js';
import { negate } from './number.js';
import { applyOperator, operatorTypes } from './operators.js';
import { lookUp } from './scope.js';
import { span } from './source-map.js';
import { BOOL, DYNAMIC, NUMBER, STRING, type Type, typeName } from './types.js';
import {
  boolValue,
  extentOf,
  listValue,
  numberValue,
  objectValue,
  stringValue,
  tupleValue,
  typeOf,
  UNKNOWN,
  unknownValue,
  type Value,
} from './values.js';

/** A value is always there: unknown where an error made it impossible. */
export interface Evaluated {
  readonly value: Value;
  readonly diagnostics: readonly Diagnostic[];
}

/** Work that one evaluation may take, in visits of expressions: nested `for` grows without bounds otherwise. */
const STEPS_MAX = 500_000;
/** Elements, at any depth, that one value may have. */
const VALUE_SIZE_MAX = 1_000_000;
/** Levels of lists and objects in each other that one value may have: all that walk through a value recurse. */
const VALUE_DEPTH_MAX = 1000;
/** UTF-16 units that one template may give. */
const STRING_LENGTH_MAX = 16_000_000;
const ERRORS_MAX = 50;

/** The value of an expression in a context, with errors in the words of HashiCorp's evaluator. Never throws. */
export function evaluate(expression: Expression, context: EvalContext): Evaluated {
  const evaluator = new Evaluator(budgetOf(context));
  const value = evaluator.value(expression, context);
  return { value, diagnostics: evaluator.diagnostics };
}

/** What is left for a context and those beside it. */
export function budgetOf(context: EvalContext): Budget {
  for (let scope: EvalContext | undefined = context; scope; scope = scope.parent) if (scope.budget) return scope.budget;
  return { left: STEPS_MAX };
}

/** One evaluation: what went wrong so far, and how much work it took. */
export class Evaluator {
  readonly diagnostics: Diagnostic[] = [];
  errors = 0;
  readonly #budget: Budget;
  #steps = 0;
  readonly #items = new Map<SplatItemExpression, Value>();

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  error(subject: SourceRange, summary: string, detail: string, context?: SourceRange): Value {
    this.errors++;
    if (this.diagnostics.length < ERRORS_MAX) this.diagnostics.push(errorAt(subject, summary, detail, context));
    return UNKNOWN;
  }

  /** Takes over what an inner evaluation of its own had to say. */
  report(diagnostics: readonly Diagnostic[]): void {
    for (const { subject, summary, detail, context } of diagnostics) this.error(subject, summary, detail, context);
  }

  /** Whether there is time left for so much work; that there is none is told once. */
  spend(steps: number, at: SourceRange): boolean {
    const before = Math.min(STEPS_MAX - this.#steps, this.#budget.left);
    this.#steps += steps;
    this.#budget.left -= steps;
    if (before >= steps) return true;
    if (before >= 0) {
      const all = 'All expressions of this file together take too many steps.';
      const one = `The expression was given up after ${STEPS_MAX} steps.`;
      const detail = `${this.#budget.left < 0 ? all : one} Make the collections and texts smaller.`;
      this.error(at, 'Expression takes too long', detail);
    }
    this.#steps = STEPS_MAX + 1;
    return false;
  }

  value(expression: Expression, context: EvalContext): Value {
    if (!this.spend(1, expression.range)) return UNKNOWN;
    switch (expression.kind) {
      case 'literal':
        return expression.value;
      case 'invalid':
        return UNKNOWN;
      case 'parentheses':
        return this.value(expression.inner, context);
      case 'template-wrap':
        return this.value(expression.wrapped, context);
      case 'template':
        return this.#template(expression, context);
      case 'template-join':
        return this.#join(expression, context);
      case 'traversal':
        return this.#traversal(expression, context);
      case 'relative-traversal':
        return this.#walk(this.value(expression.source, context), expression.steps);
      case 'index':
        return this.#index(expression, context);
      case 'splat':
        return this.#splat(expression, context);
      case 'splat-item':
        return this.#items.get(expression) ?? UNKNOWN;
      case 'for':
        return this.#bounded(evaluateFor(this, expression, context), expression.range);
      case 'tuple':
        return this.#bounded(tupleValue(expression.items.map((item) => this.value(item, context))), expression.range);
      case 'object':
        return this.#bounded(this.#object(expression, context), expression.range);
      case 'object-key':
        return this.#objectKey(expression, context);
      case 'conditional':
        return this.#conditional(expression, context);
      case 'binary':
        return this.#binary(expression, context);
      case 'unary':
        return this.#unary(expression, context);
      case 'call':
        return this.#bounded(evaluateCall(this, expression, context), expression.range);
    }
  }

  // A value that holds the same one twice, which holds ..., costs little itself and breaks what walks through it.
  #bounded(value: Value, range: SourceRange): Value {
    if (value.kind === 'string' && value.value.length > STRING_LENGTH_MAX) {
      return this.error(range, 'Value too large', 'The resulting text is too long.');
    }
    const { size, depth } = extentOf(value);
    if (size <= VALUE_SIZE_MAX && depth <= VALUE_DEPTH_MAX) return value;
    const most = size > VALUE_SIZE_MAX ? `${VALUE_SIZE_MAX} elements` : `${VALUE_DEPTH_MAX} levels`;
    return this.error(range, 'Value too large', `The result has more than ${most}.`);
  }

  #accessed(accessed: Accessed): Value {
    if (isValue(accessed)) return accessed;
    return this.error(accessed.subject, accessed.summary, accessed.detail);
  }

  #traversal({ root, rootRange, steps }: TraversalExpression, context: EvalContext): Value {
    const found = lookUp(root, rootRange, context);
    return this.#walk(this.#accessed(found), steps);
  }

  #walk(source: Value, steps: readonly TraversalStep[]): Value {
    let value = source;
    for (const step of steps) {
      const errorsBefore = this.errors;
      value = this.#accessed(
        step.kind === 'attribute' ? attributeOf(value, step.name, step.range) : elementOf(value, step.key, step.range),
      );
      if (this.errors > errorsBefore) return UNKNOWN;
    }
    return value;
  }

  #index({ collection, key, openRange, range }: IndexExpression, context: EvalContext): Value {
    const errorsBefore = this.errors;
    const source = this.value(collection, context);
    const index = this.value(key, context);
    if (this.errors > errorsBefore) return UNKNOWN;
    return this.#accessed(elementOf(source, index, span(openRange, range)));
  }

  #splat({ source, each, item, markerRange }: SplatExpression, context: EvalContext): Value {
    const errorsBefore = this.errors;
    const value = this.value(source, context);
    if (this.errors > errorsBefore) return UNKNOWN;
    const { kind } = value.kind === 'null' || value.kind === 'unknown' ? value.type : value;
    const isSequence = kind === 'tuple' || kind === 'list' || kind === 'set';
    if (value.kind === 'null') {
      if (!isSequence) return tupleValue([]);
      const detail = 'Splat expressions (with the * symbol) cannot be applied to null sequences.';
      return this.error(source.range, 'Splat of null value', detail, span(source.range, markerRange));
    }
    if (value.kind === 'unknown') return UNKNOWN;
    const outer = this.#items.get(item);
    const items = ('items' in value ? value.items : [value]).map((element) => {
      this.#items.set(item, element);
      return this.value(each, context);
    });
    if (outer) this.#items.set(item, outer);
    else this.#items.delete(item);
    if (kind !== 'list' && kind !== 'set') return tupleValue(items);
    const element = unify(items.map(typeOf));
    return element ? listValue(element, items) : tupleValue(items);
  }

  #template({ parts, range }: TemplateExpression, context: EvalContext): Value {
    const texts: string[] = [];
    let length = 0;
    let known = true;
    for (const part of parts) {
      const errorsBefore = this.errors;
      const value = this.value(part, context);
      const text = this.templateText(
        value,
        part.range,
        range,
        NULL_PART,
        'Cannot include the given value in a string template',
      );
      if (text === null || this.errors > errorsBefore) known = false;
      else {
        texts.push(text);
        length += text.length;
      }
    }
    if (!known) return unknownValue(STRING);
    if (length > STRING_LENGTH_MAX)
      return this.error(range, 'Value too large', 'The text of the template is too long.');
    return stringValue(texts.join(''));
  }

  /** The text of a value in a template; null when it is unknown or refused. */
  templateText(
    value: Value,
    subject: SourceRange,
    range: SourceRange,
    nullDetail: string,
    refused: string,
  ): string | null {
    const summary = 'Invalid template interpolation value';
    if (value.kind === 'null') {
      this.error(subject, summary, nullDetail, range);
      return null;
    }
    if (value.kind === 'unknown') return null;
    const converted = convert(value, STRING);
    if (converted.ok) return converted.value.kind === 'string' ? converted.value.value : null;
    this.error(subject, summary, `${refused}: ${converted.error.message}.`, range);
    return null;
  }

  #join({ tuple, range }: TemplateJoinExpression, context: EvalContext): Value {
    const value = this.value(tuple, context);
    if (value.kind !== 'tuple') return unknownValue(STRING);
    const detail = 'An iteration result is null. Cannot include a null value in a string template.';
    const refused = 'Cannot include one of the interpolation results into the string template';
    const texts = value.items.map((item) => this.templateText(item, tuple.range, range, detail, refused));
    return texts.some((text) => text === null) ? unknownValue(STRING) : stringValue(texts.join(''));
  }

  #object({ items }: ObjectExpression, context: EvalContext): Value {
    const entries = new Map<string, Value>();
    let known = true;
    for (const item of items) {
      const errorsBefore = this.errors;
      const key = this.value(item.key, context);
      const failed = this.errors > errorsBefore;
      const value = this.value(item.value, context);
      if (failed || key.kind === 'unknown') {
        known = false;
        continue;
      }
      const converted = convert(key, STRING);
      if (key.kind === 'null') {
        this.error(item.value.range, 'Null value as key', "Can't use a null value as a key.");
      } else if (!converted.ok) {
        const detail = `Can't use this value as a key: ${converted.error.message}.`;
        this.error(item.key.range, 'Incorrect key type', detail);
      } else if (converted.value.kind === 'string') {
        entries.set(converted.value.value, value);
        continue;
      }
      known = false;
    }
    return known ? objectValue(entries) : UNKNOWN;
  }

  #objectKey({ name, wrapped, range }: ObjectKeyExpression, context: EvalContext): Value {
    if (name !== null) return stringValue(name);
    if (wrapped.kind === 'traversal') {
      const detail =
        "If this expression is intended to be a reference, wrap it in parentheses. If it's instead intended as a literal name containing periods, wrap it in quotes to create a string literal.";
      return this.error(range, 'Ambiguous attribute key', detail);
    }
    return this.value(wrapped, context);
  }

  #conditional({ condition, whenTrue, whenFalse, range }: ConditionalExpression, context: EvalContext): Value {
    // Both sides are evaluated for their types; only the errors of the chosen one are told.
    const yes = this.#aside(whenTrue, context);
    const no = this.#aside(whenFalse, context);
    const type = conditionalType(yes.value, no.value);
    const inconsistent = 'Inconsistent conditional result types';
    if (!type) {
      const [a, b] = [typeName(typeOf(yes.value)), typeName(typeOf(no.value))];
      const detail = `The true and false result expressions must have consistent types. The given expressions are ${a} and ${b}, respectively.`;
      return this.error(span(whenTrue.range, whenFalse.range), inconsistent, detail, range);
    }
    const errorsBefore = this.errors;
    const test = this.value(condition, context);
    if (this.errors > errorsBefore) return unknownValue(type);
    if (test.kind === 'null') {
      const detail = 'The condition value is null. Conditions must either be true or false.';
      this.error(condition.range, 'Null condition', detail, range);
      return unknownValue(type);
    }
    const bool = convert(test, BOOL);
    if (!bool.ok) {
      const detail = 'The condition expression must be of type bool.';
      this.error(condition.range, 'Incorrect condition type', detail, range);
      return unknownValue(type);
    }
    if (bool.value.kind !== 'bool') return unknownValue(type);
    const chosen = bool.value.value ? yes : no;
    this.report(chosen.diagnostics);
    const converted = convert(chosen.value, type);
    if (converted.ok) return converted.value;
    const which = bool.value.value ? 'true' : 'false';
    const detail = `The ${which} result value has the wrong type: ${converted.error.message}.`;
    this.error(bool.value.value ? whenTrue.range : whenFalse.range, inconsistent, detail, range);
    return unknownValue(type);
  }

  /** Evaluates without telling the errors yet. The work counts all the same. */
  #aside(expression: Expression, context: EvalContext): Evaluated {
    const before = this.diagnostics.length;
    const errorsBefore = this.errors;
    const value = this.value(expression, context);
    const diagnostics = this.diagnostics.splice(before);
    this.errors = errorsBefore;
    return { value, diagnostics };
  }

  #binary(expression: BinaryExpression, context: EvalContext): Value {
    // A long sum leans to the left, as deep as it is long: hence a loop over its spine.
    const spine: BinaryExpression[] = [];
    let node: Expression = expression;
    while (node.kind === 'binary') {
      spine.push(node);
      node = node.left;
    }
    let left = this.value(node, context);
    for (const step of spine.reverse()) left = this.#operate(step, left, this.value(step.right, context));
    return left;
  }

  #operate({ operator, left, right, range }: BinaryExpression, a: Value, b: Value): Value {
    const { operands, result } = operatorTypes(operator);
    const errorsBefore = this.errors;
    const first = this.#operand(a, operands, 'left operand', left.range, range);
    const second = this.#operand(b, operands, 'right operand', right.range, range);
    if (this.errors > errorsBefore) return unknownValue(result);
    const applied = applyOperator(operator, first, second);
    if (applied.ok) return applied.value;
    this.error(range, 'Operation failed', `Error during operation: ${applied.error}.`);
    return unknownValue(result);
  }

  #operand(value: Value, type: Type, which: string, subject: SourceRange, range: SourceRange): Value {
    const converted = convert(value, type);
    if (converted.ok) return converted.value;
    const detail = `Unsuitable value for ${which}: ${converted.error.message}.`;
    return this.error(subject, 'Invalid operand', detail, range);
  }

  #unary({ operator, operand, range }: UnaryExpression, context: EvalContext): Value {
    const type = operator === '-' ? NUMBER : BOOL;
    const errorsBefore = this.errors;
    const value = this.#operand(this.value(operand, context), type, 'unary operand', operand.range, range);
    if (this.errors > errorsBefore) return unknownValue(type);
    if (value.kind === 'number') return numberValue(negate(value.value));
    if (value.kind === 'bool') return boolValue(!value.value);
    if (value.kind === 'unknown') return unknownValue(type);
    this.error(range, 'Operation failed', 'Error during operation: argument must not be null.');
    return unknownValue(type);
  }
}

const NULL_PART = 'The expression result is null. Cannot include a null value in a string template.';

function conditionalType(yes: Value, no: Value): Type | null {
  if (yes.kind === 'null' && yes.type.kind === 'dynamic') return typeOf(no);
  if (no.kind === 'null' && no.type.kind === 'dynamic') return typeOf(yes);
  const types = [typeOf(yes), typeOf(no)];
  // What came to nothing by an error fits everything.
  return types.some(({ kind }) => kind === 'dynamic') ? DYNAMIC : unify(types);
}
