import type { Result } from '../util/result.js';
import type { Expression } from './ast.js';
import type { Type } from './types.js';
import type { Value } from './values.js';

/** Work that is left for all evaluations that share it, counted down in steps of about a microsecond. */
export interface Budget {
  left: number;
}

/** What an expression can see. A name that is not found here is looked up in the parent. */
export interface EvalContext {
  /** Of all contexts below it, and so of a whole file; without one every evaluation has its own. */
  readonly budget?: Budget;
  readonly variables?: ReadonlyMap<string, Value>;
  readonly functions?: FunctionTable;
  readonly parent?: EvalContext;
}

/** Name → implementation; callers add to it by making a larger map. */
export type FunctionTable = ReadonlyMap<string, HclFunction>;

export interface Parameter {
  readonly name: string;
  /** Arguments are converted to it; `dynamic` takes them as they are. */
  readonly type: Type;
  readonly allowNull?: boolean;
  /** Otherwise an unknown argument makes the result unknown without a call. */
  readonly allowUnknown?: boolean;
}

/** Why a call was refused; `argument` is the index of the culprit, when there is one. */
export interface CallFailure {
  readonly message: string;
  readonly argument?: number;
}

export type CallResult = Result<Value, CallFailure>;

/** A function that gets values, or (like `try`) the expressions themselves. */
export type HclFunction =
  | {
      readonly kind: 'values';
      readonly parameters: readonly Parameter[];
      readonly variadic?: Parameter;
      /** The type of the result, where it does not depend on the arguments: what an unknown argument yields. */
      readonly returns: Type;
      readonly call: (args: readonly Value[]) => CallResult;
      /** The steps that a call takes, where they are more than its arguments are long. */
      readonly cost?: (args: readonly Value[]) => number;
    }
  | {
      readonly kind: 'expressions';
      /** For their number and names; their types do not count. */
      readonly parameters: readonly Parameter[];
      readonly variadic?: Parameter;
      readonly call: (args: readonly Expression[], context: EvalContext) => CallResult;
    };
