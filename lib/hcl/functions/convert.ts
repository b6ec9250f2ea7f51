import { ok } from '../../util/result.js';
import type { Expression } from '../ast.js';
import type { HclFunction, Parameter } from '../context.js';
import { convert } from '../convert.js';
import { evaluate } from '../evaluate.js';
import { BOOL, DYNAMIC, listOf, mapOf, NUMBER, STRING, setOf, type Type } from '../types.js';
import { FALSE, isWhollyKnown, TRUE, UNKNOWN, unknownValue } from '../values.js';
import { define, refuse } from './define.js';

const ANYTHING: Parameter = { name: 'v', type: DYNAMIC, allowNull: true, allowUnknown: true };

function to(type: Type): HclFunction {
  return define([ANYTHING], type, ([value]) => {
    const converted = value && convert(value, type);
    return converted?.ok ? ok(converted.value) : refuse(`cannot convert: ${converted?.error.message}`, 0);
  });
}

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
  for (const { key, value } of items) {
    const name = key.name ?? literalText(key.wrapped);
    const type = typeOfConstraint(value);
    if (name === null || !type) return null;
    attributes.set(name, type);
  }
  return { kind: 'object', attributes };
}

function literalText(expression: Expression): string | null {
  const [only] = expression.kind === 'template' && expression.parts.length === 1 ? expression.parts : [];
  return only?.kind === 'literal' && only.value.kind === 'string' ? only.value.value : null;
}

/** The functions that change the type of a value, and those that bear a failure. */
export const CONVERSION_FUNCTIONS: Record<string, HclFunction> = {
  tostring: to(STRING),
  tonumber: to(NUMBER),
  tobool: to(BOOL),
  tolist: to(listOf(DYNAMIC)),
  toset: to(setOf(DYNAMIC)),
  tomap: to(mapOf(DYNAMIC)),
  convert: {
    kind: 'expressions',
    call: ([value, constraint, ...rest], context) => {
      if (!value || !constraint || rest.length > 0) return refuse('a value and a type are required');
      const type = typeOfConstraint(constraint);
      if (!type) return refuse('the second argument must be a type, such as string or list(number)');
      const evaluated = evaluate(value, context);
      const [problem] = evaluated.diagnostics;
      if (problem) return refuse(`${problem.summary}: ${problem.detail.replace(/\.$/, '')}`);
      const converted = convert(evaluated.value, type);
      return converted.ok ? ok(converted.value) : refuse(converted.error.message);
    },
  },
  try: {
    kind: 'expressions',
    call: (args, context) => {
      if (args.length === 0) return refuse('at least one argument is required');
      const problems: string[] = [];
      for (const argument of args) {
        const { value, diagnostics } = evaluate(argument, context);
        if (diagnostics.length === 0) return ok(isWhollyKnown(value) ? value : UNKNOWN);
        problems.push(...diagnostics.map(({ summary, detail }) => `${summary}: ${detail}`));
      }
      return refuse(
        `no expression succeeded:\n- ${problems.join('\n- ')}\n\nAt least one expression must produce a successful result`,
      );
    },
  },
  can: {
    kind: 'expressions',
    call: ([argument, ...rest], context) => {
      if (!argument || rest.length > 0) return refuse('exactly one argument is required');
      const { value, diagnostics } = evaluate(argument, context);
      if (diagnostics.length > 0) return ok(FALSE);
      return ok(isWhollyKnown(value) ? TRUE : unknownValue(BOOL));
    },
  },
};
