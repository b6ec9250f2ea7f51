import { ok } from '../../util/result.js';
import type { Expression } from '../ast.js';
import type { HclFunction } from '../context.js';
import { convert } from '../convert.js';
import { formatRange } from '../diagnostics.js';
import { evaluate } from '../evaluate.js';
import { BOOL, DYNAMIC, listOf, mapOf, NUMBER, STRING, setOf, type Type } from '../types.js';
import { FALSE, isWhollyKnown, nullValue, TRUE, UNKNOWN, unknownValue, type Value } from '../values.js';
import { any, refuse } from './define.js';

const SIMPLE: Record<string, Type> = { string: STRING, number: NUMBER, bool: BOOL, any: DYNAMIC };
const AROUND: Record<string, (element: Type) => Type> = { list: listOf, set: setOf, map: mapOf };

/** The type that a constraint such as `list(string)` or `object({ a = number })` names; null when it is none. */
export function typeOfConstraint(expression: Expression): Type | null {
  if (expression.kind === 'traversal' && expression.steps.length === 0) {
    const around = AROUND[expression.root];
    return SIMPLE[expression.root] ?? around?.(DYNAMIC) ?? null;
  }
  const [argument] = expression.kind === 'call' && expression.arguments.length === 1 ? expression.arguments : [];
  if (expression.kind !== 'call' || !argument) return null;
  const around = AROUND[expression.name];
  if (around) {
    const element = typeOfConstraint(argument);
    return element && around(element);
  }
  if (expression.name === 'tuple' && argument.kind === 'tuple') return tupleOf(argument.items);
  if (expression.name === 'object' && argument.kind === 'object') return objectOf(argument.items);
  return null;
}

function tupleOf(expressions: readonly Expression[]): Type | null {
  const items = expressions.map(typeOfConstraint);
  return items.every((item) => item !== null) ? { kind: 'tuple', items } : null;
}

function objectOf(items: (Expression & { kind: 'object' })['items']): Type | null {
  const attributes = new Map<string, Type>();
  const optional = new Map<string, Value>();
  for (const { key, value } of items) {
    const name = key.name ?? literalText(key.wrapped);
    const isOptional = value.kind === 'call' && value.name === 'optional';
    const [wrapped, fallback, ...rest] = isOptional ? value.arguments : [value];
    const type = wrapped && typeOfConstraint(wrapped);
    if (name === null || !type || rest.length > 0 || attributes.has(name)) return null;
    attributes.set(name, type);
    if (!isOptional) continue;
    const given = fallback ? convert(evaluate(fallback, {}).value, type) : ok(nullValue(type));
    if (!given.ok || given.value.kind === 'unknown') return null;
    optional.set(name, given.value);
  }
  return optional.size > 0 ? { kind: 'object', attributes, optional } : { kind: 'object', attributes };
}

function literalText(expression: Expression): string | null {
  const [only] = expression.kind === 'template' && expression.parts.length === 1 ? expression.parts : [];
  return only?.kind === 'literal' && only.value.kind === 'string' ? only.value.value : null;
}

/** The functions that get expressions rather than values: they bear a failure, or read a type. */
export const CONVERSION_FUNCTIONS: Record<string, HclFunction> = {
  convert: {
    kind: 'expressions',
    parameters: [any('value'), any('type')],
    call: ([value, constraint], context) => {
      const type = constraint && typeOfConstraint(constraint);
      if (!value || !type) return refuse('it must be a type, such as string or list(number)', 1);
      const evaluated = evaluate(value, context);
      const [problem] = evaluated.diagnostics;
      if (problem) return refuse(`${problem.summary}: ${problem.detail.replace(/\.$/, '')}`);
      const converted = convert(evaluated.value, type);
      return converted.ok ? ok(converted.value) : refuse(converted.error.message, 0);
    },
  },
  try: {
    kind: 'expressions',
    parameters: [],
    variadic: any('expressions'),
    call: (args, context) => {
      if (args.length === 0) return refuse('at least one argument is required');
      const problems: string[] = [];
      for (const argument of args) {
        const { value, diagnostics } = evaluate(argument, context);
        if (diagnostics.length === 0) return ok(isWhollyKnown(value) ? value : UNKNOWN);
        for (const { summary, subject, detail } of diagnostics)
          problems.push(`- ${summary} (at ${formatRange(subject)})\n  ${detail}\n`);
      }
      return refuse(
        `no expression succeeded:\n${problems.join('')}\nAt least one expression must produce a successful result`,
      );
    },
  },
  can: {
    kind: 'expressions',
    parameters: [any('expression')],
    call: ([argument], context) => {
      if (!argument) return refuse('exactly one argument is required');
      const { value, diagnostics } = evaluate(argument, context);
      if (diagnostics.length > 0) return ok(FALSE);
      return ok(isWhollyKnown(value) ? TRUE : unknownValue(BOOL));
    },
  },
};
