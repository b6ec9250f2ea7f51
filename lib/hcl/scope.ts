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
  const detail = `There is no function named "${name}".${suggestion(name, names)}`;
  return errorAt(ranges.name, 'Call to unknown function', detail, ranges.call);
}

function suggestion(name: string, names: readonly string[]): string {
  const found = nearest(name, names);
  return found === undefined ? '' : ` Did you mean "${found}"?`;
}
