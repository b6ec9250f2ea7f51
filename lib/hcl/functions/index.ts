import type { FunctionTable } from '../context.js';
import { CIDR_FUNCTIONS } from './cidr.js';
import { COLLECTION_FUNCTIONS } from './collection.js';
import { CONVERSION_FUNCTIONS } from './convert.js';
import { DATE_FUNCTIONS } from './date.js';
import { ENCODING_FUNCTIONS } from './encoding.js';
import { FORMAT_FUNCTIONS } from './format.js';
import { HASHING_FUNCTIONS } from './hashing.js';
import { hostFunctions } from './host.js';
import { NUMERIC_FUNCTIONS } from './numeric.js';
import { RANGE_FUNCTIONS } from './range.js';
import { REGEX_FUNCTIONS } from './regex.js';
import { SET_FUNCTIONS } from './sets.js';
import { STRING_FUNCTIONS } from './string.js';

/**
 * All functions that Nomad's job files have. Those over files and chance are told to be switched off: who has these
 * adds them, `new Map([...STANDARD_FUNCTIONS, ...hostFunctions(host)])`.
 */
export const STANDARD_FUNCTIONS: FunctionTable = new Map([
  ...Object.entries({
    ...STRING_FUNCTIONS,
    ...REGEX_FUNCTIONS,
    ...FORMAT_FUNCTIONS,
    ...COLLECTION_FUNCTIONS,
    ...RANGE_FUNCTIONS,
    ...SET_FUNCTIONS,
    ...NUMERIC_FUNCTIONS,
    ...DATE_FUNCTIONS,
    ...CIDR_FUNCTIONS,
    ...HASHING_FUNCTIONS,
    ...ENCODING_FUNCTIONS,
    ...CONVERSION_FUNCTIONS,
  }),
  ...hostFunctions(null),
]);
