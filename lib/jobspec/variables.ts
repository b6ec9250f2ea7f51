import type { Body, Diagnostic, EvalContext, Expression, SourceRange, Value } from '../hcl/index.js';
import {
  attributesOf,
  BOOL,
  blocksOf,
  convert,
  errorAt,
  evaluate,
  hasErrors,
  objectValue,
  parseExpression,
  parseHcl,
  STRING,
  sameType,
  stringValue,
  UNKNOWN,
} from '../hcl/index.js';
import { type Declaration, declareFromAttribute, declareVariable } from './variable-declaration.js';
import { jsonValues } from './variables-json.js';

/** Values for the variables of a job file; later sources win: environment, files in order, flags in order. */
export interface VariableSources {
  /** "name=value" each, as given to -var. */
  readonly flags?: readonly string[];
  /** Contents of the files given to -var-file: HCL or JSON. */
  readonly files?: readonly { readonly filename: string; readonly source: string }[];
  /** The process's environment; `NOMAD_VAR_x` and `MESHNOMAD_VAR_x` set x. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const ENV_PREFIXES = ['NOMAD_VAR_', 'MESHNOMAD_VAR_'];

type From = 'env' | 'varfile' | 'cmd';

interface Assignment {
  value: Value;
  range: SourceRange;
}

/** The variables that a file declares. */
export function declarations(body: Body, root: EvalContext, diagnostics: Diagnostic[]): Map<string, Declaration> {
  const declared = new Map<string, Declaration>();
  const add = (declaration: Declaration | null): void => {
    if (!declaration) return;
    const { name, range } = declaration;
    if (declared.has(name)) {
      diagnostics.push(errorAt(range, 'Duplicate variable', `The variable "${name}" is declared twice.`));
    } else declared.set(name, declaration);
  };
  for (const block of blocksOf(body)) {
    if (block.type === 'variable') add(declareVariable(block, root, diagnostics));
    if (block.type !== 'variables') continue;
    for (const attribute of attributesOf(block.body)) add(declareFromAttribute(attribute, root, diagnostics));
  }
  return declared;
}

/**
 * The value of `var`: of every declared variable the last value given. A variable without any value, a value of
 * another type, one that breaks a rule, or (when strict) one for an undeclared variable is an error.
 */
export function variableValues(
  declared: ReadonlyMap<string, Declaration>,
  sources: VariableSources,
  strict: boolean,
  root: EvalContext,
  diagnostics: Diagnostic[],
): Value {
  const values = new Map<string, Assignment>();
  for (const { name, fallback, fallbackRange } of declared.values()) {
    if (fallback) values.set(name, { value: fallback, range: fallbackRange });
  }
  const gather: Gather = { declared, values, diagnostics, strict };
  for (const prefix of ENV_PREFIXES) readEnv(prefix, sources.env ?? {}, gather);
  for (const file of sources.files ?? []) readFile(file, root, gather);
  for (const flag of sources.flags ?? []) readFlag(flag, gather);

  const entries: [string, Value][] = [];
  for (const declaration of declared.values()) {
    const assignment = values.get(declaration.name);
    if (assignment) checkRules(declaration, assignment, root, diagnostics);
    else {
      const detail = `It has no default, and none of -var '${declaration.name}=…', -var-file and NOMAD_VAR_${declaration.name} gives it a value.`;
      diagnostics.push(errorAt(declaration.range, `Unset variable "${declaration.name}"`, detail));
    }
    entries.push([declaration.name, assignment?.value ?? UNKNOWN]);
  }
  return objectValue(entries);
}

interface Gather {
  declared: ReadonlyMap<string, Declaration>;
  values: Map<string, Assignment>;
  diagnostics: Diagnostic[];
  strict: boolean;
}

function readEnv(prefix: string, env: Readonly<Record<string, string | undefined>>, gather: Gather): void {
  for (const [key, text] of Object.entries(env)) {
    if (!key.startsWith(prefix) || text === undefined) continue;
    const declaration = gather.declared.get(key.slice(prefix.length));
    // The environment is shared by many job files: what this one does not declare is none of its business.
    if (declaration) assignText(declaration, text, 'env', `<value for var.${declaration.name} from env>`, gather);
  }
}

function readFlag(flag: string, gather: Gather): void {
  const equals = flag.indexOf('=');
  const name = equals < 0 ? flag : flag.slice(0, equals);
  const filename = `<value for var.${name} from arguments>`;
  if (equals < 0) {
    const detail = `A -var is written name=value; there is no = in ${JSON.stringify(flag)}.`;
    gather.diagnostics.push(errorAt(startOfFile(filename), 'Invalid -var option', detail));
    return;
  }
  const declaration = gather.declared.get(name);
  if (declaration) assignText(declaration, flag.slice(equals + 1), 'cmd', filename, gather);
  else undeclared(name, startOfFile(filename), 'Undefined -var variable', 'is given by -var', gather);
}

function undeclared(name: string, range: SourceRange, summary: string, how: string, gather: Gather): void {
  const detail = `"${name}" ${how}, but the job file has no such variable. To declare it, write in the job file: variable "${name}" {}`;
  gather.diagnostics.push({ severity: gather.strict ? 'error' : 'warning', summary, detail, subject: range });
}

/** A text from outside: itself for a string, number or undeclared type, otherwise an expression. */
function assignText(declaration: Declaration, text: string, from: From, filename: string, gather: Gather): void {
  const { type } = declaration;
  if (type === null || type.kind === 'string' || type.kind === 'number' || type.kind === 'dynamic') {
    assign(declaration, stringValue(text), from, startOfFile(filename), gather);
    return;
  }
  const { expression, diagnostics } = parseExpression(text, filename);
  gather.diagnostics.push(...diagnostics);
  if (!hasErrors(diagnostics)) assignExpression(declaration, expression, from, {}, gather);
}

function assignExpression(
  declaration: Declaration,
  expression: Expression,
  from: From,
  root: EvalContext,
  gather: Gather,
): void {
  const { value, diagnostics } = evaluate(expression, root);
  gather.diagnostics.push(...diagnostics);
  if (!hasErrors(diagnostics)) assign(declaration, value, from, expression.range, gather);
}

function assign(declaration: Declaration, value: Value, from: From, range: SourceRange, gather: Gather): void {
  const { name, type } = declaration;
  const converted = type === null ? ({ ok: true, value } as const) : convert(value, type);
  if (converted.ok) {
    gather.values.set(name, { value: converted.value, range });
    return;
  }
  const summary = from === 'cmd' ? 'Invalid value of -var' : 'Invalid value for variable';
  const why = `${converted.error.path}${converted.error.path && ': '}${converted.error.message}`;
  const detail = `The value given to "${name}" does not fit its type: ${why}.`;
  gather.diagnostics.push(errorAt(range, summary, detail));
}

function readFile(file: { filename: string; source: string }, root: EvalContext, gather: Gather): void {
  if (/^\s*\{/.test(file.source)) {
    const read = jsonValues(file.source, file.filename);
    if (!read.ok) gather.diagnostics.push(read.error);
    else for (const { name, value, range } of read.value) fromFile(name, range, value, gather);
    return;
  }
  const { body, diagnostics } = parseHcl(file.source, file.filename);
  gather.diagnostics.push(...diagnostics);
  if (hasErrors(diagnostics)) return;
  for (const block of blocksOf(body)) {
    const name = block.labels[0]?.value ?? 'name';
    const detail =
      block.type === 'variable'
        ? `A variables file gives values to variables that a job file declares; to declare "${name}", place this block in the job file. To give it a value here, write: ${name} = <value>`
        : `A variables file has lines of the form name = value only; blocks of type "${block.type}" are not expected here.`;
    gather.diagnostics.push(errorAt(block.typeRange, 'Variable declaration in a variables file', detail));
  }
  for (const { name, nameRange, expression } of attributesOf(body)) {
    const { value, diagnostics: found } = evaluate(expression, root);
    gather.diagnostics.push(...found);
    if (!hasErrors(found)) fromFile(name, gather.declared.has(name) ? expression.range : nameRange, value, gather);
  }
}

function fromFile(name: string, range: SourceRange, value: Value, gather: Gather): void {
  const declaration = gather.declared.get(name);
  if (declaration) assign(declaration, value, 'varfile', range, gather);
  else undeclared(name, range, 'Undefined variable', 'is given by a variables file', gather);
}

function checkRules(
  declaration: Declaration,
  { value, range }: Assignment,
  root: EvalContext,
  diagnostics: Diagnostic[],
): void {
  const variables = new Map([['var', objectValue([[declaration.name, value]])]]);
  for (const rule of declaration.validations) {
    const { value: result, diagnostics: found } = evaluate(rule.condition, { variables, parent: root });
    diagnostics.push(...found);
    if (hasErrors(found) || result.kind === 'unknown') continue;
    const verdict = convert(result, BOOL);
    if (!verdict.ok || verdict.value.kind !== 'bool') {
      const detail = 'The condition of a rule must be true or false.';
      diagnostics.push(errorAt(rule.condition.range, 'Invalid condition of a validation rule', detail));
    } else if (!verdict.value.value) {
      const at = `${rule.range.filename}:${rule.range.start.line},${rule.range.start.column}`;
      const detail = `${rule.errorMessage} (the rule at ${at})`;
      diagnostics.push(errorAt(range, `Invalid value for variable "${declaration.name}"`, detail));
    }
  }
}

/** The place of something that has a source but no text of its own to point into. */
export function startOfFile(filename: string): SourceRange {
  const start = { line: 1, column: 1, byte: 0, index: 0 };
  return { filename, start, end: start };
}

/** Whether values of this variable are written as HCL when a submission is stored: all but plain texts and numbers. */
export function isComplex({ type }: Declaration): boolean {
  return type !== null && !sameType(type, STRING) && !['number', 'bool', 'dynamic'].includes(type.kind);
}
