import { err } from '../util/result.js';
import type { CallExpression, Expression } from './ast.js';
import type { CallFailure, CallResult, EvalContext, HclFunction, Parameter } from './context.js';
import { convert } from './convert.js';
import type { SourceRange } from './diagnostics.js';
import type { Evaluator } from './evaluate.js';
import { lookUpFunction } from './scope.js';
import { startRange } from './start-range.js';
import { extentOf, isWhollyKnown, UNKNOWN, unknownValue, type Value } from './values.js';

type ValuesFunction = HclFunction & { readonly kind: 'values' };

/** An argument, and where to point when it is refused. */
interface Argument {
  readonly value: Value;
  readonly at: SourceRange;
}

/** `name(arguments…)` */
export function evaluateCall(evaluator: Evaluator, call: CallExpression, context: EvalContext): Value {
  const found = lookUpFunction(call.name, { name: call.nameRange, call: call.range }, context);
  if ('severity' in found) return evaluator.error(found.subject, found.summary, found.detail, found.context);
  const written = writtenArguments(evaluator, call, context);
  if (!written || !countFits(evaluator, call, found, written)) return UNKNOWN;
  if (found.kind === 'expressions') {
    const given = written.map((argument) => ({ value: UNKNOWN, at: startRange(argument) }));
    const result = found.call(written, context);
    if (result.ok) return result.value;
    const { argument } = result.error;
    const named = argument === undefined ? undefined : parameterAt(found, argument);
    return refused(evaluator, call, result.error, given, named);
  }
  const errorsBefore = evaluator.errors;
  const given = written.map((argument) => ({ value: evaluator.value(argument, context), at: startRange(argument) }));
  return evaluator.errors === errorsBefore ? callWith(evaluator, call, found, given) : UNKNOWN;
}

/** The arguments one by one, before any is evaluated but one that is to be expanded. */
function writtenArguments(
  evaluator: Evaluator,
  call: CallExpression,
  context: EvalContext,
): readonly Expression[] | null {
  const last = call.expandLast ? call.arguments.at(-1) : undefined;
  if (!last) return call.arguments;
  const expanded = expand(evaluator, call, last, context);
  return expanded && [...call.arguments.slice(0, -1), ...expanded];
}

function expand(
  evaluator: Evaluator,
  call: CallExpression,
  last: Expression,
  context: EvalContext,
): Expression[] | null {
  const errorsBefore = evaluator.errors;
  const value = evaluator.value(last, context);
  if (evaluator.errors > errorsBefore || value.kind === 'unknown') return null;
  const range = startRange(last);
  if (value.kind === 'list' || value.kind === 'set' || value.kind === 'tuple') {
    return value.items.map((item) => ({ kind: 'literal', value: item, range }));
  }
  const must = value.kind === 'null' ? 'not be null' : 'be of a tuple, list, or set type';
  const detail = `The expanding argument (indicated by ...) must ${must}.`;
  evaluator.error(last.range, 'Invalid expanding argument value', detail, call.range);
  return null;
}

function countFits(evaluator: Evaluator, call: CallExpression, fn: HclFunction, given: readonly Expression[]): boolean {
  const { parameters, variadic } = fn;
  const missing = parameters[given.length];
  if (missing) {
    const least = variadic ? ' at least' : '';
    const detail = `Function "${call.name}" expects${least} ${parameters.length} argument(s). Missing value for "${missing.name}".`;
    evaluator.error(call.closeRange, 'Not enough function arguments', detail, call.range);
    return false;
  }
  const surplus = given[parameters.length];
  if (!surplus || variadic) return true;
  const detail = `Function "${call.name}" expects only ${parameters.length} argument(s).`;
  evaluator.error(startRange(surplus), 'Too many function arguments', detail, call.range);
  return false;
}

/** A text too long for JavaScript, or a value too deep for its stack, is the fault of the arguments. */
function bounded(call: () => CallResult): CallResult {
  try {
    return call();
  } catch (cause) {
    if (cause instanceof RangeError) return err({ message: 'the result would be too large' });
    throw cause;
  }
}

function parameterAt({ parameters, variadic }: HclFunction, i: number): Parameter | undefined {
  return parameters[i] ?? variadic;
}

function callWith(evaluator: Evaluator, call: CallExpression, fn: ValuesFunction, given: readonly Argument[]): Value {
  const values: Value[] = [];
  const errorsBefore = evaluator.errors;
  let known = true;
  for (const [i, { value, at }] of given.entries()) {
    const parameter = parameterAt(fn, i) as Parameter;
    const converted = convert(value, parameter.type);
    const failure = !converted.ok
      ? converted.error.message
      : value.kind === 'null' && !parameter.allowNull
        ? 'argument must not be null'
        : null;
    if (failure !== null) {
      const detail = `Invalid value for "${parameter.name}" parameter: ${failure}.`;
      evaluator.error(at, 'Invalid function argument', detail, call.range);
      continue;
    }
    if (!converted.ok) continue;
    if (!parameter.allowUnknown && !isWhollyKnown(converted.value)) known = false;
    values.push(converted.value);
  }
  if (evaluator.errors > errorsBefore) return UNKNOWN;
  if (!known) return unknownValue(fn.returns);
  if (!evaluator.spend(costOf(fn, values), call.range)) return UNKNOWN;
  const result = bounded(() => fn.call(values));
  if (result.ok) return result.value;
  const { argument } = result.error;
  const named = argument === undefined ? undefined : parameterAt(fn, argument);
  return refused(evaluator, call, result.error, given, named);
}

const CHARACTERS_A_STEP = 32;

/** As long as the arguments are, unless the function knows better. */
function costOf(fn: ValuesFunction, values: readonly Value[]): number {
  if (fn.cost) return Math.ceil(fn.cost(values));
  const sizes = values.map((value) =>
    value.kind === 'string' ? value.value.length / CHARACTERS_A_STEP : extentOf(value).size / 4,
  );
  return Math.ceil(sizes.reduce((sum, size) => sum + size, 0));
}

function refused(
  evaluator: Evaluator,
  call: CallExpression,
  { message, argument }: CallFailure,
  given: readonly Argument[],
  parameter?: Parameter,
): Value {
  const at = argument === undefined ? undefined : given[argument]?.at;
  if (parameter && at) {
    const detail = `Invalid value for "${parameter.name}" parameter: ${message}.`;
    return evaluator.error(at, 'Invalid function argument', detail, call.range);
  }
  const detail = `Call to function "${call.name}" failed: ${message}.`;
  return evaluator.error(startRange(call), 'Error in function call', detail, call.range);
}
