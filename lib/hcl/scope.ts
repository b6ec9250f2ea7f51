import { nearest } from '../util/nearest.js';
import type { EvalContext, HclFunction } from './context.js';
import { type Diagnostic, errorAt, type SourceRange } from './diagnostics.js';
import type { Value } from './values.js';

/** The variable of that name, from the inside out; else why there is none. */
export function lookUp(name: string, range: SourceRange, context: EvalContext): Value | Diagnostic {
  const names: string[] = [];
  let allowed = false;
  for (let scope: EvalContext | undefined = context; scope; scope = scope.parent) {
    if (!scope.variables) continue;
    allowed = true;
    const value = scope.variables.get(name);
    if (value) return value;
    names.push(...scope.variables.keys());
  }
  if (!allowed) return errorAt(range, 'Variables not allowed', 'Variables may not be used here.');
  return errorAt(range, 'Unknown variable', `There is no variable named "${name}".${suggestion(name, names)}`);
}

/** The function of that name; else why there is none. */
export function lookUpFunction(
  name: string,
  ranges: { readonly name: SourceRange; readonly call: SourceRange },
  context: EvalContext,
): HclFunction | Diagnostic {
  const names: string[] = [];
  let allowed = false;
  for (let scope: EvalContext | undefined = context; scope; scope = scope.parent) {
    if (!scope.functions) continue;
    allowed = true;
    const found = scope.functions.get(name);
    if (found) return found;
    names.push(...scope.functions.keys());
  }
  if (!allowed) return errorAt(ranges.call, 'Function calls not allowed', 'Functions may not be called here.');
  const instead = Object.hasOwn(ELSEWHERE, name) ? ` ${ELSEWHERE[name]}` : suggestion(name, names);
  const detail = `There is no function named "${name}".${instead}`;
  return errorAt(ranges.name, 'Call to unknown function', detail, ranges.call);
}

/** Functions that Terraform has and Nomad has not, and what to write in their place. */
const ELSEWHERE: Record<string, string> = {
  tostring: 'Write convert(value, string).',
  tonumber: 'Write convert(value, number).',
  tobool: 'Write convert(value, bool).',
  tolist: 'Write convert(value, list(any)), with the type of the elements for any.',
  toset: 'Write convert(value, set(any)), with the type of the elements for any.',
  tomap: 'Write convert(value, map(any)), with the type of the elements for any.',
  regex: 'Write regex_replace(text, pattern, replacement), with $1 for a group in the replacement.',
  regexall: 'There is only regex_replace(text, pattern, replacement).',
  startswith: 'Write substr(text, 0, strlen(prefix)) == prefix.',
  endswith: 'Write trimsuffix(text, suffix) != text.',
  sum: 'Add the numbers with +.',
  setsubtract: 'Write [for x in a : x if !contains(b, x)].',
  timestamp: 'A job file has no clock; give the time as a variable.',
  filemd5: 'Write md5(file(path)).',
  filesha256: 'Write sha256(file(path)).',
  one: 'Write element(list, 0).',
};

function suggestion(name: string, names: readonly string[]): string {
  const found = nearest(name, names);
  return found === undefined ? '' : ` Did you mean "${found}"?`;
}
