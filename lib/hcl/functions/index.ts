import type { FunctionTable } from '../context.js';
import { COLLECTION_FUNCTIONS } from './collection.js';
import { CONVERSION_FUNCTIONS } from './convert.js';
import { ENCODING_FUNCTIONS } from './encoding.js';
import { FORMAT_FUNCTIONS } from './format.js';
import { NUMERIC_FUNCTIONS } from './numeric.js';
import { REGEX_FUNCTIONS } from './regex.js';
import { SET_FUNCTIONS } from './sets.js';
import { STRING_FUNCTIONS } from './string.js';

/**
 * The functions of a job file that need nothing but their arguments. Those over files, clocks, chance and cryptography
 * are added by who has these: `new Map([...STANDARD_FUNCTIONS, ['timestamp', …]])`.
 */
export const STANDARD_FUNCTIONS: FunctionTable = new Map(
  Object.entries({
    ...STRING_FUNCTIONS,
    ...REGEX_FUNCTIONS,
    ...FORMAT_FUNCTIONS,
    ...COLLECTION_FUNCTIONS,
    ...SET_FUNCTIONS,
    ...NUMERIC_FUNCTIONS,
    ...ENCODING_FUNCTIONS,
    ...CONVERSION_FUNCTIONS,
  }),
);
