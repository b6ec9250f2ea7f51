import type { FunctionTable } from '../hcl/index.js';
import { STANDARD_FUNCTIONS } from '../hcl/index.js';

/** The functions of a job file that need no file system. */
export const FUNCTIONS: FunctionTable = STANDARD_FUNCTIONS;
