// Go's text/template: comes from the -t flag of the command line and from template blocks, goes to text.
import { err, ok, type Result } from '../util/result.js';
import { TemplateError } from './ast.js';
import { execTemplate } from './exec.js';
import { parseTemplate } from './parser.js';

export { type ParsedTemplate, TemplateError } from './ast.js';
export { HeavyTemplate } from './bounds.js';
export { type ExecOptions, type ExecuteDefined, execTemplate } from './exec.js';
export { checkExtent } from './extent.js';
export { type ParseOptions, parseTemplate } from './parser.js';
export { printValue, sprintf } from './printf.js';
export { quote } from './quote.js';
export {
  compareText,
  entriesOf,
  Float,
  float,
  floatOf,
  fn,
  int,
  kindOf,
  NO_VALUE,
  Struct,
  type TemplateFunction,
  TextList,
  TextStruct,
  TypedMap,
  truth,
  typeName,
  type Value,
} from './values.js';

/**
 * Renders a template over JSON data as Nomad's commands do over its structs: a missing field is an error. The error is
 * Go's, with name, line and column.
 */
export function renderTemplate(template: string, data: unknown): Result<string, string> {
  try {
    const parsed = parseTemplate(template);
    return ok(execTemplate(parsed, { data, missing: 'error', structs: true }));
  } catch (error) {
    if (error instanceof TemplateError) return err(error.message);
    throw error;
  }
}
