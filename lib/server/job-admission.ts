import { formatRange } from '../hcl/index.js';
import { canonicalizeInTurns } from '../jobspec/canonicalize.js';
import { parseJob } from '../jobspec/parse.js';
import { findRange, type JobRanges } from '../jobspec/places.js';
import { readJobInTurns } from '../jobspec/read-json.js';
import { MeshError } from '../structs/errors.js';
import type { Job, JobSubmission } from '../structs/job.js';
import type { Issue } from '../structs/validate/issue.js';
import { findIssuesInTurns, issueText } from '../structs/validate/job.js';
import { JOB_LIMITS, type JobLimits } from '../structs/validate/limits.js';
import { nearest } from '../util/nearest.js';
import type { Resting } from '../util/turns.js';
import type { ServerConfig, ServerWorld } from './world.js';

/** A job as it may be stored, or what is wrong with it. */
export interface Admission {
  job: Job | null;
  errors: string[];
  warnings: string[];
}

/** Reads, completes and checks a job that was handed in: in turns, for its groups may be very many. */
export function admitJob(
  handedIn: unknown,
  { turns, config }: Pick<ServerWorld, 'turns' | 'config'>,
  submission?: JobSubmission | null,
): Promise<Admission> {
  return turns.toEnd(admitInTurns(handedIn, config, submission ?? null));
}

function* admitInTurns(
  handedIn: unknown,
  options: Pick<ServerConfig, 'region' | 'jobs' | 'knownDrivers'>,
  submission: JobSubmission | null,
): Resting<Admission> {
  const read = yield* readJobInTurns(handedIn);
  if (!read.ok) return { job: null, errors: read.error, warnings: [] };
  const { defaultPriority = 0, ...limits } = options.jobs ?? {};
  const Priority = read.value.Priority || defaultPriority;
  const job = yield* canonicalizeInTurns({ ...inRegion(read.value, options.region), Priority });
  const { errors, warnings } = yield* findIssuesInTurns(job, { ...JOB_LIMITS, ...limits });
  const more = [...regionErrors(job, options.region), ...driverErrors(job, options.knownDrivers?.())];
  return { job, errors: [...located(errors, submission), ...more], warnings: warnings.map(issueText) };
}

/** Issues as texts, with their places in the source when one was handed in with the job. */
export function located(errors: readonly Issue[], submission: JobSubmission | null): string[] {
  if (errors.length === 0 || !submission || submission.Format !== 'hcl2') return errors.map(issueText);
  const { Source, Variables, VariableFlags } = submission;
  const parsed = parseJob({
    source: Source,
    filename: 'job.hcl',
    variables: {
      flags: Object.entries(VariableFlags ?? {}).map(([name, value]) => `${name}=${value}`),
      files: [{ filename: 'variables', source: Variables }],
    },
    strict: false,
  });
  const ranges: JobRanges = parsed.ok ? parsed.value.ranges : new Map();
  return errors.map((issue) => {
    const range = findRange(ranges, issue.path);
    return range ? `${formatRange(range)}: ${issue.message}` : issueText(issue);
  });
}

/** The job, or one E_BAD_REQUEST that lists everything wrong with it. */
export function requireAdmitted({ job, errors, warnings }: Admission): { job: Job; warnings: string[] } {
  if (job && errors.length === 0) return { job, warnings };
  throw new MeshError('E_BAD_REQUEST', listed(errors, 'error'));
}

/** "2 errors occurred:\n\t* …\n\t* …", as users of Nomad know lists of errors; '' when there is none. */
export function listed(messages: readonly string[], noun: string): string {
  if (messages.length === 0) return '';
  const head = messages.length === 1 ? `1 ${noun}:` : `${messages.length} ${noun}s:`;
  return `${head}\n\n${messages.map((message) => `* ${message}`).join('\n')}`;
}

/** Refuses a source too large to be kept with the job. */
export function checkSubmission(
  submission: JobSubmission | null | undefined,
  { sourceBytesMax = JOB_LIMITS.sourceBytesMax }: Partial<JobLimits> = {},
): JobSubmission | null {
  if (!submission || typeof submission.Source !== 'string' || submission.Source === '') return null;
  const { Source, Format = '', VariableFlags = null, Variables = '' } = submission;
  const size = Source.length + Variables.length;
  if (size > sourceBytesMax) {
    throw new MeshError(
      'E_TOO_LARGE',
      `job source size of ${size} bytes exceeds maximum of ${sourceBytesMax} bytes: move large files out of the job`,
    );
  }
  return { Source, Format, VariableFlags, Variables };
}

/** A job that names no region, or "global", which is what tools fill in, is for the region it is handed to. */
function inRegion(job: Partial<Job>, region: string): Partial<Job> {
  return !job.Region || job.Region === 'global' ? { ...job, Region: region } : job;
}

function regionErrors(job: Job, region: string): string[] {
  if (job.Region === region) return [];
  return [`region "${job.Region}" is not served here: this mesh is region "${region}"`];
}

function driverErrors(job: Job, known: readonly string[] | undefined): string[] {
  if (!known) return [];
  const errors: string[] = [];
  for (const group of job.TaskGroups) {
    for (const { Name, Driver } of group.Tasks) {
      if (Driver === '' || known.includes(Driver)) continue;
      const near = nearest(Driver, known);
      const hint = near ? `did you mean "${near}"?` : `known drivers: ${known.join(', ')}`;
      errors.push(`Task group ${group.Name}, task ${Name}: unknown driver "${Driver}"; ${hint}`);
    }
  }
  return errors;
}
