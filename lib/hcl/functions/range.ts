import { ok } from '../../util/result.js';
import type { CallResult, HclFunction } from '../context.js';
import { add, type BigFloat, bigFloat, compare } from '../number.js';
import { listOf, NUMBER } from '../types.js';
import { listValue, numberValue, type Value } from '../values.js';
import { define, number, refuse } from './define.js';

const RANGE_MAX = 1024;

/** range(end), range(start, end), range(start, end, step): the end is not part of it. */
function range(args: readonly Value[]): CallResult {
  const given = args.map((value) => (value.kind === 'number' ? value.value : bigFloat(0)));
  const zero = bigFloat(0);
  const [first, second, third] = given;
  if (!first || given.length > 3) return refuse('must have one, two, or three arguments');
  const start = second ? first : zero;
  const end = second ?? first;
  const step = third ?? bigFloat(compare(end, start) < 0 ? -1 : 1);
  const direction = compare(step, zero);
  if (compare(end, start) === 0) return ok(listValue(NUMBER, []));
  if (direction === 0) return refuse('step must not be zero', 2);
  if (compare(end, start) * direction < 0) {
    return refuse(
      direction < 0
        ? 'end must be less than start when step is negative'
        : 'end must be greater than start when step is positive',
      1,
    );
  }
  const items: Value[] = [];
  for (let at: BigFloat = start; compare(at, end) * direction < 0; at = add(at, step)) {
    if (items.length === RANGE_MAX)
      return refuse(
        `more than ${RANGE_MAX} values were generated; either decrease the difference between start and end or use a smaller step`,
      );
    items.push(numberValue(at));
  }
  return ok(listValue(NUMBER, items));
}

/** `range`: numbers at equal distances. */
export const RANGE_FUNCTIONS: Record<string, HclFunction> = {
  range: define([], listOf(NUMBER), range, number('params')),
};
