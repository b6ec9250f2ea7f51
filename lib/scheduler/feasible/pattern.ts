import { compileRegex, findMatch } from '../../util/regex/machine.js';

/** Longest text a pattern is matched against: an attribute is a name or a number. */
const SUBJECT_MAX = 4096;

/**
 * Compiles a regular expression in Go's syntax. Its machine takes steps in proportion to the text, whatever the pattern: no
 * job can hold up the scheduler with one. A pattern that cannot be compiled matches nothing, as in Nomad.
 */
export function compilePattern(source: string): (text: string) => boolean {
  const regex = compileRegex(source);
  if (!regex.ok) return () => false;
  return (text) => findMatch(regex.value, text.slice(0, SUBJECT_MAX), 0) !== null;
}
