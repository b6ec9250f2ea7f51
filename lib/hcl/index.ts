// HCL2, the language of job files and agent configuration: comes from a source text, goes to jobspec and agent/config.
export type * from './ast.js';
export { attributesOf, blocksOf } from './ast.js';
export type { CallFailure, CallResult, EvalContext, FunctionTable, HclFunction, Parameter } from './context.js';
export { convert, unify } from './convert.js';
export {
  type Diagnostic,
  diagnosticLine,
  diagnosticLines,
  errorAt,
  formatDiagnostic,
  formatRange,
  hasErrors,
  type Position,
  type SourceRange,
} from './diagnostics.js';
export { type Evaluated, evaluate } from './evaluate.js';
export { formatHcl } from './format.js';
export { typeOfConstraint } from './functions/convert.js';
export { type HclFiles, type HclHost, hostFunctions } from './functions/host.js';
export { STANDARD_FUNCTIONS } from './functions/index.js';
export { jsonEncode } from './functions/json.js';
export { parseJson } from './json.js';
export { bigFloatToString, isInteger, toDouble, truncate } from './number.js';
export { lengthProblem, type ParsedBody, type ParsedExpression, parseExpression, parseHcl } from './parser.js';
export { printBody, printExpression, printValue } from './print.js';
export { type Reference, references } from './references.js';
export * from './types.js';
export * from './values.js';
