// Job files: comes from a person's HCL or JSON, goes to http (register, plan, validate) as the API's job, and to the
// server, which fills in what it lacks.
export { canonicalizeJob } from './canonicalize.js';
export { FUNCTIONS } from './functions.js';
export { INIT_FILENAME, INIT_JOB, INIT_JOB_SHORT } from './init.js';
export { type JobSource, type ParsedJob, parseJob } from './parse.js';
export { findRange, type JobRanges } from './places.js';
export { readJobJson } from './read-json.js';
export { submissionOf } from './submission.js';
export type { Declaration } from './variable-declaration.js';
export type { VariableSources } from './variables.js';
