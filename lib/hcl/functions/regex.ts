import { compileRegex, replaceMatches } from '../../util/regex/machine.js';
import { ok } from '../../util/result.js';
import type { CallResult, HclFunction } from '../context.js';
import { STRING } from '../types.js';
import { stringValue } from '../values.js';
import { define, refuse, text, textOf } from './define.js';

/** The machine takes length · size steps: what a job file needs is far below. */
const STEPS_MAX = 100_000_000;

function replacePattern(subject: string, pattern: string, by: string): CallResult {
  const regex = compileRegex(pattern);
  if (!regex.ok) return refuse(regex.error);
  if (subject.length * regex.value.program.length > STEPS_MAX) return refuse('the text is too long for this pattern');
  return ok(stringValue(replaceMatches(regex.value, subject, by)));
}

/** The function over patterns. */
export const REGEX_FUNCTIONS: Record<string, HclFunction> = {
  regex_replace: {
    ...define([text('str'), text('pattern'), text('replace')], STRING, ([subject, pattern, by]) =>
      replacePattern(textOf(subject), textOf(pattern), textOf(by)),
    ),
    cost: ([subject, pattern]) => {
      const regex = compileRegex(textOf(pattern));
      const size = regex.ok ? regex.value.program.length : 0;
      return size + (textOf(subject).length * size) / 25;
    },
  },
};
