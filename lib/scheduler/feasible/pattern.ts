/** Longest text a pattern is matched against: an attribute is a name or a number, and a match can take long. */
const SUBJECT_MAX = 1024;

/**
 * Compiles a regular expression in Go's syntax as far as JavaScript has it: leading flags `(?ims)`, `(?P<name>…)`, `\A` and
 * `\z` are translated. A pattern that cannot be compiled matches nothing, as in Nomad.
 */
export function compilePattern(source: string): (text: string) => boolean {
  const flags = /^\(\?([ims]+)\)/.exec(source);
  const body = source
    .slice(flags?.[0].length ?? 0)
    .replaceAll('(?P<', '(?<')
    .replace(/\\(.)/gs, (whole, letter: string) => (letter === 'A' ? '^' : letter === 'z' ? '$' : whole));
  try {
    const pattern = new RegExp(body, `${[...new Set(flags?.[1])].join('')}u`);
    return (text) => pattern.test(text.slice(0, SUBJECT_MAX));
  } catch {
    return () => false;
  }
}
