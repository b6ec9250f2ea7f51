import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Diagnostic, errorAt, formatDiagnostic } from '../hcl/index.js';
import { canonicalizeJob } from '../jobspec/canonicalize.js';
import { type ParsedJob, parseJob } from '../jobspec/parse.js';
import { findRange } from '../jobspec/places.js';
import { submissionOf } from '../jobspec/submission.js';
import type { JobSubmission } from '../structs/job.js';
import { findIssues } from '../structs/validate/job.js';
import { WIDEST_LIMITS } from '../structs/validate/limits.js';
import { ApiError } from './api.js';
import type { Context, FlagSpec } from './command.js';
import { cliFunctions } from './hcl-host.js';
import { findTemplateIssues } from './template-issues.js';

/** Flags of the commands that read a job file. */
export const SOURCE_FLAGS: Record<string, FlagSpec> = {
  json: { type: 'bool', help: 'The file is JSON (as job inspect prints); this is seen by itself, the flag insists.' },
  'hcl2-strict': { type: 'bool', help: 'Refuse values for variables that the file does not declare; default true.' },
  var: { type: 'list', value: 'name=value', help: 'Gives an input variable a value; may be given several times.' },
  'var-file': {
    type: 'list',
    value: 'path',
    help: 'A file of input variables, HCL or JSON; may be given several times.',
  },
};

export interface JobSource extends ParsedJob {
  source: string;
  filename: string;
  /** What the server keeps beside the job. */
  submission: JobSubmission;
}

/** Reads a file ("-" is standard input); a directory, a missing file and the like are told plainly. */
export function readSource(path: string, what: 'job' | 'variables' = 'job'): string {
  const word = what === 'job' ? 'job file' : 'file of variables';
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      throw new ApiError(0, `no file ${path}: give the path of a ${word}, or - for standard input`);
    if (code === 'EISDIR') throw new ApiError(0, `${path} is a directory: give the path of a ${word}`);
    throw new ApiError(0, `cannot read ${path}: ${message}`);
  }
}

/** Reads and parses the job file of a command; what is wrong with it goes to the error output, and null comes back. */
export function loadJob({ flags, env, output }: Context, path: string): JobSource | null {
  const source = readSource(path);
  const filename = path === '-' ? '<stdin>' : path;
  const files = flags.list('var-file').map((filename) => ({ filename, source: readSource(filename, 'variables') }));
  const variables = { flags: flags.list('var'), files, env };
  const parsed = parseJob({
    source,
    filename,
    variables,
    strict: flags.optionalBool('hcl2-strict') ?? true,
    functions: cliFunctions(path === '-' ? process.cwd() : dirname(path)),
  });
  if (!parsed.ok) {
    const count = parsed.error.length;
    output.error(`Error getting job struct: ${filename} has ${count === 1 ? 'an error' : `${count} errors`}\n`);
    output.error(
      describeAll(
        parsed.error,
        new Map([[filename, source], ...files.map((file) => [file.filename, file.source] as const)]),
      ),
    );
    return null;
  }
  const texts = new Map([[filename, source]]);
  if (parsed.value.warnings.length > 0) output.error(describeAll(parsed.value.warnings, texts));
  if (flags.bool('json') && parsed.value.format !== 'json')
    throw new ApiError(0, `${filename} is not JSON, which -json insists on`);
  return { ...parsed.value, source, filename, submission: submissionOf(source, parsed.value, variables) };
}

export function describeAll(diagnostics: readonly Diagnostic[], sources: ReadonlyMap<string, string>): string {
  return diagnostics
    .map((diagnostic) => formatDiagnostic(diagnostic, sources.get(diagnostic.subject?.filename ?? '') ?? ''))
    .join('\n');
}

/** What the checks that need no agent say against the job, each at its place in the file; '' when nothing. */
export function describeIssues(source: JobSource): string {
  const job = canonicalizeJob(source.job);
  const { errors } = findIssues(job, WIDEST_LIMITS);
  return [...errors, ...findTemplateIssues(job)]
    .map(({ path, message }) => ({ message, range: findRange(source.ranges, path) }))
    .sort((a, b) => (a.range?.start.index ?? 0) - (b.range?.start.index ?? 0))
    .map(({ message, range }) => {
      if (!range) return `* ${message}`;
      return formatDiagnostic(errorAt(range, 'Invalid job', message), source.source);
    })
    .join('\n');
}
