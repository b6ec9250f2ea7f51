import type { Budget } from '../hcl/context.js';
import type { Block, Body, Diagnostic, EvalContext, FunctionTable, ParsedBody } from '../hcl/index.js';
import { blocksOf, errorAt, hasErrors, parseHcl } from '../hcl/index.js';
import type { Job } from '../structs/job.js';
import { err, ok, type Result } from '../util/result.js';
import { decodeBlock, unknownAttribute, unknownBlock } from './decode.js';
import { FUNCTIONS } from './functions.js';
import { parseHclJson } from './hcl-json.js';
import { parseJson } from './json-source.js';
import { localValues } from './locals.js';
import { type JobRanges, type Places, rangesOf } from './places.js';
import { readJobJson } from './read-json.js';
import { job as jobSchema } from './schema/job.js';
import type { Declaration } from './variable-declaration.js';
import { declarations, type VariableSources, variableValues } from './variables.js';

/** What a job is read from. */
export interface JobSource {
  readonly source: string;
  /** As it is to be named in messages. */
  readonly filename: string;
  readonly variables?: VariableSources;
  /** Whether a value for an undeclared variable is an error; otherwise it is a warning. Default true. */
  readonly strict?: boolean;
  /** In place of the functions that need no file system. */
  readonly functions?: FunctionTable;
}

/** A job as `job run -output` prints it: before any default is filled in. */
export interface ParsedJob {
  readonly job: Partial<Job>;
  readonly warnings: readonly Diagnostic[];
  /** Where each part was written; empty for JSON. */
  readonly ranges: JobRanges;
  readonly format: 'hcl2' | 'json';
  readonly variables: ReadonlyMap<string, Declaration>;
}

/** For all expressions of a file together: some two seconds. */
const STEPS_MAX = 2_000_000;

const TOP_BLOCKS = ['job', 'variable', 'variables', 'locals'];

/** Reads a job file: HCL2, also in its JSON syntax, or the API's JSON (with or without the `Job` around it). Never throws. */
export function parseJob(input: JobSource): Result<ParsedJob, Diagnostic[]> {
  return /^\uFEFF?\s*\{/.test(input.source)
    ? parseJsonJob(input)
    : parseHclJob(input, parseHcl(input.source, input.filename));
}

function parseHclJob(
  input: JobSource,
  { body, diagnostics: syntax, source = input.source }: ParsedBody & { source?: string },
): Result<ParsedJob, Diagnostic[]> {
  const functions = input.functions ?? FUNCTIONS;
  if (hasErrors(syntax)) return err([...syntax]);
  const diagnostics: Diagnostic[] = [...syntax];
  const block = findJob(body, diagnostics);
  const budget: Budget = { left: STEPS_MAX };
  const root: EvalContext = { functions, budget };
  const declared = declarations(body, root, diagnostics);
  if (hasErrors(diagnostics) && block) return err(diagnostics);
  const variables = variableValues(declared, input.variables ?? {}, input.strict ?? true, root, diagnostics);
  const outer = { ...root, variables: new Map([['var', variables]]) };
  const locals = hasErrors(diagnostics) ? undefined : localValues(body, outer, source, diagnostics);
  if (!block || !locals || hasErrors(diagnostics)) return err(diagnostics);

  const places: Places = new Map();
  const context = { variables: new Map([['local', locals]]), parent: outer };
  const scope = { context, names: new Set(['var', 'local']), source };
  const raw = decodeBlock(jobSchema, block, scope, { diagnostics, places });
  if (budget.left < 0) tellOfBudget(block, diagnostics);
  if (hasErrors(diagnostics)) return err(inOrder(diagnostics));
  const job = raw as Partial<Job>;
  return ok({ job, warnings: diagnostics, ranges: rangesOf(raw, places), format: 'hcl2', variables: declared });
}

/** `can` and `try` keep to themselves that the time is up; what the file gave after that is nothing to go by. */
function tellOfBudget(block: Block, diagnostics: Diagnostic[]): void {
  if (diagnostics.some(({ summary }) => /takes too long|Too many dynamic/.test(summary))) return;
  const detail = 'All expressions of this file together take too many steps. Make the collections and texts smaller.';
  diagnostics.push(errorAt(block.headerRange, 'Expressions take too long', detail));
}

/** As a reader meets them: decoding goes by the schema, not by the file. */
function inOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return diagnostics.toSorted((a, b) => a.subject.start.index - b.subject.start.index);
}

function findJob(body: Body, diagnostics: Diagnostic[]): Block | undefined {
  for (const item of body.items) {
    if (item.kind === 'attribute') diagnostics.push(unknownAttribute(item, [], TOP_BLOCKS));
    else if (!TOP_BLOCKS.includes(item.type)) diagnostics.push(unknownBlock(item, [], TOP_BLOCKS));
  }
  const [first, second] = blocksOf(body, 'job');
  if (!first) diagnostics.push(errorAt(body.endRange, 'Missing job block', 'A job block is required.'));
  if (first && second) {
    const at = `${first.headerRange.filename}:${first.headerRange.start.line},${first.headerRange.start.column}`;
    const detail = `Only one block of type "job" is allowed. Previous definition was at ${at}.`;
    diagnostics.push(errorAt(second.headerRange, 'Duplicate job block', detail));
  }
  return first;
}

function parseJsonJob(input: JobSource): Result<ParsedJob, Diagnostic[]> {
  const { source, filename } = input;
  const parsed = parseJson(source, filename);
  if (!parsed.ok) return err([parsed.error]);
  const { value, start } = parsed.value;
  const body = unwrap(value);
  if (body === undefined) return parseHclJob(input, parseHclJson(source, filename));
  const read = readJobJson(body);
  if (!read.ok) return err(read.error.map((problem) => errorAt(start, 'Invalid job', problem)));
  return ok({ job: read.value, warnings: [], ranges: new Map(), format: 'json', variables: new Map() });
}

/** The job in `{"Job": {…}}`, or the object itself; undefined for HCL's JSON syntax, `{"job": {"name": {…}}}`. */
function unwrap(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const [key, inner] = Object.entries(value).find(([name]) => name.toLowerCase() === 'job') ?? [];
  if (key === undefined) return value;
  const isObject = typeof inner === 'object' && inner !== null;
  if (key === 'job' && isObject && !Object.keys(inner).some((name) => name.toLowerCase() === 'id')) return undefined;
  return inner;
}
