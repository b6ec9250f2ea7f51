import type { ForExpression } from './ast.js';
import type { EvalContext } from './context.js';
import { convert } from './convert.js';
import type { Evaluator } from './evaluate.js';
import { BOOL, STRING, typeName } from './types.js';
import { elementsOf, objectValue, tupleValue, typeOf, UNKNOWN, type Value } from './values.js';

function scopeOf(expression: ForExpression, key: Value, value: Value, parent: EvalContext): EvalContext {
  const variables = new Map([[expression.valueName, value]]);
  if (expression.keyName !== null) variables.set(expression.keyName, key);
  return { variables, parent };
}

/** `[for …]` and `{for …}`. What is unknown in a condition or key makes the whole unknown. */
export function evaluateFor(evaluator: Evaluator, expression: ForExpression, context: EvalContext): Value {
  const { collection, range } = expression;
  const errorsBefore = evaluator.errors;
  const source = evaluator.value(collection, context);
  if (evaluator.errors > errorsBefore) return UNKNOWN;
  if (source.kind === 'null') {
    const detail = "A null value cannot be used as the collection in a 'for' expression.";
    return evaluator.error(collection.range, 'Iteration over null value', detail, range);
  }
  if (source.kind === 'unknown') return UNKNOWN;
  const elements = elementsOf(source);
  if (!elements) {
    const type = typeName(typeOf(source));
    const detail = `A value of type ${type} cannot be used as the collection in a 'for' expression.`;
    return evaluator.error(collection.range, 'Iteration over non-iterable value', detail, range);
  }
  // A condition that is wrong for any element is told once, and not for each of them.
  if (expression.condition) {
    accepts(evaluator, expression, scopeOf(expression, UNKNOWN, UNKNOWN, context), 'Condition is null');
    if (evaluator.errors > errorsBefore) return UNKNOWN;
  }
  return expression.key
    ? buildObject(evaluator, expression, elements, context)
    : buildTuple(evaluator, expression, elements, context);
}

/** Whether the `if` lets an element pass; undefined when that is unknown. A null is told under the title `ifNull`. */
function accepts(
  evaluator: Evaluator,
  { condition, range }: ForExpression,
  scope: EvalContext,
  ifNull = "Invalid 'for' condition",
): boolean | undefined {
  if (!condition) return true;
  const errorsBefore = evaluator.errors;
  const value = evaluator.value(condition, scope);
  if (evaluator.errors > errorsBefore) return undefined;
  if (value.kind === 'null') {
    evaluator.error(condition.range, ifNull, "The value of the 'if' clause must not be null.", range);
    return undefined;
  }
  const converted = convert(value, BOOL);
  if (converted.ok) return converted.value.kind === 'bool' ? converted.value.value : undefined;
  const detail = `The 'if' clause value is invalid: ${converted.error.message}.`;
  evaluator.error(condition.range, "Invalid 'for' condition", detail, range);
  return undefined;
}

function buildTuple(
  evaluator: Evaluator,
  expression: ForExpression,
  elements: [Value, Value][],
  context: EvalContext,
): Value {
  const items: Value[] = [];
  let known = true;
  for (const [key, value] of elements) {
    const scope = scopeOf(expression, key, value, context);
    const accepted = accepts(evaluator, expression, scope);
    if (accepted === undefined) known = false;
    if (accepted) items.push(evaluator.value(expression.value, scope));
  }
  return known ? tupleValue(items) : UNKNOWN;
}

function buildObject(
  evaluator: Evaluator,
  expression: ForExpression,
  elements: [Value, Value][],
  context: EvalContext,
): Value {
  const groups = new Map<string, Value[]>();
  let known = true;
  for (const [key, value] of elements) {
    const scope = scopeOf(expression, key, value, context);
    const accepted = accepts(evaluator, expression, scope);
    if (accepted === false) continue;
    const name = accepted ? objectKey(evaluator, expression, scope) : null;
    if (name === null) {
      known = false;
      continue;
    }
    const item = evaluator.value(expression.value, scope);
    const group = groups.get(name);
    if (!group) groups.set(name, [item]);
    else if (expression.grouping) group.push(item);
    else complainOfDuplicate(evaluator, expression, name);
  }
  if (!known) return UNKNOWN;
  return objectValue(
    [...groups].map(([name, group]) => [name, expression.grouping ? tupleValue(group) : (group[0] as Value)]),
  );
}

function complainOfDuplicate(evaluator: Evaluator, { key, range }: ForExpression, name: string): void {
  const detail = `Two different items produced the key "${name}" in this 'for' expression. If duplicates are expected, use the ellipsis (...) after the value expression to enable grouping by key.`;
  evaluator.error(key?.range ?? range, 'Duplicate object key', detail, range);
}

function objectKey(evaluator: Evaluator, { key, range }: ForExpression, scope: EvalContext): string | null {
  if (!key) return null;
  const errorsBefore = evaluator.errors;
  const value = evaluator.value(key, scope);
  if (evaluator.errors > errorsBefore || value.kind === 'unknown') return null;
  const summary = 'Invalid object key';
  if (value.kind === 'null') {
    evaluator.error(key.range, summary, "Key expression in 'for' expression must not produce a null value.", range);
    return null;
  }
  const converted = convert(value, STRING);
  if (converted.ok) return converted.value.kind === 'string' ? converted.value.value : null;
  const detail = `The key expression produced an invalid result: ${converted.error.message}.`;
  evaluator.error(key.range, summary, detail, range);
  return null;
}
