// Go's text/template: comes from the -t flag of the command line (and from template blocks), goes to text.
import { err, ok, type Result } from '../util/result.js';
import { TemplateError } from './ast.js';
import { execTemplate } from './exec.js';
import { parseTemplate } from './parser.js';

/** Renders a template over JSON data; the error says line:column and what is wrong. A missing field is an error. */
export function renderTemplate(template: string, data: unknown): Result<string, string> {
  try {
    return ok(execTemplate(parseTemplate(template), { data, missing: 'error' }));
  } catch (error) {
    if (error instanceof TemplateError) return err(error.message);
    throw error;
  }
}
